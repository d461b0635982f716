"""The nearest by float32 products, and by float64 where these lie too close together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.held_rows import hold
from ray_subsel.core.nearest import nearest_among, single_error, told_apart
from ray_subsel.core.unit_rows import unit_rows


def unit(n, d, seed):
    return unit_rows(np.random.default_rng(seed).normal(size=(n, d))).slice(0, n)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 999), st.booleans())
def test_what_is_told_apart_by_float32_is_in_float64_too(b, t, seed, close):
    rows, targets = unit(b, 7, seed), unit(t, 7, seed + 1)
    if close:  # some targets differ in the last digits of float32
        targets = np.concatenate([targets, targets + 1e-8])
        t *= 2
    for wanted in range(1, t + 1):
        columns, values = hold(targets.astype(np.float32)).largest(rows.astype(np.float32), wanted)
        sure = told_apart(values, 7)
        assert sure.shape == (b, wanted - 1)
        exact = np.take_along_axis(rows @ targets.T, columns, axis=1)
        assert (exact[:, :-1] > exact[:, 1:])[sure].all()
        assert (exact[:, :-1] - exact[:, 1:] < 4 * single_error(7))[~sure].all()


@pytest.mark.parametrize("wanted", [1, 3])
def test_pairs_are_those_of_a_stable_sort_in_float64(wanted):
    rows, targets = unit(40, 5, 0), unit(10, 5, 1)
    targets[7] = targets[2]
    row, place, cosine = nearest_among(rows, targets, hold(targets.astype(np.float32)), wanted)
    exact = rows @ targets.T
    for i in range(40):
        order = np.argsort(-np.round(exact[i], 12), kind="stable")[:wanted]
        np.testing.assert_array_equal(place[row == i][:wanted], order)
        np.testing.assert_allclose(cosine[row == i][:wanted], exact[i, order], atol=1e-12)
