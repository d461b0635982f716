"""Equal rows are found whatever their dtype, and their ids are handed out in order."""

import numpy as np
import pytest

from ray_subsel.optimizers.speculative.copies import copies_of, representatives
from ray_subsel.optimizers.speculative.distinct_rows import distinct_rows_in_place


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 3, 8, 20])
def test_the_representative_is_the_lowest_equal_row(dtype, d):
    draw = np.random.default_rng(d)
    distinct = draw.standard_normal((20, d)).astype(dtype)
    which = draw.integers(0, 20, 90)
    lowest = {row: int(np.flatnonzero(which == row)[0]) for row in set(which.tolist())}
    assert representatives(distinct[which], None).tolist() == [lowest[row] for row in which.tolist()]


@pytest.mark.parametrize("d", [3, 20])
def test_rows_of_different_utility_are_not_copies(d):
    X = np.ones((4, d))
    assert representatives(X, np.array([1.0, 2.0, 1.0, 2.0])).tolist() == [0, 1, 0, 1]


def test_rows_that_are_equal_in_the_first_columns_alone_are_no_copies():
    X = np.random.default_rng(0).normal(size=(5_000, 20)).astype(np.float32)
    X[1_000:4_000, :8] = X[0, :8]
    X[3_000], X[4_999] = X[2_000], X[10]
    expected = np.arange(5_000)
    expected[3_000], expected[4_999] = 2_000, 10
    assert np.array_equal(representatives(X, None), expected)


def test_ids_are_handed_out_lowest_first_and_as_often_as_counted():
    copies = copies_of(np.array([0, 1, 0, 0, 1]), np.array([1, 2, 0, 2, 1]), 5)
    assert [copies.unit(0, taken) for taken in range(3)] == [0, 3, 3]
    assert [copies.unit(1, taken) for taken in range(3)] == [1, 1, 4]
    assert copies.size.tolist() == [3, 3, 0, 0, 0]
    assert copies.units(np.array([0, 1]), np.array([1, 2])).tolist() == [3, 4]


@pytest.mark.parametrize("n", [1, 2, 3, 50, 20_000])
@pytest.mark.parametrize("kinds", [1, 10, 10_000, None])
def test_copies_are_found_among_few_and_many(n, kinds):
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, 12)).astype(np.float32)
    which = np.arange(n) if kinds is None else rng.integers(0, min(n, kinds), n)
    _, lowest, inverse = np.unique(which, return_index=True, return_inverse=True)
    assert np.array_equal(representatives(X[which], None), lowest[inverse])


def test_copies_of_distinct_rows_are_the_rows():
    counts = np.array([1, 0, 3, 1])
    copies = copies_of(np.arange(4), counts, 4)
    assert copies.size.tolist() == counts.tolist()
    assert [copies.unit(2, taken) for taken in range(3)] == [2, 2, 2]
    assert copies.units(np.array([0, 3]), np.array([0, 0])).tolist() == [0, 3]


def test_distinct_rows_move_to_the_front_of_the_array_that_is_given():
    draw = np.random.default_rng(0)
    distinct = draw.standard_normal((5_000, 2)).astype(np.float32)
    which = np.concatenate((draw.permutation(5_000), draw.integers(0, 5_000, 5_000)))
    ids = draw.permutation(10_000).astype(np.int64)
    X, original = distinct[which], distinct[which]
    found = distinct_rows_in_place(ids, X)
    assert found.rows.n == 5_000
    assert np.shares_memory(found.rows.X, X)
    by_id = original[np.argsort(ids)]
    assert np.array_equal(found.rows.X[found.row_of], by_id)
    for row in (0, 17, 4_999):
        own = [found.copies.unit(row, taken) for taken in range(int(found.copies.size[row]))]
        assert own == sorted(np.flatnonzero(found.row_of == row).tolist())
