"""Unit rows and sums that no order changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.core.exact_sum import ExactSum, exact_total
from ray_subsel.core.threads import serial
from ray_subsel.core.unit_rows import UnitRows, row_dots, unit_rows

SETTINGS = settings(deadline=None, max_examples=30)


def cloud(seed, n=50, d=8, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_have_norm_one_and_x_stays(dtype):
    X = cloud(0, dtype=dtype)
    before = X.copy()
    rows = unit_rows(X).slice(0, 50)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(50), abs=1e-14)
    assert np.array_equal(X, before)


@SETTINGS
@given(st.integers(0, 10**6), st.lists(st.integers(0, 60), max_size=5))
def test_total_is_the_same_for_every_partition(seed, cuts):
    X = cloud(seed, n=60)
    whole = exact_total(unit_rows(X))
    order = np.random.default_rng(seed).permutation(60)
    parts = [part for part in np.split(order, sorted(cuts)) if part.size]
    total = sum((exact_total(unit_rows(X[part])) for part in parts), ExactSum.zero(8))
    assert np.array_equal(total.vector(), whole.vector())
    assert whole.vector() == pytest.approx(unit_rows(X).slice(0, 60).sum(axis=0), abs=1e-12)


@SETTINGS
@given(st.integers(0, 10**6), st.sampled_from([3, 10**6]))
def test_weights_are_repetitions(seed, most):
    X = cloud(seed, n=6)
    weights = np.random.default_rng(seed).integers(0, most, 6)
    total = exact_total(unit_rows(X), weights).vector()
    assert total == pytest.approx(weights @ unit_rows(X).slice(0, 6), rel=1e-12)
    if most == 3:
        assert weights.sum() == 0 or np.array_equal(
            total, exact_total(unit_rows(np.repeat(X, weights, axis=0))).vector()
        )


def test_dots_do_not_depend_on_the_number_of_rows():
    A, b = cloud(1, n=333, d=129, dtype=np.float64), cloud(2, n=1, d=129, dtype=np.float64)[0]
    assert np.array_equal(row_dots(A, b), [row_dots(A[i : i + 1], b)[0] for i in range(333)])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 1e-36])
def test_products_keep_their_bound(dtype, scale):
    if dtype == np.float16 and scale != 1:
        pytest.skip("float16 has no such numbers")
    rows = unit_rows((cloud(3, n=200, d=96, dtype=np.float64) * scale).astype(dtype))
    P = cloud(4, n=96, d=5, dtype=np.float64) * 1e4
    truth = rows.slice(0, 200) @ P
    bound = (rows.d + 8) * rows.unit_roundoff * np.linalg.norm(P, axis=0)
    assert (np.abs(rows.products(slice(0, 200), P) - truth) <= bound).all()
    some = np.array([7, 3, 199])
    assert (np.abs(rows.products(some, P) - truth[some]) <= bound).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e150])
def test_single_rows_keep_their_bound(dtype, scale):
    if scale > 1e38 and dtype != "float64":
        pytest.skip("beyond the type")
    X = (np.random.default_rng(0).normal(size=(40, 7)) * scale).astype(dtype)
    rows = unit_rows(X)
    exact = rows.slice(0, 40)
    for which in (slice(3, 40), np.array([5, 1, 1])):
        found = rows.single(which)
        assert found.dtype == np.float32
        assert (np.abs(found - exact[which]) <= 2.0**-23 * np.abs(exact[which])).all()


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_products_of_float16_are_those_of_its_numbers_whether_it_is_held_in_float32_or_not(size, shape, monkeypatch):
    monkeypatch.setattr("ray_subsel.core.unit_rows.WIDENED_BYTES", 4 * 300 * 7 - (size == "large"))
    X = np.random.default_rng(0).normal(size=(300, 7)).astype(np.float16)
    rows, out = unit_rows(X), np.empty((300, *shape), dtype=np.float32)
    multiply = rows.multiplier(out)
    for seed in range(2):
        p = np.random.default_rng(seed).normal(size=(7, *shape))
        multiply(p)
        bound = (rows.d + 8) * rows.unit_roundoff * np.linalg.norm(p, axis=0)
        assert (np.abs(out - rows.slice(0, 300) @ p) <= bound).all()
    assert rows.X is X


@pytest.mark.parametrize("shape", [(), (2,), (40,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("norm", [1.0, 3.0])
def test_products_by_blocks_and_threads_are_those_of_the_definition(shape, dtype, norm, monkeypatch):
    monkeypatch.setattr("ray_subsel.core.unit_rows.SMALL_PRODUCT", 7 * 100 * 2)
    monkeypatch.setattr("ray_subsel.core.unit_rows.PASS_NUMBERS", 7 * 100)
    rng = np.random.default_rng(0)
    X = (norm * unit_rows(rng.normal(size=(3_000, 7))).slice(0, 3_000)).astype(dtype)
    p = rng.normal(size=(7, *shape))
    rows, ranges_seen = unit_rows(X), []

    def backwards(function, parts):
        ranges_seen.append([*parts])
        return [function(start, stop) for start, stop in reversed(ranges_seen[-1])][::-1]

    for workers in (serial, backwards):
        out = np.full((3_000, *shape), np.nan, dtype=dtype)
        rows.multiplier(out, workers)(p)
        assert out == pytest.approx(rows.slice(0, 3_000) @ p, abs=1e-5)
    assert len(ranges_seen[0]) > 1


@pytest.mark.parametrize("scale", [1.0, 1e-200])
def test_each_block_of_unit_vectors_is_shown_once_and_may_be_changed(scale):
    X = scale * np.random.default_rng(0).normal(size=(3_000, 100))
    seen = np.zeros_like(X)

    def note(first, last, block, space):
        assert space.shape == block.shape
        assert not np.shares_memory(space, block)
        seen[first:last] += block
        block[:] = space[:] = 0

    def of_part(d):
        assert d == X.shape[1]
        return note

    rows = unit_rows(X, of_part=of_part)
    assert np.array_equal(seen, unit_rows(X).slice(0, 3_000))
    assert np.array_equal(rows.slice(0, 3_000), seen)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 3.0, 1e-30])
def test_single_rows_are_those_of_many(dtype, scale):
    X = unit_rows(np.random.default_rng(0).normal(size=(50, 24))).slice(0, 50)
    X = ((1.0 if dtype == np.float16 else scale) * X).astype(dtype)
    rows = unit_rows(X)
    assert (rows.as_is is not None) == (dtype == np.float32 and scale == 1.0)
    assert rows.rounded_row(7).dtype == rows.working_dtype
    assert rows.rounded_row(7) == pytest.approx(rows.row(7), abs=5 * rows.unit_roundoff)
    wide = rows.wide()
    assert wide.working_dtype == np.float64
    assert np.array_equal(wide.take(np.arange(50)), rows.take(np.arange(50)))


def test_blocks_cover_all_rows_once():
    rows = UnitRows(np.zeros((1000, 5000), dtype=np.float32), np.ones(1000))
    assert np.concatenate([np.arange(*block) for block in rows.blocks()]).tolist() == list(range(1000))


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ([0.0, 0.0], r"^row 2 of X must not be zero; got a zero vector\. .*drop the row"),
        ([np.nan, 1.0], r"^row 2 of X must be finite; got NaN or infinity"),
        ([np.inf, 1.0], r"^row 2 of X must be finite"),
        ([1.0, -np.inf], r"^row 2 of X must be finite"),
    ],
)
def test_rows_without_a_cosine_are_named(row, match):
    X = np.ones((4, 2), dtype=np.float32)
    X[2] = row
    with pytest.raises(InputError, match=match):
        unit_rows(X)


@pytest.mark.parametrize(
    ("X", "match"),
    [
        ([[1.0, 2.0]], "X must be a numpy array or a torch tensor; got list"),
        (np.ones(3), r"X must have shape \(n, d\)"),
        (np.ones((0, 3)), r"X must have shape \(n, d\)"),
        (np.ones((3, 2), dtype=int), "X must hold floats; got int64"),
    ],
)
def test_what_is_no_matrix_of_floats_is_refused(X, match):
    with pytest.raises(InputError, match=match):
        unit_rows(X)
