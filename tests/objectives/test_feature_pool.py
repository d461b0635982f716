"""A tangent lies above all gains, whatever the amounts, and pools give the gains of the definition bit by bit."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.objectives import FeatureBased
from ray_subsel.objectives.base import RowsInPlace
from ray_subsel.objectives.feature_pool import CONCAVE, Tangent, positive_means


def amounts_of(seed, n=30, d=7, scale=1.0, dtype=np.float32):
    """Return amounts with zeros, a column without any, and a row that is nearly all of a feature."""
    rng = np.random.default_rng(seed)
    X = np.where(rng.random((n, d)) < 0.4, 0.0, rng.exponential(size=(n, d)) ** 3) * scale
    X[:, 2] = 0.0
    X[0, 1] = 1e3 * scale
    return X.astype(dtype)


def state_of(f, X, chosen):
    state = f.init(X)
    for item in chosen:
        state = f.add(state, item)
    return state


KINDS = [(np.float16, 1.0), (np.float32, 1e-30), (np.float32, 1e30), (np.float64, 1e-280), (np.float64, 1.0)]


@pytest.mark.parametrize("concave", list(CONCAVE))
@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    weights=st.booleans(),
    picks=st.integers(0, 4),
)
def test_no_gain_exceeds_its_bound(concave, seed, kind, weights, picks):
    X = amounts_of(seed, dtype=kind[0], scale=kind[1])
    rng = np.random.default_rng(seed)
    f = FeatureBased(concave, rng.choice([0.0, 1.0, 3.0], 7) if weights else None)
    state = state_of(f, X, rng.integers(30, size=picks).tolist())
    gains, ids = f.gains(state), np.flatnonzero(rng.random(30) < 0.5)
    assert (f.cheap_bounds(state) >= gains).all()
    if ids.size:
        pool = f.pool(state, ids)
        assert (pool.bounds(state) >= gains[ids]).all()
        assert np.array_equal(pool.gains(state, np.arange(ids.size)[::2]), gains[ids][::2])
    sparse = sp.csr_array(X.astype(np.float64))
    other = state_of(f, sparse, [])
    assert np.array_equal(f.pool(other, ids).bounds(other), f.gains(other)[ids])
    assert np.array_equal(f.cheap_bounds(other), f.gains(other))


def test_the_tangent_touches_the_gain_of_a_usual_row():
    X = amounts_of(1, dtype=np.float64)
    f = FeatureBased()
    state = state_of(f, X, [3, 4])
    usual = X.mean(axis=0)
    found = Tangent.of(state, usual).at(usual[None])[0]
    exact = (np.sqrt(state.amounts + usual) - np.sqrt(state.amounts)).sum()
    assert found == pytest.approx(exact, rel=1e-12)
    assert found >= exact


def test_means_that_vanish_or_overflow_give_way_to_the_largest_amount():
    found = positive_means(np.array([0.0, np.inf, 2.0, 0.0]), np.array([5e-324, 1e308, 3.0, 0.0]))
    assert found.tolist() == [5e-324, 1e308, 2.0, 0.0]


def test_amounts_that_sum_beyond_the_largest_number_are_bounded():
    X = np.array([[1.7e308, 0.0], [1.7e308, 1.0]])
    f = FeatureBased()
    state = f.init(X)
    assert (f.cheap_bounds(state) >= f.gains(state)).all()
    assert (f.pool(state, np.arange(2)).bounds(state) >= f.gains(state)).all()


def test_the_state_keeps_phi_of_its_amounts():
    for X in (amounts_of(2), sp.csr_array(amounts_of(2))):
        f = FeatureBased("log")
        state = state_of(f, X, [0, 5, 5])
        assert np.array_equal(state.values, np.log1p(state.amounts))
        assert f.value(state) == pytest.approx(f.evaluate(X, np.array([0, 5, 5])))


def test_many_rows_are_read_where_they_are():
    X = np.random.default_rng(3).random((33_000, 64)).astype(np.float32)
    f = FeatureBased()
    for rows, exact in ((X, False), (sp.csr_array(X), True)):
        state = state_of(f, rows, [1, 2])
        ids = np.arange(32_999)
        pool = f.pool(state, ids)
        assert isinstance(pool, RowsInPlace)
        gains = f.gains(state, ids)
        assert (pool.bounds(state) >= gains).all()
        assert pool.exact == np.array_equal(pool.bounds(state), gains) == exact
        assert np.array_equal(pool.gains(state, ids[::1000]), gains[::1000])
