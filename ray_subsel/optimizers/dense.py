"""Rank items by gains that are kept up in memory: argmax over open items of f(S + i) - f(S), or of that per cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives.dense_gains import DenseGains
from ray_subsel.optimizers.base import Problem
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.speculative.copies import representatives
from ray_subsel.optimizers.ties import tie_width_in

_FIRST_BATCH = 4
_GAINS = 2  # computed at a time


@final
@dataclass(eq=False)
class DenseRanking:
    """The items by their gains: those that could win are evaluated in float64, once until a pick changes them.

    Bounds are brought up to date one by one, until that has cost as much as it does for all at once: so no more than
    twice the cheaper of the two is spent, whether few items compete for a pick or all of them.

    Attributes
    ----------
    problem : Problem
    feasible : FeasibleSet
    scale : float64 array of shape (n,) or None
        What gains are multiplied with before they are compared.
    gains : DenseGains
    same : int64 array of shape (n,)
        The lowest of the rows equal to each: they have one gain.
    """

    problem: Problem
    feasible: FeasibleSet
    scale: Float64s | None
    gains: DenseGains
    same: Indices
    evaluations: int = 0
    _known: Float64s = field(
        init=False
    )  # what the gain of each lowest row does not exceed: the last that was seen of it
    _gain_of: Indices = field(init=False)  # the pick before which that was the gain; -1 where it is not
    _bound_of: Indices = field(init=False)  # the pick before which its bound was up to date
    _pick: int = field(init=False, default=0)
    _looked: int = field(init=False, default=0)  # at bounds since all were up to date

    def __post_init__(self) -> None:
        self._known = np.full(self.problem.n, np.inf)
        self._gain_of = np.full(self.problem.n, -1)
        self._bound_of = np.zeros(self.problem.n, dtype=np.int64)

    @staticmethod
    def start(problem: Problem, feasible: FeasibleSet, scale: Float64s | None) -> DenseRanking | None:
        """Return the ranking before the first pick; None where the objective has no such gains, or W does not fit."""
        gains = problem.objective.dense_gains(problem.X)
        if gains is None:
            return None
        with block_workers() as workers:
            same = representatives(problem.X, None, workers=workers)
        return DenseRanking(problem, feasible, scale, gains, same)

    def gain(self, item: int) -> float:
        """Return the marginal gain of an item, its utility included."""
        return self.gains.gain(item) + (0.0 if self.problem.utility is None else float(self.problem.utility[item]))

    def take(self, item: int) -> None:
        """Choose an item."""
        self.gains.take(item)
        self._pick += 1
        if not self.gains.unsettled:
            self._settle()

    def best(self) -> tuple[int, float]:
        """Return the open item of largest key, the lowest of several, and its gain."""
        ids = np.flatnonzero(self.feasible.open)
        same = self.same[ids]
        bounds = self._bounds(ids, same)
        batch = _FIRST_BATCH
        while True:
            known = self._gain_of[same] == self._pick
            level = self._tie_level(ids[known], bounds[known])
            waiting = np.flatnonzero(~known & (bounds >= level))
            if not waiting.size:
                break
            fresh = self._bound_of[same[waiting]] == self._pick
            ready = waiting[fresh & (bounds[waiting] >= bounds[waiting[~fresh]].max(initial=-np.inf))]
            if ready.size:
                self._evaluate(same[_highest(ready, bounds, _GAINS)])
            elif 0 < self.gains.unsettled <= self._looked:
                self._settle()
            else:
                self._tighten(same[_highest(waiting[~fresh], bounds, batch)])
                batch *= 2
            bounds = self._bounds(ids, same)
        item = int(ids[np.argmax(known & (bounds >= level))])
        return item, self._known_gain(item)

    def _known_gain(self, item: int) -> float:
        utility = self.problem.utility
        return float(self._known[self.same[item]]) + (0.0 if utility is None else float(utility[item]))

    def _tie_level(self, known: Indices, keys: Float64s) -> float:
        """Return the lowest key that ties with the largest of those items whose gains are known."""
        if not known.size:
            return -np.inf
        top = int(np.argmax(keys))
        item = int(known[top])
        width = tie_width_in(self.problem, self.gains.unit, item, self._known_gain(item), self.scale)
        return float(keys[top]) - width

    def _evaluate(self, rows: Indices) -> None:
        """Compute the gains of some rows."""
        for row in np.unique(rows).tolist():
            self._known[row], self._gain_of[row] = self.gains.gain(row), self._pick
            self.evaluations += 1

    def _tighten(self, rows: Indices) -> None:
        """Bring the bounds of some rows up to date."""
        rows = np.unique(rows)
        self._looked += rows.size
        if not self.gains.rounds:
            self._evaluate(rows)
        for row in rows.tolist() if self.gains.rounds else ():
            self._known[row] = min(self._known[row], self.gains.bound(row))
        self._bound_of[rows] = self._pick

    def _settle(self) -> None:
        """Bring all bounds up to date: what no pick has changed since it was known is known still."""
        changed = self.gains.settle()
        current = self._gain_of == self._pick
        self._gain_of[changed & ~current] = -1
        self._gain_of[~changed & (self._gain_of >= 0)] = self._pick
        self._bound_of[:] = self._pick
        self._looked = 0

    def _bounds(self, ids: Indices, same: Indices) -> Float64s:
        """Return for each open item its gain, where that is known, else a number that it does not exceed; as keys."""
        return self._keys(np.minimum(self.gains.bounds()[ids], self._known[same]), ids)

    def _keys(self, gains: Float64s, ids: Indices) -> Float64s:
        if self.problem.utility is not None:
            gains = gains + self.problem.utility[ids]
        return gains if self.scale is None else gains * self.scale[ids]


def _highest(places: Indices, bounds: Float64s, most: int) -> Indices:
    """Return those of some places that have the highest bounds."""
    if places.size <= most:
        return places
    return places[np.argpartition(-bounds[places], most - 1)[:most]]
