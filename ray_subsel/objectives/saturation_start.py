"""Find what is left until each represented item of saturated coverage is saturated, before the first pick."""

from __future__ import annotations

import numpy as np

from ray_subsel.core.types import Float64s
from ray_subsel.objectives.early_gains import EarlyGains
from ray_subsel.objectives.exact_similarities import ExactSimilarities
from ray_subsel.objectives.represented import Represented
from ray_subsel.objectives.saturation import Saturation
from ray_subsel.objectives.similarities import ROWS, Similarities


def left_to_saturate(
    to: Represented, W: Similarities, alpha: float, everything: Float64s | None, error: float | None, picks: int
) -> tuple[Saturation, Float64s | None]:
    """Return the levels before the first pick, and for each candidate the sum of its similarities, shape (n,).

    None where some levels are below a similarity at once.

    Parameters
    ----------
    to : Represented
    W : Similarities
    alpha : float
    everything : float64 array of shape (m,) or None
        The sum of each represented item's positive similarities, where it is given.
    error : float or None
        Of the similarities in W; None where they are those of float64.
    picks : int
        About how many candidates will be chosen.
    """
    total: Float64s | None = None
    sums: Float64s | None = None
    highest, known = np.ones(to.m), np.ones(to.m, dtype=np.bool_)
    if W.computed:
        if everything is None:
            of_all = to.sums()
            if of_all is not None:
                everything, total = of_all
            else:
                sums, most = W.enclosed_sums()
                total = most.copy() if to.mirrored else None
    else:
        sums, out = np.empty(to.m), np.empty((min(ROWS, to.m), W.n), dtype=W.dtype)
        total, weights = np.zeros(W.n), to.weights.astype(W.dtype)
        for part, rows in W.rows(None, out):
            positive = np.maximum(rows, 0.0, out=out[: len(rows)])
            sums[part], highest[part] = np.add.reduce(positive, axis=1), positive.max(axis=1)
            total += weights[part] @ positive
    if everything is not None or sums is None:
        begun = alpha * np.asarray(everything, dtype=np.float64)
    elif error is None:
        begun = alpha * sums
    else:
        least = sums * (1.0 - W.n * float(np.finfo(W.dtype).eps)) - error * W.n
        begun, known = alpha * np.maximum(least, 0.0), ~known
    # the error covers the rounding of levels too: they are above what is left, less the kernel's error, nowhere
    exact, e = (None, 0.0) if error is None else (ExactSimilarities(to, positive=True), error + 2.0**-22)
    early = None if exact is None else EarlyGains(W, exact, e, W.mostly_positive)
    far = np.full(to.m, np.inf)
    level = far.astype(W.dtype)
    none = 0.0 if to.kernel.affine() == (1.0, 0.0) and to.never_negative else -e
    levels = Saturation(
        to, W, e, exact, alpha, highest + e, begun.copy(), begun, known, far, level, level.copy(),
        to.weights.astype(W.dtype), none, picks, early,
    )  # fmt: skip
    levels.start()
    return levels, total if np.isinf(levels.level).all() else None
