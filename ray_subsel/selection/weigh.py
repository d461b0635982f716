"""Find in memory which chosen row each row is nearest to; over shards it is :mod:`ray_subsel.stages.nearest`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.partitioned.nearest_chosen import NearestChosen

_ROWS = 4096


def weights_of(X: Any, chosen: Indices, counts: Indices | None) -> Indices:
    """Return how many items have each chosen row as their nearest chosen one by cosine, shape (k,).

    Parameters
    ----------
    X : array, torch tensor or scipy matrix of shape (n, d)
        A row of zeros has no direction; it counts for the first.
    chosen : int64 array of shape (k,)
        Rows, by rank. Ties go to the lowest rank.
    counts : int64 array of shape (n,) or None
        How many items each row is; None: one.
    """
    weights = np.zeros(chosen.size, dtype=np.int64)
    if chosen.size:
        n = int(X.shape[0])
        np.add.at(weights, nearest_of(X, chosen)[0], np.ones(n, dtype=np.int64) if counts is None else counts)
    return weights


def nearest_of(X: Any, chosen: Indices) -> tuple[Indices, Float64s]:
    """Return the rank of the chosen row, at least one, that each row is nearest to by cosine, and the cosine.

    Parameters
    ----------
    X : array, torch tensor or scipy matrix of shape (n, d)
        A row of zeros has no direction; the first is called the nearest, at a cosine of 0.
    chosen : int64 array of shape (k,)
        Rows, by rank. Ties go to the lowest rank.
    """
    n = int(X.shape[0])
    of, cosines = np.zeros(n, dtype=np.int64), np.zeros(n)
    vectors = _dense(X, chosen)
    ranks = np.flatnonzero(vectors.any(axis=1))
    if not ranks.size:
        return of, cosines
    nearest = NearestChosen.of(unit_rows(vectors[ranks]), n=n)
    for start in range(0, n, _ROWS):
        rows = np.arange(start, min(n, start + _ROWS))
        block = _dense(X, rows)
        some = block.any(axis=1)
        if some.any():
            found, cosines[rows[some]] = nearest.find(unit_rows(block[some]))
            of[rows[some]] = ranks[found]
    return of, cosines


def _dense(X: Any, rows: Indices) -> Float64s:
    """Return some rows as a float64 array, in their order."""
    if hasattr(X, "tocsr"):
        return np.asarray(X.tocsr()[rows].toarray(), dtype=np.float64)
    return np.asarray(X[rows], dtype=np.float64)
