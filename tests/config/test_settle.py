"""Configurations in which nothing is left open: one directory for a recipe and for the same flags spelt out."""

import pytest

from ray_subsel.config import CorpusConfig, EmbedConfig, SelectConfig, fingerprint_fields, settle
from ray_subsel.core.errors import InputError

LABELLED = CorpusConfig(data=("x",), text=("t",), label="intent")


def settled(corpus=LABELLED, embedder="minilm", **select):
    return settle(corpus, EmbedConfig(embedder=embedder), SelectConfig(**{"k": 5, **select}))


def test_a_recipe_and_the_same_flags_spelt_out_have_one_fingerprint():
    auto = settled()
    spelt = settled(objective="facility_location", near=0.95, quotas=("balanced",))
    assert fingerprint_fields(auto.select) == fingerprint_fields(spelt.select)
    assert [decision.flag for decision in auto.decisions] == ["objective", "near", "quota"]
    assert spelt.decisions == ()
    paper = settled(recipe="paper")
    stated = settled(recipe="none")
    assert fingerprint_fields(paper.select) == fingerprint_fields(stated.select)
    assert (paper.corpus.copies, stated.corpus.copies) == ("keep", "collapse")
    assert fingerprint_fields(stated.select)["objective"] == "graph_cut"


@pytest.mark.parametrize("select", [{}, {"recipe": "paper"}, {"lam": 3.0}, {"near": "none", "quotas": ("none",)}])
def test_settled_settings_settle_to_themselves(select):
    once = settled(**select)
    again = settle(once.corpus, EmbedConfig(), once.select)
    assert (again.corpus, again.select, again.decisions) == (once.corpus, once.select, ())


@pytest.mark.parametrize(("embedder", "near"), [("minilm", 0.95), ("tfidf", 0.9), ("doc2vec", None), ("bert", None)])
def test_the_threshold_goes_by_the_encoder(embedder, near):
    assert settled(embedder=embedder).select.near == near


def test_ready_vectors_keep_their_near_copies():
    vectors = CorpusConfig(data=("x",), vectors="v")
    found = settled(vectors)
    assert (found.select.near, found.select.quotas) == (None, ())


def test_near_within_goes_with_the_threshold_of_the_recipe():
    assert settled(near_within="intent").select.near_threshold == 0.95
    for select in ({"embedder": "doc2vec"}, {"near": "none"}, {"recipe": "paper"}):
        with pytest.raises(InputError, match="near_within must go with near"):
            settled(near_within="intent", **select)


def test_only_a_number_or_none_is_a_threshold():
    for near in ("some", 1.5, 0.0):
        with pytest.raises(InputError, match="near must"):
            SelectConfig(k=1, near=near)


def test_a_selection_that_the_recipe_would_decide_otherwise_is_refused_with_the_flags_for_it():
    older = {"corpus": {"copies": "collapse"}, "select": fingerprint_fields(settled(recipe="none").select)}
    with pytest.raises(InputError, match="--objective graph_cut --near none --quota none for what is there"):
        settled().check_there("DIR", older)
    with pytest.raises(InputError, match="Add --copies collapse for"):
        settled(recipe="paper").check_there("DIR", older)
    settled(recipe="none").check_there("DIR", older)
    settled().check_there("DIR", {"corpus": {}})
    same = {"select": fingerprint_fields(settled().select)}
    settled(k=7).check_there("DIR", same)  # another k is refused where all settings are compared
