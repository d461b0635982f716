"""The paper's greedy as it is printed, with the whole similarity matrix: the oracle of the fast ones."""

import numpy as np
import pytest


def unit(X):
    rows = np.asarray(X, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _dense_greedy(X, k, *, lam=10.0, include=(), exclude=(), utility=None, stop=None):
    """Return ids and gains of the update rule (eq. 16): gain_i -= (2 + lam) w_ip for every pick p. Ties: lowest id."""
    U = unit(X)
    n = len(U)
    W = U @ U.T
    gains = W.sum(axis=1) - 1.0 + (0.0 if utility is None else np.asarray(utility))
    tie = 1e-11 * (np.linalg.norm(U.sum(axis=0)) + (2 + lam) * k + 1)
    open_ = np.ones(n, dtype=bool)
    open_[list(exclude)] = False
    open_[list(include)] = False
    ids, picked = [], []
    for turn in range(k):
        if turn < len(include):
            best = include[turn]
        else:
            here = np.where(open_, gains, -np.inf)
            best = int(np.flatnonzero(here >= here.max() - tie)[0])
            if stop is not None and gains[best] <= stop:
                break
        ids.append(int(best))
        picked.append(float(gains[best]))
        open_[best] = False
        gains = gains - (2 + lam) * W[:, best]
    return ids, picked


@pytest.fixture(scope="session")
def dense_greedy():
    return _dense_greedy
