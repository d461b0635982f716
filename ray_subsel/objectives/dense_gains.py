r"""Keep up the gains of all candidates over a block of similarities W that memory holds.

Facility location and saturated coverage are sums over represented items i of a function of w_ix that a pick changes
only where w_ix lies above a level. When the level of i passes over the interval (lo_i, hi_i), every gain falls by

.. math:: c_i\,(\min(\max(w_{ix}, lo_i), hi_i) - lo_i)

and by nothing where the interval is empty. So picks cost as many rows of W as they change, and in all n rows are
changed some log k times each. Until then the sums are bounds: gains only shrink. What ranks the items
(:mod:`ray_subsel.optimizers.dense`) weighs looking at the few at the top, as lazy greedy does, against bringing all
sums up to date.

W is float32 where the kernel tells the error e of such a similarity: levels are then lowered by e, so that sums bound
gains from above, and gains are computed in float64 on the represented items that may still be improved. Else W is
float64, and a gain is a sum over a column of it.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float64s, Indices, Mask

_CALL = 30_000  # numbers that could be read while Python makes the calls of an evaluation
_ROWS = 32  # of W that are summed in its own precision


@dataclass(frozen=True, eq=False)
class Change:
    """How far levels move.

    Attributes
    ----------
    items : int64 array of shape (q,)
        Represented items, ascending.
    low, high : arrays of shape (q,), of W's dtype
        The interval that each one's level passes over.
    """

    items: Indices
    low: NDArray[Any]
    high: NDArray[Any]


class Levels(abc.ABC):
    """What an objective knows of its represented items while it picks: a level each."""

    @abc.abstractmethod
    def left(self) -> Change:
        """Return the intervals that no level has passed over yet, one for every represented item."""

    @abc.abstractmethod
    def gain(self, item: int) -> float:
        """Return the marginal gain of a candidate in float64."""

    @abc.abstractmethod
    def bound(self, item: int) -> float:
        """Return a number that the marginal gain of a candidate does not exceed, in one pass over a column of W."""

    @abc.abstractmethod
    def take(self, item: int) -> None:
        """Choose a candidate."""

    @property
    @abc.abstractmethod
    def moved(self) -> int:
        """How many levels have moved since they were settled."""

    @abc.abstractmethod
    def settle(self) -> Change:
        """Return how far levels have moved since this was called last."""


@final
@dataclass(eq=False)
class DenseGains:
    """Numbers that no candidate's marginal gain exceeds, and that are near to it.

    Attributes
    ----------
    levels : Levels
    block : array of shape (m, n)
        W.
    weights : float64 array of shape (m,)
    unit : float
        The largest weight, that of a similarity of 1.
    """

    levels: Levels
    block: NDArray[Any]
    weights: Float64s
    unit: float = field(init=False)
    _kept: Float64s = field(init=False)
    _rounded: float = field(init=False, default=0.0)  # the most that sums may be too low
    _settled: int = field(init=False, default=0)  # levels, since the sums were made
    _highest: float = field(init=False, default=0.0)  # sum, when they were made
    _scratch: NDArray[Any] = field(init=False)

    def __post_init__(self) -> None:
        m, n = self.block.shape
        self.unit = float(self.weights.max())
        self._scratch = np.empty((min(_ROWS, m), n), dtype=self.block.dtype)
        self._sum()

    def bounds(self) -> Float64s:
        """Return a number for each candidate that its gain does not exceed, shape (n,)."""
        return np.asarray(self._kept + self._rounded)

    def bound(self, item: int) -> float:
        """Return a number that a candidate's gain does not exceed, up to date."""
        return float(self.levels.bound(item))

    def gain(self, item: int) -> float:
        """Return the marginal gain of a candidate in float64."""
        return float(self.levels.gain(item))

    def take(self, item: int) -> None:
        """Choose a candidate; bounds stay as they are until :meth:`settle`."""
        self.levels.take(item)

    @property
    def rounds(self) -> bool:
        """Whether bounds are rounded up so far that a gain is another number."""
        return self.block.dtype != np.float64

    @property
    def unsettled(self) -> int:
        """How many items :meth:`bound` could look at while :meth:`settle` looks at all; 0 where nothing has moved."""
        m, n = self.block.shape
        return int(-(-(5 * n * self.levels.moved) // (3 * m + _CALL)))

    def settle(self) -> Mask:
        """Bring the bounds up to date, and return whose gains the picks since the last time may have changed."""
        m = self.block.shape[0]
        if 2 * self.levels.moved > m:
            self.levels.settle()
            self._sum()
            return np.ones(self._kept.size, dtype=np.bool_)
        change = self.levels.settle()
        fall = self._over(change)
        self._kept -= fall
        self._rounded += self._rounding(fall)
        self._settled += change.items.size
        if self._settled >= m and float(self._kept.max()) < self._highest / 8:
            self._sum()  # small gains cannot be told apart by what sums of large ones have left
        return np.asarray(fall > 0)

    def _sum(self) -> None:
        self._kept = self._over(self.levels.left())
        self._rounded = self._rounding(self._kept)
        self._highest, self._settled = float(self._kept.max()), 0

    def _rounding(self, sums: Float64s) -> float:
        """Return by how much sums over intervals may be wrong: each product sums ``_ROWS`` numbers >= 0 in W's type."""
        unit = float(np.finfo(self.block.dtype).eps) / 2
        return float((self._scratch.shape[0] + 4) * unit * sums.max(initial=0.0))

    def _over(self, change: Change) -> Float64s:
        """Return for each candidate the weighted sum of what of its similarities lies in some intervals."""
        W, scratch = self.block, self._scratch
        total = np.zeros(W.shape[1])
        low, high = change.low[:, None], change.high[:, None]
        weights = self.weights[change.items].astype(W.dtype)
        whole = change.items.size == W.shape[0]
        for start, stop in ranges(change.items.size, scratch.shape[0]):
            part = scratch[: stop - start]
            if whole:
                np.maximum(W[start:stop], low[start:stop], out=part)
            else:
                np.take(W, change.items[start:stop], axis=0, out=part, mode="clip")
                np.maximum(part, low[start:stop], out=part)
            np.minimum(part, high[start:stop], out=part)
            part -= low[start:stop]
            total += weights[start:stop] @ part
        return total
