"""Measure how fast this machine is just now, beside the one on which the constants of plans were measured."""

from __future__ import annotations

import time

import numpy as np

REFERENCE = 0.047
"""Seconds that :func:`slowness` takes of one idle CPU of the reference machine."""

_SIDE, _PRODUCTS, _SUMS = 192, 160, 48


def slowness(reference: float = REFERENCE) -> float:
    """Return how many times as long as on the reference machine work takes here and now, from 0.2 to 20.

    Products of matrices and steps of the interpreter, by the clock on the wall: other work on the machine counts.
    """
    rng = np.random.default_rng(0)
    A = rng.random((_SIDE, _SIDE), dtype=np.float32)
    began = time.perf_counter()
    for _ in range(_SUMS):
        for _ in range(_PRODUCTS // _SUMS):
            A @ A
        sum(range(40_000))
    took = time.perf_counter() - began
    return min(20.0, max(0.2, took / reference))
