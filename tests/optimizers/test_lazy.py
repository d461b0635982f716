"""Lazy greedy is naive greedy, with fewer evaluations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.constraints.base import Constraints
from ray_subsel.objectives import FacilityLocation, FeatureBased, LogDeterminant, SaturatedCoverage
from ray_subsel.objectives.bound_cache import CacheSizes
from ray_subsel.objectives.kernels import RBF, ShiftedCosine
from ray_subsel.optimizers import LazyGreedy, NaiveGreedy, Problem
from ray_subsel.optimizers.lazy import BatchSizes

FUNCTIONS = {
    "facility_location": FacilityLocation(),
    "shifted": FacilityLocation(kernel=ShiftedCosine()),
    "rbf": FacilityLocation(kernel=RBF()),
    "sample": FacilityLocation(represented=np.random.default_rng(5).standard_normal((30, 6))),
    "saturated_coverage": SaturatedCoverage(alpha=0.3),
    "log_determinant": LogDeterminant(),
    "feature_based": FeatureBased(),
}


def clustered(seed, n, d=6, copies=True):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((8, d))[rng.integers(8, size=n)] + 0.6 * rng.standard_normal((n, d))
    if copies and n > 1:
        X[n // 2 :] = X[rng.integers(n // 2, size=n - n // 2)]
    return X


def same(problem, sizes=BatchSizes()):  # noqa: B008 - frozen
    naive, fast = NaiveGreedy().maximize(problem), LazyGreedy(sizes).maximize(problem)
    np.testing.assert_array_equal(fast.indices, naive.indices)
    np.testing.assert_allclose(fast.gains, naive.gains, atol=1e-8)
    return naive, fast


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), copies=st.booleans(), single=st.booleans(), data=st.data())
def test_same_picks_as_naive(name, seed, n, copies, single, data):
    X = clustered(seed, n, copies=copies).astype(np.float32 if single else np.float64)
    X = np.abs(X) if name == "feature_based" else X
    k = data.draw(st.integers(1, n))
    utility = np.random.default_rng(seed).uniform(0, 1, n) if seed % 2 else None
    same(Problem(X, FUNCTIONS[name], k, utility=utility))


@pytest.mark.parametrize("name", ["facility_location", "shifted", "saturated_coverage"])
def test_same_picks_where_the_pool_overflows_and_rows_are_remembered(name):
    problem = Problem(clustered(3, 700, d=16).astype(np.float32), FUNCTIONS[name], 120)
    _, fast = same(problem, BatchSizes(pool=32, largest=64))
    assert fast.stats["evaluations"] < 700 * 120 / 4


@pytest.mark.parametrize("capacity", [0, 500])
def test_a_full_memory_changes_nothing(capacity):
    objective = FacilityLocation(cache=CacheSizes(capacity=capacity))
    same(Problem(clustered(4, 500, d=16).astype(np.float32), objective, 60))


def test_constraints_are_those_of_naive():
    X = clustered(7, 120)
    groups = np.arange(120) % 4
    limits = Constraints(
        include=np.array([9, 2]),
        exclude=np.array([1, 50]),
        groups=groups,
        quotas=np.array([9, 9, 9, 5]),
        floors=np.array([0, 6, 0, 5]),
    )
    same(Problem(X, FacilityLocation(), 30, limits))


def test_a_prefix_is_the_result_for_a_smaller_k():
    X = clustered(8, 200).astype(np.float32)
    long = LazyGreedy().maximize(Problem(X, FacilityLocation(), 50)).indices
    np.testing.assert_array_equal(LazyGreedy().maximize(Problem(X, FacilityLocation(), 20)).indices, long[:20])


def test_blocks_do_not_change_picks():
    X = clustered(9, 300).astype(np.float32)
    before = LazyGreedy().maximize(Problem(X, FacilityLocation(), 60)).indices
    small = Problem(X, FacilityLocation(cache=CacheSizes(candidates=17, items=41)), 60)
    np.testing.assert_array_equal(LazyGreedy(BatchSizes(first=5)).maximize(small).indices, before)


def test_progress_is_called_and_may_interrupt():
    seen = []

    def stop_at_five(picked, k):
        seen.append((picked, k))
        if picked == 5:
            raise KeyboardInterrupt

    problem = Problem(clustered(1, 50), FacilityLocation(), 20, progress=stop_at_five)
    with pytest.raises(KeyboardInterrupt):
        LazyGreedy().maximize(problem)
    assert seen == [(i, 20) for i in range(1, 6)]
