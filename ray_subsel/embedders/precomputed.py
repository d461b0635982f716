"""Check and normalise ready vectors: x / |x|."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import invalid
from ray_subsel.embedders.base import Float32s, unit_rows


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
