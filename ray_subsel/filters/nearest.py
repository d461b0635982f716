"""Find vectors that come near one of another set: max_v <x_i, v> >= threshold, and the v that it is.

Both sets are read in blocks, so neither need be in memory. What float32 products cannot decide is decided in float64 in
one order of operations (:mod:`ray_subsel.dedup.pairs`): the answer depends on no block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.held_rows import hold
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.dedup.pairs import PairGrid, reaching_pairs

_PRODUCTS = 1 << 21


@dataclass(frozen=True, eq=False)
class Nearest:
    """What comes near another set, in order of its places.

    Attributes
    ----------
    places : int64 array of shape (p,)
        Rows that reach the threshold, ascending.
    numbers : int64 array of shape (p,)
        The nearest vector of the other set; of several the lowest number.
    cosine : float64 array of shape (p,)
    """

    places: Indices
    numbers: Indices
    cosine: Float64s

    @staticmethod
    def best(places: Indices, numbers: Indices, cosine: Float64s) -> Nearest:
        """Return the nearest of each place, of pairs in any order."""
        order = np.lexsort((numbers, -cosine, places))
        first = order[np.flatnonzero(np.diff(places[order], prepend=-1))]
        return Nearest(places[first], numbers[first], cosine[first])

    def merged(self, other: Nearest) -> Nearest:
        """Return the nearer of both, for the same rows and another part of the other set."""
        columns = zip(
            (self.places, self.numbers, self.cosine), (other.places, other.numbers, other.cosine), strict=True
        )
        return Nearest.best(*(np.concatenate(pair) for pair in columns))


NOTHING_NEAR = Nearest(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))


def nearest_reaching(rows: UnitRows, others: UnitRows, numbers: Indices, threshold: float) -> Nearest:
    """Return the rows that reach a threshold to one of some other vectors. O(n m d) time.

    Parameters
    ----------
    rows, others : UnitRows
        Of n and m rows of d numbers.
    numbers : int64 array of shape (m,)
        What the others are called.
    threshold : float
    """
    if rows.d != others.d:
        way = "Embed both with one model."
        raise invalid("against", f"have vectors of {rows.d} numbers", Verbatim(f"vectors of {others.d}"), way)
    found, step = NOTHING_NEAR, max(1, min(4096, (1 << 22) // rows.d))
    for start in range(0, others.n, step):
        j = np.arange(start, min(start + step, others.n))
        held = hold(np.asarray(others.take(j), dtype=np.float32))
        size = max(1, min(4096, _PRODUCTS // j.size))
        for first in range(0, rows.n, size):
            i = np.arange(first, min(first + size, rows.n))
            block = np.asarray(rows.take(i), dtype=np.float32)
            grid = PairGrid(rows, i, others, j)
            a, b = reaching_pairs(grid, block, held, threshold)
            if a.size:
                cosine = grid.cosines(a, b)
                found = found.merged(Nearest.best(i[a], numbers[j[b]], cosine))
    return found
