"""Foresee the next picks, so that one pass over X gives what several of them change.

A pick y lowers the gain of every row x by (2 + lam) <x, y>. What is foreseen decides nothing: it only says with which
vectors the rows are multiplied, beside the direction of the next turn. A product of X with four vectors takes less time
than two products with one. What a pick changes is of use whenever it is made before the next pass, in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ray_subsel.core.threads import Workers, serial
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows
from ray_subsel.optimizers.speculative.score import GraphCutScore

_SAMPLE, _SAMPLED = 1024, 32  # gains among which the level of the pool is looked up, and those of the pool among them

_LEAST_REST, _MOST_REST = 32, 512
_HOPE = 0.9  # share of picks that are right before any was foreseen
_KNOWN = 0.1  # picks that must have been foreseen for their share to count
_PASSES = 4  # after which it is looked again which length is best
_KEEP = 0.9  # what earlier picks count from then on
_WORTH = 0.9  # of the time of single turns, what foreseen ones must take less than


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

    most: int = 32
    pool: int = 256

    @staticmethod
    def for_rows(rows: UnitRows) -> AheadSizes:
        """Return sizes for rows of this process: what a pass computes takes an eighth of X at most, or 2 MiB."""
        most = max(1, min(32, max(rows.d // 8, (1 << 19) // rows.n)))
        return AheadSizes(most, min(1024, max(256, rows.n // 12)))


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
        self.single = 10 + n * d / 15_000 + n / 3_000
        self._follow = 10 + n / 1_300
        vector = n * d / 75_000 + n / 2_000  # each adds to a product with several
        guess = 3 + sizes.pool * d / 15_000
        fixed = 18 + n * d / 21_000 + n / 700 + sizes.pool * d / 5_000
        self._passes = [fixed + length * vector + (length - 1) * guess for length in self.lengths]

    def fastest(self, shares: Sequence[float]) -> tuple[int, float]:
        """Return for how many turns a pass should be, and the time of a pick then.

        Parameters
        ----------
        shares : numbers, one fewer than the most turns
            How probable it is that the first pick after a turn was foreseen, if so the second, and so on.
        """
        best, least = 1, _WORTH * self.single
        picks, right, place = 1.0, 1.0, 0
        for length, time in zip(self.lengths[1:], self._passes[1:], strict=True):
            for share in shares[place : length - 1]:
                right *= share
                picks += right
            place = length - 1
            a_pick = (time + (picks - 1) * self._follow) / picks
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
        self._right, self._tried = [0.0] * places, [0.0] * places
        self._rest, self._rested, self._passes = _LEAST_REST, 0, 0
        self._length = min(4, places + 1)
        self._level = np.inf

    @staticmethod
    def of(rows: UnitRows) -> Foresight:
        """Return that of rows of this process."""
        return Foresight(rows.n, rows.d, AheadSizes.for_rows(rows))

    def turns(self) -> int:
        """Return how many turns the next pass is for."""
        if self._length == 1 and self.sizes.most > 1:
            self._rested += 1
            if self._rested > self._rest:
                self._rested, self._rest = 0, min(_MOST_REST, 2 * self._rest)
                return 2
        return self._length

    def learn(self, foreseen: int, right: int) -> None:
        """Take note that so many picks were foreseen, and that so many were made of these before another one.

        More may be made than were foreseen, where rows have several units.
        """
        right = min(right, foreseen)
        for place in range(right):
            self._right[place] += 1
        for place in range(min(foreseen, right + 1)):
            self._tried[place] += 1
        self._passes += 1
        if self._passes % _PASSES == 0 or self._length == 1:
            self._length = min(2 * self._length, self._times.fastest(self._shares())[0])
            self._rest = self._rest if self._length == 1 else _LEAST_REST
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


class Passes:
    """Values <x, direction> + utility of all rows, in the precision of X; minus infinity where no unit is left.

    Parameters
    ----------
    distinct : DistinctRows
    taken : int64 array of shape (n,)
        Units of each row that are gone.
    workers : Workers

    Attributes
    ----------
    values : float array of shape (n,)
        Of the turn that is next.
    """

    def __init__(self, distinct: DistinctRows, taken: Indices, workers: Workers = serial) -> None:
        rows, utility = distinct.rows, distinct.utility
        self._rows, self._workers = rows, workers
        self.values = np.empty(rows.n, dtype=rows.working_dtype)
        self._base = np.zeros_like(self.values) if utility is None else utility.astype(rows.working_dtype)
        self._base[taken >= distinct.copies.size] = -np.inf
        self._multiply = rows.multiplier(self.values, workers)
        self._memory = np.empty(0, dtype=rows.working_dtype)
        self._products: dict[int, tuple[Floats, Floats, Callable[[Floats], None]]] = {}

    def one(self, direction: Float64s) -> None:
        """Find the values in a direction."""
        self._multiply(direction)
        np.add(self.values, self._base, out=self.values)

    def several(self, direction: Float64s, steps: Floats, scale: float) -> Floats:
        """Find the values in a direction; return the products of all rows with it and J more vectors, shape (n, 1 + J).

        Parameters
        ----------
        steps : float array of shape (J, d)
        scale : float
            What the vectors are multiplied by.
        """
        found, vectors, multiply = self._product(len(steps) + 1)
        vectors[:, 0] = direction
        np.multiply(steps.T, vectors.dtype.type(scale), out=vectors[:, 1:])
        multiply(vectors)
        np.add(found[:, 0], self._base, out=self.values)
        return found

    def _product(self, columns: int) -> tuple[Floats, Floats, Callable[[Floats], None]]:
        """Return what a product with so many vectors is written to, what they are written to, and the product."""
        if columns not in self._products:
            rows = self._rows
            if self._memory.size < rows.n * columns:
                self._memory, self._products = np.empty(rows.n * columns, dtype=self.values.dtype), {}
            found = self._memory[: rows.n * columns].reshape(rows.n, columns)
            vectors: Floats = np.empty((rows.d, columns), dtype=self.values.dtype)
            self._products[columns] = found, vectors, rows.multiplier(found, self._workers)
        return self._products[columns]

    def close(self, row: int) -> None:
        """Let a row have no unit left, from now on."""
        self._base[row] = self.values[row] = -np.inf


def foresee(
    rows: UnitRows, score: GraphCutScore, values: Floats, pick: Float64s, some: Indices, most: int
) -> tuple[list[int], Floats]:
    """Return the picks that probably follow one, each row once, and their unit vectors, rounded, shape (J, d).

    Parameters
    ----------
    rows : UnitRows
    score : GraphCutScore
    values : float array of shape (n,)
        Before the pick, but for its own row, where that has no unit left.
    pick : float64 array of shape (d,)
        Its unit vector.
    some : int64 array
        Rows among which the next are looked for.
    most : int
    """
    vectors = rows.take_rounded(some)
    left = values[some]
    left /= values.dtype.type(score.penalty)
    drops = np.empty_like(left)
    last = pick.astype(values.dtype)
    drift = None if score.pace is None else vectors @ (score.total / (score.pace * score.penalty)).astype(values.dtype)
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
