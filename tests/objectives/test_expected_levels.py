"""The share of levels that come to matter is foretold closely."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ray_subsel.objectives.expected_levels import expected_levels
from ray_subsel.objectives.represented import represent


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("picks", [20, 120, 300, 1000])
def test_it_is_that_of_the_largest_sums(picks: int, given: bool, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((10, 40))[rng.integers(10, size=1000)] + rng.standard_normal((1000, 40))).astype("f4")
    weights: Any = rng.integers(1, 3, 1000) if weighted else None
    to = represent(X, None, weights, "cosine")
    W = np.maximum(np.stack([to.row(item) for item in range(1000)]), 0.0)
    everything = W.sum(axis=1) * (2.0 if given else 1.0)
    largest = np.argsort(-(W @ to.weights))[:picks]
    share = np.mean(W[largest].sum(axis=0) > 0.3 * everything - 1.0)
    found = expected_levels(to, 0.3, everything if given else None, picks)
    assert abs(found - share) < 0.2
    assert 0.0 <= found <= 1.0
