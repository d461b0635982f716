"""Hashed TF-IDF: cosines of the full vectors survive, vectors depend on text and state only."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from ray_subsel.config import EmbedConfig
from ray_subsel.core.errors import InputError
from ray_subsel.embedders import (
    TfidfEmbedder,
    build_embedder,
    document_frequencies,
    fit_tfidf,
    load_tfidf,
    save_tfidf,
)
from ray_subsel.embedders.tfidf import COLUMNS, _projection, _word_counts
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.synthetic.grammar import original_texts

TEXTS = original_texts(np.arange(300), 0)[0]


def fitted(texts, d=128, seed=0) -> TfidfEmbedder:
    return TfidfEmbedder(fit_tfidf([document_frequencies(texts)], vector_size=d, seed=seed))


def test_a_golden_of_two_words():
    """Texts "a a b", "a", "c": by hand, tf 1 + log 2 and 1, idf 1 + log(4/3) and 1 + log 2."""
    texts = ["a a b", "A!", "c"]
    X = fitted(texts, d=512).embed(texts).astype(np.float64)
    a, b = (1 + np.log(2)) * (1 + np.log(4 / 3)), 1 + np.log(2)
    assert X[0] @ X[1] == pytest.approx(a / np.hypot(a, b), abs=0.05)
    assert abs(X[0] @ X[2]) < 0.15


def test_cosines_are_those_of_tfidf():
    # The oracle keeps every word a column of its own; smooth idf and sublinear tf are the same formulas.
    exact = TfidfVectorizer(token_pattern=r"(?u)\w+", sublinear_tf=True).fit_transform(TEXTS).toarray()
    errors = []
    for seed in range(3):
        X = fitted(TEXTS, d=256, seed=seed).embed(TEXTS)
        errors.append((X @ X.T - exact @ exact.T)[np.triu_indices(len(TEXTS), 1)])
    error = np.stack(errors)
    assert np.sqrt((error**2).mean()) < 1.3 / np.sqrt(256)
    assert abs(error.mean()) < 0.01


def test_parts_of_a_corpus_add_up():
    whole = fit_tfidf([document_frequencies(TEXTS)], vector_size=16, seed=0)
    parts = fit_tfidf([document_frequencies(TEXTS[i::7]) for i in (3, 1, 0, 6, 2, 5, 4)], vector_size=16, seed=0)
    assert np.array_equal(whole.frequencies, parts.frequencies)
    assert whole.texts == parts.texts == 300
    expected = np.zeros(COLUMNS, dtype=np.int64)
    for text in TEXTS[:50]:
        expected[np.unique(_word_counts([text]).indices)] += 1
    assert np.array_equal(document_frequencies(TEXTS[:50])[0], expected)


@given(order=st.permutations(range(12)), cut=st.integers(0, 12))
@settings(deadline=None, max_examples=20)
def test_a_vector_depends_on_its_text_only(order, cut):
    embedder = fitted(TEXTS)
    whole = embedder.embed(TEXTS[:12])
    shuffled = [TEXTS[i] for i in order]
    parts = np.concatenate([embedder.embed(shuffled[:cut]), embedder.embed(shuffled[cut:])])
    assert np.array_equal(parts, whole[list(order)])
    assert parts.dtype == np.float32


def test_every_column_has_its_entries():
    for d in (1, 5, 100):
        projection = _projection(d, 3)
        entries = min(8, d)
        assert projection.shape == (COLUMNS, d)
        assert np.array_equal(np.diff(projection.indptr), np.full(COLUMNS, entries))
        assert np.allclose(np.abs(projection.data), 1 / np.sqrt(entries))
        assert len(np.unique(projection.indices)) == d
        assert projection.has_canonical_format


def test_texts_without_a_word_still_get_a_direction_of_their_own():
    X = fitted(TEXTS).embed(["!!!", "?", "", "!!!"])
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, atol=1e-6)
    assert np.array_equal(X[0], X[3])
    assert np.abs((X @ X.T)[np.triu_indices(3, 1)]).max() < 0.5


def test_save_and_load(tmp_path: Path):
    run = RunDir(str(tmp_path))
    state = fit_tfidf([document_frequencies(TEXTS)], vector_size=24, seed=9)
    save_tfidf(run, "tfidf/state.npz", state)
    loaded = load_tfidf(run, "tfidf/state.npz")
    expected = TfidfEmbedder(state).embed(TEXTS[:9])
    for again in (loaded, pickle.loads(pickle.dumps(state))):
        assert np.array_equal(build_embedder(EmbedConfig(embedder="tfidf"), state=again).embed(TEXTS[:9]), expected)
    assert expected.shape == (9, 24)


def test_a_damaged_file_is_refused(tmp_path: Path):
    run = RunDir(str(tmp_path))
    run.write_bytes("broken.npz", b"PK\x03\x04 not an archive")
    with pytest.raises(InputError, match=r"broken\.npz must be a saved tfidf state"):
        load_tfidf(run, "broken.npz")
    np.savez(tmp_path / "short.npz", frequencies=np.zeros(5, dtype=np.int64), settings=np.array([1, 2, 3]))
    with pytest.raises(InputError, match=r"short\.npz must hold 262144 frequencies"):
        load_tfidf(run, "short.npz")


def test_bad_input():
    with pytest.raises(InputError, match="tfidf must find words; the corpus has none"):
        fit_tfidf([document_frequencies(["!", ""])], vector_size=8, seed=0)
    with pytest.raises(InputError, match="vector_size must be at least 1; got 0"):
        fit_tfidf([document_frequencies(TEXTS)], vector_size=0, seed=0)
    with pytest.raises(InputError, match=r"state must be what fit_tfidf returned, for tfidf; got .NoneType."):
        build_embedder(EmbedConfig(embedder="tfidf"))
