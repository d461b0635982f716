"""Sums of positive similarities are exact where only those that may be negative are computed in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ray_subsel import select
from ray_subsel.objectives import SaturatedCoverage
from ray_subsel.objectives.exact_similarities import ExactSimilarities
from ray_subsel.objectives.few_negatives import FewNegatives
from ray_subsel.objectives.represented import represent
from ray_subsel.objectives.similarity_block import ComputedSimilarities


def texts(n: int, d: int, seed: int, shift: float = 0.8) -> Any:
    """Return vectors as those of texts: clusters, and few similarities that are negative."""
    rng = np.random.default_rng(seed)
    clusters = rng.standard_normal((30, d))[rng.integers(30, size=n)]
    return (0.6 * clusters + 0.6 * rng.standard_normal((n, d)) + shift).astype(np.float32)


def few(X: Any) -> FewNegatives:
    to = represent(X, None, None, "cosine")
    error = to.kernel.single_error(to.items.d) or 0.0
    W = ComputedSimilarities.of(to, np.float32, 1 << 30)
    return FewNegatives(W, ExactSimilarities(to, positive=True), error)


def test_gains_are_exact_and_coverage_is_bounded_closely() -> None:
    X = texts(500, 20, 0)
    found = few(X)
    W = found.exact.to.similarities(np.arange(500))
    wanted = np.maximum(np.concatenate([block for _, block in W], axis=1), 0.0)
    assert 0 < np.count_nonzero(wanted == 0.0) < wanted.size / 150
    assert found.together(10) < found.together(100) == 100
    some = np.array([3, 499, 250, 0])
    assert found.expect(some)
    assert found.together(104) == 100
    for item in range(500):
        assert found.expects(item) is (item in some)
        assert (found.most(item) >= wanted[item] - 1e-15).all()
        np.testing.assert_allclose(found.most(item), wanted[item], atol=3.0 * found.error)
    np.testing.assert_allclose([found.gains[item] for item in some.tolist()], wanted[some].sum(axis=1), rtol=1e-14)


def test_no_more_candidates_are_looked_at_than_there_is_room_for() -> None:
    """Of which float64 rows are computed where too many similarities may be negative."""
    X = texts(500, 20, 0)
    found = few(X)
    found.exact = ExactSimilarities(found.exact.to, ahead_bytes=8 * 500 * 10, positive=True)
    assert found.together(400) == 10
    found.exact.expect(np.arange(10))
    assert all(found.exact.expects(item) for item in range(10))


def test_nothing_is_noted_where_many_may_be_negative() -> None:
    found = few(texts(500, 20, 0, shift=0.0))
    assert not found.expect(np.array([1, 2]))
    assert not found.gains
    assert not found.expects(1)


@pytest.mark.parametrize("bytes_kept", [0, 4 * 700 * 700, 1 << 30])
@pytest.mark.parametrize("alpha", [0.1, 0.3])
def test_levels_are_exact_once_they_matter(alpha: float, bytes_kept: int) -> None:
    """Before, picks only bound what is left; both where a few levels are computed and where all are."""
    X, objective = texts(700, 40, 1), SaturatedCoverage(alpha, dense_bytes=bytes_kept)
    dense: Any = objective.dense_gains(X, 1)
    levels, state = dense.levels, objective.init(X)
    assert levels.rough is not None
    for turn, item in enumerate(np.random.default_rng(0).permutation(700)[:350].tolist()):
        assert levels.gain(item) == pytest.approx(objective.gains(state, np.array([item]))[0], abs=1e-10)
        dense.take(item)
        state = objective.add(state, item)
        assert (levels.until <= state.left + 1e-11).all()
        np.testing.assert_allclose(levels.until[levels.known], state.left[levels.known], atol=1e-11)
        if turn == 20:
            assert not levels.known.any()
    assert levels.known.any()


@pytest.mark.parametrize("more", [{}, {"include": [5, 600]}])
@pytest.mark.parametrize("k", [60, 250])
def test_picks_are_those_of_naive_greedy(k: int, more: dict[str, Any]) -> None:
    X = texts(700, 40, 2)
    X[100:150] = X[:50]
    objective = SaturatedCoverage(dense_bytes=4 * 700 * 700)  # in which all of float64 does not fit
    levels: Any = objective.dense_gains(X, k).levels  # type: ignore[union-attr]
    assert levels.rough is not None
    found = select(X, k, objective=objective, **more)
    naive = select(X, k, objective=objective, optimizer="naive", **more)
    np.testing.assert_array_equal(found.indices, naive.indices)
    np.testing.assert_allclose(found.gains, naive.gains, atol=1e-10)


def test_many_negatives_among_the_first_go_on_in_float64() -> None:
    """The bounds of all sums may lie close where those of the first candidates have many negative similarities."""
    X = texts(700, 40, 3)
    dense: Any = SaturatedCoverage().dense_gains(X, 60)
    wanted = [dense.levels.gain(item) for item in range(20)]
    other: Any = SaturatedCoverage().dense_gains(X, 60)
    other.levels.rough.error = 1.0  # any may be negative
    np.testing.assert_allclose([other.levels.gain(item) for item in range(20)], wanted, rtol=1e-13)
    assert dense.levels.rough is not None
    assert other.levels.rough is None


@pytest.mark.parametrize(("shift", "wanted"), [(0.8, True), (0.0, False)])
@pytest.mark.parametrize("d", [40, 120])  # of long vectors sums are not bounded by moments
def test_some_rows_tell_whether_few_similarities_are_negative(d: int, shift: float, wanted: bool) -> None:
    levels: Any = SaturatedCoverage().dense_gains(texts(400, d, 4, shift), 20).levels  # type: ignore[union-attr]
    assert (levels.rough is not None) is wanted
