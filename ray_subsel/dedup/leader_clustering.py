"""Group the items of one cluster by Hartigan's leader algorithm: join the first kept item of cosine >= threshold.

Items come in ascending order of id. An item joins the first kept item whose cosine to it reaches the threshold, or else
is kept and leads a group of its own. So the kept items are the only set in which no two reach the threshold and that
has, for every other item, an earlier one that does.

Sources: Hartigan 1975, "Clustering Algorithms", chapter 3; Abbas et al. 2023, "SemDeDup", which compares the items of
one k-means cluster.
"""

from __future__ import annotations

import numpy as np

from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.dedup.pairs import PairFinder

BLOCK_SIZE = 256
"""Items that are compared at once."""


def join_leaders(
    rows: UnitRows, threshold: float, *, most_kept: int, kept: int = 0, block_size: int = BLOCK_SIZE
) -> Indices:
    """Group the items of one cluster.

    Parameters
    ----------
    rows : UnitRows
        The cluster's c items, in id order.
    threshold : float
    most_kept : int
        As soon as more items are kept, the cluster is split in two (by the coordinate of largest variance) and each
        part is grouped by itself: a cluster of any size costs O(c d most_kept log c), and one that consists of copies
        is never split. With c or more it never is.
    kept : int
        So many items at the start are known to lead: they are not compared with each other.
    block_size : int
        Items that are compared at once; groups do not depend on it.

    Returns
    -------
    leader : int64 array of shape (c,)
        Position of the item that leads each item's group.
    """
    leader = _join_first(rows, threshold, most_kept, kept, block_size)
    if leader is not None:
        return leader
    vectors = rows.slice(0, rows.n)
    axis = int(np.argmax(vectors.var(axis=0)))
    right = vectors[:, axis] > np.median(vectors[:, axis])
    if not right.any() or right.all():
        whole = _join_first(rows, threshold, rows.n, kept, block_size)
        assert whole is not None
        return whole
    leader = np.empty(right.size, dtype=np.int64)
    for side in (np.flatnonzero(~right), np.flatnonzero(right)):
        known = int(np.count_nonzero(side < kept))
        leader[side] = side[
            join_leaders(rows.rows(side), threshold, most_kept=most_kept, kept=known, block_size=block_size)
        ]
    return leader


def _join_first(rows: UnitRows, threshold: float, most_kept: int, known: int, block_size: int) -> Indices | None:
    """Return the first kept item that each item joins (itself if kept), or None once more than ``most_kept`` are."""
    leader = np.full(rows.n, -1, dtype=np.int64)
    leader[:known] = np.arange(known)
    if known > most_kept:
        return None
    finder = PairFinder(rows, threshold)
    finder.keep(np.arange(known))
    block_size = finder.rows_at_once(block_size)
    for start in range(known, rows.n, block_size):
        block = np.arange(start, min(start + block_size, rows.n))
        if finder.kept.size:
            i, j = finder.with_kept(block)
            joined, first = np.unique(i, return_index=True)
            leader[block[joined]] = finder.kept[j[first]]
        new = block[leader[block] < 0]
        hits = finder.among(new)
        leads = []
        for place, item in enumerate(new.tolist()):
            if leader[item] < 0:
                followers = new[place:][hits[place, place:]]
                leader[followers[leader[followers] < 0]] = item
                leader[item] = item
                leads.append(item)
        finder.keep(np.array(leads, dtype=np.int64))
        if finder.kept.size > most_kept:
            return None
    return leader
