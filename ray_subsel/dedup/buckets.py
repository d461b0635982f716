"""Plan buckets of clusters and join the near copies in each: no process holds more than ``largest`` items.

- small clusters are put together into buckets of about that size, in order (:func:`plan_buckets`);
- a cluster that is larger is cut by id into several buckets, which one task goes through in order of id, taking with
  it only the items that lead (:func:`join_buckets`).

Every step depends on the items, the threshold and the seed only, so groups are the same for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import row_dots, unit_rows
from ray_subsel.dedup.leader_clustering import CLUSTER_SIZE, join_leaders

BUCKET_NUMBERS = 16_000_000
"""n * d of a bucket: 64 MB of float32, some 300 MB in the process that collapses it."""


def bucket_size(d: int, numbers: int = BUCKET_NUMBERS) -> int:
    """Return how many items of d numbers a bucket holds: numbers / d, at least a usual cluster."""
    return max(CLUSTER_SIZE, numbers // d)


@dataclass(frozen=True, eq=False)
class BucketPlan:
    """Which bucket each item belongs to, and which buckets a task goes through.

    Attributes
    ----------
    first : int64 array of shape (n_clusters,)
        The bucket of each cluster, for an oversized cluster its first one.
    edges : dict of int to int64 array
        For each oversized cluster the ids at which its second and later buckets begin, ascending.
    tasks : tuple of range
        The consecutive buckets of each task; more than one for an oversized cluster.
    """

    first: Indices
    edges: dict[int, Indices]
    tasks: tuple[range, ...]

    @property
    def n_buckets(self) -> int:
        """How many buckets there are."""
        return self.tasks[-1].stop if self.tasks else 0

    def bucket_of(self, ids: Indices, clusters: Indices) -> Indices:
        """Return the bucket of each item."""
        buckets = self.first[clusters]
        for cluster, edges in self.edges.items():
            inside = np.flatnonzero(clusters == cluster)
            buckets[inside] += np.searchsorted(edges, ids[inside], side="right")
        return buckets


def plan_buckets(counts: Indices, largest: int, ids_of: Callable[[int], Indices]) -> BucketPlan:
    """Put clusters together into buckets of at most ``largest`` items and cut those that are larger.

    Parameters
    ----------
    counts : int64 array of shape (n_clusters,)
        Items of each cluster.
    largest : int
    ids_of : callable
        Returns all ids of a cluster in any order; asked for oversized clusters only.
    """
    first = np.zeros(counts.size, dtype=np.int64)
    edges: dict[int, Indices] = {}
    tasks: list[range] = []
    filled = largest + 1  # the first cluster begins a bucket
    for cluster, count in enumerate(counts.tolist()):
        following = tasks[-1].stop if tasks else 0
        if count > largest:
            cuts = -(-count // largest)
            ids = np.sort(ids_of(cluster))
            edges[cluster] = ids[[count * cut // cuts for cut in range(1, cuts)]]
            tasks.append(range(following, following + cuts))
            first[cluster], filled = following, largest + 1
            continue
        if filled + count > largest:
            tasks.append(range(following, following + 1))
            filled = 0
        first[cluster] = tasks[-1].start
        filled += count
    return BucketPlan(first, edges, tuple(tasks))


@dataclass(frozen=True, eq=False)
class Bucket:
    """Items that are compared together, in ascending order of id.

    Attributes
    ----------
    ids, clusters : int64 arrays of shape (p,)
    vectors : float array of shape (p, d)
    """

    ids: Indices
    clusters: Indices
    vectors: NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class BucketGroups:
    """The groups of one bucket.

    Attributes
    ----------
    ids, leaders : int64 arrays of shape (p,)
        Each item, ascending, and the item that leads its group.
    cosine : float64 array of shape (p,)
        Between the two; 1 for leaders.
    part : int64 array of shape (p,)
        Part of its cluster in which an item was compared; 0 where the cluster was not split.
    """

    ids: Indices
    leaders: Indices
    cosine: Float64s
    part: Indices


def join_buckets(buckets: Iterable[Bucket], threshold: float, *, cluster_size: int) -> Iterator[BucketGroups]:
    """Yield the groups of the buckets of one task, in their order.

    One bucket may hold many clusters, each grouped by itself. Several buckets hold one cluster, in order of id: each is
    grouped
    with the leaders of those before. Every item's cosine to its leader reaches the threshold, and a leader's id is the
    lowest of its group. Memory: a bucket, the leaders of those before, and the largest cluster in float64.
    """
    before = Bucket(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 0), np.float32))
    for bucket in buckets:
        old = before.ids.size
        ids, clusters = np.concatenate([before.ids, bucket.ids]), np.concatenate([before.clusters, bucket.clusters])
        vectors = np.concatenate([before.vectors, bucket.vectors]) if old else bucket.vectors
        rows = unit_rows(vectors, parameter="vectors", numbers=ids)
        leader, cosine, part = np.arange(ids.size), np.ones(ids.size), np.zeros(ids.size, dtype=np.int64)
        order = np.argsort(clusters, kind="stable")  # ids stay ascending within a cluster
        starts = np.flatnonzero(np.diff(clusters[order], prepend=-1))
        for start, stop in zip(starts, np.append(starts[1:], ids.size), strict=True):
            places = order[start:stop]
            unit = rows.take(places)
            local, part[places] = join_leaders(unit, threshold, cluster_size=cluster_size)
            # A leader of an earlier bucket stays one, whatever it meets now: its group is already made.
            local[places < old] = np.flatnonzero(places < old)
            leader[places] = places[local]
            joined = np.flatnonzero(local != np.arange(local.size))
            cosine[places[joined]] = row_dots(unit[joined], unit[local[joined]])
        yield BucketGroups(bucket.ids, ids[leader[old:]], cosine[old:], part[old:])
        leads = np.flatnonzero(leader == np.arange(ids.size))
        before = Bucket(ids[leads], clusters[leads], vectors[leads])
