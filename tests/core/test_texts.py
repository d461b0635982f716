"""What of a text can be seen, and which texts are equal."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.texts import folded, is_visible
from ray_subsel.embedders.doc2vec import tokenize
from ray_subsel.embedders.tfidf import document_frequencies
from tests.corpus.inputs import read, rejects, texts, write

SPELLINGS = [
    "naïve café",
    unicodedata.normalize("NFD", "naïve café"),
    "na\u00adïve c\u200bafé",
    "\ufeffnaïve ca\u2060fé",
]
INVISIBLE = [
    "\u200b",
    "\u00ad\u200d",
    " \u3164 ",
    "\ufeff",
    "\u2800",
    "\x01\x02",
    "\u00a0\u2003",
    "\U000e0041",
    "\ufe0f",
]


def test_one_text_however_it_is_spelt():
    assert {folded(text) for text in SPELLINGS} == {SPELLINGS[0]}
    frequencies = [document_frequencies([text])[0] for text in SPELLINGS]
    assert all(np.array_equal(one, frequencies[0]) for one in frequencies)
    assert {tuple(tokenize(text)) for text in SPELLINGS} == {("naïve", "café")}


def test_spellings_are_copies_and_each_keeps_its_own(tmp_path):
    store = read(tmp_path, write(tmp_path / "a.txt", "\n".join(SPELLINGS)), format="text")
    assert len(set(store.take(store.ids(), ["key"])["key"].to_pylist())) == 1
    assert store.subset_table([1, 2])["text"].to_pylist() == SPELLINGS[1:3]


@pytest.mark.parametrize("text", INVISIBLE)
def test_texts_of_which_nothing_can_be_seen_are_empty(tmp_path, text):
    assert not is_visible(text)
    store = read(tmp_path, write(tmp_path / "a.csv", f"text\nseen\n{text}\n"), text=("text",))
    assert texts(store) == ["seen"]
    assert rejects(store) == [(3, 1, "empty text")]


@pytest.mark.parametrize("text", ["a", ".", "\u0301a", "\u200bx", "字", "👩\u200d🚀", "\ue000", "\U0001fae8"])
def test_what_can_be_seen_is_text(text):
    assert is_visible(text)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=20))
def test_folding_is_done_once(text):
    assert folded(folded(text)) == folded(text)
    assert is_visible(text) == is_visible(folded(text))
