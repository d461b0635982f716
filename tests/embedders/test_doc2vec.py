from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ray_subsel.config import EmbedConfig
from ray_subsel.core.errors import InputError
from ray_subsel.embedders import Doc2VecEmbedder, Doc2VecState, load_doc2vec, save_doc2vec, train_doc2vec
from ray_subsel.embedders.doc2vec import tokenize
from ray_subsel.storage.run_directory import RunDir

CONFIG = EmbedConfig(embedder="doc2vec", vector_size=16, doc2vec_epochs=5)
WHO, DID = ["dog", "cat", "boy", "girl", "bird"], ["ran home", "ate cake", "drank milk", "saw snow"]
TEXTS = [f"the {who} {did} ." for who in WHO for did in DID] * 3


@pytest.fixture(scope="module")
def state() -> Doc2VecState:
    return train_doc2vec(TEXTS, CONFIG)


def test_a_vector_depends_on_the_text_alone(state: Doc2VecState) -> None:
    vectors = Doc2VecEmbedder(state).embed(TEXTS[:20])
    other = Doc2VecEmbedder(state)
    other.embed(["something else first", *TEXTS[7:12]])
    np.testing.assert_array_equal(other.embed(TEXTS[:20][::-1])[::-1], vectors)
    np.testing.assert_array_equal(other.embed([TEXTS[4]])[0], vectors[4])
    assert (vectors.shape, vectors.dtype) == ((20, 16), np.float32)


def test_training_is_repeatable_and_follows_the_seed(state: Doc2VecState) -> None:
    again = train_doc2vec(TEXTS, CONFIG)
    assert again.words == state.words
    np.testing.assert_array_equal(again.word_vectors, state.word_vectors)
    np.testing.assert_array_equal(again.output_weights, state.output_weights)
    other = train_doc2vec(TEXTS, EmbedConfig(embedder="doc2vec", vector_size=16, doc2vec_epochs=5, seed=1))
    assert not np.array_equal(other.word_vectors, state.word_vectors)


def test_vectors_do_not_depend_on_pythons_hash_seed() -> None:
    script = (
        "from ray_subsel.config import EmbedConfig\n"
        "from ray_subsel.embedders import *\n"
        "config = EmbedConfig(embedder='doc2vec', vector_size=8, doc2vec_epochs=3)\n"
        "texts = ['a b c', 'c b d', 'd a c b'] * 5\n"
        "print(Doc2VecEmbedder(train_doc2vec(texts, config)).embed(texts[:3]).tobytes().hex())\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0]
    assert outputs[0] == outputs[1]


def test_inference_runs_the_trained_weights() -> None:
    """Texts of one topic lie closer than texts of two."""
    rng = np.random.default_rng(0)
    topics = [["dog", "cat", "bird", "fish"], ["milk", "tea", "cake", "bread"]]
    texts = [" ".join(rng.choice(topics[i % 2], 12)) for i in range(300)]
    embedder = Doc2VecEmbedder(train_doc2vec(texts, EmbedConfig(embedder="doc2vec", vector_size=16)))
    X = embedder.embed([" ".join(rng.choice(topics[i % 2], 12)) for i in range(40)])
    cosine = X @ X.T
    assert cosine[::2, ::2].mean() > cosine[::2, 1::2].mean() + 0.1


def test_save_and_load(state: Doc2VecState, tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    save_doc2vec(run, "embeddings/doc2vec.npz", state)
    loaded = load_doc2vec(run, "embeddings/doc2vec.npz")
    assert (loaded.words, loaded.epochs, loaded.seed) == (state.words, state.epochs, state.seed)
    np.testing.assert_array_equal(Doc2VecEmbedder(loaded).embed(TEXTS[:4]), Doc2VecEmbedder(state).embed(TEXTS[:4]))
    copied = pickle.loads(pickle.dumps(state))
    np.testing.assert_array_equal(Doc2VecEmbedder(copied).embed(TEXTS[:4]), Doc2VecEmbedder(state).embed(TEXTS[:4]))


def test_a_damaged_or_pickled_file_is_refused(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    run.write_bytes("broken.npz", b"PK\x03\x04 not an archive")
    with pytest.raises(InputError, match=r"broken.npz must be a saved doc2vec state"):
        load_doc2vec(run, "broken.npz")
    np.savez(tmp_path / "pickled.npz", words=np.array([{}], dtype=object))
    with pytest.raises(InputError, match=r"pickled.npz must be a saved doc2vec state"):
        load_doc2vec(run, "pickled.npz")


def test_texts_without_a_known_word_still_get_a_direction_of_their_own(state: Doc2VecState) -> None:
    X = Doc2VecEmbedder(state).embed(["xyzzy", "plugh", ""])
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, atol=1e-6)
    assert np.abs(X @ X.T - np.eye(3)).max() < 0.95


def test_a_generator_cannot_be_read_twice() -> None:
    with pytest.raises(InputError, match="texts must be readable several times; got 'generator'"):
        train_doc2vec((text for text in TEXTS), CONFIG)


@pytest.mark.parametrize("texts", [["a", "b"], ["", ""]])
def test_a_corpus_without_a_repeated_word_is_refused(texts: list[str]) -> None:
    with pytest.raises(InputError, match="doc2vec must find words that occur 2 times"):
        train_doc2vec(texts, CONFIG)


def test_tokens_are_lower_case_words_and_marks() -> None:
    assert tokenize("It's Anna's  TEA, über-hot!\n") == [
        "it",
        "'",
        "s",
        "anna",
        "'",
        "s",
        "tea",
        ",",
        "über",
        "-",
        "hot",
        "!",
    ]
