"""Sum unit vectors exactly, so that no order of addition and no partition changes the total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import Workers, serial
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows, block_rows, float64_blocks, parts_of, unit_rows

_HIGH_UNIT = 2.0**-30
_LOW_UNIT = 2.0**-60
_EXACT_ROWS = 1 << 20  # float64 adds up to 2^22 multiples of 2^-30 below 1 without rounding


@dataclass(frozen=True, eq=False)
class ExactSum:
    """A sum of vectors with coordinates in [-1, 1], exact to 2^-61 a term, in whatever order terms and sums are added.

    Each coordinate is split into a multiple of 2^-30 and a multiple of 2^-60, and both are added as integers.
    Partitions add theirs with ``+``: the total over a corpus is the same number for every way of cutting it.

    Attributes
    ----------
    high, low : int64 arrays of shape (d,)
        Numbers of 2^-30 and of 2^-60. Room for 2^33 terms.
    """

    high: NDArray[np.int64]
    low: NDArray[np.int64]

    def __add__(self, other: ExactSum) -> ExactSum:
        return ExactSum(self.high + other.high, self.low + other.low)

    def vector(self) -> Float64s:
        """Return the sum, rounded once, as a float64 array of shape (d,)."""
        carry = self.low >> 30  # the low part's overflow into the high one: then |low| < 2^30 and one rounding is left
        return (self.high + carry) * _HIGH_UNIT + (self.low - (carry << 30)) * _LOW_UNIT

    @staticmethod
    def zero(d: int) -> ExactSum:
        """Return the sum of nothing."""
        return ExactSum(np.zeros(d, dtype=np.int64), np.zeros(d, dtype=np.int64))

    @staticmethod
    def of(vectors: Float64s, weights: Indices | None = None, *, space: Float64s | None = None) -> ExactSum:
        """Return the sum of the rows, shape (n, d), of at most 2^20 vectors, each counted ``weights`` times.

        With ``space`` for as many numbers none is taken from the system, which would cost as much as the sum; the
        vectors are lost then.
        """
        assert vectors.shape[0] <= _EXACT_ROWS
        high, low = _split(vectors, space)
        if weights is None or int(weights.sum()) < _EXACT_ROWS:  # every partial sum is less than 2^53 units
            as_float = np.ones(len(vectors)) if weights is None else weights.astype(np.float64)
            total_high, total_low = (as_float @ high) / _HIGH_UNIT, (as_float @ low) / _LOW_UNIT
            return ExactSum(total_high.astype(np.int64), total_low.astype(np.int64))
        high, low = high / _HIGH_UNIT, low / _LOW_UNIT
        return ExactSum(weights @ high.astype(np.int64), weights @ low.astype(np.int64))


def _split(vectors: Float64s, space: Float64s | None) -> tuple[Float64s, Float64s]:
    """Return multiples of 2^-30 and of 2^-60 that add up to the numbers, to within 2^-61.

    With ``space`` the former are in it, and the latter in the place of the vectors.
    """
    high_anchor, low_anchor = 1.5 * 2.0**22, 1.5 * 2.0**-8  # adding 1.5 * 2^52 units rounds to whole units
    high = np.add(vectors, high_anchor, out=space)
    high -= high_anchor
    low = np.subtract(vectors, high, out=None if space is None else vectors)
    low += low_anchor
    low -= low_anchor
    return high, low


def exact_total(rows: UnitRows, weights: Indices | None = None, *, workers: Workers = serial) -> ExactSum:
    """Return the sum of all unit rows, each counted ``weights`` times (once by default). One pass over X."""

    def part(start: int, stop: int) -> ExactSum:
        total = ExactSum.zero(rows.d)
        space = np.empty((min(block_rows(rows.d), stop - start), rows.d))
        for first, last, block in float64_blocks(rows.X, start, stop):
            block *= rows.scale[first:last, None]
            some = None if weights is None else weights[first:last]
            total += ExactSum.of(block, some, space=space[: last - first])
        return total

    return sum(workers(part, parts_of(rows.X)), ExactSum.zero(rows.d))


def summed_unit_rows(
    X: Any,
    weights: Indices | None = None,
    *,
    parameter: str = "X",
    numbers: Indices | None = None,
    workers: Workers = serial,
) -> tuple[UnitRows, ExactSum]:
    """Return :func:`unit_rows` of X and their :func:`exact_total`, in one pass over X."""
    sums: list[ExactSum] = []

    def add(start: int, stop: int, block: Float64s, space: Float64s) -> None:
        sums.append(ExactSum.of(block, None if weights is None else weights[start:stop], space=space))

    rows = unit_rows(X, parameter=parameter, numbers=numbers, each=add, workers=workers)
    return rows, sum(sums, ExactSum.zero(rows.d))
