"""Foresee the next picks, so that one pass over X gives the gains of several turns.

What is foreseen decides nothing. It only says against which directions the rows are multiplied: a product of X with 16
vectors takes about as long as six products with one. The gains of a turn are used as far as the picks before it were
those that had been foreseen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import Workers, serial
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows
from ray_subsel.optimizers.speculative.score import GraphCutScore

_SAMPLE = 4096  # gains among which the level of the pool is looked up
_PASS_NUMBERS = 12_000.0  # of X, a microsecond, in a product with one vector; sizes only decide how long it takes
_PRODUCT_NUMBERS = 36_000.0  # the same for each vector of a product with several
_PASS_MICROSECONDS = 12.0  # of a turn beside its pass
_TURN_MICROSECONDS = 12.0  # of a turn that is foreseen
_BLOCK_MICROSECONDS = 150.0  # of several turns that are foreseen together
_REST = 32


@dataclass(frozen=True)
class AheadSizes:
    """How far is looked ahead; picks do not depend on it.

    Attributes
    ----------
    first, most : int
        Turns that are foreseen at first and at most; 1: none.
    pool : int
        About how many rows of highest gain a pick is foreseen among.
    """

    first: int = 16
    most: int = 32
    pool: int = 256

    @staticmethod
    def for_rows(rows: UnitRows) -> AheadSizes:
        """Return sizes for rows of this process: their gains at all foreseen turns take an eighth of X, or 2 MiB.

        Of rows of few numbers none is foreseen where that would save less than a quarter if all were right.
        """
        most = max(1, min(32, max(rows.d // 8, (1 << 19) // rows.n)))
        numbers = rows.n * rows.d
        if together_microseconds(numbers, most) > 0.75 * most * single_microseconds(numbers):
            most = 1
        return AheadSizes(min(16, most), most, min(1024, max(256, rows.n // 64)))


class Foresight:
    """How many turns to foresee next: more after all were right, none for some turns where it did not pay.

    After those it is counted how many picks came from the rows that had been highest before the first.

    Parameters
    ----------
    numbers : int
        Of X.
    sizes : AheadSizes

    Attributes
    ----------
    length : int
        1: none is foreseen.
    sizes : AheadSizes
    """

    def __init__(self, numbers: int, sizes: AheadSizes) -> None:
        self.length = sizes.first
        self.sizes = sizes
        self._numbers = numbers

    @staticmethod
    def of(rows: UnitRows) -> Foresight:
        """Return that of rows of this process."""
        return Foresight(rows.n * rows.d, AheadSizes.for_rows(rows))

    def learn(self, foreseen: int, right: int) -> None:
        """Take note that of the turns that were foreseen the gains of so many could be used."""
        spent = together_microseconds(self._numbers, foreseen)
        if right == foreseen:
            self.length = min(self.sizes.most, 2 * foreseen)
        elif right * single_microseconds(self._numbers) >= spent:
            self.length = min(self.sizes.most, right + (right + 1) // 2)
        else:
            self.length = 1

    @property
    def rest(self) -> int:
        """Turns of which none is foreseen before it is looked whether to."""
        return _REST

    def highest(self, values: Floats) -> NDArray[np.bool_]:
        """Return which rows are among those of highest value."""
        return np.asarray(values >= level_of(values, self.sizes.pool))

    def learn_single(self, highest: NDArray[np.bool_], picks: list[int]) -> None:
        """Take note of picks of which none was foreseen, and of the rows that were highest before the first."""
        kept = before_first(~highest[picks])
        if kept > _REST // 2:
            self.length = min(self.sizes.most, kept)


def single_microseconds(numbers: int) -> float:
    """Return about how long a turn takes whose pass is its own, over so many numbers of X."""
    return _PASS_MICROSECONDS + numbers / _PASS_NUMBERS


def together_microseconds(numbers: int, turns: int) -> float:
    """Return about how long some turns take that are foreseen."""
    return _BLOCK_MICROSECONDS + turns * (_TURN_MICROSECONDS + numbers / _PRODUCT_NUMBERS)


def before_first(found: NDArray[np.bool_]) -> int:
    """Return how many are False before the first that is True."""
    return int(found.argmax()) if found.any() else found.size


def level_of(values: Floats, size: int) -> float:
    """Return a value that about ``size`` of the values reach."""
    some = values[:: max(1, values.size // _SAMPLE)]
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
        Of :meth:`one`, which writes to it.
    """

    def __init__(self, distinct: DistinctRows, taken: Indices, workers: Workers = serial) -> None:
        rows, utility = distinct.rows, distinct.utility
        self._rows, self._workers = rows, workers
        self.values = np.empty(rows.n, dtype=rows.working_dtype)
        self._base = np.zeros_like(self.values) if utility is None else utility.astype(rows.working_dtype)
        self._utility = None if utility is None else self._base.copy()
        self._closed = np.flatnonzero(taken >= distinct.copies.size)
        self._fresh: list[int] = []
        self._base[self._closed] = -np.inf
        self._multiply = rows.multiplier(self.values, workers)
        self._memory = self._halves = np.empty(0, dtype=rows.working_dtype)

    def one(self, direction: Float64s) -> None:
        """Write the values of all rows in one direction to ``values``."""
        self._multiply(direction)
        np.add(self.values, self._base, out=self.values)

    def several(self, directions: Float64s) -> Floats:
        """Return the values in J directions, shape (n, J), in memory that the next call writes to again."""
        n, length = self._rows.n, len(directions)
        if self._memory.size < n * length:
            self._memory = np.empty(n * length, dtype=self.values.dtype)
        found = self._memory[: n * length].reshape(n, length)
        self._rows.multiplier(found, self._workers)(directions.T)
        if self._utility is not None:
            found += self._utility[:, None]
        self._closed, self._fresh = np.append(self._closed, np.array(self._fresh, dtype=np.int64)), []
        found[self._closed] = -np.inf
        return found

    def highest(self, several: Floats) -> Floats:
        """Return the largest of each of J columns: halves are compared, which is faster than column by column.

        Parameters
        ----------
        several : float array of shape (n, J)
        """
        if len(several) == 1:
            return np.asarray(several[0])
        half = (len(several) + 1) // 2
        if self._halves.size < half * several.shape[1]:
            self._halves = np.empty(half * several.shape[1], dtype=several.dtype)
        larger = self._halves[: half * several.shape[1]].reshape(half, -1)
        np.maximum(several[:half], several[-half:], out=larger)  # of an odd number the middle one is compared twice
        while len(larger) > 1:
            half = (len(larger) + 1) // 2
            other, larger = larger[-half:], larger[:half]
            np.maximum(larger, other, out=larger)
        return np.asarray(larger[0])

    def close(self, row: int) -> None:
        """Let a row have no unit left, from now on."""
        self._base[row] = -np.inf
        self._fresh.append(row)


def foresee(rows: UnitRows, score: GraphCutScore, values: Floats, row: int, length: int, pool: int) -> Indices:
    """Return a pick and those that probably follow it, ``length`` or fewer, each row once.

    Parameters
    ----------
    rows : UnitRows
    score : GraphCutScore
    values : float array of shape (n,)
        Before the pick.
    row : int
        The pick.
    length : int
    pool : int
        Rows of highest value among which the others are looked for.
    """
    some = np.flatnonzero(values >= level_of(values, pool))[: 4 * pool]
    vectors, left = rows.take_rounded(some), values[some]
    left[some == row] = -np.inf
    steps, drops = vectors * vectors.dtype.type(score.penalty), np.empty_like(left)
    step = score.penalty * rows.row(row).astype(values.dtype)
    drift = None if score.pace is None else vectors @ (score.total / score.pace).astype(values.dtype)
    found: list[int] = []
    while len(found) < length - 1:
        np.dot(vectors, step, out=drops)
        np.subtract(left, drops, out=left)
        if drift is not None:
            left += drift
        at = int(left.argmax())
        if left[at] == -np.inf:
            break
        found.append(at)
        left[at] = -np.inf
        step = steps[at]
    return np.append(row, some[found])
