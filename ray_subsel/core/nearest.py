"""Find the nearest of some unit vectors by cosine: float32 products dismiss, float64 decides, ties go to the first.

Where float32 products lie further apart than they can be wrong, they tell the order themselves (:func:`told_apart`).
"""

from __future__ import annotations

import numpy as np

from ray_subsel.core.held_rows import HeldRows
from ray_subsel.core.types import Float32s, Float64s, Indices, Mask
from ray_subsel.core.unit_rows import row_dots

_PAIRS = 1 << 22  # numbers of the vectors of pairs that are compared in float64 at a time


def single_error(d: int) -> float:
    """Return how far the float32 product of two unit vectors of length d can be from the exact one."""
    return (d + 8) * 2.0**-24


def told_apart(values: Float32s, d: int) -> Mask:
    """Return whether each product of a row, by falling product, is surely above the next, shape (b, w - 1).

    Parameters
    ----------
    values : float32 array of shape (b, w)
        Products of unit vectors.
    d : int
        Their length.
    """
    return np.asarray(values[:, :-1] - values[:, 1:] > np.float32(2.0 * single_error(d)))


def nearest_among(block: Float64s, targets: Float64s, held: HeldRows, wanted: int) -> tuple[Indices, Indices, Float64s]:
    """Return at least the ``wanted`` nearest targets of each row, whatever the shape of the block.

    Parameters
    ----------
    block : float64 array of shape (b, d)
        Unit vectors.
    targets : float64 array of shape (t, d)
        Unit vectors.
    held : HeldRows
        The targets in float32.
    wanted : int
        In [1, t].

    Returns
    -------
    rows, places : int64 arrays
        Pairs of a row and a target: by row, then falling cosine, then place.
    cosines : float64 array
        Of each pair.
    """
    rows, places = held.nearly_largest(block.astype(np.float32), wanted, 2.0 * single_error(block.shape[1]))
    cosines = np.empty(rows.size)
    step = max(1, _PAIRS // max(1, block.shape[1]))
    for start in range(0, rows.size, step):
        part = slice(start, start + step)
        cosines[part] = row_dots(block[rows[part]], targets[places[part]])
    order = np.lexsort((places, -cosines, rows))
    return rows[order], places[order], cosines[order]
