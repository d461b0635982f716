"""The probe reads stories better than chance, treats endings alike, and counts unknown classes as wrong."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.experiments.embedding_cache import Memory
from ray_subsel.experiments.probe import features, probe
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.synthetic.stories import make_stories


class Words:
    """Bags of words, hashed into 512 dimensions."""

    dimension = 512

    def __init__(self):
        self.seen = []

    def embed(self, texts):
        self.seen += texts
        X = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(X, texts, strict=True):
            for word in text.lower().strip(".").split():
                row[
                    int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "little") % self.dimension
                ] += 1
        return X / np.linalg.norm(X, axis=1, keepdims=True)


def stories(n, seed):
    made = make_stories(n, seed)
    return pa.table(
        {
            "context": [" ".join(story.sentences) for story in made],
            "ending1": [story.endings[0] for story in made],
            "ending2": [story.endings[1] for story in made],
            "label": [str(story.right) for story in made],
        }
    )


def labels(table):
    return np.array(table["label"].to_pylist())


def test_it_beats_chance_on_generated_stories():
    train, test, embedder = stories(600, 0), stories(300, 1), Words()
    found = probe(
        features(train, "story-cloze", embedder), labels(train), features(test, "story-cloze", embedder), labels(test),
        "story-cloze",
    )  # fmt: skip
    assert found.accuracy == found.correct / 300
    assert found.accuracy > 0.55  # chance is 0.5 with a standard error of 0.03


def test_it_tells_classes_apart():
    rng = np.random.default_rng(0)
    words = {"animals": ["cat", "dog", "bird", "fish"], "trips": ["train", "bus", "boat", "car"]}
    y = np.array(["animals", "trips"] * 40)
    table = pa.table({"text": [f"the {words[label][rng.integers(4)]} of day {rng.integers(9)}" for label in y]})
    X = features(table, "classification", Words())
    assert probe(X[:40], y[:40], X[40:], y[40:], "classification").accuracy > 0.9


def test_exchanged_endings_exchange_the_answer():
    train, embedder = stories(100, 0), Words()
    X = features(train, "story-cloze", embedder)
    swapped = train.rename_columns(["context", "ending2", "ending1", "label"])
    np.testing.assert_allclose(features(swapped, "story-cloze", embedder), -X, atol=1e-6)
    y = labels(train)
    one = probe(X, y, X, y, "story-cloze")
    other = probe(-X, np.where(y == "1", "2", "1"), X, y, "story-cloze")
    assert one.correct == other.correct


def test_one_example_is_enough_for_stories():
    train = stories(2, 0)
    X = features(train, "story-cloze", Words())
    assert probe(X[:1], labels(train)[:1], X[:1], labels(train)[:1], "story-cloze").accuracy == 1.0


def test_classes_that_training_lacks_are_wrong():
    X = np.eye(3, dtype=np.float32)
    y = np.array(["a", "b", "c"])
    assert probe(X[:2], y[:2], X, y, "classification").correct == 2
    with pytest.raises(InputError, match="label must take at least two values"):
        probe(X[:1], y[:1], X, y, "classification")


def test_memory_embeds_each_text_once_and_survives(tmp_path):
    words = Words()
    memory = Memory(words)
    first = memory.embed(["a cat", "a dog", "a cat"])
    assert words.seen == ["a cat", "a dog"]
    memory.save(RunDir(str(tmp_path)), "m.npz")
    known = memory.known()
    memory.embed(["a bird"])
    memory.forget(known)
    assert memory.known() == known
    fresh = Words()
    again = Memory(fresh)
    again.load(RunDir(str(tmp_path)), "m.npz")
    np.testing.assert_array_equal(again.embed(["a cat", "a dog", "a cat"]), first)
    assert fresh.seen == []
    (tmp_path / "m.npz").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match="must be a whole archive"):
        again.load(RunDir(str(tmp_path)), "m.npz")
