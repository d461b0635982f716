"""Multiply all rows with the direction of a turn, alone or with what picks would change, again and again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ray_subsel.core.pages import empty_array
from ray_subsel.core.threads import Workers, ranges, serial
from ray_subsel.core.types import Floats, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows

COLUMN_NUMBERS = 3 << 19
"""Up to so many numbers X is copied by columns for many passes: one takes 0.5 to 0.9 of the time."""
_COPY_PASSES = 24  # after which more are likely enough; twice the dimension, where that is less
_COPIED_NUMBERS = 1 << 13


class Passes:
    """Values <x, direction> + utility / unit of all rows, in the precision of X; -infinity where no unit is left.

    Parameters
    ----------
    distinct : DistinctRows
    taken : int64 array of shape (n,)
        Units of each row that are gone.
    unit : float
        Of utilities in directions.
    workers : Workers

    Attributes
    ----------
    values : float array of shape (n,)
        Of the turn that is next.
    base : float array of shape (n,)
        What is added to products: minus infinity where no unit is left.
    product : callable
        Writes the products of all rows with a vector of the same type to an array: to ``values`` only.
    """

    def __init__(self, distinct: DistinctRows, taken: Indices, unit: float = 1.0, workers: Workers = serial) -> None:
        rows, utility = distinct.rows, distinct.utility
        self._rows, self._workers = rows, workers
        self.values = np.empty(rows.n, dtype=rows.working_dtype)
        self.base = np.zeros_like(self.values) if utility is None else (utility / unit).astype(rows.working_dtype)
        self.base[taken >= distinct.copies.size] = -np.inf
        self._here = workers is serial and not rows.is_there(rows.n * rows.d)
        self.product = self._alone()
        self._copied = False
        self._memory = np.empty(0, dtype=rows.working_dtype)
        self._products: dict[int, tuple[Floats, Floats, Callable[[Floats], None]]] = {}

    def _alone(self) -> Callable[[Floats, Floats], object]:
        rows = self._rows
        if self._here and rows.as_is is not None:
            return rows.as_is.dot
        multiply = rows.multiplier(self.values, self._workers)
        return lambda direction, _: multiply(direction)

    def expect(self, passes: int) -> None:
        """Copy X by columns, where so many passes, those that were made counted, are worth it."""
        rows = self._rows
        worth = not self._copied and passes >= min(2 * rows.d, _COPY_PASSES)
        if worth and self._here and by_columns(rows):
            self.product, self._copied = _columns(rows).dot, True

    def one(self, direction: Floats) -> None:
        """Find the values in a direction."""
        self.product(direction, self.values)
        np.add(self.values, self.base, self.values)

    def several(self, direction: Floats, steps: Floats) -> Floats:
        """Find the values in a direction; return the products of all rows with it and J more vectors, shape (n, 1 + J).

        Parameters
        ----------
        steps : float array of shape (J, d)
        """
        found, vectors, multiply = self._product(len(steps) + 1)
        vectors[:, 0] = direction
        vectors[:, 1:] = steps.T
        multiply(vectors)
        np.add(found[:, 0], self.base, out=self.values)
        return found

    def _product(self, columns: int) -> tuple[Floats, Floats, Callable[[Floats], None]]:
        """Return what a product with so many vectors is written to, what they are written to, and the product."""
        if columns not in self._products:
            rows = self._rows
            if self._memory.size < rows.n * columns:
                self._memory, self._products = np.empty(rows.n * columns, dtype=self.values.dtype), {}
            found = self._memory[: rows.n * columns].reshape(rows.n, columns)
            vectors: Floats = np.empty((rows.d, columns), dtype=self.values.dtype)
            self._products[columns] = found, vectors, rows.multiplier(found, self._workers)
        return self._products[columns]

    def close(self, row: int) -> None:
        """Let a row have no unit left, from now on."""
        self.base[row] = self.values[row] = -np.inf


def by_columns(rows: UnitRows) -> bool:
    """Tell whether a copy of rows by columns is multiplied faster with a vector, and can be had."""
    return rows.n * rows.d <= COLUMN_NUMBERS


def _columns(rows: UnitRows) -> Floats:
    """Return the unit vectors, rounded, shape (n, d), column after column in memory."""
    memory: Floats = empty_array((rows.d, rows.n), rows.working_dtype)
    single, X = memory.dtype == np.float32, rows.as_is
    for start, stop in ranges(rows.n, max(16, _COPIED_NUMBERS // rows.d)):
        if X is not None:
            memory[:, start:stop] = X[start:stop].T
        else:
            memory[:, start:stop] = (rows.single(slice(start, stop)) if single else rows.slice(start, stop)).T
    return np.asarray(memory.T)
