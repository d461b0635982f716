"""The log-determinant in d x d numbers: values of 50 digits, picks of a factor, states that may be left and resumed."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.constraints.base import Constraints
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.objectives import LogDeterminant
from ray_subsel.objectives.kernels import RBF
from ray_subsel.objectives.ridge_leverage import AffineRows, InverseRoot
from ray_subsel.optimizers import LazyGreedy, NaiveGreedy, Problem

SETTINGS = settings(deadline=None, max_examples=30)


def cloud(seed, n=60, d=7, *, copies=True):
    """Return n vectors, a third of them copies of others and some of them multiples."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + 0.3
    if copies:
        X[rng.permutation(n)[: n // 3]] = X[rng.integers(n, size=n // 3)]
        X[0] = 3.0 * X[1]
    return X


def digits(X, subset, ridge, shift=0.0, slope=1.0):
    """Return f(subset) in 50 digits: log det of the kernel matrix over r, plus I."""
    with mpmath.workdps(50):
        rows = [[mpmath.mpf(float(x)) for x in X[i]] for i in subset]
        rows = [[x / mpmath.sqrt(mpmath.fsum(y * y for y in row)) for x in row] for row in rows]
        k = len(rows)
        matrix = mpmath.matrix(k, k)
        for i in range(k):
            for j in range(k):
                dot = mpmath.fsum(a * b for a, b in zip(rows[i], rows[j], strict=True))
                matrix[i, j] = (slope * dot + shift) / mpmath.mpf(ridge) + (i == j)
        return float(mpmath.log(mpmath.det(matrix)))


def factor_greedy(X, k, ridge):
    """Return greedy's picks by the textbook's incremental Cholesky factor."""
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    factor, residual, picks = np.zeros((0, len(X))), np.ones(len(X)), []
    for _ in range(k):
        open_ones = np.where(np.isin(np.arange(len(X)), picks), -np.inf, np.log1p(residual / ridge))
        best = int(np.argmax(open_ones >= open_ones.max() - 1e-11 * max(1.0, open_ones.max())))
        picks.append(best)
        row = (X @ X[best] - factor.T @ factor[:, best]) / np.sqrt(ridge + residual[best])
        factor, residual = np.vstack((factor, row)), residual - row**2
    return picks


@pytest.mark.parametrize("kernel", ["cosine", "shifted_cosine"])
@pytest.mark.parametrize("ridge", [1.0, 1e-3, 1e-8, 1e-11, 1e-13, 1e-15])
def test_values_and_gains_are_those_of_fifty_digits_down_to_the_least_ridge(ridge, kernel):
    # More picks than dimensions, copies and multiples among them: the residuals of the last ones are below the ridge.
    X, subset = cloud(1, n=14, d=5), np.arange(12)
    f = LogDeterminant(ridge=ridge, kernel=kernel)
    state, total = f.init(X), 0.0
    for item in subset:
        total += float(f.gains(state)[item])
        state = f.add(state, int(item))
    slope, shift = {"cosine": (1.0, 0.0), "shifted_cosine": (0.5, 0.5)}[kernel]
    expected = digits(X, subset, ridge, shift, slope)
    assert f.evaluate(X, subset) == pytest.approx(expected, rel=1e-8)
    assert f.value(state) == pytest.approx(expected, rel=1e-8)
    assert total == pytest.approx(expected, rel=1e-8)


def test_values_of_other_kernels_are_those_of_fifty_digits_down_to_theirs():
    X, subset, ridge = cloud(2, n=10, d=3), np.arange(8), 1e-8
    f = LogDeterminant(ridge=ridge, kernel=RBF(gamma=0.05))
    with mpmath.workdps(50):
        rows = [[mpmath.mpf(float(x)) for x in X[i]] for i in subset]
        matrix = mpmath.matrix(8, 8)
        for i in range(8):
            for j in range(8):
                square = mpmath.fsum((a - b) ** 2 for a, b in zip(rows[i], rows[j], strict=True))
                matrix[i, j] = mpmath.exp(-mpmath.mpf(0.05) * square) / mpmath.mpf(ridge) + (i == j)
        expected = float(mpmath.log(mpmath.det(matrix)))
    state = f.init(X)
    for item in subset:
        state = f.add(state, int(item))
    assert f.evaluate(X, subset) == pytest.approx(expected, rel=1e-7)
    assert f.value(state) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(("n", "d", "k"), [(300, 12, 200), (600, 40, 60), (200, 3, 200)])
@pytest.mark.parametrize("ridge", [1.0, 0.01])
def test_the_picks_are_those_of_an_incremental_factor(n, d, k, ridge):
    X = cloud(5, n, d)
    assert select(X, k, objective=LogDeterminant(ridge=ridge)).indices.tolist() == factor_greedy(X, k, ridge)


@SETTINGS
@given(
    seed=st.integers(0, 10**6),
    ridge=st.sampled_from([10.0, 1.0, 1e-2, 1e-6]),
    kernel=st.sampled_from(["cosine", "shifted_cosine"]),
    share=st.floats(0.02, 1.0),
    copies=st.booleans(),
    limited=st.booleans(),
)
def test_lazy_greedy_is_naive_greedy_under_limits_and_utilities(seed, ridge, kernel, share, copies, limited):
    X = cloud(seed, copies=copies)
    rng = np.random.default_rng(seed)
    k = max(3, round(share * 40))
    limits, utility = Constraints(), None
    if limited:
        groups = rng.integers(3, size=60).astype(np.int64)
        out = rng.permutation(np.arange(2, 60))[:5]
        quotas = np.array([k, k, max(1, k // 3)])
        limits = Constraints(include=np.array([1]), exclude=out, groups=groups, quotas=quotas)
        utility = np.round(rng.normal(size=60), 1)
    problem = Problem(X, LogDeterminant(ridge=ridge, kernel=kernel), k, limits, utility=utility)
    lazy, naive = LazyGreedy().maximize(problem), NaiveGreedy().maximize(problem)
    assert lazy.indices.tolist() == naive.indices.tolist()
    assert lazy.gains == pytest.approx(naive.gains, rel=1e-9, abs=1e-9)


def test_a_state_that_others_went_on_from_keeps_its_gains():
    X, f = cloud(3, n=40, d=4), LogDeterminant(ridge=0.1)
    states = [f.init(X)]
    for item in range(12):
        states.append(f.add(states[-1], item))
    expected = [f.gains(f.init(X))]
    for size in range(1, 13):
        fresh = f.init(X)
        for item in range(size):
            fresh = f.add(fresh, item)
        expected.append(f.gains(fresh))
    for size in (12, 3, 0, 7, 12):
        np.testing.assert_allclose(f.gains(states[size]), expected[size], atol=1e-12)
    branch = f.add(f.add(states[4], 30), 31)
    alone = f.init(X)
    for item in (0, 1, 2, 3, 30, 31):
        alone = f.add(alone, item)
    np.testing.assert_allclose(f.gains(branch), f.gains(alone), atol=1e-12)
    np.testing.assert_allclose(f.gains(states[12]), expected[12], atol=1e-12)


@SETTINGS
@given(seed=st.integers(0, 10**6), ridge=st.sampled_from([1.0, 1e-4, 1e-10]))
def test_scores_follow_additions_whatever_items_are_asked_for_between(seed, ridge):
    X, f = cloud(seed, n=50, d=5), LogDeterminant(ridge=ridge)
    rng = np.random.default_rng(seed)
    state, root, vectors = f.init(X), InverseRoot.start(5, ridge), AffineRows(unit_rows(X), 1.0, 0.0)
    for item in rng.integers(50, size=25).tolist():
        state = f.add(state, item)
        root, _, _ = root.add(vectors.take(np.array([item]))[0])
        some = np.flatnonzero(rng.random(50) < rng.random())
        direct = np.log1p(root.scores(vectors.take(some)))
        np.testing.assert_allclose(f.gains(state, some), direct, rtol=1e-7, atol=1e-9)


def test_memory_does_not_grow_with_the_picks():
    X, f = cloud(1, n=80, d=3), LogDeterminant()
    state = f.init(X)
    for item in range(70):
        state = f.add(state, item)
    assert state.cache.directions.shape == (6, 3)
    np.testing.assert_allclose(f.value(state), f.evaluate(X, np.arange(70)))
