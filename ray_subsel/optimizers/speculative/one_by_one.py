"""Pick one item after the other: the greedy of the definition, for rows among which few drafted picks are accepted.

A pass computes all gains of a turn, and what the picks that are foreseen (:mod:`.ahead`) would change, in the precision
of X, with their rounding bounded; the few items that the bound cannot tell from the best are computed in float64, and
these decide. So the picks are those of :mod:`.draft` and :mod:`.verify`. Meanwhile it is counted, at no cost, how many
picks a draft would have kept: those up to the first that was not among the rows of highest gain when the walk began.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import Workers, ranges, serial
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import row_dots
from ray_subsel.optimizers.speculative.ahead import Foresight, foresee
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows
from ray_subsel.optimizers.speculative.passes import Passes
from ray_subsel.optimizers.speculative.propose import exact_gains
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.verify import rounding

_DIRECT_TURNS = 64
"""Turns after which the direction is computed again; until then picks are taken from it as they are made, rounded."""
_FIRST_TURNS = 8
"""Turns after which it is looked at how many of them values did not decide."""
_FEW_CLOSE = 16
"""Rows that are compared by the rounded direction first."""
_SUMMED_NUMBERS = 1 << 13
"""Numbers of the vectors that are added up at once: no memory is taken from the system for them."""
_NARROW = 64
"""Dimensions up to which numpy accumulates along the picks in less time than it adds rows."""
_CLOSE_CALL = 40.0
"""Microseconds that it takes to compute in float64 what values do not tell apart; they only decide on the way."""


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
        self.score, self.start, self.taken, self.picks, self.workers = score, start, taken, picks, workers
        self.order: list[int] = []
        self.gone: list[int] = []
        self.sums = np.empty((picks + 1, distinct.rows.d))
        self.sums[0] = chosen
        self.gains = np.empty(picks)
        self.read = self.evaluations = 0
        self._added = self._close = self._looked = 0  # picks in the sums, picks that values did not decide, since when
        self._highest: NDArray[np.bool_] | None = None
        self._ties: list[float] = (score.ties(start + np.arange(picks + 1)) / score.penalty).tolist()
        self._limit = distinct.copies.size
        self._once = bool((self._limit <= 1).all())  # no row has several units
        self._utility = distinct.most_utility
        self._wide = self._negative = False  # whether rows were widened, and whether there were picks of negative value
        self._read_rows(distinct)

    def _read_rows(self, distinct: DistinctRows) -> None:
        """Let passes be over these rows, from the next on."""
        rows, score = distinct.rows, self.score
        self.distinct = distinct
        self.passes = Passes(distinct, self.taken, score.penalty, self.workers)
        if self._once:
            self.passes.base[self.order] = -np.inf
        self._drift = self._turning = None
        if score.pace is not None:
            turning = score.total / (score.pace * score.penalty)
            self._drift, self._turning = np.empty(rows.n, rows.working_dtype), turning.astype(rows.working_dtype)
            rows.multiplier(self._drift, self.workers)(turning)
        self._row = rows.rounded_row if rows.as_is is None else rows.as_is.__getitem__
        self._direct()

    def run(self, foresight: Foresight, size: int) -> None:
        """Make the picks."""
        if not self._alone(1):
            return
        values = self.passes.values
        if size < values.size:
            self._highest = values >= np.partition(values, values.size - size)[values.size - size]
            self._highest[self.order[0]] = True
        while (left := self.picks - len(self.order)) > 0:
            turns = 1 if self._wide else min(foresight.turns(), left)
            if not (self._ahead(foresight, turns) if turns > 1 else self._alone(min(foresight.alone(), left))):
                return

    def walk(self) -> Walk:
        """Return the picks."""
        self._add_up()
        picked, utility = np.array(self.order, dtype=np.int64), self.distinct.utility
        gains = self.gains[: picked.size] - 1.0
        if utility is not None:
            gains += utility[picked]
        gone = self.taken[picked] if self._once else np.array(self.gone, dtype=np.int64)
        ids = self.distinct.copies.units(picked, gone)
        kept = picked.size if self._highest is None else _before_first(~self._highest[picked])
        return Walk(ids, gains, self.sums[: picked.size + 1], kept, self.read, self.evaluations)

    def _alone(self, turns: int) -> bool:
        """Make so many picks with a pass each; False where no unit is left."""
        until = len(self.order) + turns
        self.passes.expect(turns)
        while (turn := len(self.order)) < until:
            if turn >= self._direct_until:
                self._widen_or_not()
                self._direct()
            if not self._stretch(min(until, self._direct_until) - turn):
                return False
        return True

    def _stretch(self, turns: int) -> bool:
        """Make at most so many picks from the direction that is known; False where no unit is left.

        Beside the products there is little in this loop: a pass over X empties the caches, and whatever is looked at
        then comes from far.
        """
        passes, direction, order, turn = self.passes, self._direction, self.order, len(self.order)
        plain = self._once and self._turning is None
        values, base, product, row_of, closed = passes.values, passes.base, passes.product, self._row, -np.inf
        argmax, item, add, subtract = values.argmax, values.item, np.add, np.subtract
        stepped, more = turn - self._direct_at, 2 * self._step_noise
        margin = 2 * self._noise + self._ties[turn + turns - 1] + stepped * more
        least = self._least + 2 * (margin + turns * more)
        for _ in range(turns):
            product(direction, values)
            add(values, base, values)
            row = int(argmax())
            top = item(row)
            values[row] = closed
            if item(argmax()) >= top - margin:
                if top == closed:
                    break
                values[row] = top
                row = self._decide(values, top - margin)
                values[row] = closed
            margin += more
            if plain and top >= least:
                order.append(row)
                base[row] = closed
                subtract(direction, row_of(row), direction)
            else:
                values[row] = top
                self._take(row)
                if top < least and not self._within_room(2 * margin - top):
                    break
        made = len(order) - turn
        self.read += made
        self.evaluations += made * values.size
        return bool(top > closed)

    def _ahead(self, foresight: Foresight, turns: int) -> bool:
        """Make the picks that are foreseen, and the next, with one pass; False where no unit is left."""
        score, passes, values = self.score, self.passes, self.passes.values
        if len(self.order) >= self._direct_until:
            self._direct()
        rows = self.distinct.rows
        pick = rows.rounded_row(self.order[-1])
        picks, steps = foresee(rows, self._turning, values, pick, foresight.highest(values), turns - 1)
        if not picks:
            return self._alone(1)
        products = passes.several(self._direction, steps)
        self.read += 1
        self.evaluations += self.taken.size * (1 + len(picks))
        columns = {row: column for column, row in enumerate(picks, 1)}
        step = 1.0 + score.drift / score.penalty
        most = self._most_norm + turns * step
        noise = self._noise + (len(self.order) - self._direct_at) * self._step_noise
        more = rounding(rows, step, 0.0) + 2 * rows.unit_roundoff * (most + 1.0)
        right = 0
        while (row := self._best(values, noise)) is not None:
            if (value := values.item(row)) < self._least + 2 * noise:
                self._within_room(2 * noise - value)
            self._take(row)
            if len(self.order) == self.picks:
                return True
            column = columns.get(row)
            if column is None:
                foresight.learn(len(picks), right)
                return True
            right += 1
            noise += more
            np.subtract(values, products[:, column], out=values)
            if self._drift is not None:
                np.add(values, self._drift, out=values)
        return False

    def _direct(self) -> None:
        """Compute the direction of the next turn anew, and bound the rounding of values until it is done again.

        A pick x changes the direction q to q - x, where units are those of a pick, and |q - x|^2 = |q|^2 - 2 <x, q> + 1
        is at most |q|^2 + 1 while the values of picks are not negative. Once some were there is room for a few more.
        Where values are not <x, q>, |q - x| <= |q| + 1.
        """
        rows, penalty, turn = self.distinct.rows, self.score.penalty, len(self.order)
        direction = self._exact_direction() / penalty
        step, square = 1.0 + self.score.drift / penalty, float(direction @ direction)
        plain = self._turning is None and self.distinct.utility is None
        turns = _DIRECT_TURNS if plain else max(_DIRECT_TURNS // 4, min(_DIRECT_TURNS, int(math.sqrt(square))))
        turns = turns if turn else _FIRST_TURNS
        self._room = square + turns if self._negative else 0.0
        norm = math.sqrt(square + turns + self._room) if plain else math.sqrt(square) + turns * step
        self._least = 0.0 if plain else -np.inf
        self._direction = direction.astype(rows.working_dtype)
        self._noise, self._most_norm = rounding(rows, norm + self._utility / penalty, 0.0), norm
        self._longer = step
        additions = 1 if self._turning is None else 2
        self._step_noise = rows.unit_roundoff * (additions * norm + 8 * step)  # of a turn, in the direction
        self._direct_at, self._direct_until = turn, turn + turns

    def _within_room(self, below: float) -> bool:
        """Take note of a value so far below zero; the direction is computed anew where there is no room for it."""
        self._negative, self._room = True, self._room - 2 * below
        if self._room < 0:
            self._direct_until = 0
        return self._room >= 0

    def _widen_or_not(self) -> None:
        """Let passes be in float64, if the last ones told so little apart that this takes less time."""
        rows, turns = self.distinct.rows, len(self.order) - self._looked
        if turns < _FIRST_TURNS:
            return
        close, self._close, self._looked = self._close, 0, len(self.order)
        more = rows.n * rows.d / 15_000 + rows.n / 2_500  # microseconds of a pass in float64
        if (
            close >= 4
            and close * _CLOSE_CALL > turns * more
            and rows.working_dtype == np.float32
            and rows.device is None
        ):
            self._wide = True
            self._read_rows(replace(self.distinct, rows=rows.wide()))
            self.passes.expect(self.picks - len(self.order))

    def _best(self, values: Floats, noise: float) -> int | None:
        """Return the row that is picked next, or None where no unit is left."""
        row = int(values.argmax())
        top = values.item(row)
        if top == -np.inf:
            return None
        values[row] = -np.inf
        level = top - 2 * noise - self._ties[len(self.order)]
        second = values.item(values.argmax())
        values[row] = top
        return row if second < level else self._decide(values, level)

    def _decide(self, values: Floats, level: float) -> int:
        """Return the row that is picked next of those whose values reach a level."""
        self._close += 1
        close = (values >= level).nonzero()[0]
        if close.size <= _FEW_CLOSE and (first := self._clear_first(close)) is not None:
            return first
        exact = exact_gains(self.distinct, close, self._exact_direction())
        tied = close[exact.max() - exact <= self.score.penalty * self._ties[len(self.order)]]
        place = 0 if tied.size == 1 else np.argmin(self.distinct.copies.units(tied, self.taken[tied]))
        return int(tied[place])

    def _clear_first(self, close: Indices) -> int | None:
        """Return the best of some rows, where the rounding of the direction alone leaves no doubt about it."""
        distinct, turn = self.distinct, len(self.order)
        gains = distinct.rows.take(close) @ self._direction.astype(np.float64)
        if distinct.utility is not None:
            gains += distinct.utility[close] / self.score.penalty
        beyond = max(0, turn - self._direct_until)  # turns by which the direction may be longer than was bounded
        noise = (turn - self._direct_at + 1) * (
            self._step_noise + 2 * distinct.rows.unit_roundoff * beyond * self._longer
        )
        best = int(gains.argmax())
        lead = gains[best] - 2 * (noise + self._ties[turn])
        gains[best] = -np.inf
        return int(close[best]) if gains.max() < lead else None

    def _exact_direction(self) -> Float64s:
        """Return what gains are products with at the next turn."""
        self._add_up()
        turn = len(self.order)
        return self.score.direction(self.sums[turn], self.start + turn)

    def _add_up(self) -> None:
        """Find the sums of the picks so far, and what their gains are made of."""
        rows, score, end = self.distinct.rows, self.score, len(self.order)
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

    def _take(self, row: int) -> None:
        """Take note of a pick, and turn to what gains are products with after it."""
        direction = self._direction
        self.order.append(row)
        if self._once:
            self.passes.close(row)
        else:
            gone = self.taken.item(row)
            self.gone.append(gone)
            self.taken[row] = gone + 1
            if gone + 1 >= self._limit.item(row):
                self.passes.close(row)
        np.subtract(direction, self._row(row), direction)
        if self._turning is not None:
            np.add(direction, self._turning, direction)


def _before_first(found: NDArray[np.bool_]) -> int:
    """Return how many are False before the first that is True."""
    return int(found.argmax()) if found.any() else found.size
