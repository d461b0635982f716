"""Products with rows that are held, on the CPU and on a device, against whole matrices."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.device import Device, computing_on
from ray_subsel.core.held_rows import hold

PLACES = ("array", "tensor")


def place(kind):
    """Return the context in which products are computed by numpy, or by torch."""
    if kind == "array":
        return contextlib.nullcontext()
    torch = pytest.importorskip("torch")
    return computing_on(Device(torch.empty(0), least=0))


def whole_numbers(n, d, seed):
    """Return rows whose products are exact in float32, many of them equal."""
    return np.random.default_rng(seed).integers(-2, 3, (n, d)).astype(np.float32)


def held_in_steps(rows, cuts, room):
    first, *others = np.split(rows, sorted(cuts))
    held = hold(first.copy(), room)
    for part in others:
        held.append(part)
    assert held.size == len(rows)
    return held


@pytest.mark.parametrize("kind", PLACES)
@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 9),
    st.integers(1, 12),
    st.lists(st.integers(0, 12), max_size=3),
    st.integers(0, 30),
    st.integers(0, 99),
)
def test_what_is_found_is_what_the_whole_matrix_says(kind, b, t, cuts, room, seed):
    rows, block = whole_numbers(t, 5, seed), whole_numbers(b, 5, seed + 1)
    truth = block @ rows.T
    with place(kind):
        held = held_in_steps(rows, cuts, room)
        assert np.array_equal(held.products(block), truth)
        assert np.array_equal(held.products(block, slice(0, t // 2)), truth[:, : t // 2])
        for part in (slice(None), slice(t // 3, t)):
            i, j, values = held.reaching(block, 2.0, part)
            assert np.array_equal(np.stack([i, j]), np.stack(np.nonzero(truth[:, part] >= 2.0)))
            assert np.array_equal(values, truth[:, part][i, j])
            assert values.dtype == np.float32
        for wanted in range(1, t + 1):
            columns, values = held.largest(block, wanted)
            assert np.array_equal(values, -np.sort(-truth, axis=1)[:, :wanted])
            assert np.array_equal(np.take_along_axis(truth, columns, axis=1), values)
            assert all(len(set(row)) == wanted for row in columns.tolist())
            i, j = held.nearly_largest(block, wanted, 1.0)
            assert np.array_equal(np.stack([i, j]), np.stack(np.nonzero(truth >= values[:, -1:] - 1.0)))


@pytest.mark.parametrize("kind", PLACES)
def test_nothing_is_held_at_first(kind):
    with place(kind):
        held = hold(np.empty((0, 3), dtype=np.float32), room=4)
        assert held.products(np.ones((2, 3), dtype=np.float32)).shape == (2, 0)
        assert [part.size for part in held.reaching(np.ones((2, 3), dtype=np.float32), 0.0)] == [0, 0, 0]


def test_blocks_are_longer_on_a_device_and_as_asked_for_elsewhere():
    rows = np.ones((10, 3), dtype=np.float32)
    assert hold(rows).rows_at_once(7) == 7
    with place("tensor"):
        assert hold(rows).rows_at_once(7) > 1000
        assert hold(rows, room=1 << 30).rows_at_once(7) == 7


def test_rough_products_of_torch_are_made_in_float64():
    torch = pytest.importorskip("torch")
    rows = np.random.default_rng(0).standard_normal((50, 64)).astype(np.float32)
    usual = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with place("tensor"):
            found = hold(rows).products(rows)
    finally:
        torch.set_float32_matmul_precision(usual)
    exact = rows.astype(np.float64) @ rows.T.astype(np.float64)
    assert np.array_equal(found, exact.astype(np.float32))
