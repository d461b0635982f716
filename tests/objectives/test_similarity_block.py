"""Similarities that are kept, computed, exact or above levels are those of the kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.objectives.exact_similarities import ExactSimilarities
from ray_subsel.objectives.represented import represent
from ray_subsel.objectives.similarities import KeptSimilarities, SimilaritiesAbove
from ray_subsel.objectives.similarity_block import ComputedSimilarities, similarity_block, unit_vectors


def cloud(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def rows_of(exact: ExactSimilarities, items: Any) -> Any:
    rows = np.full((items.size, exact.to.candidates.n), np.nan)
    for part, columns, found in exact.item_rows(items):
        rows[part, columns] = found
    return rows


@pytest.mark.parametrize("kernel", ["cosine", "shifted_cosine", "rbf"])
@pytest.mark.parametrize("d", [6, 600])
@pytest.mark.parametrize("own", [True, False])
def test_blocks_rows_and_columns_are_those_of_the_kernel(kernel: str, d: int, own: bool) -> None:
    n = 700  # more than a tile
    to = represent(cloud(n, d, 0), None if own else cloud(90, d, 1), None, kernel)
    expected = to.kernel.of(to.items.slice(0, to.m), to.candidates.slice(0, n))
    block = similarity_block(to, np.float64)

    def backwards(function, parts):  # type: ignore[no-untyped-def]
        return [function(start, stop) for start, stop in reversed([*parts])][::-1]

    np.testing.assert_allclose(block, expected, atol=1e-12)
    np.testing.assert_array_equal(similarity_block(to, np.float64, backwards), block)
    exact = ExactSimilarities(to)
    exact.expect(np.array([3, 5]))
    some = np.array([0, 4, 9])
    for item in (3, 699):
        np.testing.assert_allclose(exact.row(item), expected[:, item], atol=1e-12)
        np.testing.assert_allclose(exact.some(7, some), expected[some, 7], atol=1e-12)
    np.testing.assert_allclose(rows_of(exact, some), np.maximum(expected[some], 0.0), atol=1e-12)
    if kernel == "rbf":
        return
    positive = ExactSimilarities(to, positive=True).row(5)
    np.testing.assert_allclose(positive, np.maximum(expected[:, 5], 0.0), atol=1e-12)
    pairs = np.random.default_rng(0).integers(0, (n, to.m), (300, 2)).T
    np.testing.assert_allclose(exact.pairs(pairs[0], pairs[1]), expected[pairs[1], pairs[0]], atol=1e-13)
    np.testing.assert_array_equal(KeptSimilarities(block, own).pairs(pairs[0], pairs[1]), block[pairs[1], pairs[0]])
    single = np.abs(expected - similarity_block(to, np.float32)).max()
    assert single <= (to.kernel.single_error(d) or 0)
    for W in (ComputedSimilarities.of(to, np.float32, 0), KeptSimilarities(block.astype(np.float32), own)):
        items, out = np.array([1, 2, 50]), np.empty((2, n), dtype=np.float32)
        found = np.concatenate([rows.copy() for _, rows in W.rows(items, out)])
        np.testing.assert_allclose(found, expected[items], atol=1e-4)
        np.testing.assert_allclose(W.columns(items), expected[:, items].T, atol=1e-4)
    sums = ComputedSimilarities.of(to, np.float32, 0).positive_sums()
    np.testing.assert_allclose(sums, np.maximum(expected, 0).sum(axis=1), rtol=1e-5, atol=1e-3)


def fallen(above: SimilaritiesAbove, items: Any, low: Any, high: Any) -> Any:
    candidates, parts = above.between(items, low, high)
    assert (parts > 0).all()
    return np.bincount(candidates, weights=parts, minlength=above.n)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 30), st.integers(0, 999), st.booleans())
def test_sums_above_and_between_levels_are_those_of_the_whole_matrix(n: int, seed: int, thin: bool) -> None:
    rng = np.random.default_rng(seed)
    W, weights = rng.random((n + 3, n)).astype(np.float32), rng.random(n + 3)
    levels = rng.random(n + 3).astype(np.float32)
    above = SimilaritiesAbove.of(KeptSimilarities(W, False), levels, weights, 1.0)
    assert above is not None
    assert SimilaritiesAbove.of(KeptSimilarities(W, False), np.zeros_like(levels), weights, 0.5) is None
    for _ in range(4):
        expected = weights @ np.maximum(W - levels[:, None].astype(np.float64), 0)
        np.testing.assert_allclose(above.sums(levels), expected, atol=1e-12)
        items = np.flatnonzero(rng.random(n + 3) < 0.5)
        low, high = levels[items], np.minimum(levels[items] + np.float32(0.2), np.float32(1))
        inside = np.clip(W[items], low[:, None], high[:, None]) - low[:, None].astype(np.float64)
        np.testing.assert_allclose(fallen(above, items, low, high), weights[items] @ inside, atol=1e-12)
        levels[items] = high
        if thin:
            above.drop(levels)


def test_what_levels_have_passed_is_forgotten() -> None:
    rng = np.random.default_rng(0)
    W = rng.random((40, 50)).astype(np.float32)
    levels = np.full(40, 0.5, dtype=np.float32)
    above = SimilaritiesAbove.of(KeptSimilarities(W, False), levels, np.ones(40), 1.0)
    assert above is not None
    before = above.values.size
    above.between(np.arange(40), levels, levels + np.float32(0.4))
    above.drop(levels + np.float32(0.4))
    assert above.values.size == np.count_nonzero(W > np.float32(0.9)) < before / 2


def test_what_was_computed_ahead_stays_until_the_memory_is_full() -> None:
    to = represent(cloud(50, 6, 0), None, None, "cosine")
    expected = to.kernel.of(to.items.slice(0, 50), to.candidates.slice(0, 50))
    exact = ExactSimilarities(to, ahead_bytes=8 * 50 * 5)  # rows of five candidates
    for items in ([0, 1], [1, 2, 3], [4], [5, 6, 7], [0, 7]):
        exact.expect(np.array(items))
        assert all(exact.expects(item) for item in items)
        for item in range(50):
            np.testing.assert_allclose(exact.row(item), expected[item], atol=1e-12)
    assert [item for item in range(50) if exact.expects(item)] == [0, 4, 5, 6, 7]


@pytest.mark.parametrize("positive", [True, False])
def test_parts_are_not_kept(positive: bool) -> None:
    to = represent(cloud(600, 6, 0), None, None, "cosine")
    exact, some = ExactSimilarities(to, positive=positive), np.array([5, 599, 0])
    wanted = to.kernel.of(to.candidates.take(some), to.items.slice(0, 600))
    for part, block in exact.parts(some):
        np.testing.assert_allclose(block, np.maximum(wanted[:, part], 0.0 if positive else -1.0), atol=1e-14)
    assert not exact.expects(5)


@pytest.mark.parametrize("kernel", ["cosine", "shifted_cosine"])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_error_holds_where_vectors_are_nearly_of_norm_1(kernel: str, sign: float) -> None:
    """Equal vectors of few numbers: what is off is the norms alone."""
    X = np.repeat(cloud(40, 3, 0), 2, axis=0).astype(np.float64)
    X /= np.linalg.norm(X, axis=1, keepdims=True) * (1.0 + sign * 1.6 * 2.0**-23)
    to = represent(X.astype(np.float32), None, None, kernel)
    assert unit_vectors(to.items, np.float32) is to.items.X
    off = np.abs(similarity_block(to, np.float32) - similarity_block(to, np.float64)).max()
    assert 4 * 2.0**-24 * (1.0 if kernel == "cosine" else 0.5) < off <= to.kernel.single_error(3)


@pytest.mark.parametrize(("norm", "dtype", "same"), [(1, "f4", True), (2, "f4", False), (1, "f8", False)])
def test_rows_of_norm_1_are_not_copied(norm: float, dtype: str, same: bool) -> None:
    X = cloud(90, 6, 0).astype(np.float64)
    X = (X / np.linalg.norm(X, axis=1, keepdims=True) * norm).astype(dtype)
    found, wanted = unit_vectors(unit_rows(X), np.float32), X.astype(np.float64) / norm
    assert found.dtype == np.float32
    assert np.shares_memory(found, X) is same
    np.testing.assert_allclose(found, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=2.0**-22)


def test_rows_that_are_held_are_not_computed_again_until_all_are_kept() -> None:
    X = cloud(400, 6, 0)
    to = represent(X, None, None, "cosine")
    W, out = ComputedSimilarities.of(to, np.float32, 4 * 400 * 400), np.empty((3, 400), dtype=np.float32)
    small = ComputedSimilarities.of(to, np.float32, 4 * 400 * 400 - 1)  # there is room for none
    marks = np.arange(400, dtype=np.float32)[:, None] + np.zeros(400, dtype=np.float32)
    wanted = to.kernel.of(to.items.slice(0, 400), to.items.slice(0, 400))

    def rows(of: ComputedSimilarities, items: Any) -> Any:
        return np.concatenate([found.copy() for _, found in of.rows(items, out)])

    for start in range(0, 200, 40):
        some = np.arange(start, start + 40)[::-1]
        for columns in (slice(0, 150), slice(150, 400)):
            W.hold(some, columns, marks[some, columns])
            small.hold(some, columns, marks[some, columns])
        assert not W.kept
        assert W.looks(4) < small.looks(4)
        held = np.arange(start + 40)
        np.testing.assert_array_equal(rows(W, held), marks[held])
    np.testing.assert_allclose(rows(W, np.array([3, 300])), wanted[[3, 300]], atol=1e-6)
    np.testing.assert_allclose(rows(small, np.array([3, 30])), wanted[[3, 30]], atol=1e-6)
    W.hold(np.array([200]), slice(None), marks[[200]])  # more than half: all are kept
    assert W.kept
    np.testing.assert_allclose(rows(W, np.arange(400)), wanted, atol=1e-6)


@pytest.mark.parametrize("kernel", ["cosine", "shifted_cosine"])
@pytest.mark.parametrize(("own", "room", "kept"), [(True, 60, True), (True, 59, False), (False, 60, False)])
def test_sums_and_rows_of_items_that_represent_themselves_are_computed_once(
    kernel: str, own: bool, room: int, kept: bool
) -> None:
    to = represent(cloud(60, 20, 2), None if own else cloud(60, 20, 3), None, kernel)
    exact = ExactSimilarities(to, ahead_bytes=8 * 60 * room)
    W = to.kernel.of(to.items.slice(0, 60), to.candidates.slice(0, 60))
    some = np.array([50, 2, *range(3, 40)])
    np.testing.assert_allclose(rows_of(exact, some), np.maximum(W[some], 0.0), atol=1e-12)
    assert all(exact.expects(item) is kept for item in some.tolist())
    assert not exact.expects(1)
    exact.expect(np.array([0, 2, 59]))
    for item in (0, 2, 59):
        np.testing.assert_allclose(exact.row(item), W[:, item], atol=1e-14)
        np.testing.assert_allclose(exact.some(item, np.array([5, 1])), W[[5, 1], item], atol=1e-14)
    np.testing.assert_allclose(rows_of(exact, some), np.maximum(W[some], 0.0), atol=1e-12)
