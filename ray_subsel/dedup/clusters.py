"""Assign items to k-means clusters, argmax over centres c of <x, c>, and find the clusters next to them.

- :func:`in_sample` draws the sample by a hash of the id, so that it does not depend on who reads the items;
- :func:`fit_centres` puts centres into it, and centres of their own into clusters that would be too large;
- :meth:`Centres.assign` gives each item, in blocks of any size, the cluster of its nearest centre, and the next ones
  that may hold near copies of it.

Source: Abbas et al. 2023, "SemDeDup", which bounds the number of comparisons in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.hashing import mix
from ray_subsel.core.held_rows import HeldRows, hold
from ray_subsel.core.nearest import nearest_among, single_error, told_apart
from ray_subsel.core.threads import current_workers, ranges
from ray_subsel.core.types import Float32s, Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows, row_dots
from ray_subsel.dedup.leader_clustering import join_leaders
from ray_subsel.dedup.settings import CLUSTER_SIZE, NearSettings

SAMPLE_NUMBERS = 32_000_000
"""n * d of the sample, which one process holds."""

NEIGHBOURS = 4
"""In how many clusters beside its own an item is looked for, at most."""

NO_CLUSTER = -1

_SAMPLE_PER_CENTRE = 64
_LEAST_SAMPLE = 1000
_BLOCK_NUMBERS = 1 << 19  # of a block of rows and of its products, in float32
_MARGIN = 1e-6  # what float32 rounds beside products
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
    parts = [sample[start : start + cluster_size] for start in range(0, sample.size, cluster_size)]
    kept = [part[np.unique(join_leaders(rows.rows(part), threshold, most_kept=part.size))] for part in parts]
    vectors = rows.take(np.concatenate(kept)).astype(np.float32)
    centres = min(centres, vectors.shape[0])
    with threadpool_limits(1):  # sums over threads round in any order
        model = MiniBatchKMeans(
            n_clusters=centres, random_state=seed, n_init=1, init="random", batch_size=4096, max_iter=20,
            reassignment_ratio=0.0,
        )  # fmt: skip
        model.fit(vectors)
    return _unit(np.asarray(model.cluster_centers_, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Centres:
    """Centres of clusters.

    Attributes
    ----------
    vectors : float64 array of shape (c, d)
        Of norm 1.
    """

    vectors: Float64s

    @property
    def n_clusters(self) -> int:
        """How many clusters there are."""
        return int(self.vectors.shape[0])

    @cached_property
    def distances(self) -> Float32s:
        """Distance of each two centres, shape (c, c)."""
        products = np.stack([row_dots(self.vectors, centre) for centre in self.vectors])
        return np.asarray(np.sqrt(np.maximum(0.0, 2.0 - 2.0 * products)), dtype=np.float32)

    @cached_property
    def held(self) -> HeldRows:
        """The centres, to be multiplied with."""
        return hold(np.ascontiguousarray(self.vectors, dtype=np.float32))

    def assign(self, rows: UnitRows, reach: float, neighbours: int = NEIGHBOURS) -> tuple[Indices, NDArray[np.int32]]:
        """Return the cluster of each row, and the next ones in which a near copy of it may lie. O(n c d).

        An item x of cluster h and a near copy of it in cluster c, at a distance of at most 2 reach, lie on two sides of
        the plane between the centres, so one of them is within ``reach`` of it: ``<x, h - c> <= reach |h - c|``. With a
        smaller reach fewer clusters are looked into, and a copy may be missed.

        Parameters
        ----------
        reach : float
            :attr:`ray_subsel.dedup.settings.NearSettings.reach`.
        neighbours : int
            At most so many, those of largest cosine.

        Returns
        -------
        clusters : int64 array of shape (n,)
            The first centre of largest cosine.
        neighbours : int32 array of shape (n, min(neighbours, c - 1))
            By falling cosine, then :data:`NO_CLUSTER`.
        """
        wanted = min(neighbours + 1, self.n_clusters)
        clusters = np.zeros(rows.n, dtype=np.int64)
        near = np.full((rows.n, wanted - 1), NO_CLUSTER, dtype=np.int32)
        if self.n_clusters == 1:
            return clusters, near
        step = self.held.rows_at_once(max(64, _BLOCK_NUMBERS // (rows.d + self.n_clusters)))

        def assign_some(start: int, stop: int) -> None:
            part = slice(start, stop)
            centre, cosine = self.held.largest(rows.single(part), min(wanted + 1, self.n_clusters))
            unsure = ~told_apart(cosine, rows.d).all(axis=1)
            centre, cosine = centre[:, :wanted], cosine[:, :wanted]
            within = reach * self.distances[centre[:, :1], centre] - (cosine[:, :1] - cosine)
            unsure |= (np.abs(within[:, 1:]) <= _MARGIN + 2.0 * single_error(rows.d)).any(axis=1)
            clusters[part] = centre[:, 0]
            near[part] = np.where(within[:, 1:] >= 0.0, centre[:, 1:], NO_CLUSTER)
            which = start + np.flatnonzero(unsure)
            clusters[which], near[which] = self._exactly(rows.take(which), reach, wanted)

        current_workers()(assign_some, ranges(rows.n, step))
        return clusters, near

    def _exactly(self, block: Float64s, reach: float, wanted: int) -> tuple[Indices, NDArray[np.int32]]:
        """Return what :meth:`assign` does of some unit vectors, by cosines in float64."""
        near = np.full((block.shape[0], wanted - 1), NO_CLUSTER, dtype=np.int32)
        row, centre, cosine = nearest_among(block, self.vectors, self.held, wanted)
        first = np.searchsorted(row, np.arange(block.shape[0]))
        own, best = centre[first], cosine[first]
        rank = np.arange(row.size) - first[row]
        close = best[row] - cosine <= reach * self.distances[own[row], centre]
        beside = close & (rank > 0) & (rank < wanted)
        near[row[beside], rank[beside] - 1] = centre[beside]
        return own, near

    def nearest_few(self, block: Float64s, wanted: int) -> Indices:
        """Return the ``wanted`` centres of largest cosine of each of some unit vectors, in any order.

        Shape (b, wanted); of equal cosines those of the first centres.
        """
        centre, cosine = self.held.largest(block.astype(np.float32), min(wanted + 1, self.n_clusters))
        few = centre[:, :wanted]
        unsure = np.flatnonzero(~told_apart(cosine[:, wanted - 1 :], block.shape[1]).all(axis=1))
        row, near, _ = nearest_among(block[unsure], self.vectors, self.held, wanted)
        few[unsure] = near[np.arange(row.size) - np.searchsorted(row, row) < wanted].reshape(-1, wanted)
        return few

    def nearest(self, rows: UnitRows) -> Indices:
        """Return the cluster of each row alone, shape (n,)."""
        return self.assign(rows, 0.0, 0)[0]

    def assign_none(self, neighbours: int = NEIGHBOURS) -> tuple[Indices, NDArray[np.int32]]:
        """Return what :meth:`assign` gives of no rows."""
        wanted = min(neighbours, self.n_clusters - 1)
        return np.zeros(0, dtype=np.int64), np.zeros((0, wanted), dtype=np.int32)


def fit_centres(sample: UnitRows, settings: NearSettings, *, n: int) -> Centres:
    """Return the centres of the clusters of a ground set of n items from a sample of it.

    One where all pairs are compared. A cluster of more than four usual ones, by the sample, gets centres of its own.

    Parameters
    ----------
    sample : UnitRows
        In order of id, so that the centres do not depend on who read it.
    settings : NearSettings
    n : int
    """
    if settings.is_exact(n, sample.d):
        return Centres(sample.take(np.zeros(1, dtype=np.int64)))
    size = settings.cluster_size
    outer = Centres(fit_clusters(sample, settings.threshold, cluster_size=size, seed=settings.seed, n=n))
    where = outer.nearest(sample)
    sizes = np.bincount(where, minlength=outer.n_clusters) * (n / sample.n)
    found = []
    for cluster in range(outer.n_clusters):
        found.append(outer.vectors[cluster : cluster + 1])
        if sizes[cluster] > 4 * size:
            part = sample.rows(np.flatnonzero(where == cluster))
            found[-1] = fit_clusters(
                part, settings.threshold, cluster_size=size, seed=settings.seed, n=int(sizes[cluster])
            )
    vectors = np.concatenate(found)
    return Centres(vectors[_side_by_side(vectors, np.arange(vectors.shape[0]))])


def _side_by_side(vectors: Float64s, some: Indices) -> Indices:
    """Return centres in an order in which neighbours are near each other, so that few buckets meet: halves of halves.

    Each half is what lies on one side along the axis of largest variance.
    """
    if some.size <= 2:
        return some
    centred = vectors[some] - vectors[some].mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    order = some[np.argsort(centred @ (axis * np.sign(axis[np.argmax(np.abs(axis))])), kind="stable")]
    half = some.size // 2
    return np.concatenate([_side_by_side(vectors, order[:half]), _side_by_side(vectors, order[half:])])


def _unit(vectors: Float64s) -> Float64s:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0))
