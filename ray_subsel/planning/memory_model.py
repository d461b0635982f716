"""Predict the memory of the processes that select, from sizes.

Letters: n ground set, d dimension, k number to choose, m partitions. Bytes are those of whole processes, Python and its
libraries (``BASE``) included. An item adds its float32 vector, the optimizer's working space of an eighth of that, and
some 200 bytes for ids, copies and gains. What an objective adds, it says itself
(:meth:`ray_subsel.objectives.base.Objective.memory_bytes`). Constants were measured.
"""

from __future__ import annotations

import math

BASE = 180 << 20
"""A worker that has imported what selection needs."""

DRIVER = 80 << 20
"""What the driver, which has started Ray and read the corpus, takes above a worker."""

ROW_BYTES = 200
ENGINE = 1.15
COMPACTED = 0.75
MERGE_COPIES = 3.0
POOL_BYTES = 200 << 20
POOL_ROWS = 6_144


def solver_bytes(items: int, d: int, copies: bool) -> int:
    """Return the peak of a process that runs the exact greedy on some items."""
    factor = ENGINE + (COMPACTED if copies else 0.0)
    return int(BASE + items * (4 * d * factor + ROW_BYTES))


def reducer_bytes(items: int, d: int) -> int:
    """Return the peak of a process that gathers candidates and chooses among them."""
    return int(BASE + items * (4 * d * MERGE_COPIES + ROW_BYTES))


def driver_bytes(d: int, k: int) -> int:
    """Return the peak of the driver of mode exact: pool, Gram matrix, bet."""
    return int(BASE + DRIVER + POOL_BYTES + POOL_ROWS * d * 40 + 32 * k)


def spread(n: int, m: int) -> int:
    """Return about the size of the largest of m random partitions: three deviations above the mean."""
    return n if m == 1 else min(n, math.ceil(n / m + 3 * math.sqrt(n / m)))


def held_row_bytes(d: int) -> float:
    """Return what an item takes in a process that holds a share of the ground set."""
    return 4 * d * ENGINE + ROW_BYTES
