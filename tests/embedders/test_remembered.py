"""Texts are embedded once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.config import EmbedConfig
from ray_subsel.core.hashing import text_key
from ray_subsel.embedders import EMBEDDERS
from ray_subsel.embedders.remembered import Remembering, kept_name


class Counted:
    dimension = 3

    def __init__(self):
        self.seen = []

    def embed(self, texts):
        self.seen.append(list(texts))
        return np.array([[len(text), ord(text[0]), 1.0] for text in texts], dtype=np.float32)


class InMemory:
    def __init__(self, known=None):
        self.rows = dict(known or {})

    def find(self, keys):
        found = np.array([key in self.rows for key in keys], dtype=bool)
        return found, np.array([self.rows[key] for key in keys if key in self.rows], dtype=np.float32).reshape(-1, 3)

    def add(self, keys, vectors):
        assert not set(keys) & set(self.rows)
        self.rows.update(zip(keys, vectors, strict=True))


@given(st.lists(st.lists(st.text("abcd", min_size=1, max_size=3), max_size=9), max_size=4))
def test_the_vectors_are_those_of_the_embedder_and_no_text_is_embedded_twice(calls):
    inner, opened = Counted(), []
    memory = Remembering(lambda: opened.append(1) or inner, 3, InMemory())
    looked_up = 0
    for texts in calls:
        before = {text for call in inner.seen for text in call}
        looked_up += len(set(texts) & before)
        got = memory.embed(texts)
        np.testing.assert_array_equal(got, Counted().embed(texts).reshape(-1, 3))
    embedded = [text for call in inner.seen for text in call]
    assert len(embedded) == len(set(embedded))
    assert len(opened) == (1 if embedded else 0)
    assert memory.looked_up == looked_up


def test_a_model_is_opened_only_for_what_is_not_known():
    def never():
        raise AssertionError("opened")

    known = InMemory({text_key("a"): [1.0, 2.0, 3.0]})
    assert Remembering(never, 3, known).embed(["a", "a"]).tolist() == [[1.0, 2.0, 3.0]] * 2
    assert Remembering(never, 3, known).embed([]).shape == (0, 3)
    with pytest.raises(AssertionError, match="opened"):
        Remembering(never, 3, known).embed(["a", "b"])


class OtherLength(InMemory):
    def find(self, keys):
        return np.ones(len(keys), dtype=bool), np.ones((len(keys), 2), dtype=np.float32)


def test_vectors_of_another_length_do_not_count():
    memory = Remembering(Counted, 3, OtherLength())
    np.testing.assert_array_equal(memory.embed(["ab"]), Counted().embed(["ab"]))
    assert memory.looked_up == 0


def test_only_what_does_not_depend_on_a_corpus_is_kept():
    assert {name for name, kind in EMBEDDERS.items() if kind.kept_by is not None} == {"minilm", "bert"}
    for kind in EMBEDDERS.values():
        assert not (kind.state_file and kind.kept_by is not None)
        assert set(kind.kept_by or ()) <= set(kind.uses)
    assert kept_name(EMBEDDERS["tfidf"], EmbedConfig(embedder="tfidf")) is None


def test_what_decides_a_vector_decides_the_name(tiny_bert):
    kind = EMBEDDERS["bert"]
    base = kept_name(kind, EmbedConfig(embedder="bert", model=tiny_bert))
    assert base.startswith("bert-")
    same = EmbedConfig(embedder="bert", model=tiny_bert + "/", batch_size=3, seed=5, vectors_dtype="float16")
    assert kept_name(kind, same) == base
    for changes in ({"max_length": 5}, {"embed_precision": "bfloat16"}):
        assert kept_name(kind, EmbedConfig(embedder="bert", model=tiny_bert, **changes)) != base
