"""Methods: what each may pick, prefixes, and rows that fill up."""

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
    return Sample(pa.table({"text": [str(i) for i in range(N)]}), tuple(map(str, lead)), origin, lead, 20), X


@pytest.mark.parametrize("name", [name for name in METHODS if name != "full"])
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
