"""Check and normalise ready vectors: x / |x|, or to the float16 numbers nearest to that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import invalid
from ray_subsel.embedders.base import Float32s, unit_rows

_ROUNDED_SQUARE = 2.0**-9
"""The squared norm of a unit vector whose numbers were each rounded by at most 2^-11 is off by 2^-10; and a margin."""


def normalise_vectors(vectors: NDArray[np.floating] | Sequence[Sequence[float]]) -> Float32s:
    """Return ready vectors as unit rows, float32 of shape (n, d).

    Parameters
    ----------
    vectors : array of shape (n, d), or n sequences of d numbers

    Raises
    ------
    InputError
        When rows differ in length, or one holds NaN, infinity or only zeros; its position is named.
    """
    if isinstance(vectors, np.ndarray) and vectors.dtype != np.object_:
        return unit_rows(vectors)
    rows = list(vectors)
    if not rows:
        raise invalid("vectors", "hold at least one row", "none")
    for position, row in enumerate(rows):
        if row is None:
            raise invalid(f"vector {position}", "be a list of numbers", None)
        if len(row) != len(rows[0]):
            raise invalid(f"vector {position}", f"have length {len(rows[0])} like vector 0", len(row))
    try:
        matrix = np.asarray([np.asarray(row, dtype=np.float64) for row in rows])
    except (TypeError, ValueError) as error:
        raise invalid("vectors", "hold numbers only", str(error)) from error
    return unit_rows(matrix)


def normalise_halves(vectors: Float32s) -> Float32s:
    """Return ready vectors as unit rows rounded to float16 numbers, held in float32, shape (n, d).

    Rows that are that already stay as they are, bit by bit: what was rounded once is not rounded again.

    Raises
    ------
    InputError
        Where :func:`normalise_vectors` does.
    """
    unit = normalise_vectors(vectors)
    with np.errstate(over="ignore"):  # infinite, and so not equal
        held = (vectors.astype(np.float16) == vectors).all(axis=1)
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    rounded = held & (np.abs(squares - 1.0) <= _ROUNDED_SQUARE)
    unit[~rounded] = unit[~rounded].astype(np.float16)
    unit[rounded] = vectors[rounded]
    return unit
