"""Every objective through GreeDi: whole, at a partition's scale, and with items that are given."""

import numpy as np
import pytest

from ray_subsel import select
from ray_subsel.constraints.base import Constraints
from ray_subsel.core.exact_sum import exact_total
from ray_subsel.core.hashing import partition_of
from ray_subsel.core.items import ItemBatch
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.objectives import FacilityLocation, GraphCut, GroundSummary, SaturatedCoverage, find_objective
from ray_subsel.partitioned.constraint_shares import share_out
from ray_subsel.partitioned.greedi import reduce_solutions, solve_partition

N, D, K, M = 400, 6, 24, 4


def corpus(seed=0, positive=False):
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(10, D)) + 0.4
    X = centres[draw.integers(10, size=N)] + 0.4 * draw.normal(size=(N, D))
    X = np.abs(X) if positive else X
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def goal_of(name, X, own=False):
    kind = find_objective(name)
    objective = kind.of_options({"lam": 10.0}, n=len(X), k=K)
    statistics = objective.reference_statistics(X, X) if kind.needs_statistics else None
    total = exact_total(unit_rows(X)).vector()
    return objective.scaled(GroundSummary(total, X if kind.needs_reference else None, statistics, own))


NAMES = ["graph_cut", "facility_location", "saturated_coverage", "log_determinant", "feature_based"]


def greedi(X, goal, *, m=M, k=K, given=(), groups=None, limits=None):
    ids, given = np.arange(len(X)), np.array(given, dtype=np.int64)
    groups = np.zeros(len(X), np.int64) if groups is None else groups
    all_rows = ItemBatch(ids, X, {"group": groups, "cost": np.ones(len(X))})
    where, free = partition_of(ids, m, 0), ~np.isin(ids, given)
    count = int(groups.max()) + 1
    counts = np.array([np.bincount(groups[free & (where == q)], minlength=count) for q in range(m)])
    taken = np.bincount(groups[given], minlength=count)
    shares = None if limits is None else share_out(k, limits, counts, taken, c=2.0)
    solutions = [
        solve_partition(
            all_rows.take(free & (where == q)),
            partition=q,
            objective=goal,
            m=m,
            n_candidates=-(-2 * (k - len(given)) // m) if shares is None else shares[q].k,
            **({} if shares is None else {"constraints": shares[q].constraints}),
            given=all_rows.take(given),
        )
        for q in range(m)
    ]
    return reduce_solutions(
        solutions,
        objective=goal,
        k=k,
        given=all_rows.take(given),
        **({} if limits is None else {"constraints": limits}),
    )


@pytest.mark.parametrize("name", NAMES)
def test_partitions_reach_nearly_what_centralized_greedy_does(name):
    X = corpus(positive=name == "feature_based")
    goal = goal_of(name, X)
    central = select(X, K, objective=goal.full())
    found = greedi(X, goal)
    assert len(set(found.ids.tolist())) == K
    assert found.value == pytest.approx(goal.full().evaluate(X, found.ids), rel=1e-5)
    assert found.gains.sum() == pytest.approx(found.value)
    chance = np.mean([goal.full().evaluate(X, np.random.default_rng(s).choice(N, K, replace=False)) for s in range(5)])
    assert (found.value - chance) / (central.value - chance) > 0.8


@pytest.mark.parametrize("name", ["facility_location", "saturated_coverage"])
def test_own_items_in_round_1_and_the_sample_after_it(name):
    X = corpus()
    sampled, own = greedi(X, goal_of(name, X)), greedi(X, goal_of(name, X, own=True))
    assert own.ids.tolist() != sampled.ids.tolist()
    assert own.value > 0.95 * sampled.value
    assert own.value == pytest.approx(goal_of(name, X).full().evaluate(X, own.ids), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_given_items_come_first_and_count_from_the_start(name):
    X = corpus(1, positive=name == "feature_based")
    goal, given = goal_of(name, X), [399, 7, 200]
    found = greedi(X, goal, given=given)
    assert found.ids[:3].tolist() == given
    assert len(set(found.ids.tolist())) == K
    central = select(X, K, objective=goal.full(), include=given)
    chance = goal.full().evaluate(X, np.r_[given, np.setdiff1d(np.arange(100, 100 + K - 1), given)[: K - 3]])
    assert (found.value - chance) / (central.value - chance) > 0.8
    # partitions that did not know of them would hand over what lies beside them
    blind = greedi(X, goal)
    assert found.ids.tolist() != blind.ids.tolist()


def test_graph_cut_absorbs_what_is_given():
    # A gain with I chosen before is the same as against t less (2 + lam) s_I.
    X = corpus(2)
    goal = goal_of("graph_cut", X)
    whole = goal.full()
    state = whole.init(X)
    for item in (3, 50):
        state = whole.add(state, item)
    absorbed = goal.scaled(1.0, X[[3, 50]])
    assert np.allclose(absorbed.gains(absorbed.init(X)), whole.gains(state), atol=1e-5)
    assert isinstance(goal.scaled(0.25, X[:0]), GraphCut)
    assert np.allclose(goal.scaled(0.25, X[:0]).total, goal.total / 4)


def test_given_items_take_the_place_of_those_beside_them():
    # Two tight clusters, one of them given: the one pick that is left goes to the other.
    X = np.repeat(np.eye(2, dtype=np.float32), 10, axis=0)
    goal = goal_of("facility_location", X)
    found = greedi(X, goal, m=2, k=2, given=[4])
    assert found.ids[0] == 4
    assert found.ids[1] >= 10


@pytest.mark.parametrize("name", ["graph_cut", "facility_location"])
def test_quotas_and_floors_hold_after_the_reduce(name):
    X = corpus(3)
    groups = np.random.default_rng(0).choice(3, size=N, p=[0.7, 0.25, 0.05])
    limits = Constraints(quotas=np.array([8, 40, 40]), floors=np.array([0, 0, 9]))
    found = greedi(X, goal_of(name, X), groups=groups, limits=limits, given=[np.flatnonzero(groups == 0)[5]])
    counts = np.bincount(groups[found.ids], minlength=3)
    assert counts[0] <= 8
    assert counts[2] >= 9
    assert counts.sum() == K


def test_saturation_has_a_scale():
    X = corpus(4)
    goal = goal_of("saturated_coverage", X)
    assert isinstance(goal.full(), SaturatedCoverage)
    assert np.allclose(goal.scaled(0.5, X[:0]).everything, goal.statistics / 2)
    # against the ground set itself the sums are those that the objective computes
    assert goal.full().evaluate(X, np.arange(5)) == pytest.approx(SaturatedCoverage().evaluate(X, np.arange(5)))


def test_facility_location_has_none():
    X = corpus(5)
    goal = goal_of("facility_location", X)
    assert isinstance(goal.scaled(0.5, X[:0]), FacilityLocation)
    assert goal.about() == {"represented": N, "represented_in_partitions": "the sample"}
