"""Round unit vectors to a grid on which their products are exact, so that no decision depends on how work is grouped.

A coordinate becomes a multiple of 2^-24. The product of two such unit vectors is a sum of multiples of 2^-48 of size at
most 1, which float64 adds without rounding in any order: a matrix product gives the same bits for any batch, thread or
library. A coordinate moves by at most 2^-25, about as much as float32 rounds the largest ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ray_subsel.core.types import Float64s, Floats
from ray_subsel.core.unit_rows import unit_rows

GRID = 2.0**-24


def grid_rows(X: Any, parameter: str = "X") -> Float64s:
    """Return the unit vectors of the rows of X on the grid, float64 of shape (n, d).

    Raises
    ------
    InputError
        Where X is not a non-empty float matrix, or a row is zero or holds NaN or infinity; the first such row is named.
    """
    rows = unit_rows(X, parameter=parameter)
    return on_grid(rows.slice(0, rows.n))


def on_grid(vectors: Floats) -> Float64s:
    """Return vectors rounded to the grid, in float64."""
    return np.asarray(np.rint(np.asarray(vectors, dtype=np.float64) / GRID) * GRID, dtype=np.float64)
