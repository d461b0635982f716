"""Foresee the next picks, so that one pass over X gives what several of them change.

A pick y lowers the gain of every row x by (2 + lam) <x, y>, and its value, which is a gain in units of 2 + lam, by
<x, y>. What is foreseen decides nothing: it only says with which vectors the rows are multiplied, beside the direction
of the next turn. A product of X with several vectors takes less time than as many products with one. What a pick
changes is of use whenever it is made before the next pass, in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ray_subsel.core.types import Floats, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.optimizers.speculative.passes import COLUMN_NUMBERS

_SAMPLE, _SAMPLED = 1024, 32  # gains among which the level of the pool is looked up, and those of the pool among them

_CACHED = 1 << 21  # numbers of X beyond which a pass waits for memory
_LEAST_REST, _MOST_REST = 24, 512
_TRIAL = 8  # turns that are tried after a rest
_FOR_GOOD = 1 << 30
_HOPE = 0.9  # share of picks that are right before any was foreseen
_KNOWN = 0.1  # picks that must have been foreseen for their share to count
_PASSES = 4  # after which it is looked again which length is best
_KEEP = 0.9  # what earlier picks count from then on
_WORTH = 0.85  # of the time of single turns, what foreseen ones must take less than


@dataclass(frozen=True)
class AheadSizes:
    """How far is looked ahead; picks do not depend on it.

    Attributes
    ----------
    most : int
        Turns that a pass serves at most; 1: none is foreseen.
    pool : int
        About how many rows of highest gain a pick is foreseen among.
    """

    most: int = 16
    pool: int = 256

    @staticmethod
    def for_rows(rows: UnitRows) -> AheadSizes:
        """Return sizes for rows of this process: what a pass computes takes an eighth of X at most, or 2 MiB."""
        most = max(1, min(16, max(rows.d // 8, (1 << 19) // rows.n)))
        return AheadSizes(most, min(1024, max(192, rows.n // 24)))


class PassTimes:
    """About how long passes and picks take, in microseconds. They only decide which way is taken.

    Parameters
    ----------
    n, d : int
        Of X, float32.
    sizes : AheadSizes

    Attributes
    ----------
    lengths : list of int
        Turns that a pass may be for: powers of two.
    single : float
        A turn with a pass of its own.
    """

    def __init__(self, n: int, d: int, sizes: AheadSizes) -> None:
        self.lengths = [1 << power for power in range(sizes.most.bit_length())]
        near = n * d <= COLUMN_NUMBERS
        beyond = max(0, n * d - _CACHED) / 8_000
        self.single = 5 + n * d / (20_000 if near else 16_500) + n / 2_000 + d / 80 + beyond
        self._follow = 4 + n / 1_000
        vector = n * d / (50_000 if near else 35_000) + n / 5_000  # each adds to a product with several
        guess = 4 + sizes.pool * d / 20_000
        self._turn, self._fixed = vector + guess, 40 + n * d / 60_000 + beyond - guess

    def a_pick(self, turns: int, picks: float) -> float:
        """Return the time of a pick, where a pass for so many turns is followed by so many picks."""
        return (self._fixed + turns * self._turn + (picks - 1) * self._follow) / picks

    def fastest(self, shares: Sequence[float]) -> tuple[int, float]:
        """Return for how many turns a pass should be, and the time of a pick then.

        Parameters
        ----------
        shares : numbers, one fewer than the most turns
            How probable it is that the first pick after a turn was foreseen, if so the second, and so on.
        """
        best, least = 1, _WORTH * self.single
        picks, right, place = 1.0, 1.0, 0
        for length in self.lengths[1:]:
            for share in shares[place : length - 1]:
                right *= share
                picks += right
            place = length - 1
            a_pick = self.a_pick(length, picks)
            if a_pick < least:
                best, least = length, a_pick
        return best, least

    def hoped(self) -> float:
        """Return the time of a pick before anything is known."""
        return self.fastest([_HOPE] * (self.lengths[-1] - 1))[1]


class Foresight:
    """How many turns a pass is for: what takes the least time a pick, as far as earlier picks were foreseen.

    For each place among the picks that are foreseen it is counted how often all before it were right, and how often it
    was, too. Where a pass is best for one turn, others are tried after some turns, and more and more seldom.

    Parameters
    ----------
    n, d : int
        Of X.
    sizes : AheadSizes
    """

    def __init__(self, n: int, d: int, sizes: AheadSizes) -> None:
        self.sizes = sizes
        self._times = PassTimes(n, d, sizes)
        places = self._times.lengths[-1] - 1
        self._best = self._times.fastest([1.0] * places)[0]  # turns, where all that is foreseen is right
        self._right, self._tried = [0.0] * places, [0.0] * places
        self._rest, self._rested, self._passes = _LEAST_REST, False, 0
        self._length = min(4, self._times.fastest([_HOPE] * places)[0])
        self._lately = 0.5
        self._level = np.inf

    @staticmethod
    def of(rows: UnitRows) -> Foresight:
        """Return that of rows of this process."""
        return Foresight(rows.n, rows.d, AheadSizes.for_rows(rows))

    def turns(self) -> int:
        """Return how many turns the next pass is for."""
        return min(_TRIAL, self._best) if self._length == 1 and self._rested else self._length

    def alone(self) -> int:
        """Return how many turns shall have a pass each before others are tried."""
        if self._best == 1:
            return _FOR_GOOD
        rest, self._rest, self._rested = self._rest, min(_MOST_REST, 4 * self._rest), True
        return rest

    def learn(self, foreseen: int, right: int) -> None:
        """Take note that so many picks were foreseen, and that so many were made of these before another one.

        More may be made than were foreseen, where rows have several units.
        """
        right, self._rested = min(right, foreseen), False
        for place in range(right):
            self._right[place] += 1
        for place in range(min(foreseen, right + 1)):
            self._tried[place] += 1
        self._passes += 1
        time = self._times.a_pick(foreseen + 1, right + 1) / self._times.single
        self._lately = (self._lately + time) / 2
        if self._length == 1:  # a trial
            if time < _WORTH:
                self._length, self._lately, self._rest = min(2 * foreseen, self._best), time, _LEAST_REST
        elif right == foreseen:
            self._length = min(2 * self._length, self._best)
        elif self._lately > 1:  # the last passes took longer than single turns
            shorter = self._length // 2 if self._length > _TRIAL // 2 else 1
            self._length, self._lately = min(shorter, self._times.fastest(self._shares())[0]), _WORTH
        elif self._passes % _PASSES == 0:
            self._length = min(2 * self._length, self._times.fastest(self._shares())[0])
            self._right = [_KEEP * right for right in self._right]
            self._tried = [_KEEP * tried for tried in self._tried]

    def _shares(self) -> list[float]:
        """Return which share was right of each place; of those that were not reached lately, that of the last."""
        known = sum(tried >= _KNOWN for tried in self._tried)
        shares = [(right + _HOPE) / (tried + 1) for right, tried in zip(self._right[:known], self._tried, strict=False)]
        return shares + shares[-1:] * (len(self._tried) - known)

    def highest(self, values: Floats) -> Indices:
        """Return about :attr:`AheadSizes.pool` rows of highest value, and at most four times as many."""
        size = self.sizes.pool
        rows = np.asarray((values >= self._level).nonzero()[0])
        if not 2 * size // 3 <= rows.size <= 3 * size:
            self._level = level_of(values, size)
            rows = np.asarray((values >= self._level).nonzero()[0])
        return rows[: 4 * size]


def level_of(values: Floats, size: int) -> float:
    """Return a value that about ``size`` of the values reach."""
    some = values[:: max(1, min(values.size // _SAMPLE, size // _SAMPLED))]
    place = some.size - max(1, min(some.size, size * some.size // values.size))
    return float(np.partition(some, place)[place])


def foresee(
    rows: UnitRows, turning: Floats | None, values: Floats, pick: Floats, some: Indices, most: int
) -> tuple[list[int], Floats]:
    """Return the picks that probably follow one, each row once, and their unit vectors, rounded, shape (J, d).

    Parameters
    ----------
    rows : UnitRows
    turning : float array of shape (d,) or None
        What is added to the direction after each pick, beside the pick itself, which is taken from it.
    values : float array of shape (n,)
        Before the pick, but for its own row, where that has no unit left.
    pick : float array of shape (d,)
        Its unit vector.
    some : int64 array
        Rows among which the next are looked for.
    most : int
    """
    vectors = rows.take_rounded(some)
    left = values[some]
    drops = np.empty_like(left)
    last = pick.astype(values.dtype)
    drift = None if turning is None else vectors @ turning
    found: list[int] = []
    while len(found) < most:
        np.dot(vectors, last, out=drops)
        np.subtract(left, drops, out=left)
        if drift is not None:
            left += drift
        at = int(left.argmax())
        if left[at] == -np.inf:
            break
        found.append(at)
        last = vectors[at]
        left[at] = -np.inf
    return some[found].tolist(), vectors.take(found, axis=0)
