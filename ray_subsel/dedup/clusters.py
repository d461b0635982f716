"""Assign items to k-means clusters fitted to a sample: argmax over centres c of <x, c>.

- :func:`in_sample` draws the sample by a hash of the id, so that it does not depend on who reads the items;
- :func:`fit_tree` puts centres into it, and centres of their own into clusters that would be too large;
- :meth:`ClusterTree.clusters_of` gives each item, in blocks of any size, the cluster of its nearest centre.

Source: Abbas et al. 2023, "SemDeDup", which bounds the number of comparisons in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.hashing import mix
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows, row_dots, take_rows
from ray_subsel.dedup.leader_clustering import CLUSTER_SIZE, join_leaders, single_error

SAMPLE_NUMBERS = 32_000_000
"""n * d of the sample, which one process holds."""

_SAMPLE_PER_CENTRE = 64
_LEAST_SAMPLE = 1000
_SAMPLE_STREAM = 0x5EA2  # another stream of hashes than the one that draws partitions


def in_sample(ids: Indices, *, n: int, d: int, cluster_size: int, seed: int) -> NDArray[np.bool_]:
    """Return which items belong to the sample that centres are fitted to: those whose hash is low enough.

    Parameters
    ----------
    ids : int64 array of shape (p,)
        Of any part of the ground set.
    n, d : int
        Size of the ground set and length of its vectors.
    cluster_size : int
        Items of a usual cluster: 64 items are wanted for each centre, at least 1,000.
    seed : int
    """
    wanted = min(max(_LEAST_SAMPLE, _SAMPLE_PER_CENTRE * -(-n // cluster_size)), max(1, SAMPLE_NUMBERS // d))
    highest = np.uint64(min(2**64 - 1, (wanted << 64) // n))
    return np.asarray(mix(ids, seed + _SAMPLE_STREAM) <= highest)


def fit_clusters(
    rows: UnitRows, threshold: float, *, cluster_size: int = CLUSTER_SIZE, seed: int = 0, n: int | None = None
) -> Float64s:
    """Return unit centres of clusters, shape (n_clusters, d), by mini-batch k-means over a sample, on one thread.

    Parameters
    ----------
    rows : UnitRows
        The ground set, or a sample of it.
    threshold : float
        Near copies within the sample are left out: no centre goes into many copies of one item, which would divide
        them.
    cluster_size, seed : int
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
    """Return the cluster of each row: the first centre of largest cosine; shape (n,). O(n n_clusters d)."""
    single = np.ascontiguousarray(centres, dtype=np.float32)
    clusters = np.empty(rows.n, dtype=np.int64)
    margin = 2.0 * single_error(rows.d)
    for start, stop in rows.blocks(columns=centres.shape[0]):
        block = rows.slice(start, stop)
        cosines = block.astype(np.float32) @ single.T
        clusters[start:stop] = cosines.argmax(axis=1)
        close = cosines >= cosines.max(axis=1, keepdims=True) - np.float32(margin)
        for row in np.flatnonzero(close.sum(axis=1) > 1).tolist():
            rivals = np.flatnonzero(close[row])
            clusters[start + row] = rivals[int(np.argmax(row_dots(centres[rivals], block[row])))]
    return clusters


@dataclass(frozen=True, eq=False)
class ClusterTree:
    """Centres of clusters, some of which are cut into clusters of their own.

    Attributes
    ----------
    centres : float64 array of shape (c, d)
    splits : dict of int to float64 array of shape (s, d)
        The centres inside a cluster that is cut.
    """

    centres: Float64s
    splits: dict[int, Float64s]

    @property
    def firsts(self) -> Indices:
        """Return the number of each centre's first cluster, and at the end the number of clusters; shape (c + 1,)."""
        widths = [
            self.splits[cluster].shape[0] if cluster in self.splits else 1 for cluster in range(self.centres.shape[0])
        ]
        return np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)

    @property
    def n_clusters(self) -> int:
        """How many clusters there are."""
        return int(self.firsts[-1])

    def clusters_of(self, rows: UnitRows) -> Indices:
        """Return the cluster of each row, shape (n,)."""
        outer = assign_clusters(rows, self.centres)
        clusters = self.firsts[outer]
        for cluster, centres in self.splits.items():
            inside = np.flatnonzero(outer == cluster)
            if inside.size:
                clusters[inside] += assign_clusters(_rows_of(rows, inside), centres)
        return clusters


def fit_tree(sample: UnitRows, *, n: int, threshold: float, cluster_size: int, largest: int, seed: int) -> ClusterTree:
    """Return the clusters of a ground set of n items from a sample of it.

    Parameters
    ----------
    sample : UnitRows
        In order of id, so that the centres do not depend on who read it.
    n : int
    threshold : float
        Near copies count once when centres are placed: a dense cluster of copies draws no centre.
    cluster_size, largest : int
        Items of a usual cluster, and items from which a cluster is cut into usual ones.
    seed : int
    """
    centres = fit_clusters(sample, threshold, cluster_size=cluster_size, seed=seed, n=n)
    splits: dict[int, Float64s] = {}
    outer = assign_clusters(sample, centres)
    sizes = np.bincount(outer, minlength=centres.shape[0]) * (n / sample.n)
    for cluster in np.flatnonzero(sizes > largest).tolist():
        inside = np.flatnonzero(outer == cluster)
        part = _rows_of(sample, inside)
        own = fit_clusters(part, threshold, cluster_size=cluster_size, seed=seed, n=int(sizes[cluster]))
        if own.shape[0] > 1:
            splits[cluster] = own
    return ClusterTree(centres, splits)


def _rows_of(rows: UnitRows, places: Indices) -> UnitRows:
    return UnitRows(take_rows(rows.X, places), rows.scale[places])


def _unit(vectors: Float64s) -> Float64s:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0))
