"""Pools give the picks of naive greedy, with few evaluations, however small they are."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.constraints.base import Constraints
from ray_subsel.objectives import FacilityLocation, FeatureBased
from ray_subsel.optimizers import BudgetedGreedy, LazyGreedy, NaiveGreedy, Problem
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.pooled import PooledRanking, pool_size
from tests.objectives.test_feature_pool import amounts_of


def by_pools(problem, size, k):
    """Return the picks of pools of a size, and the ranking."""
    feasible = FeasibleSet.of(problem)
    ranking = PooledRanking.start(problem, feasible, None, size)
    found = []
    while len(found) < k and not feasible.exhausted:
        item, gain = ranking.best()
        assert gain == ranking.gain(item)
        feasible.take(item)
        ranking.take(item)
        found.append(item)
    return found, ranking


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 60),
    size=st.sampled_from([1, 2, 7, 1000]),
    concave=st.sampled_from(["sqrt", "log", "saturating"]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64, "sparse"]),
    copies=st.booleans(),
    utilities=st.booleans(),
    data=st.data(),
)
def test_the_picks_are_naive_greedys(seed, n, size, concave, dtype, copies, utilities, data):
    X = amounts_of(seed, n, dtype=np.float64 if dtype == "sparse" else dtype)
    if copies:
        X[n // 2 :] = X[: n - n // 2]
    rng = np.random.default_rng(seed)
    groups = rng.integers(3, size=n)
    limits = Constraints(exclude=np.flatnonzero(rng.random(n) < 0.1), groups=groups, quotas=np.array([n, n // 4, n]))
    utility = np.round(rng.random(n), 1) if utilities else None
    k = data.draw(st.integers(1, n))
    problem = Problem(sp.csr_array(X) if dtype == "sparse" else X, FeatureBased(concave), k, limits, utility=utility)
    naive = NaiveGreedy().maximize(problem).indices.tolist()
    assert by_pools(problem, size, k)[0] == naive
    assert LazyGreedy().maximize(problem).indices.tolist() == naive


def test_few_items_are_evaluated():
    X = np.random.default_rng(0).random((3000, 40)).astype(np.float32)
    problem = Problem(X, FeatureBased(), 100)
    _, ranking = by_pools(problem, pool_size(3000, 40), 100)
    assert ranking.evaluations < 100 * 64
    assert LazyGreedy().maximize(problem).stats["evaluations"] == ranking.evaluations


def test_of_sparse_pools_few_rows_are_looked_at_while_no_other_can_win():
    rng = np.random.default_rng(3)
    X = sp.random_array((2000, 400), density=0.02, rng=rng, format="csr")
    utility = rng.random(2000) / 50
    problem = Problem(X, FeatureBased("log"), 120, utility=utility)
    found, ranking = by_pools(problem, 256, 120)
    assert found == NaiveGreedy().maximize(problem).indices.tolist()
    assert ranking.evaluations < 0.7 * 120 * 256


def test_gains_per_cost_are_ranked_by_pools_too():
    X, rng = amounts_of(5, 300), np.random.default_rng(5)
    limits = Constraints(costs=rng.uniform(0.5, 2.0, 300), budget=20.0)
    found = BudgetedGreedy().maximize(Problem(X, FeatureBased(), 300, limits))
    whole = BudgetedGreedy().maximize(Problem(X.astype(np.float64), FeatureBased(), 300, limits))
    assert found.indices.tolist() == whole.indices.tolist()
    order, spent, chosen = [], 0.0, np.zeros(7)
    while True:  # the definition, by gain per cost
        gains = (np.sqrt(chosen + X.astype(np.float64)) - np.sqrt(chosen)).sum(axis=1)
        keys = np.where(spent + limits.costs <= 20.0, gains / limits.costs, -np.inf)
        keys[order] = -np.inf
        if keys.max() == -np.inf:
            break
        order.append(int(keys.argmax()))
        spent, chosen = spent + limits.costs[order[-1]], chosen + X[order[-1]]
    by_gain = LazyGreedy().maximize(Problem(X, FeatureBased(), 300, limits))
    assert found.indices.tolist() in (order, by_gain.indices.tolist())


def test_objectives_without_pools_are_ranked_otherwise():
    problem = Problem(np.eye(3), FacilityLocation(), 2)
    assert PooledRanking.start(problem, FeasibleSet.of(problem), None) is None


@pytest.mark.parametrize(("n", "d", "size"), [(10, 8, 256), (8_000, 128, 500), (10**6, 128, 4096), (10**6, 8192, 256)])
def test_a_pool_is_small_beside_all_items(n, d, size):
    assert pool_size(n, d) == size


def test_all_of_many_copies_are_looked_at():
    X = np.ones((9_000, 3), dtype=np.float32)
    X[4_000:] = 2.0
    found = LazyGreedy().maximize(Problem(X, FeatureBased(), 5))
    assert found.indices.tolist() == [4_000, 4_001, 4_002, 4_003, 4_004]
