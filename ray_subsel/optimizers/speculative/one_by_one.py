"""Pick one item after the other: the greedy of the definition, for rows among which few drafted picks are accepted.

A pass computes all gains of a turn, and what the picks that are foreseen (:mod:`.ahead`) would change, in the precision
of X, with their rounding bounded; the few items that the bound cannot tell from the best are computed in float64, and
these decide. So the picks are those of :mod:`.draft` and :mod:`.verify`. Meanwhile it is counted, at no cost, how many
picks a draft would have kept: those up to the first that was not among the rows of highest gain when the walk began.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import Workers, serial
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.optimizers.speculative.ahead import Foresight, foresee
from ray_subsel.optimizers.speculative.direction import Direction
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows
from ray_subsel.optimizers.speculative.passes import Passes
from ray_subsel.optimizers.speculative.propose import exact_gains
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.verify import rounding

_FEW_CLOSE = 16
"""Rows that are compared by the rounded direction first."""
_LOOKED_TURNS = 8
"""Turns after which it is looked at how many of them values did not decide."""
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
        self.score, self.taken, self.picks, self.workers = score, taken, picks, workers
        self.direction = Direction(distinct, score, chosen, start, picks)
        self.order = self.direction.order
        self.gone: list[int] = []
        self.read = self.evaluations = 0
        self._close = self._looked = 0  # picks that values did not decide, and since which turn
        self._highest: NDArray[np.bool_] | None = None
        self._ties: list[float] = (score.ties(start + np.arange(picks + 1)) / score.penalty).tolist()
        self._limit = distinct.copies.size
        self._once = bool((self._limit <= 1).all())  # no row has several units
        # whether a row without units may be among the highest: a pick is not, as it has lowered its own value by 1
        self._masks = distinct.utility is not None or bool((self._limit < 1).any())
        self._wide = False  # whether rows were widened
        self._read_rows(distinct)

    def _read_rows(self, distinct: DistinctRows) -> None:
        """Let passes be over these rows, from the next on."""
        rows, score = distinct.rows, self.score
        self.distinct = distinct
        self.passes = Passes(distinct, self.taken, score.penalty, self.workers)
        if self._once:
            self.passes.base[self.order] = -np.inf
        self._drift: Floats | None = None
        if score.pace is not None:
            self._drift = np.empty(rows.n, rows.working_dtype)
            rows.multiplier(self._drift, self.workers)(score.total / (score.pace * score.penalty))

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
        self.direction.exact()
        picked, utility = np.array(self.order, dtype=np.int64), self.distinct.utility
        gains = self.direction.gains[: picked.size] - 1.0
        if utility is not None:
            gains += utility[picked]
        gone = self.taken[picked] if self._once else np.array(self.gone, dtype=np.int64)
        ids = self.distinct.copies.units(picked, gone)
        kept = picked.size if self._highest is None else _before_first(~self._highest[picked])
        return Walk(ids, gains, self.direction.sums[: picked.size + 1], kept, self.read, self.evaluations)

    def _alone(self, turns: int) -> bool:
        """Make so many picks with a pass each; False where no unit is left."""
        until = len(self.order) + turns
        self.passes.expect(self.read + turns)
        while (turn := len(self.order)) < until:
            if turn >= self.direction.until:
                self._widen_or_not()
                self.direction.renew()
            if not self._stretch(min(until, self.direction.until) - turn):
                return False
        return True

    def _stretch(self, turns: int) -> bool:
        """Make at most so many picks from the direction that is known; False where no unit is left.

        Beside the products there is little in this loop: a pass over X empties the caches, and whatever is looked at
        then comes from far.
        """
        passes, direction, order, turn = self.passes, self.direction, self.order, len(self.order)
        plain = self._once and direction.turning is None
        values, base, product, row_of, closed = passes.values, passes.base, passes.product, direction.row, -np.inf
        argmax, item, add, subtract, rounded = values.argmax, values.item, np.add, np.subtract, direction.rounded
        base_of, masks = base.item, self._masks or not plain
        add_base = (lambda: values) if masks else partial(add, values, base, values)
        more = 2 * direction.step_noise
        margin = 2 * direction.noise_now() + self._ties[turn + turns - 1]
        least = direction.least + 2 * (margin + turns * more)
        for _ in range(turns):
            product(rounded, values)
            if masks:
                add(values, base, values)
            row = int(argmax())
            if not masks and base_of(row) == closed:  # an earlier pick: seldom
                add_base()
                row = int(argmax())
            top = item(row)
            values[row] = closed
            if item(argmax()) >= top - margin:
                if top == closed:
                    break
                values[row] = top
                add_base()
                row = self._decide(values, top - margin)
                values[row] = closed
            margin += more
            if plain and top >= least:  # what _take does
                order.append(row)
                base[row] = closed
                subtract(rounded, row_of(row), rounded)
            else:
                values[row] = top
                self._take(row)
                if top < least and not direction.below(2 * margin - top):
                    break
        add_base()
        made = len(order) - turn
        self.read += made
        self.evaluations += made * values.size
        return bool(top > closed)

    def _ahead(self, foresight: Foresight, turns: int) -> bool:
        """Make the picks that are foreseen, and the next, with one pass; False where no unit is left."""
        direction, passes, values, rows = self.direction, self.passes, self.passes.values, self.distinct.rows
        if len(self.order) >= direction.until:
            direction.renew()
        last = direction.row(self.order[-1])
        picks, steps = foresee(rows, direction.turning, values, last, foresight.highest(values), turns - 1)
        if not picks:
            return self._alone(1)
        products = passes.several(direction.rounded, steps)
        self.read += 1
        self.evaluations += self.taken.size * (1 + len(picks))
        columns = {row: column for column, row in enumerate(picks, 1)}
        step = 1.0 + self.score.drift / self.score.penalty
        most = direction.longest + turns * step
        noise, more = direction.noise_now(), rounding(rows, step, 0.0) + 2 * rows.unit_roundoff * (most + 1.0)
        right = 0
        while (row := self._best(values, noise)) is not None:
            if (value := values.item(row)) < direction.least + 2 * noise:
                direction.below(2 * noise - value)
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

    def _widen_or_not(self) -> None:
        """Let passes be in float64, if the last ones told so little apart that this takes less time."""
        rows, turns = self.distinct.rows, len(self.order) - self._looked
        if turns < _LOOKED_TURNS:
            return
        close, self._close, self._looked = self._close, 0, len(self.order)
        more = rows.n * rows.d / 15_000 + rows.n / 2_500  # microseconds of a pass in float64
        narrow = rows.working_dtype == np.float32 and rows.device is None
        if narrow and close >= _LOOKED_TURNS // 2 and close * _CLOSE_CALL > turns * more:
            self._wide = True
            self._read_rows(replace(self.distinct, rows=rows.wide()))
            self.direction.read(self.distinct)
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
        close, tie = (values >= level).nonzero()[0], self._ties[len(self.order)]
        if close.size <= _FEW_CLOSE and (first := self.direction.clear_first(close, tie)) is not None:
            return first
        exact = exact_gains(self.distinct, close, self.direction.exact())
        tied = close[exact.max() - exact <= self.score.penalty * tie]
        place = 0 if tied.size == 1 else np.argmin(self.distinct.copies.units(tied, self.taken[tied]))
        return int(tied[place])

    def _take(self, row: int) -> None:
        """Take note of a pick."""
        self.direction.take(row)
        if self._once:
            self.passes.close(row)
            return
        gone = self.taken.item(row)
        self.gone.append(gone)
        self.taken[row] = gone + 1
        if gone + 1 >= self._limit.item(row):
            self.passes.close(row)


def _before_first(found: NDArray[np.bool_]) -> int:
    """Return how many are False before the first that is True."""
    return int(found.argmax()) if found.any() else found.size
