"""Texts to vectors in one call."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ray_subsel import InputError, embed
from ray_subsel.embedders.encoder import BertEmbedder

TEXTS = ["a red bird", "the old cat", "a red bird", "tea and cake"]


@pytest.fixture
def embedded(monkeypatch):
    seen = []
    inner = BertEmbedder.embed
    monkeypatch.setattr(BertEmbedder, "embed", lambda self, texts: seen.extend(texts) or inner(self, texts))
    return seen


def test_rows_are_unit_vectors_and_equal_texts_are_embedded_once(tiny_bert, embedded):
    X = embed(TEXTS, "bert", model=tiny_bert)
    assert (X.dtype, X.shape) == (np.float32, (4, 32))
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(X[0], X[2])
    assert embedded == ["a red bird", "the old cat", "tea and cake"]


def test_a_second_call_embeds_what_is_new(tiny_bert, embedded, tmp_path):
    first = embed(TEXTS, "bert", model=tiny_bert)
    embedded.clear()
    again = embed([*TEXTS, "a train"], "bert", model=tiny_bert)
    assert embedded == ["a train"]
    np.testing.assert_array_equal(again[:4], first)
    embed(TEXTS, "bert", model=tiny_bert, cache=False)
    embed(TEXTS, "bert", model=tiny_bert, cache=str(tmp_path))
    assert embedded == ["a train", *["a red bird", "the old cat", "tea and cake"] * 2]


def test_a_bar_changes_no_bit(tiny_bert, capsys):
    np.testing.assert_array_equal(
        embed(TEXTS, "bert", model=tiny_bert, cache=False, progress=True),
        embed(TEXTS, "bert", model=tiny_bert, cache=False),
    )


def test_sequences_of_texts():
    expected = embed(TEXTS, "tfidf", vector_size=16)
    for data in (tuple(TEXTS), np.array(TEXTS), pd.Series(TEXTS), pa.array(TEXTS), pa.table({"anything": TEXTS})):
        np.testing.assert_array_equal(embed(data, "tfidf", vector_size=16), expected)


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (["a b", " "], {}, "texts must not be empty; got row 1 without a text"),
        ("a b", {}, "texts must be a list of texts"),
        (pa.table({"a": ["x"], "b": ["y"]}), {}, "texts must be a sequence of texts; got 2 columns"),
        (["a b"], {"vectorsize": 3}, "setting must be one of .*Did you mean 'vector_size'"),
        (["a b"], {"vectors_dtype": "float16"}, "setting must be one of"),
    ],
)
@pytest.mark.filterwarnings("ignore:1 of 2 rows cannot be chosen")
def test_what_cannot_be_used_is_one_line(data, options, words):
    with pytest.raises(InputError, match=words):
        embed(data, "tfidf", **options)


def test_what_an_embedder_of_the_caller_returns_is_checked():
    class Flat:
        def embed(self, texts):
            return np.zeros(len(texts))

    with pytest.raises(InputError, match=r"embedder must return an array of shape \(1, d\); got shape \(1,\)"):
        embed(["a"], Flat())
