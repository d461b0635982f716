"""Gains that are kept up bound the gains from above, and closely, for every kernel and kind of data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.objectives import FacilityLocation, SaturatedCoverage
from ray_subsel.objectives.base import Objective, ProblemSize
from ray_subsel.objectives.represented import FEW_DIMENSIONS

D = FEW_DIMENSIONS + 2  # so many that similarities are kept in float32
KINDS = ("gaussian", "copies", "one-hot", "two-dimensional", "half")
OBJECTIVES: tuple[Objective[Any], ...] = (
    FacilityLocation(),
    FacilityLocation(kernel="shifted_cosine"),
    FacilityLocation(kernel="rbf"),
    SaturatedCoverage(),
    SaturatedCoverage(alpha=0.05, kernel="rbf"),
)


def vectors(kind: str, n: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    if kind == "copies":
        return rng.standard_normal((5, D))[rng.integers(5, size=n)].astype(np.float32)
    if kind == "one-hot":
        return np.eye(D, dtype=np.float32)[rng.integers(4, size=n)]
    if kind == "two-dimensional":
        return rng.standard_normal((n, 2))
    return rng.standard_normal((n, D)).astype(np.float16 if kind == "half" else np.float32)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(range(len(OBJECTIVES))),
    st.integers(2, 40),
    st.integers(0, 99),
    st.booleans(),
)
def test_they_bound_the_gains_from_above_and_closely(
    kind: str, number: int, n: int, seed: int, represented: bool
) -> None:
    X, rng = vectors(kind, n, seed), np.random.default_rng(seed)
    objective: Any = OBJECTIVES[number]
    if represented:
        objective = objective.representing(vectors(kind, 9, seed + 1).astype(np.float32), None)
        if isinstance(objective, SaturatedCoverage):
            objective = objective.representing(
                objective.represented, objective.reference_statistics(objective.represented, X)
            )
    dense, state = objective.dense_gains(X), objective.init(X)
    assert dense is not None
    for item in rng.integers(n, size=min(n, 12)).tolist():
        gains = objective.gains(state)
        assert (dense.bounds() >= gains - 1e-10).all()
        np.testing.assert_allclose(dense.bounds(), gains, atol=1e-4 * n)
        dense.take(item)
        state = objective.add(state, item)
        after = objective.gains(state)
        assert (dense.bounds() >= after - 1e-10).all()  # those of before still hold
        for other in rng.integers(n, size=4).tolist():
            assert after[other] - 1e-10 <= dense.bounds_now(np.array([other]))[0] <= after[other] + 1e-4 * n
            assert dense.levels.gain(other) == pytest.approx(after[other], abs=1e-10)
        if dense.levels.moved == 0:
            np.testing.assert_allclose(after, gains, rtol=1e-12, atol=1e-12)
        changed = dense.settle()
        assert dense.unsettled == dense.levels.moved == 0
        assert changed is None or (np.abs(np.delete(after - gains, changed)) <= 1e-12).all()


def test_sums_are_made_again_where_large_gains_have_left_more_rounding_than_small_ones_weigh() -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((40, 16))
    X = (centres[rng.integers(40, size=600)] + 0.05 * rng.standard_normal((600, 16))).astype(np.float32)
    objective = FacilityLocation()
    dense, state = objective.dense_gains(X), objective.init(X)
    assert dense is not None
    for _ in range(60):
        item = int(np.argmax(objective.gains(state)))
        dense.take(item)
        dense.settle()
        state = objective.add(state, item)
    assert np.max(dense.bounds() - objective.gains(state)) < 0.02  # 600 items of some 0.001 each could be more


@pytest.mark.parametrize("objective", [FacilityLocation(), SaturatedCoverage(), SaturatedCoverage(dense_bytes=0)])
def test_levels_that_move_by_less_than_float32_shows_are_not_taken_for_still(objective: Any) -> None:
    """Copies but for the last bits of float64: picks change gains by 1e-9, by which they are told apart."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((6, D))[rng.integers(6, size=60)] + 1e-9 * rng.standard_normal((60, D))
    naive, found = (select(X, 40, objective=objective, optimizer=name) for name in ("naive", "greedy"))
    np.testing.assert_array_equal(found.indices, naive.indices)
    np.testing.assert_allclose(found.gains, naive.gains, rtol=1e-11, atol=1e-11)


def test_what_does_not_fit_is_not_kept() -> None:
    X = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    assert FacilityLocation(dense_bytes=30 * 30 * 4).dense_gains(X) is not None
    assert FacilityLocation(dense_bytes=30 * 30 * 4 - 1).dense_gains(X) is None
    assert SaturatedCoverage(kernel="rbf", dense_bytes=30 * 30 * 8).dense_gains(X) is not None
    assert SaturatedCoverage(kernel="rbf", dense_bytes=30 * 30 * 8 - 1).dense_gains(X) is None


@pytest.mark.parametrize("objective", [FacilityLocation, SaturatedCoverage])
def test_similarities_of_short_vectors_are_kept_in_float64_where_they_fit(objective: Any) -> None:
    sizes = {(FEW_DIMENSIONS, 8): 8, (FEW_DIMENSIONS, 4): 4, (FEW_DIMENSIONS + 1, 8): 4}
    for (d, room), taken in sizes.items():
        X = np.random.default_rng(0).standard_normal((30, d)).astype(np.float32)
        f = objective(dense_bytes=room * 30 * 30)
        dense = f.dense_gains(X)
        assert dense.W.dtype.itemsize == taken
        none = objective(dense_bytes=0).memory_bytes(ProblemSize(30, 5, d, represented=30))
        assert f.block_bytes(ProblemSize(30, 5, d, represented=30)) == taken * 30 * 30
        assert f.memory_bytes(ProblemSize(30, 5, d, represented=30)) != none


@pytest.mark.parametrize("bytes_kept", [0, 1 << 30])
def test_saturated_coverage_of_any_size_has_gains_that_are_kept_up(bytes_kept: int) -> None:
    """W is computed where it is asked for, and kept once that was much, if it fits: the same bounds."""
    X = vectors("gaussian", 300, 0)
    objective, kept = SaturatedCoverage(dense_bytes=bytes_kept), []
    dense, state = objective.dense_gains(X), objective.init(X)
    assert dense is not None
    for item in range(0, 300, 5):
        dense.take(item)
        dense.settle()
        state = objective.add(state, item)
        gains = objective.gains(state)
        assert (dense.bounds() >= gains - 1e-10).all()
        np.testing.assert_allclose(dense.bounds(), gains, atol=0.02)
        np.testing.assert_allclose(dense.bounds_now(np.arange(7)), gains[:7], atol=0.02)
        kept.append(dense.together == 1)
    assert kept[0] is False
    assert kept[-1] is bool(bytes_kept)


def test_what_saturates_is_computed_in_float64_once_it_matters_and_not_before() -> None:
    X = vectors("gaussian", 200, 5)
    levels: Any = SaturatedCoverage(alpha=0.9).dense_gains(X).levels  # type: ignore[union-attr]
    assert not levels.known.any()
    for item in range(199):
        levels.take(item)
    assert levels.known.any()
    exact = SaturatedCoverage(alpha=0.9).init(X)
    for item in range(199):
        exact = SaturatedCoverage(alpha=0.9).add(exact, item)
    np.testing.assert_allclose(levels.until[levels.known], exact.left[levels.known], atol=1e-11)
    assert (levels.until <= exact.left + 1e-11).all()


@pytest.mark.parametrize("bytes_kept", [0, 1 << 30])
def test_nothing_is_computed_any_more_once_all_is_saturated(bytes_kept: int) -> None:
    X, others = vectors("gaussian", 200, 6), vectors("gaussian", 90, 7)
    objective = SaturatedCoverage(0.1, dense_bytes=bytes_kept)
    dense: Any = objective.representing(others, objective.reference_statistics(others, X)).dense_gains(X)
    for item in range(200):
        dense.take(item)
    assert not dense.levels.until.any()
    rest = [item for item in range(200) if not dense.levels.exact.expects(item)]
    assert all(dense.levels.wants(item) == 0 for item in range(200))
    assert all(dense.levels.gain(item) == 0.0 for item in rest)
    assert rest == [item for item in range(200) if not dense.levels.exact.expects(item)]


def test_what_is_above_the_levels_of_facility_location_is_taken_out_once_it_is_little() -> None:
    X = vectors("gaussian", 400, 2)
    objective = FacilityLocation()
    dense, state = objective.dense_gains(X), objective.init(X)
    assert dense is not None
    free = []
    for item in np.random.default_rng(0).permutation(400)[:300].tolist():
        dense.take(item)
        state = objective.add(state, item)
        free.append(dense.levels.moved > 0 and dense.unsettled == 0)
        dense.settle()
        gains = objective.gains(state)
        assert (dense.bounds() >= gains - 1e-10).all()
        assert (dense.bounds() <= gains + 2e-3).all()
    assert not free[0]
    assert sum(free) > 100


def clusters(n: int, d: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((12, d))[rng.integers(12, size=n)] + rng.standard_normal((n, d))).astype(np.float32)


@pytest.mark.parametrize(
    ("alpha", "picks", "double"), [(0.9, 5, False), (0.9, 200, True), (0.05, 40, True), (0.9, 40, False)]
)
def test_similarities_that_most_picks_or_levels_ask_for_are_kept_in_float64(
    alpha: float, picks: int, double: bool
) -> None:
    """Many picks ask for many rows; and so do few where little saturates an item, whose level then matters."""
    dense: Any = SaturatedCoverage(alpha).dense_gains(clusters(400, 200, 0), picks)
    assert dense.rounds is not double
    small: Any = SaturatedCoverage(alpha, dense_bytes=8 * 400 * 400 - 1).dense_gains(clusters(400, 200, 0), picks)
    assert small.rounds


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bytes_kept", [8 * 400 * 400, 8 * 400 * 400 - 1])
def test_similarities_become_exact_once_many_levels_matter(bytes_kept: int, weighted: bool) -> None:
    X, rng = clusters(400, 200, 1), np.random.default_rng(1)
    weights = rng.integers(1, 4, 400).astype(float) if weighted else None
    objective = SaturatedCoverage(0.1, dense_bytes=bytes_kept, weights=weights)
    dense: Any = objective.dense_gains(X, 1)
    assert dense.rounds
    state, became = objective.init(X), 0
    for turn, item in enumerate(rng.permutation(400)[:100].tolist()):
        before, rounds = dense.bounds(), dense.rounds
        dense.take(item)
        state = objective.add(state, item)
        gains = objective.gains(state)
        assert (before >= gains - 1e-10).all()
        if rounds and not dense.rounds:
            became = turn
        if turn % 3 == 0:
            dense.settle()
            assert (dense.bounds() >= gains - 1e-10).all()
            np.testing.assert_allclose(dense.bounds(), gains, atol=0.05 if dense.rounds else 1e-9)
        assert dense.levels.gain(int(rng.integers(400))) >= 0.0
        some = rng.integers(400, size=5)
        np.testing.assert_allclose([dense.levels.gain(i) for i in some.tolist()], gains[some], atol=1e-10)
        np.testing.assert_allclose(dense.bounds_now(some), gains[some], atol=0.05 if dense.rounds else 1e-9)
    assert (became > 0) is (bytes_kept == 8 * 400 * 400)


@pytest.mark.parametrize(("picks", "double"), [(150, False), (600, True)])
def test_picks_that_are_left_tell_whether_the_first_levels_that_matter_make_all_exact(picks: int, double: bool) -> None:
    """What one saturates with the last pick costs a few rows; where most picks are still to come, many follow."""
    X = clusters(1000, 60, 0)
    dense: Any = SaturatedCoverage(0.2).dense_gains(X, 1)
    dense.levels.picks, known = picks, []
    for item in range(150):
        dense.take(item)
        known.append(dense.levels.known.sum())
    assert known[0] == 0 < known[-1]
    assert dense.rounds is not double
    if not double:
        assert known[-1] < 500
        assert (dense.levels.known & (dense.levels.until > dense.levels.highest)).any()  # some that will matter soon
