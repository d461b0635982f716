"""Pick one item after the other: the greedy of the definition, for rows among which few drafted picks are accepted.

A pass computes all gains of a turn, and what the picks that are foreseen (:mod:`.ahead`) would change, in the precision
of X, with their rounding bounded; the few items that the bound cannot tell from the best are computed in float64, and
these decide. So the picks are those of :mod:`.draft` and :mod:`.verify`. Meanwhile it is counted, at no cost, how many
picks a draft would have kept: those up to the first that was not among the rows of highest gain when the walk began.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import Workers, ranges, serial
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import row_dots
from ray_subsel.optimizers.speculative.ahead import Foresight, Passes, foresee
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows
from ray_subsel.optimizers.speculative.propose import exact_gains
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.verify import rounding

_NORM_TURNS = 8
"""Turns after which the norm of the direction is computed again."""
_GAINS_AT_ONCE = 64
_FEW = 4
"""Picks whose vectors are added one by one."""


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
        rows = distinct.rows
        self.distinct, self.score, self.start, self.taken, self.picks = distinct, score, start, taken, picks
        self.passes = Passes(distinct, taken, workers)
        self.order: list[int] = []
        self.gone: list[int] = []
        self.sums = np.empty((picks + 1, rows.d))
        self.sums[0] = chosen
        self._added = 0
        self.read = self.evaluations = 0
        self._highest: NDArray[np.bool_] | None = None
        self._ties: list[float] = score.ties(start + np.arange(picks + 1)).tolist()
        self._limit = distinct.copies.size
        self._utility = distinct.most_utility
        self._most_norm, self._norm_until = 0.0, 0
        self._noise = self._pass_noise = self._step_noise = 0.0
        self._products = np.empty((rows.n, 0), dtype=rows.working_dtype)
        self._drift: Floats | None = None
        if score.pace is not None:
            self._drift = np.empty(rows.n, dtype=rows.working_dtype)
            rows.multiplier(self._drift, workers)(score.total / score.pace)

    def run(self, foresight: Foresight, size: int) -> None:
        """Make the picks."""
        values = self.passes.values
        foreseen: dict[int, int] = {}
        right = 0
        self._pass()
        if size < values.size:
            self._highest = values >= np.partition(values, values.size - size)[values.size - size]
        while (row := self._best(values)) is not None:
            self._take(row)
            left = self.picks - len(self.order)
            if left == 0:
                return
            column = foreseen.get(row)
            if column is not None:
                self._follow(column)
                right += 1
                continue
            if foreseen:
                foresight.learn(len(foreseen), right)
            turns = min(foresight.turns(), left)
            foreseen, right = (self._pass_ahead(foresight, turns), 0) if turns > 1 else (self._pass(), 0)

    def walk(self) -> Walk:
        """Return the picks."""
        self._add_up()
        picked, utility = np.array(self.order, dtype=np.int64), self.distinct.utility
        gains = np.empty(picked.size)
        for start, stop in ranges(picked.size, _GAINS_AT_ONCE):
            vectors = self.distinct.rows.take(picked[start:stop])
            gains[start:stop] = row_dots(vectors, self.score.total - self.score.penalty * self.sums[start:stop]) - 1.0
        if utility is not None:
            gains += utility[picked]
        ids = self.distinct.copies.units(picked, np.array(self.gone, dtype=np.int64))
        kept = picked.size if self._highest is None else _before_first(~self._highest[picked])
        return Walk(ids, gains, self.sums[: picked.size + 1], kept, self.read, self.evaluations)

    def _pass(self) -> dict[int, int]:
        """Find the values of the next turn; no pick is foreseen."""
        self.passes.one(self._turn())
        self.read += 1
        self.evaluations += self.taken.size
        return {}

    def _pass_ahead(self, foresight: Foresight, turns: int) -> dict[int, int]:
        """Find the values of the next turn, and what the picks that are foreseen after the last would change.

        Returns
        -------
        The picks that are foreseen, and the column that :meth:`_follow` takes for each.
        """
        distinct, score, values = self.distinct, self.score, self.passes.values
        self._add_up()
        turn = len(self.order)
        pick = self.sums[turn] - self.sums[turn - 1]
        picks, steps = foresee(distinct.rows, score, values, pick, foresight.highest(values), turns - 1)
        if not picks:
            return self._pass()
        self._products = self.passes.several(self._turn(), steps, score.penalty)
        self.read += 1
        self.evaluations += self.taken.size * (1 + len(picks))
        step = score.penalty + score.drift
        most = self._most_norm + turns * step + self._utility + 1.0
        self._step_noise = rounding(distinct.rows, step, 0.0) + 2 * distinct.rows.unit_roundoff * most
        return {row: column for column, row in enumerate(picks, 1)}

    def _follow(self, column: int) -> None:
        """Let values be those after a pick that was foreseen."""
        values = self.passes.values
        np.subtract(values, self._products[:, column], out=values)
        if self._drift is not None:
            np.add(values, self._drift, out=values)
        self._noise += self._step_noise

    def _turn(self) -> Float64s:
        """Return the direction of the turn that is next, and bound the rounding of its values."""
        turn = len(self.order)
        direction = self._direction(turn)
        if turn >= self._norm_until:  # a bound will do
            norm = math.sqrt(direction @ direction) + _NORM_TURNS * (self.score.penalty + self.score.drift)
            self._pass_noise = rounding(self.distinct.rows, norm, self._utility)
            self._most_norm, self._norm_until = norm, turn + _NORM_TURNS
        self._noise = self._pass_noise
        return direction

    def _best(self, values: Floats) -> int | None:
        """Return the row that is picked next, or None where no unit is left."""
        row = int(values.argmax())
        top = float(values[row])
        if top == -np.inf:
            return None
        values[row] = -np.inf
        turn = len(self.order)
        tie = self._ties[turn]
        level = top - 2 * self._noise - tie
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
        self._add_up()
        return self.score.direction(self.sums[turn], self.start + turn)

    def _add_up(self) -> None:
        """Find the sums of the picks so far."""
        rows, sums, done, turn = self.distinct.rows, self.sums, self._added, len(self.order)
        if turn > done + _FEW:
            sums[done + 1 : turn + 1] = rows.take(np.array(self.order[done:]))
            some = sums[done : turn + 1]
            np.add.accumulate(some, axis=0, out=some)  # one after the other, as the definition adds
        else:
            for at in range(done, turn):
                np.add(sums[at], rows.row(self.order[at]), out=sums[at + 1])
        self._added = turn

    def _take(self, row: int) -> None:
        """Take note of a pick."""
        taken = int(self.taken[row])
        self.order.append(row)
        self.gone.append(taken)
        self.taken[row] = taken + 1
        if taken + 1 >= self._limit[row]:
            self.passes.close(row)


def _before_first(found: NDArray[np.bool_]) -> int:
    """Return how many are False before the first that is True."""
    return int(found.argmax()) if found.any() else found.size
