"""Pick one item after the other: the greedy of the definition, for rows among which few drafted picks are accepted.

A pass computes all gains of a turn, or of several turns that are foreseen (:mod:`.ahead`), in the precision of X, with
their rounding bounded; the few items that the bound cannot tell from the best are computed in float64, and these
decide. So the picks are those of :mod:`.draft` and :mod:`.verify`. Meanwhile it is counted, at no cost, how many picks
a draft would have kept: those up to the first that was not among the rows of highest gain when the walk began.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import Workers, ranges, serial
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import row_dots
from ray_subsel.optimizers.speculative.ahead import Foresight, Passes, before_first, foresee
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows
from ray_subsel.optimizers.speculative.propose import exact_gains
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.verify import rounding

_NORM_TURNS = 8
"""Turns after which the norm of the direction is computed again."""
_GAINS_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Walk:
    """Picks that were made one after the other.

    Attributes
    ----------
    ids : int64 array of shape (J,)
    gains : float64 array of shape (J,)
        Gain of f, and utility, of each pick at its turn.
    sums : float64 array of shape (J + 1, d)
        s before each turn, and after the last.
    kept : int
        How many picks, from the first on, were among the rows of highest gain before the first: what a draft from
        these would have kept.
    passes : int
        Passes over X.
    evaluations : int
        Gains that were computed.
    """

    ids: Indices
    gains: Float64s
    sums: Float64s
    kept: int
    passes: int
    evaluations: int

    def __len__(self) -> int:
        return int(self.ids.size)


def pick_one_by_one(
    distinct: DistinctRows,
    score: GraphCutScore,
    chosen: Float64s,
    start: int,
    taken: Indices,
    picks: int,
    size: int,
    workers: Workers = serial,
    foresight: Foresight | None = None,
) -> Walk:
    """Pick greedily, with at most one pass over X a pick; fewer come back where all units are gone.

    Parameters
    ----------
    distinct : DistinctRows
    score : GraphCutScore
    chosen : float64 array of shape (d,)
        s.
    start : int
        How many items make up s.
    taken : int64 array of shape (n,)
        Units of each row that are gone.
    picks : int
        J.
    size : int
        Of how many rows of highest gain :attr:`Walk.kept` is counted.
    foresight : Foresight, optional
        How far is looked ahead, which changes the time it takes and nothing else; it learns from walk to walk.
    """
    walking = _Walking(distinct, score, chosen, start, taken.copy(), picks, workers)
    walking.run(foresight or Foresight.of(distinct.rows), size)
    return walking.walk()


class _Walking:
    """A walk that is under way."""

    def __init__(
        self,
        distinct: DistinctRows,
        score: GraphCutScore,
        chosen: Float64s,
        start: int,
        taken: Indices,
        picks: int,
        workers: Workers,
    ) -> None:
        self.distinct, self.score, self.start, self.taken, self.picks = distinct, score, start, taken, picks
        self.passes = Passes(distinct, taken, workers)
        self.order: list[int] = []
        self.gone: list[int] = []
        self.sums = np.empty((picks + 1, distinct.rows.d))
        self.sums[0] = chosen
        self.read = self.evaluations = 0
        self._highest: NDArray[np.bool_] | None = None
        self._ties: list[float] = score.ties(start + np.arange(picks + 1)).tolist()
        self._noise, self._noise_turns = 0.0, 0
        self._limit = distinct.copies.size

    def run(self, foresight: Foresight, size: int) -> None:
        """Make the picks."""
        first = self._pass()
        if size < first.size:
            self._highest = first >= np.partition(first, first.size - size)[first.size - size]
        values: Floats | None = first
        while (left := self.picks - len(self.order)) and values is not None:
            if foresight.length > 1 and left > 1:
                values = self._ahead(values, foresight, min(foresight.length, left - 1))
            else:
                values = self._single(values, foresight, min(foresight.rest, left))

    def _single(self, values: Floats, foresight: Foresight, turns: int) -> Floats | None:
        """Make some picks, a pass each; return the values of the next turn, or None where no unit is left."""
        first, row_of, sums = len(self.order), self.distinct.rows.row, self.sums
        highest = foresight.highest(values)
        for turn in range(first, first + turns):
            row = self._best(values, turn, self._noise)
            if row is None:
                return None
            np.add(sums[turn], row_of(row), out=sums[turn + 1])
            self._take(row)
            if turn + 1 < self.picks:
                values = self._pass()
        foresight.learn_single(highest, self.order[first:])
        return values

    def _ahead(self, values: Floats, foresight: Foresight, length: int) -> Floats | None:
        """Make the picks of turns that are foreseen, as :meth:`_single` does."""
        row = self._best(values, len(self.order), self._noise)
        if row is None:
            return None
        foreseen = foresee(self.distinct.rows, self.score, values, row, length, foresight.sizes.pool)
        values, right = self._pass_ahead(foreseen)
        foresight.learn(foreseen.size, right)
        return values

    def walk(self) -> Walk:
        """Return the picks."""
        picked, utility = np.array(self.order, dtype=np.int64), self.distinct.utility
        gains = np.empty(picked.size)
        for start, stop in ranges(picked.size, _GAINS_AT_ONCE):
            vectors = self.distinct.rows.take(picked[start:stop])
            gains[start:stop] = row_dots(vectors, self.score.total - self.score.penalty * self.sums[start:stop]) - 1.0
        if utility is not None:
            gains += utility[picked]
        ids = self.distinct.copies.units(picked, np.array(self.gone, dtype=np.int64))
        kept = picked.size if self._highest is None else before_first(~self._highest[picked])
        return Walk(ids, gains, self.sums[: picked.size + 1], kept, self.read, self.evaluations)

    def _pass(self) -> Floats:
        """Return the values of the next turn."""
        direction = self._direction(len(self.order))
        if self._noise_turns == 0:  # a bound will do
            norm = math.sqrt(direction @ direction) + _NORM_TURNS * (self.score.penalty + self.score.drift)
            self._noise = rounding(self.distinct.rows, norm, self.distinct.most_utility)
            self._noise_turns = _NORM_TURNS
        self._noise_turns -= 1
        self.passes.one(direction)
        self.read += 1
        self.evaluations += self.taken.size
        return self.passes.values

    def _pass_ahead(self, rows: Indices) -> tuple[Floats, int]:
        """Take the first of the picks that are foreseen, and those after it that are right.

        Returns
        -------
        values : float array of shape (n,)
            Of the next turn.
        right : int
            How many turns' values were of use.
        """
        distinct, length, turn = self.distinct, rows.size, len(self.order) + 1
        sums = self.sums[turn - 1 : turn + length]
        sums[1:] = distinct.rows.take(rows)
        np.cumsum(sums, axis=0, out=sums)  # one after the other, as the definition adds
        self._take(int(rows[0]))
        directions = self.score.directions(sums[1:], self.start + turn)
        values = self.passes.several(directions)
        self.read += 1
        self.evaluations += values.size
        norms = np.sqrt(np.einsum("jd,jd->j", directions, directions))
        noise = rounding(distinct.rows, norms, distinct.most_utility)
        at = length - 1
        for doubtful in np.flatnonzero(~self._clear(values, rows, noise, turn)).tolist():
            column = self._column(values, rows, doubtful)
            if self._best(column, turn + doubtful, float(noise[doubtful])) != rows[doubtful + 1]:
                at = doubtful
                break
        column = self._column(values, rows, at)
        for row in rows[1 : at + 1].tolist():
            self._take(row)
        self._noise, self._noise_turns = float(noise[at]), 0
        return column, at + 1

    def _column(self, values: Floats, rows: Indices, at: int) -> Floats:
        """Return the values of one of several turns, after the picks before it."""
        column, before = values[:, at].copy(), rows[1 : at + 1]
        column[before[self._last(before)]] = -np.inf
        return np.asarray(column)

    def _clear(self, values: Floats, rows: Indices, noise: Float64s, turn: int) -> NDArray[np.bool_]:
        """Tell for each turn but the last whether the row that is foreseen there is surely the best."""
        rows, places = rows[1:], np.arange(1, rows.size)
        own = values[rows]
        values[rows] = -np.inf
        best = self.passes.highest(values)[:-1]
        values[rows] = own
        mine = np.diagonal(own).astype(np.float64)  # of row i + 1 at turn i
        stays = ~self._last(rows)[:, None]
        rivals = (places[:, None] > places) | ((places[:, None] < places) & stays)
        others = np.where(rivals, own[:, :-1], -np.inf).max(axis=0, initial=-np.inf)
        level = mine - 2 * noise[:-1] - self._ties[turn : turn + rows.size]
        return np.asarray(np.maximum(best, others) < level)

    def _best(self, values: Floats, turn: int, noise: float) -> int | None:
        """Return the row that is picked at a turn, or None where no unit is left."""
        row = int(values.argmax())
        top = float(values[row])
        if top == -np.inf:
            return None
        values[row] = -np.inf
        tie = self._ties[turn]
        level = top - 2 * noise - tie
        second = values[values.argmax()]
        values[row] = top
        if second < level:
            return row
        close = np.flatnonzero(values >= level)
        exact = exact_gains(self.distinct, close, self._direction(turn))
        tied = close[exact.max() - exact <= tie]
        return int(tied[np.argmin(self.distinct.copies.units(tied, self.taken[tied]))])

    def _direction(self, turn: int) -> Float64s:
        """Return what gains are products with when so many picks of the walk were made."""
        return self.score.direction(self.sums[turn], self.start + turn)

    def _last(self, rows: Indices) -> NDArray[np.bool_]:
        """Return which rows have one unit left, or none."""
        return np.asarray(self.taken[rows] + 1 >= self._limit[rows])

    def _take(self, row: int) -> None:
        """Take note of a pick."""
        taken = int(self.taken[row])
        self.order.append(row)
        self.gone.append(taken)
        self.taken[row] = taken + 1
        if taken + 1 >= self._limit[row]:
            self.passes.close(row)
