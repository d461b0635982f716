"""Graph-cut problems over vectors with a common direction, half of them copies."""

import numpy as np
from hypothesis import settings

from ray_subsel.objectives import GraphCut
from ray_subsel.optimizers import Problem

SETTINGS = settings(deadline=None, max_examples=30)


def cloud(seed, n=200, d=6, mean=1.0):
    """Return n vectors around a mean, of which the second half repeats the first."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + mean
    X[n // 2 :] = X[: n - n // 2]
    return X


def problem(X, k, lam=10.0, **more):
    """Return the choice of k of them by graph cut."""
    return Problem(X=X, objective=GraphCut(lam), k=k, **more)


def value(X, picks, lam=10.0):
    """Return f of what was picked, by the definition."""
    return GraphCut(lam).evaluate(X, picks.indices)
