"""A chosen subset that is brought up to date: filled as greedy does, exchanged while f rises, each change accounted."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.objectives import FacilityLocation, GraphCut, LogDeterminant
from ray_subsel.selection import renew as module
from ray_subsel.selection.renew import Limits, renew
from ray_subsel.synthetic.vectors import original_vectors

OBJECTIVES = {"facility_location": FacilityLocation(), "graph_cut": GraphCut(1.0), "log_determinant": LogDeterminant()}


def rows(n, d=5, seed=0):
    return (np.random.default_rng(seed).normal(size=(n, d)) + 0.3).astype(np.float32)


def value(X, chosen, objective):
    return select(X, len(chosen), objective=objective, recipe="none", include=list(chosen)).value


def updated(X, chosen, k, objective, newcomers=None, **more):
    everything = np.arange(len(X))
    newcomers = everything if newcomers is None else np.array(newcomers)
    return renew(X, np.array(chosen), k, objective, newcomers=newcomers, ids=everything, **more)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
@settings(max_examples=15, deadline=None)
@given(n=st.integers(3, 10), seed=st.integers(0, 99), data=st.data())
def test_no_exchange_is_left_that_raises_f(objective, n, seed, data):
    X, k = rows(n, seed=seed), data.draw(st.integers(1, n - 1))
    start = data.draw(st.permutations(range(n)))[:k]
    found = updated(X, start, k, objective, least_rise=0.0)
    again = updated(X, found.indices, k, objective, least_rise=0.0)  # passes are bounded
    assert found.value >= value(X, start, objective) - 1e-5
    assert again.value >= found.value - 1e-5
    best = value(X, again.indices, objective)
    assert best == pytest.approx(again.value, rel=1e-5, abs=1e-6)
    for place, row in product(range(k), set(range(n)) - set(again.indices.tolist())):
        other = again.indices.copy()
        other[place] = row
        assert value(X, other, objective) <= best + 1e-5


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_changes_account_for_what_is_different_and_for_f(objective):
    X = rows(80, seed=3)
    start = np.arange(10)
    found = updated(X, start, 14, objective, newcomers=range(40, 80), least_rise=0.0)
    outs = {change.out for change in found.changes if change.out is not None}
    assert outs == set(start) - set(found.indices)
    assert {change.into for change in found.changes} == set(found.indices) - set(start)
    assert len(found.indices) == len(set(found.indices)) == 14
    assert sum(change.out is None for change in found.changes) == 4
    before, after = value(X, start, objective), value(X, found.indices, objective)
    rises = sum(change.rise for change in found.changes)
    same_places = all(change.out != change.into for change in found.changes)
    assert same_places
    assert before + rises == pytest.approx(after, rel=1e-4)
    assert found.gains.sum() == pytest.approx(found.value)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_filling_nothing_is_the_greedy(objective):
    X = rows(60, seed=1)
    found = updated(X, np.zeros(0, dtype=np.int64), 12, objective, newcomers=[])
    greedy = select(X, 12, objective=objective, recipe="none")  # ties may fall otherwise
    assert found.value == pytest.approx(greedy.value, rel=0.03)
    assert [change.out for change in found.changes] == [None] * 12


def test_an_exchange_must_be_worth_its_share():
    X = rows(60, seed=2)
    start = np.arange(8)
    many, few, none = (
        updated(X, start, 8, FacilityLocation(), least_rise=share).changes for share in (0.0, 0.02, 10.0)
    )
    assert len(many) >= len(few) > 0
    assert none == ()
    total = value(X, start, FacilityLocation())
    assert min(change.rise for change in few) > 0.02 * total


def test_groups_keep_their_numbers_and_room_goes_to_those_that_lack_items():
    X = rows(90, seed=4)
    groups = np.arange(90) % 3
    start = np.array([0, 3, 6, 9, 1, 4])  # 4 of group 0, 2 of group 1
    limits = Limits(groups, most=np.array([2, 4, 4]), least=np.array([0, 0, 3]))
    found = updated(X, start, 10, FacilityLocation(), limits=limits, least_rise=0.0)
    assert np.bincount(groups[found.indices], minlength=3).tolist() == [4, 2, 4] or np.bincount(
        groups[found.indices], minlength=3
    ).tolist() == [4, 3, 3]
    for change in found.changes:
        assert change.out is None or groups[change.out] == groups[change.into]
    short = updated(X, start, 30, FacilityLocation(), limits=limits)
    assert np.bincount(groups[short.indices], minlength=3).tolist() == [4, 4, 4]


def test_the_order_of_newcomers_does_not_matter():
    X = rows(120, seed=5)
    one = updated(X, np.arange(10), 12, FacilityLocation(), newcomers=np.arange(60, 120), least_rise=0.0)
    other = updated(X, np.arange(10), 12, FacilityLocation(), newcomers=np.arange(119, 59, -1), least_rise=0.0)
    assert one.indices.tolist() == other.indices.tolist()
    assert one.changes == other.changes


def test_of_many_items_a_sample_is_represented_and_f_is_scaled_to_all():
    n = module.ALL_REPRESENTED + 100
    X, _ = original_vectors(np.arange(n), 8, seed=0, topics=10)
    X = X.astype(np.float32)
    chosen = select(X[:2000], 20, recipe="none", objective=FacilityLocation()).indices
    found = updated(X, chosen, 20, FacilityLocation(), newcomers=range(n - 200, n))
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    exact = np.maximum(unit @ unit[found.indices].T, 0.0).max(axis=1).sum()
    assert found.value == pytest.approx(exact, rel=0.01)
