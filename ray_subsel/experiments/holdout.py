"""Hold out rows to test on, none of which has a copy, equal or near, among the rows to train on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.hashing import text_key
from ray_subsel.core.types import Float32s

BLOCK = 1024
"""Rows whose similarities to all others are held at a time."""


def held_out(texts: Sequence[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Return which rows are held out: those whose text hashes below ``share``, so that equal texts stay together.

    A row that comes or goes moves no other row to the other side.

    Parameters
    ----------
    texts : sequence of n str
    share : float
        In (0, 1), of the distinct texts, in the mean.
    seed : int
    """
    limit = round(share * 2**64)
    return np.array([int.from_bytes(text_key(f"{seed} {text}")[:8], "little") < limit for text in texts], dtype=bool)


def near_copies_of(X: Float32s, others: Float32s, threshold: float) -> NDArray[np.bool_]:
    """Return which rows of X have a cosine of at least the threshold to one of the others; all are unit vectors."""
    found = np.zeros(len(X), dtype=bool)
    if len(others):
        for start in range(0, len(X), BLOCK):
            similarities = X[start : start + BLOCK] @ others.T
            found[start : start + BLOCK] = similarities.max(axis=1) >= threshold - 1e-6  # float32 rounds a cosine of 1
    return found
