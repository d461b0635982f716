"""While gains are constant they are exact, and what picks cover is bounded, however both are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.objectives import SaturatedCoverage
from ray_subsel.objectives.early_gains import EarlyGains
from ray_subsel.objectives.exact_similarities import ExactSimilarities
from ray_subsel.objectives.represented import represent
from ray_subsel.objectives.similarity_block import ComputedSimilarities


def texts(n: int, d: int, seed: int, shift: float = 0.8) -> Any:
    """Return vectors as those of texts: clusters, and few similarities that are negative."""
    rng = np.random.default_rng(seed)
    clusters = rng.standard_normal((30, d))[rng.integers(30, size=n)]
    return (0.6 * clusters + 0.6 * rng.standard_normal((n, d)) + shift).astype(np.float32)


def early(X: Any, few_negative: bool = True) -> EarlyGains:
    to = represent(X, None, None, "cosine")
    error = to.kernel.single_error(to.items.d) or 0.0
    W = ComputedSimilarities.of(to, np.float32, 1 << 30)
    return EarlyGains(W, ExactSimilarities(to, positive=True), error, few_negative)


def similarities(found: EarlyGains) -> Any:
    """Return the positive similarities of all, shape (n, m)."""
    to = found.exact.to
    blocks = to.similarities(np.arange(to.candidates.n))
    return np.maximum(np.concatenate([block for _, block in blocks], axis=1), 0.0)


@pytest.mark.parametrize(("shift", "few_negative"), [(0.8, True), (0.8, False), (0.0, True), (0.0, False)])
def test_gains_are_exact_whichever_way_they_are_found(shift: float, few_negative: bool) -> None:
    found = early(texts(500, 20, 0, shift), few_negative)
    W = similarities(found)
    some = np.array([3, 499, 250, 0])
    found.expect(some)
    found.expect(np.array([3, 7]))
    assert sorted(found.gains) == [0, 3, 7, 250, 499]
    assert found.few_negative is (few_negative and shift > 0)
    for item, gain in found.gains.items():
        assert gain == pytest.approx(W[item].sum(), rel=1e-14)


def test_a_represented_sample_and_weights_count() -> None:
    rng = np.random.default_rng(0)
    to = represent(texts(60, 8, 0, 0.0), texts(35, 8, 1, 0.0), rng.random(35), "cosine")
    W = ComputedSimilarities.of(to, np.float32, 1 << 30)
    found = EarlyGains(W, ExactSimilarities(to, positive=True), 1e-6, False)
    found.expect(np.array([5, 59]))
    wanted = np.maximum(np.concatenate([block for _, block in to.similarities(np.array([5, 59]))], axis=1), 0.0)
    np.testing.assert_allclose([found.gains[5], found.gains[59]], wanted @ to.weights, rtol=1e-14)


@pytest.mark.parametrize("few_negative", [True, False])
@pytest.mark.parametrize("kept_rows", [True, False])
def test_what_picks_cover_is_bounded_and_closely_once_that_is_asked_for(
    few_negative: bool, kept_rows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kept_rows:
        monkeypatch.setattr("ray_subsel.objectives.early_gains.ROWS_BYTES", 0)
    found = early(texts(300, 20, 0, 0.8 if few_negative else 0.0), few_negative)
    W = similarities(found)
    found.expect(np.arange(100))
    loosely = found.covered.copy()
    np.testing.assert_allclose(loosely, W[:100].sum(axis=0), rtol=1e-4, atol=100 * found.error)
    found.take([5, 9])
    assert (found.covered == loosely).all()
    found.take([200])  # that was not looked at
    np.testing.assert_allclose(found.covered, loosely + W[200], atol=3 * found.error)
    found.take([9, 5, 9])  # copies
    np.testing.assert_allclose(found.covered, loosely + W[[200, 9, 5, 9]].sum(axis=0), atol=9 * found.error)
    assert found.constant([8, 7], found.covered) == 2
    assert found.constant([9, 8], W[[5, 9, 200, 9, 5, 9]].sum(axis=0) + W[9] / 2) == 1, "closely"
    found = early(found.exact.to.items.X, few_negative)
    found.expect(np.arange(100))
    found.take([5, 9])
    found.take([200])
    found.tighten()
    assert found.picks == [5, 9, 200]
    closely = W[[5, 9, 200]].sum(axis=0)
    assert (found.covered >= closely - 1e-12).all()
    np.testing.assert_allclose(found.covered, closely, atol=6 * found.error)
    found.take([7])
    found.expect(np.arange(150))
    np.testing.assert_allclose(found.covered, closely + W[7], atol=8 * found.error)
    for more in ([], [8, 250]):
        found.take(more)
        found.settle()
        np.testing.assert_allclose(found.covered, W[found.picks].sum(axis=0), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(1, 90), st.floats(0.0, 1.0), st.booleans(), st.booleans())
def test_gains_are_constant_up_to_the_first_pick_that_fills_the_room(
    seed: int, picks: int, share: float, known: bool, few_negative: bool
) -> None:
    rng = np.random.default_rng(seed)
    found = early(texts(120, 10, seed, 2.0 if few_negative else 0.0), few_negative)
    W = similarities(found)
    found.expect(np.arange(120 if known else picks))
    order = rng.permutation(picks).tolist()
    before, after = order[:3], order[3:]
    found.take(before)
    room = W[before].sum(axis=0) + share * rng.random(120) * W[after].sum(axis=0) + 1e-3
    covered = W[before].sum(axis=0) + np.cumsum(W[after], axis=0) if after else np.zeros((0, 120))
    slack = 120 * 3 * found.error
    soonest, latest = (
        int(full.argmax()) + 1 if full.any() else len(after)
        for full in ((covered > room + more).any(axis=1) for more in (-slack, slack))
    )
    constant = found.constant(after, room)
    assert soonest <= constant <= latest
    found.take(after[:constant])
    assert found.picks == before + after[:constant]
    assert (found.covered >= W[found.picks].sum(axis=0) - 1e-12).all()


def test_as_many_are_looked_at_as_will_be_picked_and_few_more_at_a_time() -> None:
    found = early(texts(900, 20, 0))
    assert found.together(1) == 32
    assert found.together(100) == 100
    assert found.together(10_000) == 256
    found.expect(np.arange(100))
    assert found.together(150) == 50
    assert found.together(100) == 16
    found.expect(np.arange(100, 116))
    assert found.together(100) == 32


def test_no_more_rows_are_looked_at_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray_subsel.objectives.early_gains.ROWS_BYTES", 4 * 500 * 10)
    assert early(texts(500, 20, 0)).together(400) == 10
    assert early(texts(500, 20, 0), False).together(400) == 256, "of which none is kept"


@pytest.mark.parametrize("bytes_kept", [0, 4 * 700 * 700, 1 << 30])
@pytest.mark.parametrize("alpha", [0.1, 0.3])
def test_levels_are_exact_once_they_matter(alpha: float, bytes_kept: int) -> None:
    """Before, picks only bound what is left; both where a few levels are computed and where all are."""
    X, objective = texts(700, 40, 1), SaturatedCoverage(alpha, dense_bytes=bytes_kept)
    dense: Any = objective.dense_gains(X, 1)
    levels, state = dense.levels, objective.init(X)
    assert levels.early.few_negative
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
    assert levels.early.few_negative
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
    other.levels.early.error = 1.0  # any may be negative
    np.testing.assert_allclose([other.levels.gain(item) for item in range(20)], wanted, rtol=1e-13)
    assert dense.levels.early.few_negative
    assert not other.levels.early.few_negative


@pytest.mark.parametrize(("shift", "wanted"), [(0.8, True), (0.0, False)])
@pytest.mark.parametrize("d", [40, 120])  # of long vectors sums are not bounded by moments
def test_some_rows_tell_whether_few_similarities_are_negative(d: int, shift: float, wanted: bool) -> None:
    levels: Any = SaturatedCoverage().dense_gains(texts(400, d, 4, shift), 20).levels  # type: ignore[union-attr]
    assert levels.early.few_negative is wanted
