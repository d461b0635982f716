"""Keep up the similarity of each represented item to its nearest chosen one: the level of facility location."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float64s, Indices, Mask
from ray_subsel.objectives.exact_similarities import ExactSimilarities
from ray_subsel.objectives.improvements import FEW, Improvements
from ray_subsel.objectives.levels import Change, Levels
from ray_subsel.objectives.represented import Represented
from ray_subsel.objectives.similarities import Similarities

Singles = NDArray[np.float32]

_ROUNDING = 2.0**-24  # more than float32 takes from a number up to 1, or adds to it
_FORESEEN = 1024  # candidates among which picks are foreseen, at most
_AT_ONCE = 16  # candidates that are compared with all levels together
_SHORT = 64  # what a candidate improves is remembered where it is at most the 64th part of what is represented


@final
@dataclass(eq=False)
class NearestLevels(Levels):
    """The similarity of each represented item to its nearest chosen one.

    Attributes
    ----------
    to : Represented
    W : Similarities
    error : float or None
        Of the similarities in W; None where they are those of float64.
    exact : ExactSimilarities or None
        None where W is exact.
    best, settled : float64 arrays of shape (m,)
        Now, and when the sums over W were brought up to date.
    floor, passed : arrays of shape (m,), of W's dtype
        The same, less the error, rounded down; the same arrays where there is none.
    weights : array of shape (m,) of W's dtype, or None
        None: all are 1.
    """

    rise: ClassVar[bool] = True

    to: Represented
    W: Similarities
    error: float | None
    exact: ExactSimilarities | None
    best: Float64s
    settled: Float64s
    floor: NDArray[Any]
    passed: NDArray[Any]
    weights: NDArray[Any] | None
    _seen: tuple[int, Indices, Float64s] | None = None
    _lists: dict[int, tuple[Indices, Float64s]] = field(default_factory=dict)  # what was seen, where it is little
    _together: Improvements | None = None  # what was seen last of several
    _since: Mask = field(init=False)  # what picks have moved since then
    _moved: int = 0

    def __post_init__(self) -> None:
        self._since = np.zeros(self.best.size, dtype=np.bool_)

    @staticmethod
    def start(to: Represented, W: Similarities, error: float | None) -> NearestLevels:
        """Return the levels before the first pick."""
        best, settled = np.zeros(to.m), np.zeros(to.m)
        floor, passed = (best, settled) if error is None else (_lowered(best, error), _lowered(settled, error))
        weights = None if bool((to.weights == 1.0).all()) else to.weights.astype(W.dtype)
        exact = None if error is None else ExactSimilarities(to)
        return NearestLevels(to, W, error, exact, best, settled, floor, passed, weights)

    def left(self) -> Change:
        """Return the intervals above the levels."""
        return Change(None, self.floor, np.full_like(self.floor, np.inf))

    def bounds(self, columns: NDArray[Any]) -> Float64s:
        """Return numbers that gains do not exceed."""
        better = np.maximum(columns - self.floor, 0.0)
        if self.weights is not None:
            better *= self.weights
        # a pairwise sum of some thousands loses less
        return np.asarray(np.add.reduce(better, axis=1) * (1.0 + 2.0**-17), dtype=np.float64)

    def gain(self, item: int) -> float:
        """Return the marginal gain of a candidate in float64."""
        items, similarities = self._improved(item)
        better = similarities - self.best[items]
        np.maximum(better, 0.0, out=better)
        if self.weights is not None:
            better *= self.to.weights[items]
        return float(np.add.reduce(better))

    def take(self, item: int) -> None:
        """Choose a candidate."""
        items, similarities = self._improved(item)
        better = similarities > self.best[items]
        items, similarities = items[better], similarities[better]
        self._moved += items.size
        self._since[items] = True
        self.best[items] = similarities
        if self.error is not None:
            self.floor[items] = _lowered(similarities, self.error)
        self._seen = None
        self._lists.pop(item, None)

    def foresees(self, item: int) -> int:
        """Return among how many candidates to look for the next picks; 0 where this one improves many items."""
        return _FORESEEN if self._improved(item)[0].size <= FEW else 0

    def foresight(self, items: Indices) -> Improvements | None:
        """Return what some candidates improve; None where it is much."""
        found, size = [], 0
        for start, stop in ranges(items.size, _AT_ONCE):
            place = (self.W.columns(items[start:stop]) > self.floor).ravel().nonzero()[0]
            found.append(place + start * self.W.m)
            size += place.size
            if size > FEW * items.size:
                return None
        which, rows = np.divmod(np.concatenate(found), self.W.m)
        similarities = self.W.pairs(items[which], rows) if self.exact is None else self.exact.pairs(items[which], rows)
        self._together = Improvements.of(items, which, rows, similarities, self.best[rows], self.to.weights[rows])
        return self._together

    def take_run(self, items: Indices) -> None:
        """Choose candidates, of those that :meth:`foresight` was told last."""
        assert self._together is not None
        rows, similarities = self._together.improved_by(items)
        self._moved += rows.size
        self._since[rows] = True
        np.maximum.at(self.best, rows, similarities)
        if self.error is not None:
            self.floor[rows] = _lowered(self.best[rows], self.error)
        self._seen = self._together = None

    @property
    def moved(self) -> int:
        """How many levels have moved since they were settled."""
        return self._moved

    def settle(self) -> Change:
        """Return how far levels have moved since this was called last."""
        items = self._since.nonzero()[0]
        self._since[items] = False
        low, high = self.passed[items], self.floor[items]
        self.passed[items], self._moved = high, 0
        if self.error is None:
            return Change(items, low, high)
        self.settled[items] = self.best[items]
        return Change(items, low, high, blurred=bool((low == high).any()))

    def _improved(self, item: int) -> tuple[Indices, Float64s]:
        """Return a superset of the represented items that one candidate improves, and its similarities to them."""
        if self._seen is None or self._seen[0] != item:
            known = self._lists.get(item)
            if known is None:
                column = self.W.column(item)
                items = (column > self.floor).nonzero()[0]
                known = items, column[items] if self.exact is None else self.exact.some(item, items)
                if _SHORT * items.size <= self.to.m:
                    self._lists[item] = known
            self._seen = item, *known
        return self._seen[1:]


def _lowered(best: Float64s, error: float) -> Singles:
    """Return best, at most 1, less the error of a float32 similarity, in float32 and not rounded up."""
    return (best - (error + _ROUNDING)).astype(np.float32)
