"""Near copies: items that resemble an earlier one so closely that they join its group.

The SemDeDup scheme (Abbas et al. 2023) in three pure functions, so that the same code runs here and as a map over cells
on a cluster:

1. :func:`fit_clusters` puts k-means centres into a sample of the items;
2. :func:`assign_clusters` gives each item, in blocks of any size, the cell of its nearest centre;
3. :func:`join_leaders` goes through one cell in id order: an item joins the first kept item of its cell whose cosine
   to it reaches the threshold, or else is kept. The lowest id leads.

Cells bound the work, and near copies that lie on both sides of a cell's border stay apart: the guarantee is that **no
two kept items of one cell have a cosine at or above the threshold**. Comparisons that float32 cannot decide are made
in float64 in one fixed order of operations, so groups depend neither on blocks nor on partitions nor on threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Float64s, Indices, is_number
from ray_subsel.core.unit_rows import UnitRows, row_dots, unit_rows

CLUSTER_SIZE = 2000
_SAMPLE_PER_CENTRE = 64
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class DuplicateGroups:
    """Groups of near copies.

    Attributes
    ----------
    leader : int64 array of shape (n,)
        The row that leads each row's group, never a later one; leaders lead themselves.
    leaders : int64 array of shape (n_kept,)
        Rows that lead, ascending.
    multiplicity : int64 array of shape (n_kept,)
        Size of each leader's group, the rows' own multiplicities counted.
    cluster : int64 array of shape (n,)
        The cell in which each row was compared.
    """

    leader: Indices
    leaders: Indices
    multiplicity: Indices
    cluster: Indices


def collapse_near(
    X: Any,
    threshold: float,
    *,
    seed: int = 0,
    cluster_size: int = CLUSTER_SIZE,
    multiplicity: ArrayLike | None = None,
) -> DuplicateGroups:
    """Group the rows of X by near copies.

    Parameters
    ----------
    X : numpy array or torch tensor of shape (n, d), or UnitRows
    threshold : float
        Cosine in (0, 1] from which an item is a near copy. 0.9 suits sentence encoders; 1 joins equal directions only.
    seed : int, default=0
        Of the sample and of k-means.
    cluster_size : int, default=2000
        About how many items a cell should hold. Up to this many rows, there is one cell and all pairs are compared.
    multiplicity : int array of shape (n,), optional
        How many equal items each row stands for already.

    Returns
    -------
    NearGroups

    Raises
    ------
    InputError
        For a threshold, cell size or multiplicity that makes no sense, and for rows that have no cosine.

    Notes
    -----
    About n^2 d / cell_size for finding cells and n d cell_size for comparing; memory of the largest cell beyond X. A
    cell of more than ``cluster_size`` kept items is split (:func:`join_leaders`), so both bounds hold for skewed data.
    """
    check_threshold(threshold)
    if not is_number(cluster_size, whole=True) or cluster_size < 2:
        raise invalid("cluster_size", "be a whole number >= 2", cluster_size)
    rows = X if isinstance(X, UnitRows) else unit_rows(X)
    counts = _counts(multiplicity, rows.n)
    cluster = assign_clusters(rows, fit_clusters(rows, threshold, cluster_size=cluster_size, seed=seed))
    leader = _join_clusters(rows, cluster, threshold, cluster_size)
    leaders, group = np.unique(leader, return_inverse=True)
    sizes = np.zeros(leaders.size, dtype=np.int64)
    np.add.at(sizes, group, counts)
    return DuplicateGroups(leader, leaders.astype(np.int64), sizes, cluster)


def _join_clusters(rows: UnitRows, cluster: Indices, threshold: float, cluster_size: int) -> Indices:
    """Return each row's leader; ``cluster`` is renumbered where a cell was split."""
    from threadpoolctl import threadpool_limits

    leader = np.empty(rows.n, dtype=np.int64)
    order = np.argsort(cluster, kind="stable")  # ids stay ascending within a cell
    starts = np.flatnonzero(np.r_[True, np.diff(cluster[order]) > 0])
    next_cell = int(cluster.max()) + 1
    with threadpool_limits(1):  # cells are small: several threads cost more than they give
        for start, stop in zip(starts, np.r_[starts[1:], rows.n], strict=True):
            ids = order[start:stop]
            local, part = join_leaders(rows.take(ids), threshold, cluster_size=cluster_size)
            leader[ids] = ids[local]
            cluster[ids[part > 0]] = next_cell + part[part > 0] - 1
            next_cell += int(part.max())
    return leader


def fit_clusters(
    rows: UnitRows, threshold: float, *, cluster_size: int = CLUSTER_SIZE, seed: int = 0, n: int | None = None
) -> Float64s:
    """Return unit centres of cells, shape (n_cells, d), by mini-batch k-means on one thread over a sample of rows.

    Parameters
    ----------
    rows : UnitRows
        The ground set, or a sample of it.
    threshold : float
        Near copies within the sample are left out: no centre goes into a heap of copies, which would divide them.
    cell_size, seed : int
    n : int or None
        Size of the ground set. None: that of ``rows``.
    """
    from sklearn.cluster import MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    centres = math.ceil((rows.n if n is None else n) / cluster_size)
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(rows.n, size=min(rows.n, _SAMPLE_PER_CENTRE * centres), replace=False))
    if centres == 1:
        return rows.take(sample[:1])
    buckets = [rows.take(sample[start : start + cluster_size]) for start in range(0, sample.size, cluster_size)]
    kept = [np.unique(join_leaders(bucket, threshold, cluster_size=cluster_size)[0]) for bucket in buckets]
    vectors = np.concatenate([bucket[ids] for bucket, ids in zip(buckets, kept, strict=True)]).astype(np.float32)
    centres = min(centres, vectors.shape[0])
    with threadpool_limits(1):  # sums over threads round in any order
        model = MiniBatchKMeans(
            n_clusters=centres, random_state=seed, n_init=1, init="random", batch_size=4096, max_iter=20,
            reassignment_ratio=0.0,
        )  # fmt: skip
        model.fit(vectors)
    return _unit(np.asarray(model.cluster_centers_, dtype=np.float64))


def assign_clusters(rows: UnitRows, centres: Float64s) -> Indices:
    """Return the cell of each row: the centre of largest cosine, the first of equals; shape (n,). O(n n_cells d)."""
    single = np.ascontiguousarray(centres, dtype=np.float32)
    clusters = np.empty(rows.n, dtype=np.int64)
    margin = 2.0 * _single_error(rows.d)
    for start, stop in rows.blocks(columns=centres.shape[0]):
        block = rows.slice(start, stop)
        cosines = block.astype(np.float32) @ single.T
        clusters[start:stop] = cosines.argmax(axis=1)
        close = cosines >= cosines.max(axis=1, keepdims=True) - np.float32(margin)
        for row in np.flatnonzero(close.sum(axis=1) > 1).tolist():
            rivals = np.flatnonzero(close[row])
            clusters[start + row] = rivals[int(np.argmax(row_dots(centres[rivals], block[row])))]
    return clusters


def join_leaders(vectors: Float64s, threshold: float, *, cluster_size: int = CLUSTER_SIZE) -> tuple[Indices, Indices]:
    """Group the items of one cell.

    Parameters
    ----------
    vectors : float64 array of shape (c, d)
        Unit vectors of the cell's items in id order.
    threshold : float
    cluster_size : int
        As soon as this many items are kept, the cell is split in two (by the coordinate of largest variance) and each
        part is grouped by itself: a cell of any size costs O(c d cell_size log c), and one that consists of copies is
        never split.

    Returns
    -------
    leader : int64 array of shape (c,)
        Position of the item that leads each item's group.
    part : int64 array of shape (c,)
        Number of the part in which an item was compared; all 0 where the cell was not split.
    """
    leader = _join_first(vectors, threshold, cluster_size)
    if leader is not None:
        return leader, np.zeros(leader.size, dtype=np.int64)
    axis = int(np.argmax(vectors.var(axis=0)))
    right = vectors[:, axis] > np.median(vectors[:, axis])
    if not right.any() or right.all():
        whole = _join_first(vectors, threshold, vectors.shape[0])
        assert whole is not None
        return whole, np.zeros(whole.size, dtype=np.int64)
    leader, part = np.empty(right.size, dtype=np.int64), np.empty(right.size, dtype=np.int64)
    shift = 0
    for side in (np.flatnonzero(~right), np.flatnonzero(right)):
        local, parts = join_leaders(vectors[side], threshold, cluster_size=cluster_size)
        leader[side], part[side] = side[local], parts + shift
        shift = int(part[side].max()) + 1
    return leader, part


def _join_first(vectors: Float64s, threshold: float, limit: int) -> Indices | None:
    """Return the first kept item that each item joins (itself if kept), or None once more than ``limit`` are kept."""
    c = vectors.shape[0]
    single = vectors.astype(np.float32)
    leader = np.full(c, -1, dtype=np.int64)
    kept = np.empty(0, dtype=np.int64)
    for start in range(0, c, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, c))
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
    margin = _single_error(vectors.shape[1])
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


def _single_error(d: int) -> float:
    """Return how far the float32 product of two unit vectors can be from the exact one."""
    return (d + 8) * 2.0**-24


def _unit(vectors: Float64s) -> Float64s:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0))


def check_threshold(threshold: float, parameter: str = "threshold") -> None:
    """Raise InputError unless the threshold is a cosine in (0, 1]."""
    if not is_number(threshold) or not 0 < threshold <= 1:
        raise invalid(parameter, "be a cosine in (0, 1]", threshold, "0.9 suits sentence encoders.")


def _counts(multiplicity: ArrayLike | None, n: int) -> Indices:
    if multiplicity is None:
        return np.ones(n, dtype=np.int64)
    given = np.asarray(multiplicity)
    if given.shape != (n,) or given.dtype.kind not in "iu" or (given < 1).any():
        raise invalid("multiplicity", f"be {n} integers >= 1", Verbatim(f"{given.dtype} of shape {given.shape}"))
    return given.astype(np.int64)
