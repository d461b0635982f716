"""Greedy by gains that are kept up picks what naive greedy picks, and evaluates few items on any data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.objectives import FacilityLocation, SaturatedCoverage
from ray_subsel.objectives.dense_gains import DenseGains
from ray_subsel.optimizers.known_picks import KnownPicks
from tests.objectives.test_dense_gains import KINDS, OBJECTIVES, D, vectors
from tests.objectives.test_sparse_similarities import few_features


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(range(len(OBJECTIVES))),
    st.integers(6, 60),
    st.integers(0, 99),
    st.sampled_from(("plain", "utility", "groups", "budget", "include", "multiplicity")),
)
def test_the_picks_are_those_of_naive_and_of_lazy_greedy(kind: str, number: int, n: int, seed: int, what: str) -> None:
    X, rng = vectors(kind, n, seed), np.random.default_rng(seed)
    objective: Any = OBJECTIVES[number]
    bounded: Any = type(objective)(kernel=objective.kernel, dense_bytes=0)
    if isinstance(objective, SaturatedCoverage):
        bounded = SaturatedCoverage(objective.alpha, kernel=objective.kernel, dense_bytes=0)  # W is not kept
    more: dict[str, Any] = {
        "plain": {"k": n},
        "utility": {"k": n // 2, "utility": rng.random(n)},
        "groups": {"k": n // 3, "groups": np.arange(n) % 3, "quotas": "equal"},
        "budget": {"budget": 5.0, "costs": rng.uniform(0.5, 2.0, n)},
        "include": {"k": n // 2, "include": [n - 1, 0], "exclude": [2] if kind == "gaussian" else []},
        "multiplicity": {"k": n, "multiplicity": rng.integers(1, 3, n)},
    }[what]
    dense = select(X, objective=objective, **more)
    other = {"budget": "budgeted", "groups": "quotas"}.get(what, "lazy")
    lazy = select(X, objective=bounded, optimizer=other, **more)
    np.testing.assert_array_equal(dense.indices, lazy.indices)
    np.testing.assert_allclose(dense.gains, lazy.gains, atol=1e-9)
    if what != "budget":
        other = "naive" if what != "groups" else "quotas"
        np.testing.assert_array_equal(dense.indices, select(X, objective=objective, optimizer=other, **more).indices)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("objective", [FacilityLocation(), SaturatedCoverage(0.1)], ids=lambda f: str(f.name))
def test_all_of_some_hundred_items_are_ranked_as_without_what_is_remembered(objective: Any, weighted: bool) -> None:
    """What a candidate of facility location improves is remembered, where it is little."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((300, 24)) + 3 * rng.standard_normal((12, 24))[rng.integers(12, size=300)]
    more = {"multiplicity": rng.integers(1, 3, 300)} if weighted else {}
    found = select(X.astype(np.float32), 300, objective=objective, **more)
    other = select(X.astype(np.float32), 300, objective=objective, optimizer="naive", **more)
    np.testing.assert_array_equal(found.indices, other.indices)
    np.testing.assert_allclose(found.gains, other.gains, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("objective", ["saturated_coverage", "facility_location"])
def test_rows_of_one_feature_each_are_looked_at_once_and_together(
    objective: str, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All gains tie, and none changes by another's pick."""
    settle, settled = DenseGains.settle, []
    monkeypatch.setattr(DenseGains, "settle", lambda gains: settled.append(1) or settle(gains))
    chosen = select(np.eye(300, dtype=dtype), 300, objective=objective)
    np.testing.assert_array_equal(chosen.indices, np.arange(300))
    assert chosen.stats["evaluations"] == 300
    assert len(settled) <= 10


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from((FacilityLocation(), SaturatedCoverage(), SaturatedCoverage(0.9))),
    st.integers(1, 2),
    st.integers(100, 140),
    st.integers(0, 999),
    st.sampled_from(("plain", "utility", "groups", "budget", "include", "multiplicity", "floors")),
)
def test_picks_among_rows_of_few_features_are_those_of_naive_greedy(
    objective: Any, each: int, n: int, seed: int, what: str
) -> None:
    """Ties, copies, near copies, negative similarities and items that gain nothing, in runs and after them."""
    rng = np.random.default_rng(seed)
    X = few_features(n, 50 * (each + 1) ** 2, seed, each)
    assert objective.dense_gains(X).levels.several
    groups = rng.integers(3, size=n)
    more: dict[str, Any] = {
        "plain": {"k": n},
        "utility": {"k": n // 2, "utility": np.round(rng.random(n), 1)},
        "groups": {"k": n // 3, "groups": groups, "quotas": "equal"},
        "budget": {"budget": 9.0, "costs": rng.choice([0.5, 1.0], n)},
        "include": {"k": n // 2, "include": [n - 1, 0], "exclude": [2]},
        "multiplicity": {"k": n, "multiplicity": rng.integers(1, 3, n)},
        "floors": {"k": n // 2, "groups": groups, "floors": [n // 8, 0, n // 8]},
    }[what]
    found = select(X, objective=objective, **more)
    other = {"groups": "quotas", "budget": "budgeted"}.get(what, "naive")
    without = type(objective)(dense_bytes=0)
    if isinstance(objective, SaturatedCoverage):
        without = SaturatedCoverage(objective.alpha, dense_bytes=0)
    wanted = select(X, objective=without, optimizer=other, **more)
    np.testing.assert_array_equal(found.indices, wanted.indices)
    np.testing.assert_allclose(found.gains, wanted.gains, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("objective", [FacilityLocation(), SaturatedCoverage()], ids=lambda f: str(f.name))
def test_few_items_are_evaluated_on_any_data_even_when_all_is_covered(kind: str, objective: Any) -> None:
    n = 600
    chosen = select(vectors(kind, n, 3), 400, objective=objective)
    assert chosen.stats["evaluations"] <= 4 * n


@pytest.mark.parametrize(("objective", "most"), [(FacilityLocation(), 4.0), (SaturatedCoverage(), 2.8)])
def test_items_that_lie_close_in_the_plane_are_told_apart_without_looking_at_each(objective: Any, most: float) -> None:
    """On an arc neighbours differ by 1e-4, and items gain 1e-8: less than float32 tells."""
    angles = np.random.default_rng(3).random(600) * 0.05
    chosen = select(np.stack([np.cos(angles), np.sin(angles)], axis=1), 300, objective=objective)
    assert chosen.stats["evaluations"] <= most * 300


@pytest.mark.parametrize("objective", [FacilityLocation(), SaturatedCoverage()], ids=lambda f: str(f.name))
def test_where_nothing_adds_any_more_the_lowest_open_items_are_taken(objective: Any) -> None:
    X = np.eye(D, dtype=np.float32)[np.random.default_rng(0).integers(D, size=400)]
    barred = np.array([5, 6, 7])
    limits: tuple[dict[str, Any], ...] = (
        {"k": 400},
        {"k": 397, "groups": np.isin(np.arange(400), barred).astype(np.int64), "quotas": [400, 0]},
    )
    for more in limits:
        chosen = select(X, objective=objective, **more)
        rest = chosen.indices[chosen.gains == 0.0]
        assert rest.size > 200
        np.testing.assert_array_equal(rest, np.sort(rest))
        assert np.isin(barred, chosen.indices).all() == (more["k"] == 400)


@pytest.mark.parametrize("kind", ["bags", "bags of both signs", "clusters", "copies"])
@pytest.mark.parametrize("objective", [FacilityLocation(), SaturatedCoverage(0.1)], ids=lambda f: str(f.name))
@pytest.mark.parametrize("k", [20, 130])
def test_picks_among_wide_vectors_are_those_of_naive_greedy(objective: Any, kind: str, k: int) -> None:
    """Similarities come from features in common, from products in float64, or become exact on the way."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((10, 1200))[rng.integers(10, size=130)] + rng.standard_normal((130, 1200))
    if kind == "copies":
        X[rng.permutation(130)[:60]] = X[rng.integers(130, size=60)]
    elif kind != "clusters":
        X = np.where(rng.random(X.shape) < 0.02, np.abs(X) if kind == "bags" else X, 0.0)
    X = X.astype(np.float32)
    found = select(X, k, objective=objective)
    naive = select(X, k, objective=objective, optimizer="naive")
    np.testing.assert_array_equal(found.indices, naive.indices)
    np.testing.assert_allclose(found.gains, naive.gains, atol=1e-10)


def test_as_many_picks_are_expected_as_a_budget_pays_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, gains = [], SaturatedCoverage.dense_gains

    def told(self: SaturatedCoverage, X: Any, picks: int = 1) -> Any:
        seen.append(picks)
        return gains(self, X, picks)

    monkeypatch.setattr(SaturatedCoverage, "dense_gains", told)
    X = np.random.default_rng(0).standard_normal((40, 12)).astype(np.float32)
    select(X, 30, objective=SaturatedCoverage())
    select(X, objective=SaturatedCoverage(), optimizer="lazy", budget=10.0, costs=np.full(40, 2.0))
    assert seen == [30, 5]


@pytest.fixture
def foreseen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each item is added that is foreseen."""
    found: list[int] = []
    foresee = KnownPicks.foresee

    def told(self: KnownPicks, items: list[int], gains: list[float]) -> bool:
        found.extend(items)
        return foresee(self, items, gains)

    monkeypatch.setattr(KnownPicks, "foresee", told)
    return found


def compare_with_naive(X: Any, objective: Any, more: dict[str, Any]) -> None:
    found = select(X, objective=objective, **more)
    naive = select(X, objective=objective, optimizer="quotas" if "quotas" in more else "naive", **more)
    np.testing.assert_array_equal(found.indices, naive.indices)
    np.testing.assert_allclose(found.gains, naive.gains, atol=1e-10)


@pytest.mark.parametrize("what", ["plain", "groups", "multiplicity", "weights", "float64"])
def test_most_picks_that_improve_few_items_are_foreseen_and_are_those_of_naive_greedy(
    what: str, foreseen: list[int]
) -> None:
    """Two items that are each other's nearest tie: each improves the other as much."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((260, 700) if what == "float64" else (400, 20))
    X[:20] = X[20:40]  # copies
    if what == "float64":
        X[rng.random(X.shape) < 0.95] = 0.0
    more: dict[str, Any] = {"k": len(X) - 50}
    objective = FacilityLocation(weights=rng.integers(1, 4, 400).astype(float) if what == "weights" else None)
    if what == "groups":
        more |= {"groups": np.arange(400) % 3, "quotas": [129, 120, 101]}
    if what == "multiplicity":
        more |= {"multiplicity": rng.integers(1, 3, 400)}
    compare_with_naive(X.astype(np.float32), objective, more)
    assert len(foreseen) > len(X) // 2


@pytest.mark.parametrize("what", ["plain", "groups", "include", "weights", "copies", "little memory"])
@pytest.mark.parametrize("alpha", [0.9, 0.1])
def test_picks_before_an_item_is_nearly_saturated_are_foreseen_and_are_those_of_naive_greedy(
    what: str, alpha: float, foreseen: list[int]
) -> None:
    rng = np.random.default_rng(4)
    X = rng.standard_normal((300, 20)) + 2.0 * rng.standard_normal(20)
    if what == "copies":
        X[:50] = X[50:100]
    weights = rng.integers(1, 4, 300).astype(float) if what == "weights" else None
    more: dict[str, Any] = {"k": 50}
    if what == "groups":
        more |= {"groups": np.arange(300) % 3, "quotas": [10, 20, 20]}
    if what == "include":
        more |= {"include": [299, 3], "exclude": [7]}
    bytes_kept = 0 if what == "little memory" else 1 << 30
    compare_with_naive(X.astype(np.float32), SaturatedCoverage(alpha, weights=weights, dense_bytes=bytes_kept), more)
    assert len(foreseen) > 25 or alpha == 0.1
