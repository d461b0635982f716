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


def questions(n, choices, seed):
    """Questions whose right choice repeats a word of the context."""
    rng = np.random.default_rng(seed)
    words = np.array([f"word{i}" for i in range(40)])
    table: dict[str, list[str]] = {"context": [], **{f"ending{j + 1}": [] for j in range(choices)}, "label": []}
    for _ in range(n):
        some, right = rng.choice(words, choices, replace=False), int(rng.integers(choices))
        table["context"].append(f"once {some[right]} was here")
        table["label"].append(str(right + 1))
        for j in range(choices):
            table[f"ending{j + 1}"].append(f"then {some[j]} left")
    return pa.table(table)


@pytest.mark.parametrize("choices", [2, 3, 5])
def test_questions_of_any_number_of_choices_whatever_their_order(choices):
    train, test, embedder, task = questions(120, choices, 0), questions(60, choices, 1), Words(), "multiple-choice"
    X, X_test = features(train, task, embedder), features(test, task, embedder)
    assert X.shape == (120, choices - 1, 3 * 512)
    found = probe(X, labels(train), X_test, labels(test), task)
    assert found.accuracy > 0.9
    turned = [f"ending{(j + 1) % choices + 1}" for j in range(choices)]  # what was choice j is choice j + 1, from 0
    others = test.rename_columns(["context", *turned, "label"])
    names = np.array([str(int(label) % choices + 1) for label in labels(test)])
    again = probe(X, labels(train), features(others, task, embedder), names, task)
    np.testing.assert_array_equal(again.right, found.right)


def test_the_score_of_a_choice_is_the_product_with_its_features():
    """By brute force: phi of each choice, logistic regression on right minus wrong ones in both orders."""
    from sklearn.linear_model import LogisticRegression

    table, embedder = questions(30, 3, 0), Words()
    c = embedder.embed(table["context"].to_pylist())
    phi = [
        np.hstack([e, c * e, abs(c - e)]) for e in (embedder.embed(table[f"ending{j}"].to_pylist()) for j in (1, 2, 3))
    ]
    right = labels(table).astype(int) - 1
    pairs = np.array([phi[r][i] - phi[w][i] for i, r in enumerate(right) for w in range(3) if w != r])
    both = np.vstack([pairs, -pairs])
    scale = 1 / np.sqrt(np.mean(both.astype(np.float64) ** 2))
    model = LogisticRegression(C=1 / both.shape[1], fit_intercept=False, max_iter=1000, tol=1e-3)
    w = model.fit(both * scale, np.repeat([1, 0], len(pairs))).coef_[0]
    test = questions(40, 3, 1)
    ct = embedder.embed(test["context"].to_pylist())
    endings = [embedder.embed(test[f"ending{j}"].to_pylist()) for j in (1, 2, 3)]
    scores = np.array([np.hstack([e, ct * e, abs(ct - e)]) @ w for e in endings])
    task = "multiple-choice"
    found = probe(features(table, task, embedder), labels(table), features(test, task, embedder), labels(test), task)
    np.testing.assert_array_equal(found.right, scores.argmax(axis=0) + 1 == labels(test).astype(int))


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
