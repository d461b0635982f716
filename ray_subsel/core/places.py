"""Find whether and where values stand among others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Indices


def places_among(values: Indices, stored: Indices) -> Indices:
    """Return the place of each value among stored ones; of a value that is not among them, some place.

    Parameters
    ----------
    values : int64 array of shape (m,)
    stored : int64 array of shape (n,)
        In any order; distinct, and at least one where there are values.

    Returns
    -------
    int64 array of shape (m,)
    """
    order = np.argsort(stored, kind="stable")
    return np.asarray(order[np.minimum(np.searchsorted(stored, values, sorter=order), order.size - 1)])


def is_in(values: Indices, ascending: Indices) -> NDArray[np.bool_]:
    """Return which values are among ascending ones: O(m log n), however many those are."""
    if not ascending.size:
        return np.zeros(values.size, dtype=np.bool_)
    at = np.minimum(np.searchsorted(ascending, values), ascending.size - 1)
    return np.asarray(ascending[at] == values)
