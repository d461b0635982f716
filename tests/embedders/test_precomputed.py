"""Ready vectors: of norm 1, and rounded once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.embedders import normalise_halves, normalise_vectors


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(0, 999), st.sampled_from([1e-6, 0.5, 1.0, 3.0, 1e6]))
def test_halves_are_unit_rows_rounded_once(d, seed, scale):
    X = (scale * np.random.default_rng(seed).standard_normal((50, d))).astype(np.float32)
    halves = normalise_halves(X)
    assert halves.dtype == np.float32
    assert np.array_equal(halves, halves.astype(np.float16))
    assert np.abs(halves - normalise_vectors(X)).max() <= 2.0**-11
    assert np.array_equal(normalise_halves(halves), halves)


def test_halves_of_another_norm_are_normalised():
    X = np.array([[3, 4], [0.6, 0.8], [0, 2]], dtype=np.float32)
    assert np.array_equal(normalise_halves(X), np.array([[0.6, 0.8], [0.6, 0.8], [0, 1]]).astype(np.float16))
    huge = np.array([[1e30, 0.0], [70000.0, 0.0]], dtype=np.float32)
    assert normalise_halves(huge).tolist() == [[1, 0], [1, 0]]
    with pytest.raises(InputError, match="vector 1 must be finite and not zero"):
        normalise_halves(np.array([[1, 0], [0, 0]], dtype=np.float32))
