"""Pairs that reach a threshold: with and without a sketch, near the threshold, of any kind of floats."""

import numpy as np
import pytest

from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.dedup.pairs import PairFinder, fit_sketch


def vectors(n, d, seed=0, rank=20):
    """Vectors with most of their length in few directions, half of them copies."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, d)) / np.sqrt(d) + 0.3 * rng.normal(size=(n, d))
    X[n // 2 :] = X[: n - n // 2] + 0.15 * rng.normal(size=(n - n // 2, d))
    return X


def pairs_of(rows, threshold, kept, block):
    finder = PairFinder(rows, threshold)
    finder.keep(np.arange(kept))
    i, j = finder.with_kept(np.arange(kept, kept + block))
    return finder, list(zip(i.tolist(), j.tolist(), strict=True))


@pytest.mark.parametrize("kind", ["float32", "float64", "float16"])
@pytest.mark.parametrize("threshold", [0.3, 0.9])  # with 0.3 rows have many kept ones that they might reach
def test_a_sketch_finds_the_pairs_that_products_find(kind, threshold, monkeypatch):
    X = vectors(6000, 96).astype(kind)
    rows = unit_rows(X)
    finder, found = pairs_of(rows, threshold, 3000, 300)
    U = rows.slice(0, 6000)
    exact = U[3000:3300] @ U[:3000].T >= threshold - 1e-12
    assert found == [tuple(pair) for pair in np.argwhere(exact).tolist()]
    if threshold == 0.9:
        assert finder.sketch is not None
    monkeypatch.setattr("ray_subsel.dedup.pairs.SKETCHED", 10**9)
    plain, again = pairs_of(rows, threshold, 3000, 300)
    assert plain.sketch is None
    assert again == found


def test_pairs_with_the_first_kept_rows_alone():
    rows = unit_rows(vectors(6000, 96))
    finder = PairFinder(rows, 0.5)
    finder.keep(np.arange(100, 5000))
    block = np.arange(5000, 5300)
    i, j = finder.with_kept(block)
    for first in (0, 7, 2000, 4900):
        some = finder.with_kept(block, first)
        assert np.array_equal(some[0], i[j < first])
        assert np.array_equal(some[1], j[j < first])
    assert i.size > 1000


def test_rows_that_many_might_reach_are_compared_as_a_whole():
    X = vectors(6000, 96)
    X[5500:] = X[:1] + 0.01 * X[5500:]
    rows = unit_rows(X)
    U = rows.slice(0, 6000)
    finder = PairFinder(rows, 0.9)
    assert finder.sketch is not None
    finder.keep(np.arange(1000, 6000))
    i, j = finder.with_kept(np.arange(200))
    exact = np.argwhere(U[:200] @ U[1000:].T >= 0.9 - 1e-12)
    assert np.bincount(exact[:, 0]).max() > 400
    assert np.array_equal(np.stack([i, j], axis=1), exact)


def test_no_sketch_where_it_would_dismiss_nothing():
    rng = np.random.default_rng(0)
    assert fit_sketch(unit_rows(rng.normal(size=(5000, 128))), 0.05) is None
    assert fit_sketch(unit_rows(rng.normal(size=(5000, 16))), 0.9) is None
