"""Answer the question of a round of the log-determinant for the rows of one process: which to propose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.objectives.kernels import kernel_of
from ray_subsel.objectives.log_determinant import LogDeterminant
from ray_subsel.objectives.ridge_leverage import InverseRoot
from ray_subsel.optimizers.ties import relative_width


@dataclass(frozen=True, eq=False)
class LeverageRequest:
    """What a shard must know to propose rows, and what spares it work if it answered the question before.

    Attributes
    ----------
    objective : LogDeterminant
    root : InverseRoot
    picked : int64 array
        Ids of all picks so far, in their order.
    directions : float64 array of shape (J, d)
        u of the J latest picks.
    rows : int
        How many to propose; more come where ties demand it.
    """

    objective: LogDeterminant
    root: InverseRoot
    picked: Indices
    directions: Float64s
    rows: int


@dataclass(frozen=True, eq=False)
class LeverageProposal:
    """Rows of highest gain of one shard.

    Attributes
    ----------
    ids : int64 array of shape (b,)
    vectors : array of shape (b, d)
        As stored.
    scale : float64 array of shape (b,)
        What makes them unit vectors.
    highest : float
        A gain that no other row of the shard exceeds, now or later; minus infinity where there is none.
    evaluations : int
        Items whose gain was looked at.
    """

    ids: Indices
    vectors: NDArray[np.float32]
    scale: Float64s
    highest: float
    evaluations: int


class LeverageShard:
    """Some rows of the ground set, in one process.

    Parameters
    ----------
    ids : int64 array of shape (n,)
        In any order, distinct.
    rows : UnitRows
        Of n >= 1, as the objective's kernel reads them.
    objective : LogDeterminant
    """

    def __init__(self, ids: Indices, rows: UnitRows, objective: LogDeterminant) -> None:
        self._ids, self._order = ids, np.argsort(ids, kind="stable")
        self._sorted = ids[self._order]
        self._rows, self._cache = rows, objective.primal_state(rows).cache
        self._open = np.ones(ids.size, dtype=np.bool_)
        self._picked = 0

    @staticmethod
    def of(ids: Indices, X: NDArray[np.float32], objective: LogDeterminant) -> LeverageShard:
        """Read the rows, shape (n, d)."""
        return LeverageShard(ids, kernel_of(objective.kernel).read(X), objective)

    @property
    def n_items(self) -> int:
        """How many items."""
        return int(self._ids.size)

    def propose(self, request: LeverageRequest) -> LeverageProposal:
        """Return the rows of highest gain. An old score bounds the new one, so few are computed."""
        self._follow(request)
        cache, size = self._cache, request.picked.size
        stale = np.where(self._open, cache.scores, -np.inf)
        n_open = int(np.count_nonzero(self._open))
        looked = np.flatnonzero(self._open)
        if n_open > 4 * request.rows:
            looked = np.argpartition(-stale, 4 * request.rows)[: 4 * request.rows]
            scores = cache.of(looked, request.root, size)
            last = float(np.partition(scores, scores.size - request.rows)[scores.size - request.rows])
            level = float(np.expm1(tie_level(float(np.log1p(last)), request.objective, 2)))
            looked = np.flatnonzero(stale >= level)
            unseen = float(stale[stale < level].max(initial=-np.inf))
        else:
            unseen = -np.inf
        if looked.size == 0:
            return LeverageProposal(self._ids[:0], self._rows.X[:0], self._rows.scale[:0], -np.inf, 0)
        gains = np.log1p(cache.of(looked, request.root, size))
        chosen = self._highest(looked, gains, request)
        rest = np.ones(looked.size, dtype=np.bool_)
        rest[chosen] = False
        others = float(gains[rest].max(initial=-np.inf))
        highest = max(others, float(np.log1p(unseen)) if unseen > -np.inf else -np.inf)
        rows = looked[chosen]
        return LeverageProposal(self._ids[rows], self._rows.X[rows], self._rows.scale[rows], highest, looked.size)

    def _highest(self, looked: Indices, gains: Float64s, request: LeverageRequest) -> Indices:
        """Return the places of the largest gains and, of those that tie with the best, all no other beats by id too."""
        ids = self._ids[looked]
        order = np.lexsort((ids, -gains))
        tied = order[gains[order] >= tie_level(float(gains[order[0]]), request.objective, 2)]
        lowest = tied[ids[tied] == np.minimum.accumulate(ids[tied])]
        return np.union1d(order[: request.rows], lowest)

    def _follow(self, request: LeverageRequest) -> None:
        """Take note of what was picked; begin anew where this process did not see the picks before the latest."""
        picked = request.picked
        known = picked.size - len(request.directions)
        if self._cache.size == known:
            for direction in request.directions:
                self._cache = self._cache.after(self._cache.size, direction)
        elif self._cache.size != picked.size:
            self._cache.seen[:] = -1
            self._cache.first = self._cache.size = picked.size
            self._open[:], self._picked = True, 0
        fresh = picked[self._picked :]
        at = np.minimum(np.searchsorted(self._sorted, fresh), self._sorted.size - 1)
        self._open[self._order[at[self._sorted[at] == fresh]]] = False
        self._picked = picked.size


def tie_level(gain: float, objective: LogDeterminant, widths: float = 1.0) -> float:
    """Return the lowest gain that ties with a gain, or lies within some widths of a tie."""
    return gain - widths * relative_width(gain, objective.rounding, objective.first_gain)
