"""Ranks of scores, and the unit of their weight."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.objectives import FacilityLocation, GraphCut, LogDeterminant
from ray_subsel.objectives.quality import (
    drawn_by_hash,
    gain_unit,
    random_items,
    rank_transform,
    unit_function,
    weight_of,
)

SCORES = st.lists(st.one_of(st.integers(-5, 5).map(float), st.just(float("nan"))), min_size=1, max_size=12)


@settings(deadline=None)
@given(SCORES.filter(lambda scores: not all(np.isnan(scores))))
def test_ranks_are_the_share_of_others_below_with_ties_in_the_middle(scores):
    found = rank_transform(np.array(scores))
    there = [s for s in scores if s == s]
    assert found.missing == len(scores) - len(there)
    for score, u in zip(scores, found.u):
        if score != score or len(there) == 1:
            assert u == 0.5
        else:
            below, equal = sum(s < score for s in there), sum(s == score for s in there)
            assert u == pytest.approx((below + (equal - 1) / 2) / (len(there) - 1))
    curved = rank_transform(np.exp(np.array(scores)) * 3 - 7)
    assert curved.u.tolist() == found.u.tolist()  # no unit, no shape


def clustered(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((20, 8))[rng.integers(20, size=n)] + 0.3 * rng.standard_normal((n, 8)) + 0.3
    return X.astype(np.float32)


@pytest.mark.parametrize("f", [FacilityLocation(), LogDeterminant()])
def test_the_unit_is_what_a_random_item_adds(f):
    X = clustered(300)
    rows = drawn_by_hash(np.arange(300), random_items(f, 300, 30), 1)
    assert gain_unit(f, X, rows, 30) == pytest.approx(f.evaluate(X, rows) / 30, rel=1e-5)
    assert gain_unit(f, X, rows, 30, relevance=0.5) == gain_unit(f, X, rows, 30)  # without a target


def test_the_unit_of_graph_cut_is_a_first_gain():
    X = clustered(300)
    f = GraphCut()
    rows = drawn_by_hash(np.arange(300), random_items(f, 300, 30), 1)
    assert rows.size == 300
    assert gain_unit(f, X, rows, 30) == pytest.approx(np.median(np.abs(f.gains(f.init(X)))), rel=1e-5)


def test_the_unit_is_about_the_same_for_the_same_share_of_a_larger_corpus():
    small, large = clustered(400), clustered(4000)
    units = []
    for X, k in ((small, 40), (large, 400)):
        f, ids = FacilityLocation(), np.arange(len(X))
        against = unit_function(f, len(X), lambda X=X, ids=ids: X[drawn_by_hash(ids, 500, 2)])
        units.append(gain_unit(against, X, drawn_by_hash(ids, random_items(f, len(X), k), 1), k))
    assert units[0] == pytest.approx(units[1], rel=0.1)
    whole = FacilityLocation().evaluate(large, drawn_by_hash(np.arange(4000), 400, 1)) / 400
    assert units[1] == pytest.approx(whole, rel=0.02)  # a sample stands for all


def test_what_adds_nothing_has_the_unit_one():
    X = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert gain_unit(GraphCut(), X, np.arange(2), 1) == 1.0


def test_draws_are_those_of_the_lowest_hashes():
    ids = np.arange(100)
    drawn = drawn_by_hash(ids, 10, 3)
    other = ids[::-1][drawn_by_hash(ids[::-1], 10, 3)]
    assert sorted(other.tolist()) == drawn.tolist()
    assert drawn_by_hash(ids, 200, 3).tolist() == ids.tolist()


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), "much", True])
def test_a_weight_is_a_number_above_0(weight):
    with pytest.raises(InputError, match="quality_weight must be a finite number above 0"):
        weight_of(weight)


def test_scores_that_are_all_missing_are_refused():
    with pytest.raises(InputError, match="quality must hold at least one number; got none"):
        rank_transform(np.full(3, np.nan))
