"""Similarities of vectors with few non-zeros are those of a dense block, and are computed where they are few."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ray_subsel.objectives.represented import DENSE_BYTES, represent
from ray_subsel.objectives.similarities import KeptSimilarities
from ray_subsel.objectives.sparse_similarities import SparseSimilarities, cheap_similarities


def few_features(n: int, d: int, seed: int, each: int = 2, dtype: Any = np.float32) -> Any:
    """Return rows of so many features of d each, of both signs; some rows are equal, or nearly."""
    rng = np.random.default_rng(seed)
    X = np.zeros((n, d))
    X[np.arange(n)[:, None], rng.integers(d, size=(n, each))] = rng.choice([-1.0, 0.5, 1.0, 2.0], (n, each))
    X[rng.integers(n, size=n // 4)] = X[rng.integers(n, size=n // 4)]
    X[np.arange(n), rng.integers(d, size=n)] += rng.choice([0.0, 0.0, 1e-9], n)
    X[np.abs(X).sum(axis=1) == 0.0, 0] = 1.0
    return X.astype(dtype)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_they_are_the_positive_similarities(dtype: Any, own: bool) -> None:
    X = np.asfortranarray(few_features(120, 500, 0, dtype=dtype))
    to = represent(X, None if own else few_features(70, 500, 1, dtype=dtype), None, "cosine")
    W = cheap_similarities(to, DENSE_BYTES)
    assert isinstance(W, SparseSimilarities)
    wanted = np.maximum(np.stack([to.row(item) for item in range(120)]), 0.0)  # (n, m)
    np.testing.assert_allclose(W.columns(np.arange(120)), wanted, atol=1e-14)
    out = np.empty((32, 120))
    for items in (None, np.array([3, 9, 40])):
        rows = np.concatenate([part.copy() for _, part in W.rows(items, out)])
        np.testing.assert_allclose(rows, wanted.T if items is None else wanted.T[items], atol=1e-14)
    some = np.array([7, 0, 7, 119])
    which, items, similarities = W.entries(some)
    again = np.zeros((4, to.m))
    again[which, items] = similarities
    np.testing.assert_allclose(again, wanted[some], atol=1e-14)
    assert (similarities > 0.0).all()
    np.testing.assert_allclose(W.above(to.weights).sums(np.zeros(to.m)), wanted.sum(axis=1), atol=1e-12)


@pytest.mark.parametrize(
    ("X", "kernel", "room"),
    [
        (np.eye(100), "cosine", 4 * 100 * 100 - 1),
        (np.eye(100), "shifted_cosine", DENSE_BYTES),
        (np.eye(100), "rbf", DENSE_BYTES),
        (np.random.default_rng(0).standard_normal((100, 30)), "cosine", DENSE_BYTES),
        (np.eye(10)[np.random.default_rng(0).integers(10, size=100)], "cosine", DENSE_BYTES),
        (np.where(np.arange(100)[:, None] % 3 == 1, 1.0, np.eye(100)), "cosine", DENSE_BYTES),
    ],
    ids=["no room", "shifted", "rbf", "dense", "10 features", "a third of the rows is dense"],
)
def test_a_block_is_made_where_they_are_many_or_not_to_be_had(X: Any, kernel: str, room: int) -> None:
    assert cheap_similarities(represent(X, None, None, kernel), room) is None


def test_rows_that_are_looked_at_first_do_not_hide_dense_ones() -> None:
    X = np.ones((1000, 200), dtype=np.float32)
    X[np.linspace(0, 999, 64).astype(int)] = np.eye(200, dtype=np.float32)[:64]
    assert cheap_similarities(represent(X, None, None, "cosine"), DENSE_BYTES) is None
    assert cheap_similarities(represent(np.eye(100), None, None, "cosine"), 4 * 100 * 100) is not None


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_wide_rows_of_more_features_have_all_their_similarities_computed_by_feature(dtype: Any, own: bool) -> None:
    n, m = 300, 300 if own else 70  # more than are computed together
    X = few_features(n, 1500, 0, each=30, dtype=dtype)
    to = represent(X, None if own else few_features(m, 1500, 1, each=30, dtype=dtype), None, "cosine")
    W = cheap_similarities(to, 8 * n * m)
    assert isinstance(W, KeptSimilarities)
    wanted = np.stack([to.row(item) for item in range(n)])
    assert W.dtype == np.float64
    np.testing.assert_allclose(W.columns(np.arange(n)), wanted, atol=1e-14)
    counts = np.arange(n) % 3
    np.testing.assert_allclose(W.positive_sums(), np.maximum(wanted, 0.0).sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(W.positive_sums(counts), counts @ np.maximum(wanted, 0.0), atol=1e-12)
    assert cheap_similarities(to, 8 * n * m - 1) is None


def test_products_cost_less_where_vectors_are_short_or_share_most_features() -> None:
    for X in (few_features(300, 500, 0, each=30), few_features(300, 1500, 0, each=200)):
        assert cheap_similarities(represent(X, None, None, "cosine"), DENSE_BYTES) is None
