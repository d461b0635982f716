"""Paced greedy is its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.optimizers import PacedGreedy
from tests.optimizers.speculative.problems import SETTINGS, cloud, problem, value


def paced_by_hand(X, k, lam):
    U = X / np.linalg.norm(X, axis=1, keepdims=True)
    t, s, open_, ids = U.sum(axis=0), np.zeros(X.shape[1]), np.ones(len(X), dtype=bool), []
    for i in range(1, k + 1):
        scores = np.where(open_, U @ (i / k * t - (2 + lam) * s), -np.inf)
        best = int(np.flatnonzero(scores >= scores.max() - 1e-9)[0])
        ids.append(best)
        open_[best] = False
        s = s + U[best]
    return ids


@SETTINGS
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 10.0]), st.integers(1, 200), st.sampled_from([0.0, 1.0]))
def test_paced_is_its_definition(seed, lam, k, mean):
    X = cloud(seed, mean=mean)
    picks = PacedGreedy(picks=8).maximize(problem(X, k, lam))
    assert picks.indices.tolist() == paced_by_hand(X, k, lam)
    assert picks.gains.sum() == pytest.approx(value(X, picks, lam), abs=1e-6)
