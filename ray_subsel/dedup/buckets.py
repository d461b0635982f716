"""Plan buckets of clusters and join the near copies in each: no process holds more than ``largest`` items.

- small clusters are put together into buckets of about that size, in order (:func:`plan_buckets`);
- a cluster that is larger is cut by id into several buckets, which one task goes through in order of id, taking with
  it only the items that lead (:func:`join_buckets`). Where all pairs are compared there is one cluster.

Every step depends on the items, the threshold and the seed only, so groups are the same for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows, unit_rows
from ray_subsel.dedup.leader_clustering import join_leaders
from ray_subsel.dedup.pairs import cosines_of


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

    def task_of(self, ids: Indices, clusters: Indices) -> Indices:
        """Return the task of each item."""
        return self._task_with(self.bucket_of(ids, clusters))

    def task_of_cluster(self, clusters: NDArray[np.integer[Any]]) -> Indices:
        """Return the task of each cluster, which is one and the same for all its items."""
        return self._task_with(self.first[clusters])

    def _task_with(self, buckets: Indices) -> Indices:
        firsts = np.array([task.start for task in self.tasks], dtype=np.int64)
        return np.asarray(np.searchsorted(firsts, buckets, side="right") - 1)

    def guests(self, clusters: Indices, neighbours: NDArray[np.int32]) -> tuple[Indices, Indices]:
        """Return which items are near clusters of other tasks.

        Parameters
        ----------
        clusters, neighbours : arrays of shape (p,) and (p, q)
            Those of the items, as in :class:`Bucket`.

        Returns
        -------
        places, tasks : int64 arrays of shape (r,)
            Pairs of an item and a task, each once, by task and then place.
        """
        own = self.task_of_cluster(clusters)[:, None]
        beside = np.where(neighbours >= 0, self.task_of_cluster(neighbours), own)
        place, column = np.nonzero(beside != own)
        key = np.unique(beside[place, column] * np.int64(own.size) + place)
        task = key // max(1, own.size)
        return key - task * own.size, task


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
    labels : int64 array of shape (p,)
        Near copies join within a label only; all 0 where labels do not matter.
    neighbours : int32 array of shape (p, q)
        Other clusters near each item: :meth:`ray_subsel.dedup.clusters.Centres.assign`.
    vectors : float array of shape (p, d)
    """

    ids: Indices
    clusters: Indices
    labels: Indices
    neighbours: NDArray[np.int32]
    vectors: NDArray[np.floating[Any]]

    @property
    def n(self) -> int:
        """How many items there are."""
        return int(self.ids.size)

    def take(self, places: Indices | NDArray[np.bool_]) -> Bucket:
        """Return some of the items."""
        return Bucket(*(column[places] for column in self._columns))

    def append(self, other: Bucket) -> Bucket:
        """Return the items of both, in the order of the two."""
        return Bucket(*(np.concatenate(pair) for pair in zip(self._columns, other._columns, strict=True)))

    @property
    def _columns(self) -> tuple[Any, ...]:
        return self.ids, self.clusters, self.labels, self.neighbours, self.vectors


@dataclass(frozen=True, eq=False)
class Groups:
    """Items and the groups that they are in.

    Attributes
    ----------
    ids, leaders : int64 arrays of shape (p,)
        Each item, ascending, and the item that leads its group.
    cosine : float64 array of shape (p,)
        Between the two; 1 for leaders.
    """

    ids: Indices
    leaders: Indices
    cosine: Float64s

    @property
    def leads(self) -> NDArray[np.bool_]:
        """Which items lead."""
        return np.asarray(self.ids == self.leaders)


def join_buckets(buckets: Iterable[Bucket], threshold: float, *, most_kept: int) -> Iterator[Groups]:
    """Yield the groups of the buckets of one task, in their order.

    One bucket may hold many clusters, each grouped by itself. Several buckets hold one cluster, in order of id: each is
    grouped with the leaders of those before. Every item's cosine to its leader reaches the threshold, and a leader's id
    is the lowest of its group. Memory: a bucket and the leaders of those before, twice, in float32.

    Parameters
    ----------
    most_kept : int
        Of :func:`ray_subsel.dedup.leader_clustering.join_leaders`.
    """
    before: Bucket | None = None
    for bucket in buckets:
        old = 0 if before is None else before.n
        together = bucket if before is None else before.append(bucket)
        groups = join_within_clusters(together, threshold, most_kept=most_kept, kept=old)
        yield Groups(bucket.ids, groups.leaders[old:], groups.cosine[old:])
        before = together.take(groups.leads)


def join_within_clusters(bucket: Bucket, threshold: float, *, most_kept: int, kept: int = 0) -> Groups:
    """Return the groups of a bucket: each cluster, and in it each label, by the leader algorithm.

    Parameters
    ----------
    kept : int
        So many items at the start are known to lead.
    """
    rows = unit_rows(bucket.vectors, parameter="vectors", numbers=bucket.ids)
    leader = np.arange(bucket.n)
    order = np.lexsort((leader, bucket.labels, bucket.clusters))  # ids stay ascending within a cluster
    keys = np.stack([bucket.clusters[order], bucket.labels[order]])
    starts = np.flatnonzero(np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)))
    for start, stop in zip(starts, np.append(starts[1:], bucket.n), strict=True):
        places = order[start:stop]
        known = int(np.count_nonzero(places < kept))
        part = rows if starts.size == 1 else rows.rows(places)
        leader[places] = places[join_leaders(part, threshold, most_kept=most_kept, kept=known)]
    return Groups(bucket.ids, bucket.ids[leader], cosine_to(rows, leader))


def cosine_to(rows: UnitRows, leader: Indices) -> Float64s:
    """Return the cosine of each row to the row at ``leader``, 1 where that is itself."""
    cosine = np.ones(leader.size)
    joined = np.flatnonzero(leader != np.arange(leader.size))
    cosine[joined] = cosines_of(rows, joined, rows, leader[joined])
    return cosine
