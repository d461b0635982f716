"""Run greedy of the log-determinant by the gains of all items, which one product of all rows with one vector follows.

Where the rows fit into a processor's cache such a pass costs less than to know which few gains must be looked at
(:mod:`.leverage`). The picks are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ray_subsel.core.types import Float64s
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.objectives.kernels import kernel_of
from ray_subsel.objectives.log_determinant import LogDeterminant, affine_rows
from ray_subsel.objectives.ridge_leverage import LOST, Inverse
from ray_subsel.optimizers.base import Picks
from ray_subsel.optimizers.leverage_shard import tie_level

CACHED_BYTES = 1 << 24
"""Of float64 vectors: up to so many a pass reads them from a processor's cache, mostly."""
_TOLD = 64  # picks between two reports of progress


def suits_passes(rows: UnitRows, objective: LogDeterminant) -> bool:
    """Tell whether to follow the scores of the empty set: rows fit, and no score falls so far that digits are lost."""
    fits = 8 * rows.n * (rows.d + 4) <= CACHED_BYTES  # and a shift, scores, their falls, what is compared
    if not fits or rows.device is not None:
        return False
    largest = float(kernel_of(objective.kernel).own(rows).max())
    return LOST * (1.0 + largest / objective.ridge) <= 1.0


def picks_by_passes(
    rows: UnitRows,
    objective: LogDeterminant,
    k: int,
    stop_when_gain: float | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Picks:
    """Pick k items with a pass over all rows a pick, or fewer, the gain of the next one being too low.

    Parameters
    ----------
    rows : UnitRows
        As the objective's kernel reads them; :func:`suits_passes` holds for them.
    objective : LogDeterminant
    k : int
    stop_when_gain : float, optional
        Stop before the first pick whose gain is at or below it.
    progress : callable, optional
        Told how many of k are picked.

    Notes
    -----
    O(n d + d^2) a pick, 8 n d bytes.
    """
    kernel, n = kernel_of(objective.kernel), rows.n
    scores, falls = kernel.own(rows) / objective.ridge, np.empty(n)
    Z = affine_rows(kernel, rows).all()
    inverse = Inverse(Z.shape[1], objective.ridge)
    ids, gains = np.empty(k, dtype=np.int64), np.empty(k)
    size = 0
    while size < k:
        item = _first_best(scores, objective)
        score, w = inverse.add(Z[item])
        gain = math.log1p(score)
        if stop_when_gain is not None and gain <= stop_when_gain:
            break
        ids[size], gains[size] = item, gain
        size += 1
        np.dot(Z, w, out=falls)
        np.multiply(falls, falls, out=falls)
        np.subtract(scores, falls, out=scores)
        scores[item] = -np.inf
        if progress is not None and (size % _TOLD == 0 or size == k):
            progress(size, k)
    return Picks(ids[:size], gains[:size], {"rounds": 1.0, "passes": float(size), "evaluations": float(n * size)})


def _first_best(scores: Float64s, objective: LogDeterminant) -> int:
    """Return the item of lowest id whose gain is the largest up to rounding."""
    top = int(scores.argmax())
    level = math.expm1(tie_level(math.log1p(scores[top]), objective))
    return int((scores >= level).argmax())
