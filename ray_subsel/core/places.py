"""Find where values stand among others that are in any order."""

from __future__ import annotations

import numpy as np

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
