"""Count in memory what each chosen row stands for; over shards it is :mod:`ray_subsel.stages.nearest`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import is_tensor, to_float64, unit_rows
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
    if not chosen.size:
        return weights
    n = int(X.shape[0])
    counts = np.ones(n, dtype=np.int64) if counts is None else counts
    vectors = _dense(X, chosen)
    ranks = np.flatnonzero(vectors.any(axis=1))
    nearest = NearestChosen.of(unit_rows(vectors[ranks]), n=n) if ranks.size else None
    for start in range(0, n, _ROWS):
        rows = np.arange(start, min(n, start + _ROWS))
        block = _dense(X, rows)
        of = np.zeros(rows.size, dtype=np.int64)
        some = block.any(axis=1)
        if nearest is not None and some.any():
            of[some] = ranks[nearest.find(unit_rows(block[some]))[0]]
        np.add.at(weights, of, counts[rows])
    return weights


def _dense(X: Any, rows: Indices) -> Float64s:
    """Return some rows as a float64 array, in their order."""
    if hasattr(X, "tocsr"):
        return np.asarray(X.tocsr()[rows].toarray(), dtype=np.float64)
    return to_float64(X[rows]) if is_tensor(X) else np.asarray(X[rows], dtype=np.float64)
