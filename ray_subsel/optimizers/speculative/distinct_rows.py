"""Reduce a ground set to its distinct rows and the ids that each stands for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.exact_sum import summed_unit_rows
from ray_subsel.core.threads import Workers, serial
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows, unit_rows
from ray_subsel.objectives.graph_cut import GraphCut
from ray_subsel.optimizers.base import Problem
from ray_subsel.optimizers.speculative.copies import Copies, copies_of, representatives, starts_of

_COMPACT_BELOW = 0.75
_MOVE_ROWS = 4096


@dataclass(frozen=True, eq=False)
class DistinctRows:
    """The rows to pick from, distinct where that saves memory or costs no more than half of X.

    Attributes
    ----------
    rows : UnitRows
    copies : Copies
    utility : float64 array of shape (n,) or None
        Of the rows that ``rows`` holds.
    row_of : int64 array of shape (number of items,)
        The row that stands for each item, items in ascending order of id.
    """

    rows: UnitRows
    copies: Copies
    utility: Float64s | None
    row_of: Indices

    @property
    def most_utility(self) -> float:
        """The largest absolute utility, which bounds rounding."""
        return 0.0 if self.utility is None else float(np.abs(self.utility).max())


def distinct_rows_of(problem: Problem, workers: Workers = serial) -> tuple[DistinctRows, Float64s]:
    """Return the rows to pick from after must-includes and exclusions, and t."""
    objective = problem.objective
    assert isinstance(objective, GraphCut)
    X, counts = problem.X, np.ones(problem.n, dtype=np.int64)
    if problem.multiplicity is not None:
        counts = problem.multiplicity.copy()
    same = representatives(X, problem.utility, workers=workers)
    utility, original = problem.utility, np.arange(problem.n)
    distinct = np.flatnonzero(same == original)
    compact = distinct.size < _COMPACT_BELOW * problem.n and not isinstance(X, np.memmap)
    weights = None if problem.multiplicity is None else counts
    if compact:
        X, same = X[distinct], np.searchsorted(distinct, same)
        utility = None if utility is None else utility[distinct]
        weights = np.bincount(same, weights=counts, minlength=distinct.size).astype(np.int64)
    numbers = distinct if compact else None
    if objective.total is None:
        rows, summed = summed_unit_rows(X, weights, numbers=numbers, workers=workers)
        total = summed.vector()
    else:
        rows = unit_rows(X, numbers=numbers, workers=workers)
        total = objective.given_total(rows.d)
    counts = counts.copy()
    counts[problem.exclude] = 0
    np.subtract.at(counts, problem.include, 1)
    return DistinctRows(rows, copies_of(same, counts, rows.n), utility, same), total


def distinct_rows_in_place(
    ids: Indices, X: NDArray[np.float32], workers: Workers = serial, utility: Float64s | None = None
) -> DistinctRows:
    """Return the distinct rows of items that may be picked once each. O(n) memory: X itself is used, and changed.

    Parameters
    ----------
    ids : int64 array of shape (n,)
        In any order, distinct.
    X : float32 array of shape (n, d), n >= 1
        The items' vectors. Where many are copies, distinct ones are moved to the front of it.
    utility : float64 array of shape (n,), optional
        Rows of other utilities are not copies.
    """
    same = representatives(X, utility, workers=workers)
    distinct = np.flatnonzero(same == np.arange(ids.size))
    if distinct.size < _COMPACT_BELOW * ids.size:
        for start in range(0, distinct.size, _MOVE_ROWS):  # a row never moves back, so none is lost
            some = distinct[start : start + _MOVE_ROWS]
            X[start : start + some.size] = X[some]
        X, same = X[: distinct.size], np.searchsorted(distinct, same)
        utility = None if utility is None else utility[distinct]
    rows = unit_rows(X, parameter="vectors", workers=workers)
    size = np.bincount(same, minlength=rows.n).astype(np.int64)
    copies = Copies(ids[np.lexsort((ids, same))], np.arange(1, ids.size + 1), starts_of(size), size)
    return DistinctRows(rows, copies, utility, same[np.argsort(ids, kind="stable")])
