"""Collapse near copies of an array: leader(i) = the first kept j with <x_i, x_j> >= threshold, else i itself.

The SemDeDup scheme (Abbas et al. 2023) in the steps that a run takes over files, with the same functions: draw a sample
by hash of the id and fit clusters to it (:mod:`ray_subsel.dedup.clusters`), plan buckets of clusters and join them
(:mod:`ray_subsel.dedup.buckets`) by the leader algorithm (:mod:`ray_subsel.dedup.leader_clustering`).

Clusters bound the work, and near copies that lie on both sides of a cluster's border stay apart: the guarantee is that
**no two kept items that were compared have a cosine at or above the threshold**. All items of a cluster are compared
with its kept items unless more than ``cluster_size`` of these are left, where it is split. The same items, ids,
threshold and seed give the same groups here and in a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import whole_number
from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import UnitRows, is_tensor, take_rows, to_float64, unit_rows
from ray_subsel.dedup.buckets import Bucket, bucket_size, join_buckets, plan_buckets
from ray_subsel.dedup.clusters import fit_tree, in_sample
from ray_subsel.dedup.leader_clustering import CLUSTER_SIZE, check_threshold


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
        Number of the cluster, or of the part of a split or oversized one, in which each row's leader was compared.
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
    largest: int | None = None,
    ids: Indices | None = None,
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
        About how many items a cluster should hold. Up to this many rows all pairs are compared.
    largest : int, optional
        Items that are worked on at once, by default :func:`ray_subsel.dedup.buckets.bucket_size`.
    ids : int64 array of shape (n,), optional
        Ascending numbers by which rows are sampled and errors name them; by default their positions.
    multiplicity : int array of shape (n,), optional
        How many equal items each row stands for already.

    Returns
    -------
    DuplicateGroups

    Raises
    ------
    InputError
        For a threshold, cluster size or multiplicity that makes no sense, and for rows that have no cosine.

    Notes
    -----
    About n^2 d / cluster_size for finding clusters and n d cluster_size for comparing; beyond X, memory of a bucket. A
    cluster of more than ``cluster_size`` kept items is split, so both bounds hold for skewed data.
    """
    check_threshold(threshold)
    cluster_size = whole_number(cluster_size, "cluster_size", "be a whole number >= 2", least=2)
    rows = X if isinstance(X, UnitRows) else unit_rows(X, numbers=ids)
    ids = np.arange(rows.n) if ids is None else ids
    largest = bucket_size(rows.d) if largest is None else largest
    counts = _counts(multiplicity, rows.n)
    leader, cluster = _grouped(rows, ids, threshold, seed, cluster_size, largest)
    leaders, group = np.unique(leader, return_inverse=True)
    sizes = np.zeros(leaders.size, dtype=np.int64)
    np.add.at(sizes, group, counts)
    return DuplicateGroups(leader, leaders.astype(np.int64), sizes, cluster)


def _grouped(
    rows: UnitRows, ids: Indices, threshold: float, seed: int, cluster_size: int, largest: int
) -> tuple[Indices, Indices]:
    """Return the position of each row's leader, and the number of the part in which that was compared."""
    from threadpoolctl import threadpool_limits

    drawn = np.flatnonzero(in_sample(ids, n=rows.n, d=rows.d, cluster_size=cluster_size, seed=seed))
    sample = UnitRows(take_rows(rows.X, drawn), rows.scale[drawn])
    leader, part = np.empty(rows.n, dtype=np.int64), np.empty((rows.n, 3), dtype=np.int64)
    with threadpool_limits(1):  # clusters are small: several threads cost more than they give
        tree = fit_tree(
            sample, n=rows.n, threshold=threshold, cluster_size=cluster_size, largest=largest, seed=seed
        )  # fmt: skip
        clusters = tree.clusters_of(rows)
        plan = plan_buckets(
            np.bincount(clusters, minlength=tree.n_clusters), largest, lambda cluster: ids[clusters == cluster]
        )
        bucket_of = plan.bucket_of(ids, clusters)
        for task in plan.tasks:
            joined = join_buckets(_buckets(rows, ids, clusters, bucket_of, task), threshold, cluster_size=cluster_size)
            for number, groups in zip(task, joined, strict=True):
                places = np.searchsorted(ids, groups.ids)
                leader[places] = np.searchsorted(ids, groups.leaders)
                part[places] = np.stack([clusters[places], np.full(places.size, number), groups.part], axis=1)
    _, compared = np.unique(part, axis=0, return_inverse=True)
    return leader, compared.reshape(-1).astype(np.int64)[leader]


def _buckets(rows: UnitRows, ids: Indices, clusters: Indices, bucket_of: Indices, task: range) -> Iterator[Bucket]:
    for number in task:
        places = np.flatnonzero(bucket_of == number)
        yield Bucket(ids[places], clusters[places], _as_numpy(take_rows(rows.X, places)))


def _as_numpy(vectors: Any) -> NDArray[np.floating[Any]]:
    return to_float64(vectors) if is_tensor(vectors) else np.asarray(vectors)


def _counts(multiplicity: ArrayLike | None, n: int) -> Indices:
    if multiplicity is None:
        return np.ones(n, dtype=np.int64)
    given = np.asarray(multiplicity)
    if given.shape != (n,) or given.dtype.kind not in "iu" or (given < 1).any():
        raise invalid("multiplicity", f"be {n} integers >= 1", Verbatim(f"{given.dtype} of shape {given.shape}"))
    return given.astype(np.int64)
