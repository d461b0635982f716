"""Gains that are kept up bound the gains from above, and closely, for every kernel and kind of data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.objectives import FacilityLocation, SaturatedCoverage
from ray_subsel.objectives.base import Objective

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
        return rng.standard_normal((5, 6))[rng.integers(5, size=n)].astype(np.float32)
    if kind == "one-hot":
        return np.eye(4, dtype=np.float32)[rng.integers(4, size=n)]
    if kind == "two-dimensional":
        return rng.standard_normal((n, 2))
    return rng.standard_normal((n, 7)).astype(np.float16 if kind == "half" else np.float32)


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
            assert after[other] - 1e-10 <= dense.bound(other) <= after[other] + 1e-4 * n
            assert dense.gain(other) == pytest.approx(after[other], abs=1e-10)
        changed = dense.settle()
        assert dense.unsettled == 0
        assert (np.abs(after - gains)[~changed] <= 1e-12).all()


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


def test_what_does_not_fit_is_not_kept() -> None:
    X = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    assert FacilityLocation(dense_bytes=30 * 30 * 4).dense_gains(X) is not None
    assert FacilityLocation(dense_bytes=30 * 30 * 4 - 1).dense_gains(X) is None
    assert SaturatedCoverage(dense_bytes=30 * 30 * 8).dense_gains(X) is not None
    assert SaturatedCoverage(dense_bytes=30 * 30 * 8 - 1).dense_gains(X) is None
