"""What a target is worth: written down again, item by item and query by query."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.objectives import FacilityLocation, GraphCut
from ray_subsel.objectives import target as module
from ray_subsel.objectives.target import Target, nearest_of, query_vectors, relevance, share_of


def unit(seed, n, d=6):
    X = np.random.default_rng(seed).standard_normal((n, d)) + 0.3
    return X / np.linalg.norm(X, axis=1, keepdims=True)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), a=st.sampled_from([0.2, 0.9, 1.0]), subset=st.sets(st.integers(0, 8), max_size=4))
def test_facility_location_counts_items_and_queries(seed, a, subset):
    X, Q, c = unit(seed, 9), unit(seed + 1, 4), np.array([1, 3, 1, 2])
    chosen = sorted(subset)
    f = FacilityLocation().with_target(X, Target.of(Q, a, 9, c))

    def covered(rows, weights):
        return sum(w * max(0.0, max((float(x @ X[j]) for j in chosen), default=0.0)) for x, w in zip(rows, weights))

    wanted = (1 - a) * covered(X, np.ones(9)) + a * 9 / 7 * covered(Q, c)
    assert f.evaluate(X, np.array(chosen, dtype=np.int64)) == pytest.approx(wanted, abs=1e-9)
    assert f.relevance_weight == pytest.approx(module.ETA * a * 9 / 7)


@pytest.mark.parametrize("a", [0.25, 1.0])
def test_graph_cut_mixes_t(a):
    X, Q, c = unit(0, 9), unit(1, 4), np.array([1, 3, 1, 2])
    f = GraphCut(2.0).with_target(X, Target.of(Q, a, 9, c))
    t = (1 - a) * X.sum(axis=0) + a * 9 / 7 * (c[:, None] * Q).sum(axis=0)
    np.testing.assert_allclose(f.total, t, atol=1e-9)
    assert GraphCut(2.0, X.sum(axis=0)).with_target(X, Target.of(Q, a, 9, c)).total == pytest.approx(t)


def test_random_subsets_are_worth_what_the_formula_expects():
    from ray_subsel.objectives.base import GroundSummary

    X, target = unit(0, 7), Target.of(unit(1, 3), 0.6, 7)
    scaled = GraphCut(3.0).scaled(GroundSummary(X.sum(axis=0), target=target))
    from itertools import combinations

    values = [scaled.full().evaluate(X, np.array(S)) for S in combinations(range(7), 3)]
    assert scaled.random_value(7, 3) == pytest.approx(np.mean(values))


@pytest.mark.parametrize("columns", [1, 3, 4096])
def test_relevance_is_the_same_however_items_and_queries_are_cut(columns, monkeypatch):
    X, Q = unit(2, 40).astype(np.float32), unit(3, 7).astype(np.float32)
    X[31], X[5] = Q[2], Q[2]  # of two equal items the first is nearest
    target = Target.of(Q, 1.0, 40, [1, 2, 1, 1, 1, 1, 4])
    whole = relevance(unit_rows(X), target)
    W = X.astype(np.float64) @ Q.astype(np.float64).T
    np.testing.assert_allclose(whole.greatest, W.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(whole.mean, W @ target.counts / 11, atol=1e-6)
    assert whole.nearest.tolist() == W.argmax(axis=0).tolist()
    assert whole.nearest[2] == 5
    monkeypatch.setattr("ray_subsel.objectives.target.COLUMNS", columns)
    ids = np.arange(40)
    parts = [relevance(unit_rows(X[own]), target, own) for own in (ids[1::3], ids[::3], ids[2::3])]
    again = np.empty(40)
    for own, part in zip((ids[1::3], ids[::3], ids[2::3]), parts):
        again[own] = part.greatest
    assert again.tolist() == whole.greatest.tolist()
    assert nearest_of([(part.best, part.nearest) for part in parts]).tolist() == whole.nearest.tolist()


def test_clusters_share_the_queries_out_and_lose_none():
    X, target = unit(4, 12), Target.of(unit(5, 6), 0.5, 12, [1, 2, 3, 1, 1, 1])
    target = dataclasses.replace(target, nearest=relevance(unit_rows(X), target).nearest)
    parts = [target.of_items(ids) for ids in (np.arange(0, 5), np.arange(5, 12))]
    assert sum(part.n for part in parts) == 6
    assert sum(part.weights.sum() for part in parts) == pytest.approx(target.weights.sum())
    nothing = FacilityLocation(target=Target.of(unit(5, 6), 1.0, 12)).target
    empty = dataclasses.replace(nothing, nearest=np.full(6, 99)).of_items(np.arange(5))
    assert FacilityLocation(target=empty).evaluate(X, np.array([1, 2])) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: share_of(0), r"target_weight must lie in \(0, 1\]; got 0"),
        (lambda: share_of(1.5), "target_weight must lie in"),
        (lambda: share_of("x"), "target_weight must lie in"),
        (lambda: query_vectors(unit(0, 3, 5), 6), "target must have the 6 columns of X; got 5 columns"),
        (lambda: query_vectors([[1.0, float("nan")]], 2), "row 0 of target must be finite"),
        (lambda: query_vectors(np.zeros((0, 2)), 2), "target must have shape"),
        (lambda: FacilityLocation(kernel="rbf").with_target(None, Target.of(unit(0, 3), 1, 3)), "cosine kernel"),
    ],
)
def test_what_cannot_be_used_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
