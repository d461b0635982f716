"""Sums of unit vectors are the same however they are cut and added."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.exact_sum import ExactSum, exact_total, summed_unit_rows
from ray_subsel.core.unit_rows import unit_rows


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), weighted=st.booleans(), cut=st.integers(0, 2_000))
def test_parts_add_up_to_the_whole_in_any_order(seed, weighted, cut):
    rng = np.random.default_rng(seed)
    vectors = unit_rows(rng.normal(size=(2_000, 3))).slice(0, 2_000)
    weights = rng.integers(0, 5, 2_000) if weighted else None
    order = rng.permutation(2_000)
    whole = ExactSum.of(vectors, weights)
    parts = [ExactSum.of(vectors[some], None if weights is None else weights[some]) for some in np.split(order, [cut])]
    total = parts[1] + parts[0]
    assert np.array_equal(total.vector(), whole.vector())
    counts = 2_000 if weights is None else weights.sum()
    counted = vectors if weights is None else vectors * weights[:, None]
    exact = [math.fsum(column) for column in counted.T.tolist()]
    assert whole.vector() == pytest.approx(exact, abs=counts * 2.0**-52, rel=1e-15)


@pytest.mark.parametrize("weights", [None, np.arange(5_000) % 3])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_one_pass_gives_the_rows_and_their_sum(weights, dtype):
    X = (3 * np.random.default_rng(0).normal(size=(5_000, 20))).astype(dtype)
    kept = X.copy()
    rows, total = summed_unit_rows(X, weights)
    apart = unit_rows(X)
    assert np.array_equal(total.vector(), exact_total(apart, weights).vector())
    assert np.array_equal(rows.scale, apart.scale)
    assert np.array_equal(X, kept)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_many_rows_of_one_direction_fit_the_integers_and_a_sum_is_one_pair_of_numbers(sign):
    X = np.zeros((5_000, 3))
    X[:, 1], X[:, 2] = sign, -sign
    whole = ExactSum.of(X)
    assert whole.vector().tolist() == [0.0, sign * 5_000, -sign * 5_000]
    parts = sum((ExactSum.of(part) for part in np.split(X, [1, 7, 2_500, 4_999])), ExactSum.zero(3))
    assert (parts.high.tolist(), parts.low.tolist()) == (whole.high.tolist(), whole.low.tolist())
    weighted = ExactSum.of(X[:1], np.array([5_000]))
    assert (weighted.high.tolist(), weighted.low.tolist()) == (whole.high.tolist(), whole.low.tolist())
