"""Cells of near copies at scale: centres from a sample, and the pieces in which cells are worked on. Pure functions.

:mod:`ray_subsel.dedup.in_memory` groups the items of a cluster. Here a ground set of any size is cut so that no
process holds more of it than a bucket of ``largest`` items:

- a cell that would be larger gets centres of its own (:func:`fit_tree`, decided by the sample alone);
- small cells are put together into pieces of about that size, in order (:func:`plan_buckets`);
- a cell that stays larger, a heap of copies, is cut by id into several pieces, which one task goes through in order of
  id, taking with it only the items that lead (:func:`join_buckets`).

Every step depends on the items, the threshold and the seed only, so groups are the same for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows, row_dots, unit_rows
from ray_subsel.dedup.in_memory import assign_clusters, fit_clusters, join_leaders


@dataclass(frozen=True, eq=False)
class ClusterTree:
    """Centres of cells, some of which are cut into cells of their own.

    Attributes
    ----------
    centres : float64 array of shape (c, d)
    splits : dict of int to float64 array of shape (s, d)
        The centres inside a cell that is cut.
    """

    centres: Float64s
    splits: dict[int, Float64s]

    @property
    def firsts(self) -> Indices:
        """Return the number of each centre's first cell, and at the end the number of cells; shape (c + 1,)."""
        widths = [
            self.splits[cluster].shape[0] if cluster in self.splits else 1 for cluster in range(self.centres.shape[0])
        ]
        return np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)

    @property
    def n_clusters(self) -> int:
        """How many cells there are."""
        return int(self.firsts[-1])

    def clusters_of(self, rows: UnitRows) -> Indices:
        """Return the cell of each row, shape (n,)."""
        outer = assign_clusters(rows, self.centres)
        clusters = self.firsts[outer]
        for cluster, centres in self.splits.items():
            inside = np.flatnonzero(outer == cluster)
            if inside.size:
                clusters[inside] += assign_clusters(UnitRows(rows.X[inside], rows.scale[inside]), centres)
        return clusters


def fit_tree(sample: UnitRows, *, n: int, threshold: float, cluster_size: int, largest: int, seed: int) -> ClusterTree:
    """Return the cells of a ground set of n items from a sample of it.

    Parameters
    ----------
    sample : UnitRows
        In order of id, so that the centres do not depend on who read it.
    n : int
    threshold : float
        Near copies count once when centres are placed: a heap of copies draws no centre.
    cell_size, largest : int
        Items of a usual cell, and items from which a cell is cut into usual ones.
    seed : int
    """
    centres = fit_clusters(sample, threshold, cluster_size=cluster_size, seed=seed, n=n)
    splits: dict[int, Float64s] = {}
    outer = assign_clusters(sample, centres)
    sizes = np.bincount(outer, minlength=centres.shape[0]) * (n / sample.n)
    for cluster in np.flatnonzero(sizes > largest).tolist():
        inside = np.flatnonzero(outer == cluster)
        part = UnitRows(sample.X[inside], sample.scale[inside])
        own = fit_clusters(part, threshold, cluster_size=cluster_size, seed=seed, n=int(sizes[cluster]))
        if own.shape[0] > 1:
            splits[cluster] = own
    return ClusterTree(centres, splits)


@dataclass(frozen=True, eq=False)
class BucketPlan:
    """Which piece each item belongs to, and which pieces a task goes through.

    Attributes
    ----------
    first : int64 array of shape (n_cells,)
        The piece of each cell, for a heap its first one.
    edges : dict of int to int64 array
        For each heap the ids at which its second and later pieces begin, ascending.
    tasks : tuple of range
        The consecutive pieces of each task; more than one for a heap.
    """

    first: Indices
    edges: dict[int, Indices]
    tasks: tuple[range, ...]

    @property
    def n_buckets(self) -> int:
        """How many pieces there are."""
        return self.tasks[-1].stop if self.tasks else 0

    def bucket_of(self, ids: Indices, clusters: Indices) -> Indices:
        """Return the piece of each item."""
        buckets = self.first[clusters]
        for cluster, edges in self.edges.items():
            inside = np.flatnonzero(clusters == cluster)
            buckets[inside] += np.searchsorted(edges, ids[inside], side="right")
        return buckets


def plan_buckets(counts: Indices, largest: int, ids_of: Callable[[int], Indices]) -> BucketPlan:
    """Put cells together into pieces of at most ``largest`` items and cut those that are larger.

    Parameters
    ----------
    counts : int64 array of shape (n_cells,)
        Items of each cell.
    largest : int
    ids_of : callable
        Returns all ids of a cell in any order; asked for heaps only.
    """
    first = np.zeros(counts.size, dtype=np.int64)
    edges: dict[int, Indices] = {}
    tasks: list[range] = []
    filled = largest + 1  # the first cell begins a piece
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
    ids, cells : int64 arrays of shape (p,)
    vectors : float32 array of shape (p, d)
    """

    ids: Indices
    clusters: Indices
    vectors: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BucketGroups:
    """The groups of one piece.

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


def join_buckets(buckets: Iterable[Bucket], threshold: float, *, cluster_size: int) -> Iterator[BucketGroups]:
    """Yield the groups of the pieces of one task, in their order.

    One piece may hold many cells, each grouped by itself. Several pieces hold one cell, in order of id: each is grouped
    with the leaders of those before. Every item's cosine to its leader reaches the threshold, and a leader's id is the
    lowest of its group. Memory: a piece, the leaders of those before, and the largest cell in float64.
    """
    before = Bucket(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 0), np.float32))
    for bucket in buckets:
        old = before.ids.size
        ids, clusters = np.concatenate([before.ids, bucket.ids]), np.concatenate([before.clusters, bucket.clusters])
        vectors = np.concatenate([before.vectors, bucket.vectors]) if old else bucket.vectors
        rows = unit_rows(vectors, parameter="vectors", numbers=ids)
        leader, cosine = np.arange(ids.size), np.ones(ids.size)
        order = np.argsort(clusters, kind="stable")  # ids stay ascending within a cell
        starts = np.flatnonzero(np.diff(clusters[order], prepend=-1))
        for start, stop in zip(starts, np.append(starts[1:], ids.size), strict=True):
            places = order[start:stop]
            unit = rows.take(places)
            local, _ = join_leaders(unit, threshold, cluster_size=cluster_size)
            # A leader of an earlier piece stays one, whatever it meets now: its group is already made.
            local[places < old] = np.flatnonzero(places < old)
            leader[places] = places[local]
            joined = np.flatnonzero(local != np.arange(local.size))
            cosine[places[joined]] = row_dots(unit[joined], unit[local[joined]])
        yield BucketGroups(bucket.ids, ids[leader[old:]], cosine[old:])
        leads = np.flatnonzero(leader == np.arange(ids.size))
        before = Bucket(ids[leads], clusters[leads], vectors[leads])
