"""Pack groups of very different sizes into tasks of about the same: the largest first, each into the emptiest pack.

That is the rule of longest processing time: no pack holds more than 4/3 - 1/(3 m) times what the best packing into m
packs needs in its fullest one (Graham, "Bounds on multiprocessing timing anomalies", SIAM J. Appl. Math. 17, 1969).
"""

from __future__ import annotations

import heapq

import numpy as np

from ray_subsel.core.types import Indices


def pack(sizes: Indices, capacity: int) -> Indices:
    """Return the pack of each group, int64 of shape (G,): ceil(sum of sizes / capacity) packs, the fullest first.

    Parameters
    ----------
    sizes : int64 array of shape (G,)
        At least 0.
    capacity : int
        What a pack may hold where groups are small; a group above it is in a pack of little else.

    Examples
    --------
    >>> pack(np.array([5, 1, 9, 4, 1]), 10).tolist()
    [1, 0, 0, 1, 1]
    """
    packs = max(1, -(-int(sizes.sum()) // capacity))
    emptiest = [(0, number) for number in range(packs)]
    found = np.zeros(sizes.size, dtype=np.int64)
    for group in np.argsort(-sizes, kind="stable").tolist():
        load, number = emptiest[0]
        found[group] = number
        heapq.heapreplace(emptiest, (load + int(sizes[group]), number))
    loads = np.bincount(found, weights=sizes, minlength=packs)
    place = np.empty(packs, dtype=np.int64)
    place[np.argsort(-loads, kind="stable")] = np.arange(packs)
    return place[found]
