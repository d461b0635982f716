"""Group the items of one cluster by Hartigan's leader algorithm: join the first kept item of cosine >= threshold.

Items come in ascending order of id. An item joins the first kept item whose cosine to it reaches the threshold, or else
is kept and leads a group of its own. Comparisons that float32 cannot decide are made in float64 in one fixed order of
operations, so groups depend neither on blocks nor on threads.

Sources: Hartigan 1975, "Clustering Algorithms", chapter 3; Abbas et al. 2023, "SemDeDup", which compares the items of
one k-means cluster.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.numeric import finite_number
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import row_dots

CLUSTER_SIZE = 2000
"""About how many items a cluster holds."""

BLOCK_SIZE = 256
"""Items that are compared at once."""


def join_leaders(
    vectors: Float64s, threshold: float, *, cluster_size: int = CLUSTER_SIZE, block_size: int = BLOCK_SIZE
) -> tuple[Indices, Indices]:
    """Group the items of one cluster.

    Parameters
    ----------
    vectors : float64 array of shape (c, d)
        Unit vectors of the cluster's items in id order.
    threshold : float
    cluster_size : int
        As soon as this many items are kept, the cluster is split in two (by the coordinate of largest variance) and
        each part is grouped by itself: a cluster of any size costs O(c d cluster_size log c), and one that consists of
        copies is never split.
    block_size : int
        Items that are compared at once; groups do not depend on it.

    Returns
    -------
    leader : int64 array of shape (c,)
        Position of the item that leads each item's group.
    part : int64 array of shape (c,)
        Number of the part in which an item was compared; all 0 where the cluster was not split.
    """
    leader = _join_first(vectors, threshold, cluster_size, block_size)
    if leader is not None:
        return leader, np.zeros(leader.size, dtype=np.int64)
    axis = int(np.argmax(vectors.var(axis=0)))
    right = vectors[:, axis] > np.median(vectors[:, axis])
    if not right.any() or right.all():
        whole = _join_first(vectors, threshold, vectors.shape[0], block_size)
        assert whole is not None
        return whole, np.zeros(whole.size, dtype=np.int64)
    leader, part = np.empty(right.size, dtype=np.int64), np.empty(right.size, dtype=np.int64)
    shift = 0
    for side in (np.flatnonzero(~right), np.flatnonzero(right)):
        local, parts = join_leaders(vectors[side], threshold, cluster_size=cluster_size, block_size=block_size)
        leader[side], part[side] = side[local], parts + shift
        shift = int(part[side].max()) + 1
    return leader, part


def _join_first(vectors: Float64s, threshold: float, limit: int, block_size: int) -> Indices | None:
    """Return the first kept item that each item joins (itself if kept), or None once more than ``limit`` are kept."""
    c = vectors.shape[0]
    single = vectors.astype(np.float32)
    leader = np.full(c, -1, dtype=np.int64)
    kept = np.empty(0, dtype=np.int64)
    for start in range(0, c, block_size):
        block = np.arange(start, min(start + block_size, c))
        if kept.size:
            hits = _reaches(vectors, single, block, kept, threshold)
            joined = hits.any(axis=1)
            leader[block[joined]] = kept[hits[joined].argmax(axis=1)]
        new = block[leader[block] < 0]
        hits = _reaches(vectors, single, new, new, threshold)
        leads = []
        for place, item in enumerate(new.tolist()):
            if leader[item] < 0:
                followers = new[place:][hits[place, place:]]
                leader[followers[leader[followers] < 0]] = item
                leader[item] = item
                leads.append(item)
        kept = np.concatenate([kept, np.array(leads, dtype=np.int64)])
        if kept.size > limit:
            return None
    return leader


def _reaches(
    vectors: Float64s, single: NDArray[np.float32], left: Indices, right: Indices, threshold: float
) -> NDArray[np.bool_]:
    """Return whether the cosine of each left and each right item reaches the threshold, shape (left, right)."""
    cosines = single[left] @ single[right].T
    margin = single_error(vectors.shape[1])
    hits = np.asarray(cosines >= threshold - margin)
    rows, columns = np.nonzero(hits)
    unsure = cosines[rows, columns] < threshold + margin
    rows, columns = rows[unsure], columns[unsure]
    step = max(1, (1 << 20) // vectors.shape[1])
    for start in range(0, rows.size, step):
        a, b = rows[start : start + step], columns[start : start + step]
        # 1e-12: equal vectors reach a threshold of 1 although their norms are rounded
        hits[a, b] = row_dots(vectors[left[a]], vectors[right[b]]) >= threshold - 1e-12
    return hits


def single_error(d: int) -> float:
    """Return how far the float32 product of two unit vectors can be from the exact one."""
    return (d + 8) * 2.0**-24


def check_threshold(threshold: float, parameter: str = "threshold") -> None:
    """Raise InputError unless the threshold is a cosine in (0, 1]."""
    finite_number(threshold, parameter, "be a cosine in (0, 1]", "0.9 suits sentence encoders.", above=0.0, most=1.0)
