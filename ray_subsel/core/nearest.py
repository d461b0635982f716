"""Find the nearest of some unit vectors by cosine: float32 products dismiss, float64 decides, ties go to the first.

Where float32 products lie further apart than they can be wrong, they tell the order themselves (:func:`largest`).
"""

from __future__ import annotations

import numpy as np

from ray_subsel.core.types import Float32s, Float64s, Indices, Mask
from ray_subsel.core.unit_rows import row_dots

_PAIRS = 1 << 22  # numbers of the vectors of pairs that are compared in float64 at a time


def single_error(d: int) -> float:
    """Return how far the float32 product of two unit vectors of length d can be from the exact one."""
    return (d + 8) * 2.0**-24


def largest(products: Float32s, wanted: int) -> tuple[Indices, Float32s]:
    """Return the columns of the largest products of each row, by falling product, and these products.

    Parameters
    ----------
    products : float32 array of shape (b, t)
    wanted : int
        In [1, t].

    Returns
    -------
    columns : int64 array of shape (b, wanted)
    values : float32 array of shape (b, wanted)
    """
    rows, targets = products.shape
    at = targets - wanted
    last = np.partition(products, at, axis=1)[:, at, None]
    columns = np.flatnonzero(products >= last)
    if columns.size == rows * wanted:
        columns = columns.reshape(rows, wanted) - np.arange(0, rows * targets, targets)[:, None]
    else:  # some products are equal
        columns = np.argpartition(products, at, axis=1)[:, at:]
    values = np.take_along_axis(products, columns, axis=1)
    order = np.argsort(-values, axis=1)
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)


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


def nearest_among(
    block: Float64s, targets: Float64s, single: Float32s, wanted: int
) -> tuple[Indices, Indices, Float64s]:
    """Return at least the ``wanted`` nearest targets of each row, whatever the shape of the block.

    Parameters
    ----------
    block : float64 array of shape (b, d)
        Unit vectors.
    targets : float64 array of shape (t, d)
        Unit vectors.
    single : float32 array of shape (t, d)
        The targets, rounded.
    wanted : int
        In [1, t].

    Returns
    -------
    rows, places : int64 arrays
        Pairs of a row and a target: by row, then falling cosine, then place.
    cosines : float64 array
        Of each pair.
    """
    products = block.astype(np.float32) @ single.T
    if wanted == 1:
        last = products.max(axis=1, keepdims=True)
    else:
        at = targets.shape[0] - wanted
        last = np.partition(products, at, axis=1)[:, at, None]
    rows, places = np.nonzero(products >= last - np.float32(2.0 * single_error(block.shape[1])))
    cosines = np.empty(rows.size)
    step = max(1, _PAIRS // max(1, block.shape[1]))
    for start in range(0, rows.size, step):
        part = slice(start, start + step)
        cosines[part] = row_dots(block[rows[part]], targets[places[part]])
    order = np.lexsort((places, -cosines, rows))
    return rows[order], places[order], cosines[order]
