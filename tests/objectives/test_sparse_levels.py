"""Gains over few positive similarities are those of the formula, one by one and many at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.objectives import FacilityLocation, SaturatedCoverage
from ray_subsel.objectives.sparse_levels import SparseLevels
from tests.objectives.test_sparse_similarities import few_features


@settings(max_examples=12, deadline=None)
@given(st.booleans(), st.sampled_from(("own", "weighted", "others")), st.integers(0, 99))
def test_gains_are_those_of_the_formula_and_bounds_are_near(rise: bool, what: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = few_features(100, 500, seed)
    objective: Any = FacilityLocation() if rise else SaturatedCoverage(float(rng.uniform(0.05, 1.0)))
    if what == "weighted":
        objective = objective.weighted(X, rng.integers(1, 4, 100))
    elif what == "others":
        others = few_features(40, 500, seed + 1)
        statistics = None if rise else SaturatedCoverage().reference_statistics(others, X)
        objective = objective.representing(others, statistics)
    dense, state = objective.dense_gains(X), objective.init(X)
    assert dense is not None
    assert isinstance(dense.levels, SparseLevels)
    assert dense.levels.several
    while True:
        gains = objective.gains(state)
        np.testing.assert_allclose(dense.levels.gains(np.arange(100)), gains, atol=1e-12)
        np.testing.assert_allclose(dense.bounds(), gains, atol=1e-10)
        assert (dense.bounds() >= gains - 1e-13).all()
        assert dense.levels.gain(5) == dense.levels.gains(np.array([9, 5]))[1]
        assert dense.bounds_now(np.array([5]))[0] == pytest.approx(gains[5], abs=1e-12)
        if gains.max() < 1e-9:
            break
        some = rng.permutation(100)[:8]
        apart = dense.levels.apart(some)
        assert apart >= 1
        after = state
        for item in some[:apart].tolist():
            np.testing.assert_allclose(objective.gains(after, np.array([item])), gains[item], atol=1e-12)
            after = objective.add(after, item)
        state = after
        dense.take_run(some[:apart])
        changed = dense.settle()
        assert changed is not None
        assert dense.unsettled == dense.levels.moved == 0
        np.testing.assert_allclose(np.delete(objective.gains(state) - gains, changed), 0.0, atol=1e-12)


def test_candidates_of_one_represented_item_are_not_apart() -> None:
    X = np.eye(100)[[0, 1, 2, 1, 4, *range(5, 100)]]
    for objective in (FacilityLocation(), SaturatedCoverage(0.3)):
        dense: Any = objective.dense_gains(X)
        assert dense.levels.apart(np.array([0, 1, 2, 3, 4])) == 3
        assert dense.levels.apart(np.array([0, 4, 2])) == 3
        dense.take(1)  # of which nothing is left
        dense.take(3)
        assert dense.levels.apart(np.array([0, 1, 2, 3, 4])) == 5
