"""Keep up the level of each represented item where few similarities are above 0: all in float64, many at a time.

Facility location: the similarity to the nearest chosen item, of which a candidate adds what is above it. Saturated
coverage: what is left until the item is saturated, of which a candidate takes its similarity at most.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, final

import numpy as np

from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.objectives.dense_gains import DenseGains
from ray_subsel.objectives.levels import Change, Levels
from ray_subsel.objectives.sparse_similarities import SparseSimilarities


@final
@dataclass(eq=False)
class SparseLevels(Levels):
    """The levels of facility location, which rise from 0, or of saturated coverage, which fall to it.

    Attributes
    ----------
    W : SparseSimilarities
    weights, level : float64 arrays of shape (m,)
    rise : bool
        Whether they rise.
    """

    W: SparseSimilarities
    weights: Float64s
    level: Float64s
    rise: bool  # type: ignore[misc]
    several: ClassVar[bool] = True
    passed: Float64s = field(init=False)  # the levels that bounds are up to date with
    _taken: list[Indices] = field(init=False, default_factory=list)  # represented items that have moved since
    _moved: int = field(init=False, default=0)
    _first: Indices = field(init=False)

    def __post_init__(self) -> None:
        self.passed = self.level.copy()
        self._first = np.empty(self.level.size, dtype=np.int64)

    def left(self) -> Change:
        """Return the intervals above the levels, or from 0 to them."""
        if self.rise:
            return Change(None, self.level, np.full_like(self.level, np.inf))
        return Change(None, np.zeros_like(self.level), self.level)

    def gain(self, item: int) -> float:
        """Return the marginal gain of a candidate."""
        return float(self.gains(np.array([item]))[0])

    def gains(self, items: Indices) -> Float64s:
        """Return the marginal gains of some candidates, each summed in the order of the represented items."""
        which, rows, parts = self._parts(items)
        parts *= self.weights[rows]
        return np.asarray(np.bincount(which, weights=parts, minlength=items.size), dtype=np.float64)

    def bounds(self, columns: Float64s) -> Float64s:
        """Return numbers that gains do not exceed."""
        parts = np.maximum(columns - self.level, 0.0) if self.rise else np.minimum(columns, self.level)
        return np.asarray((parts @ self.weights) * (1.0 + columns.shape[1] * 2.0**-52))

    def take(self, item: int) -> None:
        """Choose a candidate."""
        self.take_run(np.array([item]))

    def take_run(self, items: Indices) -> None:
        """Choose candidates that gain nothing from the same represented item."""
        _, rows, parts = self._parts(items)
        moves = parts > 0.0
        rows, parts = rows[moves], parts[moves]
        self.level[rows] += parts if self.rise else -parts
        self._taken.append(rows)
        self._moved += rows.size

    def apart(self, items: Indices) -> int:
        """Return how many of the first candidates gain nothing from the same represented item, two by two."""
        which, rows, parts = self._parts(items)
        gains = parts > 0.0
        which, rows = which[gains], rows[gains]
        self._first[rows[::-1]] = which[::-1]  # of several numbers for one place the last stays
        again = which[self._first[rows] != which]
        return int(again[0]) if again.size else items.size

    @property
    def moved(self) -> int:
        """How many levels have moved since they were settled."""
        return self._moved

    def settle(self) -> Change:
        """Return how far levels have moved since this was called last."""
        items = np.unique(np.concatenate([NO_ITEMS, *self._taken]))
        before, now = self.passed[items], self.level[items]
        self.passed[items], self._taken, self._moved = now, [], 0
        return Change(items, before, now) if self.rise else Change(items, now, before)

    def _parts(self, items: Indices) -> tuple[Indices, Indices, Float64s]:
        """Return for some candidates which of them, the represented item, and what it gains there."""
        which, rows, similarities = self.W.entries(items)
        level = self.level[rows]
        parts = np.maximum(similarities - level, 0.0) if self.rise else np.minimum(similarities, level)
        return which, rows, parts


def sparse_gains(W: SparseSimilarities, weights: Float64s, level: Float64s, *, rise: bool) -> DenseGains:
    """Return gains that are kept up of facility location (levels rise) or saturated coverage, before the first pick."""
    levels = SparseLevels(W, weights, level, rise)
    return DenseGains(levels, W, weights, levels.gains(np.arange(W.n)), W.above(weights))
