r"""Keep up the gains of all candidates by sums over the similarities W that a pick changes.

Facility location and saturated coverage are sums over represented items i of a function of w_ix that a pick changes
only where w_ix lies above a level. When the level of i passes over the interval (lo_i, hi_i), every gain falls by

.. math:: c_i\,(\min(\max(w_{ix}, lo_i), hi_i) - lo_i)

and by nothing where the interval is empty. So picks cost as many rows of W as they change, and in all n rows are
changed some log k times each. Until then the sums are bounds: gains only shrink. What ranks the items
(:mod:`ray_subsel.optimizers.dense`) weighs looking at the few at the top, as lazy greedy does, against bringing all
sums up to date. Where levels only rise, what lies above them becomes so little that it is taken out of W, and a pick
then changes all sums at once in less time than it takes to look at a few.

W is float32 where the kernel tells the error e of such a similarity: sums and levels then bound gains from above, and
gains are computed in float64. Else W is float64, and a gain is a sum over a column of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives.levels import Change, Levels
from ray_subsel.objectives.similarities import ROWS, Similarities, SimilaritiesAbove

_THIN = 1 / 32  # of W above the levels is taken out of it
_LOOKS = 6  # at single candidates take as long as to settle what is above the levels
_LESS, _MORE = 1 / 4, 1.2  # as patient after looks that saved no pick to settle, and after others
_LEAST = 1 / 4  # of the looks where to settle costs much
_ROUNDOFF = 2.0**-52


@final
@dataclass(eq=False)
class DenseGains:
    """Numbers that no candidate's marginal gain exceeds, and that are near to it.

    Attributes
    ----------
    levels : Levels
    W : Similarities
    weights : float64 array of shape (m,)
    sums : float64 array of shape (n,) or None
        The sums over :meth:`Levels.left`, where they are known.
    above : SimilaritiesAbove or None
        All of W that is above 0, where that is little.
    unit : float
        The largest weight, that of a similarity of 1.
    """

    levels: Levels
    W: Similarities
    weights: Float64s
    sums: Float64s | None = None
    above: SimilaritiesAbove | None = None
    unit: float = field(init=False)
    _kept: Float64s = field(init=False)
    _rounded: float = field(init=False, default=0.0)  # the most that sums may be too low
    _settled: int = field(init=False, default=0)  # levels, since the sums were made
    _highest: float = field(init=False, default=0.0)  # sum, when they were made
    _scratch: NDArray[Any] = field(init=False)
    _above: SimilaritiesAbove | None = field(init=False, default=None)
    _picks: int = field(init=False, default=0)  # since levels were settled
    _patience: float = field(init=False, default=1.0)
    _fall: Float64s = field(init=False)  # of each candidate by a pick; 0 between them

    def __post_init__(self) -> None:
        self.unit = float(self.weights.max())
        self._fall = np.zeros(self.W.n)
        self._scratch = np.empty((min(ROWS, self.W.m), self.W.n), dtype=self.W.dtype)
        self._start(self._over(self.levels.left()) if self.sums is None else self.sums)
        if self.above is not None:
            self._go_on_above(self.above)

    def bounds(self, items: Indices | slice = slice(None)) -> Float64s:
        """Return a number for each of some candidates, all n by default, that its gain does not exceed."""
        return np.asarray(self._kept[items] + (self._rounded + self.levels.slack))

    def bounds_now(self, items: Indices) -> Float64s:
        """Return numbers that the gains of some candidates do not exceed, up to date."""
        return self.levels.bounds(self.W.columns(items))

    @property
    def together(self) -> int:
        """How many candidates :meth:`bounds_now` is best asked for."""
        return self.W.together

    def take(self, item: int) -> None:
        """Choose a candidate; bounds stay as they are until :meth:`settle`."""
        self.levels.take(item)
        self._picks += 1

    def take_run(self, items: Indices) -> None:
        """Choose candidates, as :meth:`~ray_subsel.objectives.levels.Levels.take_run` does."""
        self.levels.take_run(items)
        self._picks += items.size

    def foresees(self, item: int) -> int:
        """Return among how many candidates the next picks are best looked for, where this one gains most; 0: none."""
        return 0 if self.levels.rise and self._above is None else self.levels.foresees(item)

    @property
    def rounds(self) -> bool:
        """Whether bounds are rounded up so far that a gain is another number."""
        return self.W.dtype != np.float64

    @property
    def blurs(self) -> bool:
        """Whether to bring a bound up to date costs less than the gain, which is another number."""
        return self.rounds and self._above is None

    @property
    def unsettled(self) -> int:
        """How many items to look at with :meth:`bounds_now` before :meth:`settle` looks at all; 0: none.

        As many as take as long, fewer where for the last picks that was not enough.
        """
        if not self.rounds:
            return 0 if self._above is not None else self.W.looks(self.levels.moved)
        looks = self.W.looks(self.levels.moved) if self._above is None else _LOOKS
        return int(looks * (self._patience if looks <= _LOOKS else max(_LEAST, self._patience)))

    def settle(self) -> Indices | None:
        """Bring the bounds up to date, and return the candidates whose gains the picks since then may have changed.

        One may be there more than once. None: all may have changed.
        """
        in_vain = self._picks == 1 and self.unsettled > 0
        self._patience = min(1.0, self._patience * (_LESS if in_vain else _MORE))
        self._picks = 0
        if self._above is not None:
            return self._settle_above(self._above)
        m = self.W.m
        if 2 * self.levels.moved > m or self._scratch.dtype != self.W.dtype:  # W may have become exact
            self.levels.settle()
            if self._scratch.dtype != self.W.dtype:
                self._scratch = np.empty(self._scratch.shape, dtype=self.W.dtype)
            self._start(self._over(self.levels.left()))
            self._take_out()
            return None
        change = self.levels.settle()
        fall = self._over(change)
        self._kept -= fall
        self._rounded += self._rounding(fall)
        self._settled += 0 if change.items is None else change.items.size
        if self.rounds and self._settled >= m and float(self._kept.max()) < self._highest / 8:
            # small gains cannot be told apart by what sums of large ones have left
            self._start(self._over(self.levels.left()))
        self._take_out()
        return None if change.blurred else np.flatnonzero(fall)

    def _start(self, sums: Float64s) -> None:
        self._kept = sums
        self._rounded = self._rounding(sums)
        self._highest, self._settled = float(sums.max()), 0

    def _take_out(self) -> None:
        """Go on with what is above the levels, where that is little."""
        if not self.levels.rise:
            return
        left = self.levels.left()
        above = SimilaritiesAbove.of(self.W, left.low, self.weights, _THIN)
        if above is not None:
            self._kept = above.sums(left.low)
            self._go_on_above(above)

    def _go_on_above(self, above: SimilaritiesAbove) -> None:
        self._above, self._highest = above, float(self._kept.max())
        self._rounded = _ROUNDOFF * (self.W.m + self.W.n) * self._highest  # of the sums, and of each pick's fall

    def _settle_above(self, above: SimilaritiesAbove) -> Indices | None:
        change = self.levels.settle()
        assert change.items is not None
        candidates, parts = above.between(change.items, change.low, change.high)
        if change.items.size == 1:  # each candidate is there once
            self._kept[candidates] -= parts
        elif 4 * candidates.size > self.W.n:
            fall = np.bincount(candidates, weights=parts, minlength=self.W.n)
            self._kept -= fall
            candidates = fall.nonzero()[0]
        else:
            np.add.at(self._fall, candidates, parts)
            self._kept[candidates] -= self._fall[candidates]  # of one that is there twice the same number is written
            self._fall[candidates] = 0.0
        if above.passed and self.levels.rise:
            above.drop(self.levels.left().low)
        return None if change.blurred else candidates

    def _rounding(self, sums: Float64s) -> float:
        """Return by how much sums over intervals may be wrong: each product sums ``ROWS`` numbers >= 0 in W's type."""
        unit = float(np.finfo(self.W.dtype).eps) / 2
        return float((self._scratch.shape[0] + 4) * unit * sums.max(initial=0.0))

    def _over(self, change: Change) -> Float64s:
        """Return for each candidate the weighted sum of what of its similarities lies in some intervals."""
        each = self.weights if change.items is None else self.weights[change.items]
        found = self.W.over(change.items, change.low, change.high, each)
        if found is not None:
            return found
        total = np.zeros(self.W.n)
        low, high = change.low[:, None], change.high[:, None]
        weights = each.astype(self.W.dtype)
        bounded, single = bool(np.isfinite(change.high).any()), self.rounds
        for rows, similarities in self.W.rows(change.items, self._scratch):
            part = self._scratch[: len(similarities)]
            np.maximum(similarities, low[rows], out=part)
            if bounded:
                np.minimum(part, high[rows], out=part)
            if single:
                part -= low[rows]
            total += weights[rows] @ part
        return total if single else total - weights @ change.low  # which costs digits that float64 has to spare
