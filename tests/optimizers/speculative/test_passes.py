"""Products of all rows with the direction of a turn, by rows or by columns, alone or with others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.core.unit_rows import UnitRows, unit_rows
from ray_subsel.optimizers.speculative.distinct_rows import distinct_rows_of
from ray_subsel.optimizers.speculative.passes import Passes, by_columns
from tests.optimizers.speculative.problems import SETTINGS, problem


def passes_of(X, taken=None, *, unit=1.0, **more):
    distinct, total = distinct_rows_of(problem(X, 5, **more))
    return Passes(distinct, np.zeros(len(X), dtype=np.int64) if taken is None else taken, unit), total


@SETTINGS
@given(
    n=st.integers(1, 300),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    norm=st.sampled_from([1.0, 3.0, 1e-30]),
    utilities=st.booleans(),
    expected=st.sampled_from([1, 100]),
)
def test_values_and_products_of_one_pass_are_those_of_one_for_each(n, dtype, norm, utilities, expected):
    rng = np.random.default_rng(n)
    X = unit_rows(rng.normal(size=(n, 5))).slice(0, n)
    X = (X * (1.0 if dtype == np.float16 else norm)).astype(dtype)
    unit = unit_rows(X).slice(0, n)
    taken = (rng.random(n) < 0.2).astype(np.int64)
    utility = rng.normal(size=n) if utilities else None
    passes, total = passes_of(X, taken, utility=utility, unit=12.0)
    passes.expect(expected)
    kind = passes.values.dtype
    gone = taken.astype(np.bool_)
    for turns in (3, 4, 2, 3):
        closed = int(rng.integers(n))
        passes.close(closed)
        gone[closed] = True
        direction, steps = (total + rng.normal(size=5)).astype(kind), rng.normal(size=(turns, 5)).astype(kind)
        values = np.where(gone, -np.inf, unit @ direction + (0 if utility is None else utility / 12))
        passes.one(direction)
        assert passes.values == pytest.approx(values, abs=1e-4)
        passes.values[:] = 0
        products = passes.several(direction, steps)
        assert passes.values == pytest.approx(values, abs=1e-4)
        assert products == pytest.approx(unit @ np.vstack((direction, steps)).T, abs=1e-4)


def test_many_passes_over_little_read_a_copy_by_columns():
    X = unit_rows(np.random.default_rng(0).normal(size=(2_000, 16))).slice(0, 2_000).astype(np.float32)
    passes, _ = passes_of(X)
    for turns, columns in ((10, False), (100, True), (1, True)):
        passes.expect(turns)
        assert np.array_equal(passes.product.__self__, X)
        assert passes.product.__self__.flags.f_contiguous == columns
    for n, d, little in ((10_000, 32, True), (1_000_000, 32, False), (100, 384, True)):
        assert by_columns(UnitRows(np.empty((1, d), dtype=np.float32), np.ones(n))) == little
