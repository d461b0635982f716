"""Put items in the order in which they lead: the highest value first, ties to the lowest id.

The leader algorithm keeps the first of what it meets. Given items in this order, every kept item is the best of those
that it reaches and that no better one led, no two kept ones reach the threshold, and each other item has a kept one at
least as good.
"""

from __future__ import annotations

import numpy as np

from ray_subsel.core.types import Float64s, Indices


def places_in_order(values: Float64s, ids: Indices) -> Indices:
    """Return the place of each item in order, from 0; NaN is not allowed, minus infinity is last."""
    places = np.empty(ids.size, dtype=np.int64)
    places[np.lexsort((ids, -values))] = np.arange(ids.size)
    return places
