"""Know what gains are products with, pick after pick: rounded for the values of all rows, exact for what decides.

Directions are in units of 2 + lam, so a pick of unit vector x changes q to q - x. Rounded, q is in the precision of X:
each pick is taken from it, and after some turns it is computed anew. Exact, it follows from the sum of the picks, added
one after the other in float64, as the definition adds.
"""

from __future__ import annotations

import math

import numpy as np

from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import row_dots
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.verify import rounding

_TURNS, _FIRST_TURNS = 64, 8  # after which the direction is computed anew
_SUMMED_NUMBERS = 1 << 13  # of the vectors that are added up at once: no memory is taken from the system for them
_NARROW = 64  # dimensions up to which numpy accumulates along the picks in less time than it adds rows


class Direction:
    """The direction of the turn that is next.

    Parameters
    ----------
    distinct : DistinctRows
    score : GraphCutScore
    chosen : float64 array of shape (d,)
        s before the first pick.
    start : int
        How many items make it up.
    picks : int
        How many will be made at most.

    Attributes
    ----------
    order : list of int
        Rows of the picks so far, in their order.
    sums : float64 array of shape (picks + 1, d)
        s before each turn, as far as :meth:`exact` was asked for.
    gains : float64 array of shape (picks,)
        <x, t - (2 + lam) s> of each of these picks at its turn.
    rounded : float array of shape (d,)
        q, in the precision of X.
    turning : float array of shape (d,) or None
        What is added to q after each pick of a paced greedy.
    row : callable
        Returns the unit vector of a row in the precision of X.
    until : int
        The turn from which :meth:`renew` must be called before a pass.
    noise : float
        Bound on the rounding of the values of a pass, beside what ``step_noise`` adds for each turn since ``at``.
    longest : float
        Bound on |q| until then.
    least : float
        Picks of lower values must be told to :meth:`below`.
    """

    def __init__(self, distinct: DistinctRows, score: GraphCutScore, chosen: Float64s, start: int, picks: int) -> None:
        self._score, self._start = score, start
        self.order: list[int] = []
        self.sums = np.empty((picks + 1, distinct.rows.d))
        self.sums[0] = chosen
        self.gains = np.empty(picks)
        self._added = 0
        self._step = 1.0 + score.drift / score.penalty
        self._negative = False
        self.read(distinct)

    def read(self, distinct: DistinctRows) -> None:
        """Let rows be these from now on: the same unit vectors in another precision."""
        rows, score = distinct.rows, self._score
        self._distinct = distinct
        self.row = rows.rounded_row if rows.as_is is None else rows.as_is.__getitem__
        self.turning: Floats | None = None
        if score.pace is not None:
            self.turning = (score.total / (score.pace * score.penalty)).astype(rows.working_dtype)
        self.renew()

    def renew(self) -> None:
        """Compute q anew, and bound the rounding of values until that is done again.

        |q - x|^2 = |q|^2 - 2 <x, q> + 1 is at most |q|^2 + 1 while the values of picks are not negative. Once some were
        there is room for a few more. Where values are not <x, q>, |q - x| <= |q| + 1.
        """
        distinct, turn = self._distinct, len(self.order)
        rows, utility = distinct.rows, distinct.most_utility / self._score.penalty
        q = self.exact() / self._score.penalty
        square = float(q @ q)
        plain = self.turning is None and distinct.utility is None
        turns = _TURNS if plain else max(_TURNS // 4, min(_TURNS, int(math.sqrt(square))))
        turns = turns if turn else _FIRST_TURNS
        self._room = square + turns if self._negative else 0.0
        self.longest = math.sqrt(square + turns + self._room) if plain else math.sqrt(square) + turns * self._step
        self.least = 0.0 if plain else -np.inf
        self.rounded = q.astype(rows.working_dtype)
        self.noise = rounding(rows, self.longest + utility, 0.0)
        additions = 1 if self.turning is None else 2
        self.step_noise = rows.unit_roundoff * (additions * self.longest + 8 * self._step)
        self.at, self.until = turn, turn + turns

    def noise_now(self) -> float:
        """Return a bound on the rounding of the values of a pass at this turn."""
        return self.noise + (len(self.order) - self.at) * self.step_noise

    def below(self, depth: float) -> bool:
        """Take note of a pick whose value is so far below 0; False where q must be computed anew before a pass."""
        self._negative, self._room = True, self._room - 2 * depth
        if self._room < 0:
            self.until = 0
        return self._room >= 0

    def take(self, row: int) -> None:
        """Take note of a pick."""
        self.order.append(row)
        np.subtract(self.rounded, self.row(row), self.rounded)
        if self.turning is not None:
            np.add(self.rounded, self.turning, self.rounded)

    def exact(self) -> Float64s:
        """Return what gains are products with, t - (2 + lam) s or that of a paced greedy."""
        self._add_up()
        turn = len(self.order)
        return self._score.direction(self.sums[turn], self._start + turn)

    def clear_first(self, close: Indices, tie: float) -> int | None:
        """Return the best of some rows, where the rounding of q alone leaves no doubt about it.

        Parameters
        ----------
        close : int64 array
        tie : float
            Difference of values up to which rows are equal.
        """
        distinct, turn = self._distinct, len(self.order)
        values = distinct.rows.take(close) @ self.rounded.astype(np.float64)
        if distinct.utility is not None:
            values += distinct.utility[close] / self._score.penalty
        beyond = max(0, turn - self.until) * self._step  # by which q may be longer than was bounded
        noise = (turn - self.at + 1) * (self.step_noise + 2 * distinct.rows.unit_roundoff * beyond)
        best = int(values.argmax())
        lead = values[best] - 2 * (noise + tie)
        values[best] = -np.inf
        return int(close[best]) if values.max() < lead else None

    def _add_up(self) -> None:
        """Find the sums of the picks so far, and their gains."""
        rows, score, end = self._distinct.rows, self._score, len(self.order)
        for start, stop in ranges(end - self._added, max(8, _SUMMED_NUMBERS // rows.d)):
            some = slice(self._added + start, self._added + stop)
            vectors, sums = rows.take(np.array(self.order[some])), self.sums[some.start : some.stop + 1]
            if rows.d <= _NARROW:
                sums[1:] = vectors
                np.add.accumulate(sums, axis=0, out=sums)
            else:  # the same additions, one after the other
                for before, vector, after in zip(sums[:-1], vectors, sums[1:], strict=True):
                    np.add(before, vector, after)
            directions = score.penalty * sums[:-1]
            self.gains[some] = row_dots(vectors, np.subtract(score.total, directions, out=directions))
        self._added = end
