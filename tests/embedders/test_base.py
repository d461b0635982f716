from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ray_subsel.core.errors import InputError
from ray_subsel.embedders import normalise_vectors, unit_rows


@settings(deadline=None, max_examples=50)
@given(arrays(np.float64, (4, 3), elements=st.floats(-1e6, 1e6)).filter(lambda X: (np.abs(X).max(axis=1) > 1e-3).all()))
def test_unit_rows_have_length_one_and_the_same_direction(X: np.ndarray) -> None:
    unit = unit_rows(X)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit.astype(np.float64), axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(unit * np.linalg.norm(X, axis=1, keepdims=True), X, rtol=1e-5, atol=1.0)


def test_unit_rows_by_hand() -> None:
    np.testing.assert_array_equal(unit_rows(np.array([[3.0, 4.0], [0.0, -2.0]])), np.float32([[0.6, 0.8], [0, -1]]))


def test_unit_rows_leaves_its_input_alone() -> None:
    X = np.array([[3.0, 4.0]], dtype=np.float32)
    unit_rows(X)
    np.testing.assert_array_equal(X, [[3.0, 4.0]])


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_float32_rows_whose_square_leaves_float32_are_normalised(scale: float) -> None:
    np.testing.assert_allclose(unit_rows(np.float32([[3, 4]]) * np.float32(scale)), [[0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_row_without_direction_is_named(value: float) -> None:
    with pytest.raises(InputError, match="text 1 must be finite and not zero"):
        unit_rows(np.array([[1.0, 1.0], [value, value]]), "text")


def test_one_axis_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(n, d\); got \(3,\)"):
        unit_rows(np.ones(3))


def test_ready_vectors_may_be_an_array_or_lists() -> None:
    expected = np.float32([[0.6, 0.8], [1.0, 0.0]])
    np.testing.assert_array_equal(normalise_vectors([[3, 4], [2, 0]]), expected)
    np.testing.assert_array_equal(normalise_vectors(np.array([[3, 4], [2, 0]])), expected)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0, 2.0], [1.0]], "vector 1 must have length 2 like vector 0; got 1"),
        ([[1.0, 2.0], None], "vector 1 must be a list of numbers; got None"),
        ([[1.0, 2.0], [1.0, float("nan")]], "vector 1 must be finite"),
        ([["a", "b"]], "vectors must hold numbers only"),
        ([], "vectors must hold at least one row"),
    ],
)
def test_bad_ready_vectors_are_named(vectors: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        normalise_vectors(vectors)
