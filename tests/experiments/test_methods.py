"""Methods: what each may pick, prefixes, and rows that fill up."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.experiments.methods import METHODS, method_named, rank
from ray_subsel.experiments.samples import Sample
from ray_subsel.selection.api import select

N = 40


def crowd():
    """20 originals; rows 20-29 copy row 3 exactly, rows 30-39 nearly."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 16))
    X[20:30] = X[3]
    X[30:] = X[3] + 0.01 * rng.normal(size=(10, 16))
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    origin = np.r_[np.arange(20), np.full(20, 3)]
    lead = np.r_[np.arange(20), np.full(10, 3), np.arange(30, 40)]
    table = pa.table({"text": [str(i) for i in range(N)], "label": ["ab"[i % 5 == 0] for i in range(N)]})
    return Sample(table, tuple(map(str, lead)), origin, lead, 20), X


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if name != "full" and method.nested])
def test_every_method_ranks_distinct_rows_and_shorter_rankings_are_beginnings(name):
    sample, X = crowd()
    long = rank(METHODS[name], sample, lambda: X, N, 1)
    short = rank(METHODS[name], sample, lambda: X, 10, 1)
    assert sorted(long.rows.tolist()) == list(range(N))
    assert long.rows[:10].tolist() == short.rows.tolist()
    assert (np.diff(long.seconds) >= 0).all()


@pytest.mark.parametrize(
    ("name", "ground"), [("random-distinct", 30), ("graph-cut", 30), ("semdedup-random", 20), ("near-graph-cut", 20)]
)
def test_collapsing_leaves_no_copies_until_it_has_to(name, ground):
    sample, X = crowd()
    found = rank(METHODS[name], sample, lambda: X, N, 1)
    assert found.chosen == ground
    groups = sample.lead if ground == 30 else sample.origin
    assert np.unique(groups[found.rows[:ground]]).size == ground
    assert sample.copies_among(found.rows[:ground]) == ground - 20


def test_balanced_methods_give_classes_equal_shares_as_far_as_they_reach():
    sample, X = crowd()
    labels = np.array(sample.table["label"].to_pylist())
    for name, k, small in (("random-balanced", 10, 5), ("random-balanced", 30, 8)):
        found = rank(METHODS[name], sample, lambda: X, k, 1)
        assert (labels[found.rows] == "b").sum() == small  # of the small class there are 8 rows


def test_auto_is_the_recipe_of_select_without_the_copies_that_it_has_leave():
    sample, X = crowd()
    labels = np.array(sample.table["label"].to_pylist())
    kept, all_rows = select(X[:20], 8, labels=labels[:20]), select(X, 8, labels=labels)
    assert rank(METHODS["auto"], sample, lambda: X, 8, 1, near=0.9).rows.tolist() == kept.indices.tolist()
    assert rank(METHODS["auto"], sample, lambda: X, 8, 1).rows.tolist() == all_rows.indices.tolist()
    stories = sample.table.append_column("ending1", sample.table["text"])
    unbalanced = select(X, 8)
    without = rank(METHODS["auto"], dataclasses.replace(sample, table=stories), lambda: X, 8, 1)
    assert without.rows.tolist() == unbalanced.indices.tolist()  # the label of a story is no class


def test_the_threshold_of_near_copies_may_be_another():
    sample, X = crowd()
    assert rank(METHODS["semdedup-random"], sample, lambda: X, N, 1, near=1.0).chosen == 30


def test_graph_cut_is_select_and_takes_a_lambda():
    sample, X = crowd()
    for name, lam in (("graph-cut-keep", 10.0), ("graph-cut-keep@0.1", 0.1), ("graph-cut-keep@auto", "auto")):
        expected = select(X, 8, lam=lam).indices.tolist()
        assert rank(method_named(name), sample, lambda: X, 8, 0).rows.tolist() == expected


def test_random_needs_no_vectors():
    sample, _ = crowd()

    def refuse():
        raise AssertionError

    for name in ("random", "random-distinct", "full"):
        rank(METHODS[name], sample, refuse, 5, 0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("best", "method must be one of full, random"),
        ("random@3", "method must be a graph cut where @ gives a lambda"),
        ("graph-cut@much", "method must give a number or auto after @"),
    ],
)
def test_names_that_are_none(name, message):
    with pytest.raises(InputError, match=message):
        method_named(name)


def test_a_size_beyond_the_rows():
    sample, X = crowd()
    with pytest.raises(InputError, match="size must ask for 1 to 40 rows; got 41"):
        rank(METHODS["random"], sample, lambda: X, 41, 0)
