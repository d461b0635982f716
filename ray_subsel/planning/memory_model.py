"""Predict the memory of the processes that select, from sizes.

Letters: n ground set, d dimension, k number to choose, m partitions. Bytes are those of whole processes, Python and its
libraries (``BASE``) included. An item adds its float32 vector, the optimizer's working space of an eighth of that, and
some 200 bytes for ids, copies and gains. What an objective adds, it says itself
(:meth:`ray_subsel.objectives.base.Objective.memory_bytes`). Constants were measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from ray_subsel.objectives import Objective, ProblemSize

BASE = 180 << 20
"""A worker that has imported what selection needs."""

DRIVER = 80 << 20
"""What the driver, which has started Ray and read the corpus, takes above a worker."""

PUBLISHER = 300 << 20
"""What the driver takes above a worker when it has led a run."""

ROW_BYTES = 200
ENGINE = 1.15
COMPACTED = 0.75
MERGE_COPIES = 3.0
POOL_BYTES = 200 << 20
POOL_ROWS = 6_144


@dataclass(frozen=True)
class ProcessBytes:
    """The peaks of processes that solve partitions or reduce candidates.

    Attributes
    ----------
    objective : Objective
    size : ProblemSize
        Of the whole selection.
    candidates : float
        c: each of m partitions hands over ceil(c k / m).
    own : bool
        Whether a partition represents its own items.
    copies : bool
        Whether equal vectors are items of their own: distinct ones are then copied together.
    """

    objective: Objective[Any]
    size: ProblemSize
    candidates: float
    own: bool
    copies: bool

    def solver(self, items: int, m: int) -> int:
        """Return the peak of a process that solves one of m partitions."""
        k, reference = self.size.picks, self.size.reference
        picks = min(k, math.ceil(self.candidates * k / m))
        part = replace(self.size, items=items, picks=picks, represented=items if self.own and m > 1 else reference)
        return solver_bytes(items, self.size.d, self.copies) + self.objective.memory_bytes(part)

    def reducer(self, items: int) -> int:
        """Return the peak of a process that chooses among candidates."""
        return reducer_bytes(items, self.size.d) + self.objective.memory_bytes(replace(self.size, items=items))


def solver_bytes(items: int, d: int, copies: bool) -> int:
    """Return the peak of a process that runs the exact greedy on some items."""
    factor = ENGINE + (COMPACTED if copies else 0.0)
    return int(BASE + items * (4 * d * factor + ROW_BYTES))


def reducer_bytes(items: int, d: int) -> int:
    """Return the peak of a process that gathers candidates and chooses among them."""
    return int(BASE + items * (4 * d * MERGE_COPIES + ROW_BYTES))


def driver_bytes(d: int, k: int) -> int:
    """Return the peak of the driver of mode exact: candidates, their Gram matrix, the draft."""
    return int(BASE + DRIVER + POOL_BYTES + POOL_ROWS * d * 40 + 32 * k)


def spread(n: int, m: int) -> int:
    """Return about the size of the largest of m random partitions: three deviations above the mean."""
    return n if m == 1 else min(n, math.ceil(n / m + 3 * math.sqrt(n / m)))


def held_row_bytes(d: int) -> float:
    """Return what an item takes in a process that holds a share of the ground set."""
    return 4 * d * ENGINE + ROW_BYTES
