"""Graph cut under limits: what one pass a pick ranks first is what all gains in float64 rank first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.constraints.base import Constraints
from ray_subsel.core.device import Device, computing_on
from ray_subsel.objectives import FacilityLocation, GraphCut
from ray_subsel.optimizers import NaiveGreedy, Problem
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.greedy import fastest_for
from ray_subsel.optimizers.pass_ranking import PassRanking
from ray_subsel.optimizers.speculative.greedy import CertifiedGreedy
from ray_subsel.optimizers.ties import first_best, tie_width


def corpus(n, d, seed, copies, dtype):
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(n, d)) + 0.3
    return X[np.where(draw.random(n) < copies, draw.integers(n, size=n), np.arange(n))].astype(dtype)


corpora = {
    "n": st.integers(4, 200),
    "d": st.integers(1, 10),
    "seed": st.integers(0, 1000),
    "copies": st.sampled_from([0.0, 0.5, 0.97]),
    "dtype": st.sampled_from([np.float16, np.float32, np.float64]),
    "lam": st.sampled_from([0.0, 1.0, 10.0]),
    "with_utility": st.booleans(),
}


@settings(deadline=None, max_examples=60)
@given(**corpora, floors=st.booleans(), included=st.booleans())
def test_under_quotas_and_floors_the_picks_are_those_of_naive_greedy(
    n, d, seed, copies, dtype, lam, with_utility, floors, included
):
    X, draw = corpus(n, d, seed, copies, dtype), np.random.default_rng(seed)
    groups = draw.integers(3, size=n)
    sizes = np.bincount(groups, minlength=3)
    limits = {"floors": np.minimum(sizes, 1)} if floors else {"quotas": np.maximum(1, sizes // 2)}
    include = np.array([n // 2]) if included else np.zeros(0, dtype=np.int64)
    problem = Problem(
        X=X, objective=GraphCut(lam), k=max(3, n // 2), utility=draw.normal(size=n) if with_utility else None,
        constraints=Constraints(groups=groups, include=include, **limits),
    )  # fmt: skip
    assert isinstance(fastest_for(problem), CertifiedGreedy)
    found, naive = fastest_for(problem).maximize(problem), NaiveGreedy().maximize(problem)
    assert found.indices.tolist() == naive.indices.tolist()
    assert found.gains.tolist() == naive.gains.tolist()


@settings(deadline=None, max_examples=40)
@given(**corpora)
def test_per_cost_the_first_is_that_of_all_gains(n, d, seed, copies, dtype, lam, with_utility):
    X, draw = corpus(n, d, seed, copies, dtype), np.random.default_rng(seed)
    costs = 10.0 ** draw.integers(0, 6, n) * draw.integers(1, 100, n)
    problem = Problem(
        X=X, objective=GraphCut(lam), k=n, utility=draw.normal(size=n) if with_utility else None,
        constraints=Constraints(costs=costs, budget=float(costs.sum() / 2)),
    )  # fmt: skip
    feasible, scale = FeasibleSet.of(problem), costs.min() / costs
    ranking = PassRanking.start(problem, feasible, scale)
    state = problem.objective.init(X)
    while not feasible.exhausted:
        ids = np.flatnonzero(feasible.open)
        gains = problem.gains(state, ids)
        keys = gains * scale[ids]
        top = int(keys.argmax())
        place = first_best(keys, tie_width(problem, state, int(ids[top]), float(gains[top]), scale))
        assert ranking.best() == (int(ids[place]), float(gains[place]))
        feasible.take(int(ids[place]))
        ranking.take(int(ids[place]))
        state = problem.objective.add(state, int(ids[place]))


@pytest.mark.parametrize("costs", [None, np.append(1.0, np.full(1_999, 1e5))])
def test_few_gains_are_computed_in_float64(monkeypatch, costs):
    limits = Constraints() if costs is None else Constraints(costs=costs, budget=1e7)
    problem = Problem(X=corpus(2_000, 16, 0, 0.0, np.float32), objective=GraphCut(), k=50, constraints=limits)
    asked, gains = [], GraphCut.gains
    monkeypatch.setattr(GraphCut, "gains", lambda f, state, ids: (asked.append(ids.size), gains(f, state, ids))[1])
    feasible = FeasibleSet.of(problem)
    ranking = PassRanking.start(problem, feasible, None if costs is None else costs.min() / costs)
    for _ in range(50):
        item, _ = ranking.best()
        feasible.take(item)
        ranking.take(item)
    assert sum(asked) < 3 * len(asked)


def test_products_may_be_made_elsewhere():
    torch = pytest.importorskip("torch")
    X = corpus(2_000, 16, 0, 0.0, np.float32)
    options = {"objective": "graph_cut", "groups": np.arange(2_000) % 4, "quotas": "balanced"}
    here = select(X, 200, **options)
    with computing_on(Device(torch.empty(0), least=0)):
        there = select(X, 200, **options)
    assert here.indices.tolist() == there.indices.tolist()
    assert np.bincount(here.indices % 4).tolist() == [50] * 4


def test_of_other_objectives_it_ranks_nothing():
    problem = Problem(X=np.eye(3), objective=FacilityLocation(), k=1)
    assert PassRanking.start(problem, FeasibleSet.of(problem), None) is None
