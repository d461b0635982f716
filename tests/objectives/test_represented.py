"""Sums of similarities that are never negative are similarities to sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ray_subsel.objectives.represented import represent


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    ("kernel", "positive", "there"),
    [
        ("cosine", True, True),
        ("cosine", False, False),
        ("shifted_cosine", False, True),
        ("rbf", True, False),
    ],
)
def test_sums_of_similarities_that_are_never_negative_are_those_of_the_kernel(
    kernel: str, positive: bool, there: bool, own: bool
) -> None:
    rng = np.random.default_rng(0)
    X, others = rng.standard_normal((300, 40)), rng.standard_normal((70, 40))
    if positive:
        X, others = np.abs(X), np.abs(others)
    weights: Any = None if own else rng.random(70)
    to = represent(X, None if own else others, weights, kernel)
    sums = to.sums()
    assert (sums is not None) is there
    if sums is not None:
        W = np.stack([to.row(item) for item in range(300)])
        np.testing.assert_allclose(sums[0], W.sum(axis=0), rtol=1e-13)
        np.testing.assert_allclose(sums[1], W @ to.weights, rtol=1e-13)
