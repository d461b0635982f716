"""The merge of clusters' greedy sequences is the greedy on the sum over clusters, whatever limits it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.constraints.base import UNLIMITED, Constraints
from ray_subsel.core.types import NO_ITEMS, Indices
from ray_subsel.objectives import FacilityLocation, SaturatedCoverage
from ray_subsel.optimizers.base import Problem
from ray_subsel.partitioned.by_clusters import (
    ChosenByClusters,
    ClusterSequence,
    Request,
    choose_by_clusters,
    cut,
    first_picks,
    follow,
)


def chosen_of(
    X: Any, clusters: Indices, k: int, objective: Any, limits: Constraints = UNLIMITED, first: int | None = None
) -> ChosenByClusters:
    """Choose by clusters; ``first`` limits what clusters hand over at first."""

    def run(requests: Sequence[Request] | None) -> list[ClusterSequence]:
        found = []
        for cluster in np.unique(clusters).tolist():
            own = np.flatnonzero(clusters == cluster)
            picks = first_picks(own.size, len(X), k) if first is None else min(first, own.size)
            mine = (
                [Request(cluster, picks)] if requests is None else [one for one in requests if one.cluster == cluster]
            )
            problem = Problem(X[own], objective, k, limits.take(own))
            found += [follow(problem, own, one) for one in mine]
        return found

    return choose_by_clusters(run, k, limits, first=limits.include)


def oracle(
    X: Any, clusters: Indices, k: int, objective: Any, limits: Constraints = UNLIMITED
) -> tuple[list[int], float]:
    """Return the greedy's picks on the sum over clusters, and its value: every gain before every pick."""
    numbers = np.unique(clusters).tolist()
    places = {cluster: np.flatnonzero(clusters == cluster) for cluster in numbers}
    states = {cluster: objective.init(X[places[cluster]]) for cluster in numbers}
    picked: list[int] = []
    gains: list[float] = []
    room = None if limits.quotas is None else limits.quotas.copy()
    spent = 0.0
    open_ = np.ones(len(X), dtype=np.bool_)
    open_[limits.exclude] = False

    def take(item: int) -> None:
        nonlocal spent
        cluster = int(clusters[item])
        at = int(np.searchsorted(places[cluster], item))
        gains.append(float(objective.gains(states[cluster], np.array([at]))[0]))
        states[cluster] = objective.add(states[cluster], at)
        picked.append(item)
        open_[item] = False
        if room is not None and limits.groups is not None:
            room[limits.groups[item]] -= 1
        if limits.costs is not None:
            spent += float(limits.costs[item])

    for item in limits.include.tolist():
        take(item)
    while len(picked) < k:
        keys = np.full(len(X), -np.inf)
        for cluster in numbers:
            keys[places[cluster]] = objective.gains(states[cluster])
        if limits.costs is not None:
            keys /= limits.costs
            keys[spent + limits.costs > float(limits.budget or 0.0) + 1e-12] = -np.inf
        if room is not None and limits.groups is not None:
            keys[room[limits.groups] <= 0] = -np.inf
        keys[~open_] = -np.inf
        if keys.max() == -np.inf:
            break
        take(int(np.argmax(keys >= keys.max() - 1e-11 * max(1.0, keys.max()))))
    return picked, math.fsum(gains)


def vectors(n: int, seed: int) -> tuple[Any, Indices]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 5)).astype(np.float32), np.sort(rng.integers(4, size=n))[rng.permutation(n)]


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 40), st.integers(0, 999), st.booleans(), st.sampled_from([None, 1, 3]))
def test_it_is_the_greedy_on_the_sum_and_smaller_answers_are_prefixes(
    n: int, seed: int, saturated: bool, first: int | None
) -> None:
    X, clusters = vectors(n, seed)
    objective: Any = SaturatedCoverage(alpha=1.0) if saturated else FacilityLocation()
    k = 1 + seed % n
    chosen = chosen_of(X, clusters, k, objective, first=first)
    picked, value = oracle(X, clusters, k, objective)
    assert chosen.ids.tolist() == picked
    assert chosen.value == pytest.approx(value)
    assert chosen.exact
    assert chosen_of(X, clusters, max(1, k // 2), objective).ids.tolist() == picked[: max(1, k // 2)]


@settings(max_examples=40, deadline=None)
@given(st.integers(6, 40), st.integers(0, 999))
def test_included_items_come_first_and_excluded_ones_never(n: int, seed: int) -> None:
    X, clusters = vectors(n, seed)
    limits = Constraints(include=np.array([n - 1, 0]), exclude=np.array([1, 2]))
    chosen = chosen_of(X, clusters, n - 3, FacilityLocation(), limits)
    assert chosen.ids.tolist() == oracle(X, clusters, n - 3, FacilityLocation(), limits)[0]
    assert chosen.ids[:2].tolist() == [n - 1, 0]
    assert not np.isin([1, 2], chosen.ids).any()


@settings(max_examples=40, deadline=None)
@given(st.integers(12, 60), st.integers(0, 999), st.sampled_from([None, 1]))
def test_quotas_are_kept_and_the_value_is_that_of_what_was_chosen(n: int, seed: int, first: int | None) -> None:
    X, clusters = vectors(n, seed)
    groups = np.random.default_rng(seed).integers(3, size=n)
    quotas = np.minimum(np.bincount(groups, minlength=3), [2, 3, n])
    k = int(quotas.sum()) - seed % 2
    limits = Constraints(quotas=quotas, groups=groups)
    chosen = chosen_of(X, clusters, k, FacilityLocation(), limits, first=first)
    assert len(chosen.ids) == k
    assert (np.bincount(groups[chosen.ids], minlength=3) <= quotas).all()
    by_hand = sum(
        FacilityLocation().evaluate(X[own], np.flatnonzero(np.isin(own, chosen.ids)))
        for own in (np.flatnonzero(clusters == cluster) for cluster in np.unique(clusters))
        if np.isin(own, chosen.ids).any()
    )
    assert chosen.value == pytest.approx(by_hand)
    picked, value = oracle(X, clusters, k, FacilityLocation(), limits)
    if chosen.exact:
        assert chosen.ids.tolist() == picked
    assert chosen.value >= 0.9 * value


def test_most_answers_under_quotas_are_exact() -> None:
    exact = 0
    for seed in range(20):
        X, clusters = vectors(60, seed)
        groups = np.random.default_rng(seed).integers(3, size=60)
        limits = Constraints(quotas=np.array([4, 6, 60]), groups=groups)
        exact += chosen_of(X, clusters, 20, FacilityLocation(), limits).exact
    assert exact >= 15


@settings(max_examples=30, deadline=None)
@given(st.integers(12, 60), st.integers(0, 999))
def test_floors_are_met(n: int, seed: int) -> None:
    X, clusters = vectors(n, seed)
    groups = np.random.default_rng(seed).integers(3, size=n)
    sizes = np.bincount(groups, minlength=3)
    floors = np.minimum(sizes, [0, 1, 4])
    k = int(floors.sum()) + 2
    limits = Constraints(floors=floors, groups=groups)
    chosen = chosen_of(X, clusters, min(k, n), FacilityLocation(), limits, first=1)
    assert len(chosen.ids) == min(k, n)
    assert (np.bincount(groups[chosen.ids], minlength=3) >= floors).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(6, 40), st.integers(0, 999))
def test_a_budget_is_never_overspent_and_is_spent_where_the_greedy_spends_it(n: int, seed: int) -> None:
    X, clusters = vectors(n, seed)
    costs = np.random.default_rng(seed).integers(1, 9, size=n).astype(np.float64)
    limits = Constraints(costs=costs, budget=float(max(costs.min(), costs.sum() // 3)))
    chosen = chosen_of(X, clusters, n, FacilityLocation(), limits)
    assert costs[chosen.ids].sum() <= limits.budget  # type: ignore[operator]
    assert not ((costs[np.setdiff1d(np.arange(n), chosen.ids)] + costs[chosen.ids].sum()) <= limits.budget).any()  # type: ignore[operator]
    assert chosen.rounds == 1, "where no group is closed there is nothing to tell clusters"
    known = replace(limits, least_cost=float(costs.min()), most_paid=n)
    again = chosen_of(X, clusters, n, FacilityLocation(), known, first=1 + seed % 5)
    assert again.ids.tolist() == chosen.ids.tolist()


def test_once_a_budget_is_spent_clusters_are_asked_for_no_more() -> None:
    X, clusters = vectors(400, 0)
    limits = Constraints(costs=np.ones(400), budget=20.0)
    told = chosen_of(X, clusters, 400, FacilityLocation(), replace(limits, least_cost=1.0), first=30)
    assert told.rounds == 1
    untold = chosen_of(X, clusters, 400, FacilityLocation(), limits, first=30)
    assert untold.rounds > 1, "nothing says that no item is cheaper"
    assert told.ids.tolist() == untold.ids.tolist()


def test_a_level_stops_the_merge() -> None:
    X, clusters = vectors(30, 0)

    def run(requests: Sequence[Request] | None) -> list[ClusterSequence]:
        del requests
        return [
            follow(Problem(X[own], FacilityLocation(), 30), own, Request(cluster, own.size))
            for cluster in np.unique(clusters).tolist()
            for own in [np.flatnonzero(clusters == cluster)]
        ]

    whole = choose_by_clusters(run, 30)
    level = float(whole.gains[10])
    assert choose_by_clusters(run, 30, stop_when_gain=level).ids.tolist() == whole.ids[whole.gains > level].tolist()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 12))
def test_a_large_cluster_is_cut_in_order_into_parts_of_about_the_same_size(numbers: list[int], largest: int) -> None:
    clusters = np.array(numbers)
    parts = cut(clusters, largest)
    for part in np.unique(parts):
        assert len(set(clusters[parts == part])) == 1
        assert (parts == part).sum() <= largest
    for cluster in set(numbers):
        own = parts[clusters == cluster]
        assert (np.diff(own) >= 0).all()
        sizes = np.unique(own, return_counts=True)[1]
        assert sizes.max() - sizes.min() <= 1
        assert sizes.size == -(-own.size // largest)
    assert cut(NO_ITEMS, largest).size == 0
