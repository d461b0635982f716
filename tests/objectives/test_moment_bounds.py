"""Bounds from second moments hold, and are given only where they are close."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.objectives.moment_bounds import positive_sums
from ray_subsel.objectives.represented import represent
from ray_subsel.objectives.similarity_block import unit_vectors


def with_mean(n: int, d: int, mean: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, d)) + mean * rng.standard_normal(d)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 1500), st.integers(1, 12), st.floats(0.0, 4.0), st.sampled_from(("cosine", "shifted_cosine")),
    st.integers(0, 99),
)  # fmt: skip
def test_sums_of_positive_similarities_are_enclosed(n: int, d: int, mean: float, kernel: str, seed: int) -> None:
    to = represent(with_mean(n, d, mean, seed), None, None, kernel)
    found = positive_sums(to, unit_vectors(to.items, np.float32))
    if found is None:
        return
    rows = unit_vectors(to.items, np.float64)
    sums = np.maximum(to.kernel.of(rows, rows), 0.0).sum(axis=0)
    assert (found[0] <= sums).all()
    assert (found[1] >= sums).all()


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_sums_are_enclosed_where_vectors_are_nearly_of_norm_1_and_not_copied(sign: float) -> None:
    X = with_mean(1200, 8, 8.0, 0).astype(np.float64)
    norms = np.linalg.norm(X, axis=1, keepdims=True) * (1.0 + sign * 1.6 * 2.0**-23)
    to = represent((X / norms).astype(np.float32), None, None, "cosine")
    vectors = unit_vectors(to.items, np.float32)
    assert vectors is to.items.X
    found = positive_sums(to, vectors)
    assert found is not None
    rows = unit_vectors(to.items, np.float64)
    sums = np.maximum(to.kernel.of(rows, rows), 0.0).sum(axis=0)
    assert (found[0] <= sums).all()
    assert (found[1] >= sums).all()


@pytest.mark.parametrize(("mean", "close"), [(3.0, True), (0.0, False)])
def test_they_are_close_where_nearly_all_similarities_are_positive_else_none(mean: float, close: bool) -> None:
    to = represent(with_mean(900, 16, mean, 0), None, None, "cosine")
    found = positive_sums(to, unit_vectors(to.items, np.float32))
    assert (found is not None) == close
    assert found is None or (found[1] <= 1.05 * found[0]).all()


def test_saturated_coverage_that_begins_with_them_picks_what_naive_greedy_does() -> None:
    X = with_mean(400, 16, 2.0, 1)
    to = represent(X, None, None, "cosine")
    assert positive_sums(to, unit_vectors(to.items, np.float32)) is not None
    found = select(X, 150, objective="saturated_coverage")
    naive = select(X, 150, objective="saturated_coverage", optimizer="naive")
    np.testing.assert_array_equal(found.indices, naive.indices)
    assert found.stats["evaluations"] < naive.stats["evaluations"] / 20
