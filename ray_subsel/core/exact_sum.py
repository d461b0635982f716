"""Sum unit vectors exactly, so that no order of addition and no partition changes the total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import Workers, ranges, serial
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import EachBlock, UnitRows, block_rows, float64_blocks, parts_of, unit_rows

_HIGH_UNIT = 2.0**-30
_LOW_UNIT = 2.0**-60
_ANCHOR = 3.0  # added to a coordinate, it leaves the number of units of 2^-51 in the last 52 bits of the float64
_ANCHOR_BITS = int(np.float64(_ANCHOR).view(np.int64))
_INTEGER_ROWS = 1 << 11  # int64 adds up to so many numbers of units of at most 1
_EXACT_ROWS = 1 << 20  # float64 adds up to 2^22 multiples of 2^-30 below 1 without rounding


@dataclass(frozen=True, eq=False)
class ExactSum:
    """A sum of vectors with coordinates in [-1, 1], exact to 2^-52 a term, in whatever order terms and sums are added.

    Each coordinate is rounded to a multiple of 2^-51, as float64 has it next to 1, and these are added as integers.
    Partitions add theirs with ``+``: the total over a corpus is the same number for every way of cutting it.

    Attributes
    ----------
    high, low : int64 arrays of shape (d,)
        Numbers of 2^-30 and of 2^-60, which are added up. Room for 2^33 terms.
    """

    high: NDArray[np.int64]
    low: NDArray[np.int64]

    def __add__(self, other: ExactSum) -> ExactSum:
        low = self.low + other.low
        carry = low >> 30  # so that low lies in [0, 2^30), and a sum is the same pair however it was added up
        return ExactSum(self.high + other.high + carry, low - (carry << 30))

    def vector(self) -> Float64s:
        """Return the sum, rounded once, as a float64 array of shape (d,)."""
        carry = self.low >> 30  # the low part's overflow into the high one: then |low| < 2^30 and one rounding is left
        return (self.high + carry) * _HIGH_UNIT + (self.low - (carry << 30)) * _LOW_UNIT

    @staticmethod
    def zero(d: int) -> ExactSum:
        """Return the sum of nothing."""
        return ExactSum(np.zeros(d, dtype=np.int64), np.zeros(d, dtype=np.int64))

    @staticmethod
    def of(vectors: Float64s, weights: Indices | None = None) -> ExactSum:
        """Return the sum of the rows, shape (n, d), of at most 2^20 vectors, each counted ``weights`` times."""
        adder = Adder(vectors.shape[1])
        adder.add(vectors, np.empty_like(vectors), weights)
        return adder.sum()


class Adder:
    """Adds vectors up, block after block.

    Parameters
    ----------
    d : int
    """

    def __init__(self, d: int) -> None:
        self._total = ExactSum.zero(d)
        self._units, self._rows = np.zeros(d, dtype=np.int64), 0  # modulo 2^64, with the anchors of so many rows

    def add(self, vectors: Float64s, space: Float64s, weights: Indices | None = None) -> None:
        """Add at most 2^20 rows, each counted ``weights`` times; ``space`` for as many numbers is written to."""
        assert len(vectors) <= _EXACT_ROWS
        anchored = np.add(vectors, _ANCHOR, out=space)
        if weights is not None:
            self._total += _weighted_sum(anchored, weights)
            return
        units = anchored.view(np.int64)
        for start, stop in ranges(len(units), _INTEGER_ROWS):
            if self._rows + stop - start > _INTEGER_ROWS:
                self._carry()
            self._units += np.add.reduce(units[start:stop], axis=0)
            self._rows += stop - start

    def _carry(self) -> None:
        """Add to the total what was added up in units."""
        units = self._units - np.int64(_wrapped(self._rows * _ANCHOR_BITS))
        high = units >> 21
        self._total += ExactSum(high, (units - (high << 21)) << 9)
        self._units[:], self._rows = 0, 0

    def sum(self) -> ExactSum:
        """Return the sum of all that was added."""
        if self._rows:
            self._carry()
        return self._total


def _wrapped(number: int) -> int:
    """Return what int64 makes of an integer."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _weighted_sum(anchored: Float64s, weights: Indices) -> ExactSum:
    """Return the sum of rows to which the anchor was added; these are lost."""
    rounded = np.subtract(anchored, _ANCHOR, out=anchored)
    split = 1.5 * 2.0**22  # adding 1.5 * 2^52 units rounds to whole units
    high = rounded + split
    high -= split
    low = np.subtract(rounded, high, out=rounded)
    if int(weights.sum()) < _EXACT_ROWS:  # every partial sum is less than 2^53 units
        as_float = weights.astype(np.float64)
        total_high, total_low = as_float @ high / _HIGH_UNIT, as_float @ low / _LOW_UNIT
        return ExactSum(total_high.astype(np.int64), total_low.astype(np.int64))
    high, low = high / _HIGH_UNIT, low / _LOW_UNIT
    return ExactSum(weights @ high.astype(np.int64), weights @ low.astype(np.int64))


def exact_total(rows: UnitRows, weights: Indices | None = None, *, workers: Workers = serial) -> ExactSum:
    """Return the sum of all unit rows, each counted ``weights`` times (once by default). One pass over X."""

    def part(start: int, stop: int) -> ExactSum:
        adder = Adder(rows.d)
        space = np.empty((min(block_rows(rows.d), stop - start), rows.d))
        for first, last, block in float64_blocks(rows.X, start, stop):
            block *= rows.scale[first:last, None]
            adder.add(block, space[: last - first], None if weights is None else weights[first:last])
        return adder.sum()

    return sum(workers(part, parts_of(rows.X, workers)), ExactSum.zero(rows.d))


def summed_unit_rows(
    X: Any,
    weights: Indices | None = None,
    *,
    parameter: str = "X",
    numbers: Indices | None = None,
    workers: Workers = serial,
) -> tuple[UnitRows, ExactSum]:
    """Return :func:`unit_rows` of X and their :func:`exact_total`, in one pass over X."""
    adders: list[Adder] = []

    def of_part(d: int) -> EachBlock:
        adder = Adder(d)
        adders.append(adder)
        return lambda start, stop, block, space: adder.add(
            block, space, None if weights is None else weights[start:stop]
        )

    rows = unit_rows(X, parameter=parameter, numbers=numbers, of_part=of_part, workers=workers)
    return rows, sum((adder.sum() for adder in adders), ExactSum.zero(rows.d))
