"""Join near copies across clusters: kept(i) iff <x_i, x_j> < t for all earlier kept j that i was compared with.

Clusters were grouped each by itself. Here every item that leads is compared with those of the clusters next to it
(:func:`edges_between`); one that reaches an earlier one that stays no longer leads (:func:`decide`). Items that it led
are *orphans*: they join another that leads, or lead themselves and are compared in their turn (:func:`join_orphans`),
until none is left (:func:`mend_borders`). That is a fixed point, and there is only one: the kept items are those of the
sequential rule over all pairs that were compared, whatever was done in what order.

The kept set is the lexicographically first maximal independent set of the graph of pairs (Blelloch, Fineman and Shun,
"Greedy sequential maximal independent set and matching are parallel on average", SPAA 2012).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.held_rows import hold
from ray_subsel.core.places import is_in
from ray_subsel.core.types import Float32s, Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows, unit_rows
from ray_subsel.dedup.buckets import Bucket, Groups, join_within_clusters
from ray_subsel.dedup.pairs import PairGrid, cosines_of, fit_sketch, reaching_pairs, sketched_pairs

_PRODUCTS = 1 << 21


@dataclass(frozen=True, eq=False)
class Edges:
    """Pairs of items whose cosine reaches the threshold, by ``later`` and then ``earlier``, each pair once.

    Attributes
    ----------
    later, earlier : int64 arrays of shape (e,)
        Ids; the second is lower.
    cosine : float64 array of shape (e,)
    """

    later: Indices
    earlier: Indices
    cosine: Float64s

    @staticmethod
    def of(a: Indices, b: Indices, cosine: Float64s) -> Edges:
        """Return the pairs (a, b) of ids, in any order and repeated, as edges; an item is no neighbour of itself."""
        later, earlier = np.maximum(a, b), np.minimum(a, b)
        order = np.lexsort((earlier, later))
        later, earlier, cosine = later[order], earlier[order], cosine[order]
        fresh = np.append(True, (later[1:] != later[:-1]) | (earlier[1:] != earlier[:-1]))[: later.size]
        fresh &= later != earlier
        return Edges(later[fresh], earlier[fresh], cosine[fresh])

    @staticmethod
    def union(parts: Iterable[Edges]) -> Edges:
        """Return the edges of all parts."""
        every = list(parts)
        return Edges.of(
            np.concatenate([np.zeros(0, np.int64), *[part.later for part in every]]),
            np.concatenate([np.zeros(0, np.int64), *[part.earlier for part in every]]),
            np.concatenate([np.zeros(0), *[part.cosine for part in every]]),
        )

    def where(self, which: NDArray[np.bool_]) -> Edges:
        """Return some of the edges."""
        return Edges(self.later[which], self.earlier[which], self.cosine[which])


@dataclass(frozen=True, eq=False)
class Side:
    """A bucket as it is compared: unit rows, also in float32, and its places in order of cluster.

    Attributes
    ----------
    bucket : Bucket
    rows : UnitRows
    order : int64 array of shape (p,)
        Places by cluster.
    single : float32 array of shape (p, d)
        Unit rows in that order.
    """

    bucket: Bucket
    rows: UnitRows
    order: Indices
    single: Float32s

    @staticmethod
    def of(bucket: Bucket) -> Side:
        """Return the bucket, ready to be compared."""
        rows = unit_rows(bucket.vectors, parameter="vectors", numbers=bucket.ids)
        order = np.argsort(bucket.clusters, kind="stable")
        single = np.empty(bucket.vectors.shape, dtype=np.float32)
        for start, stop in rows.blocks():
            single[start:stop] = rows.single(order[start:stop])
        return Side(bucket, rows, order, single)


class Hosts:
    """Items of some whole clusters, with which those of clusters next to them are compared.

    Parameters
    ----------
    side : Side
    threshold : float
    """

    def __init__(self, side: Side, threshold: float) -> None:
        self.side, self.threshold = side, threshold
        self._sketch = fit_sketch(side.rows, threshold)
        self._held = hold(side.single)
        self._sketched = None if self._sketch is None else hold(self._sketch.of(side.single))

    def edges(self, guests: Side, *, same_cluster: bool = False) -> Edges:
        """Return the pairs of a guest and an item of a cluster next to it that reach the threshold.

        Parameters
        ----------
        same_cluster : bool
            Compare the items of one cluster, too.
        """
        return Edges.union(self._edges(guests, same_cluster=same_cluster))

    def _edges(self, guests: Side, *, same_cluster: bool) -> Iterator[Edges]:
        hosts, bucket = self.side, guests.bucket
        wanted = bucket.neighbours[guests.order].astype(np.int64)  # in this order the rows lie
        if same_cluster:
            wanted = np.column_stack([bucket.clusters[guests.order], wanted])
        guest, column = np.nonzero(wanted >= 0)
        cluster = wanted[guest, column]
        order = np.argsort(cluster, kind="stable")
        guest, cluster = guest[order], cluster[order]
        host_clusters = hosts.bucket.clusters[hosts.order]
        for one in np.intersect1d(cluster, host_clusters).tolist():
            start, stop = np.searchsorted(cluster, [one, one + 1]).tolist()
            first, last = np.searchsorted(host_clusters, [one, one + 1]).tolist()
            step = self._held.rows_at_once(max(1, _PRODUCTS // (last - first)))
            for at in range(start, stop, step):
                who = guest[at : min(at + step, stop)]
                i, j = guests.order[who], hosts.order[first:last]
                a, b = self._pairs(guests, who, slice(first, last))
                a, b = i[a], j[b]
                same = bucket.labels[a] == hosts.bucket.labels[b]
                a, b = a[same], b[same]
                yield Edges.of(bucket.ids[a], hosts.bucket.ids[b], cosines_of(guests.rows, a, hosts.rows, b))

    def _pairs(self, guests: Side, who: Indices, some: slice) -> tuple[Indices, Indices]:
        """Return which guests and hosts, by their places in ``who`` and ``some``, reach the threshold."""
        hosts, single = self.side, guests.single[who]
        grid = PairGrid(guests.rows, guests.order[who], hosts.rows, hosts.order[some])
        if self._sketch is not None and self._sketched is not None:
            found = sketched_pairs(grid, self._sketch.of(single), self._sketched, self.threshold, some)
            if found is not None:
                return found
        return reaching_pairs(grid, single, self._held, self.threshold, some)


def edges_between(left: Side, right: Side, threshold: float, *, same_cluster: bool) -> Edges:
    """Return the pairs of an item of each that reach the threshold, of those that lie in neighbouring clusters.

    Parameters
    ----------
    same_cluster : bool
        Compare the items of one cluster, too.
    """
    found = [Hosts(right, threshold).edges(left, same_cluster=same_cluster)]
    if left is not right:
        found.append(Hosts(left, threshold).edges(right))
    return Edges.union(found)


def decide(ids: Indices, edges: Edges) -> Groups:
    """Return which items are kept: in order of id, each that has no earlier kept neighbour; others join the first one.

    Parameters
    ----------
    ids : int64 array of shape (n,)
        Ascending.
    edges : Edges
        Between them.
    """
    later, earlier = np.searchsorted(ids, edges.later), np.searchsorted(ids, edges.earlier)
    kept, known = np.ones(ids.size, dtype=np.bool_), np.ones(ids.size, dtype=np.bool_)
    known[later] = False
    waiting = np.arange(later.size)
    while waiting.size:  # the lowest that waits is decided each time
        a, b = later[waiting], earlier[waiting]
        dropped = a[known[b] & kept[b]]
        kept[dropped], known[dropped] = False, True
        unsure = np.zeros(ids.size, dtype=np.bool_)
        unsure[a[~known[b]]] = True
        known[a[~unsure[a]]] = True
        waiting = waiting[~known[a]]
    leaders, cosine = ids.copy(), np.ones(ids.size)
    joining = np.flatnonzero(kept[earlier] & ~kept[later])  # by later and earlier: the first one counts
    who, first = np.unique(later[joining], return_index=True)
    leaders[who], cosine[who] = edges.earlier[joining[first]], edges.cosine[joining[first]]
    return Groups(ids, leaders, cosine)


@dataclass(frozen=True, eq=False)
class Round:
    """What became of some orphans.

    Attributes
    ----------
    groups : Groups
        Each orphan and the item that it joined: one that led, or an orphan that leads now.
    edges : Edges
        Of the orphans that lead now, to all items that lead or led.
    """

    groups: Groups
    edges: Edges


def join_orphans(
    orphans: Bucket, blocks: Iterable[Bucket], kept: Indices, threshold: float, *, most_kept: int
) -> Round:
    """Join orphans to items that are kept, or else among themselves.

    Parameters
    ----------
    orphans : Bucket
    blocks : iterable of Bucket
        All items that lead or led, in any order.
    kept : int64 array
        Those of them that are kept, ascending.
    """
    side = Side.of(orphans)
    met = Edges.union(edges_between(side, Side.of(block), threshold, same_cluster=True) for block in blocks if block.n)
    joining = met.where(is_in(met.earlier, kept) & is_in(met.later, orphans.ids))
    who, first = np.unique(joining.later, return_index=True)
    leaders, cosine = orphans.ids.copy(), np.ones(orphans.n)
    places = np.searchsorted(orphans.ids, who)
    leaders[places], cosine[places] = joining.earlier[first], joining.cosine[first]
    left = np.flatnonzero(leaders == orphans.ids)
    if not left.size:
        return Round(Groups(orphans.ids, leaders, cosine), Edges.union([]))
    among = join_within_clusters(orphans.take(left), threshold, most_kept=most_kept)
    leaders[left], cosine[left] = among.leaders, among.cosine
    lead = Side.of(orphans.take(leaders == orphans.ids))
    new = lead.bucket.ids
    outside = met.where(is_in(met.later, new) | is_in(met.earlier, new))
    among_new = edges_between(lead, lead, threshold, same_cluster=False)
    return Round(Groups(orphans.ids, leaders, cosine), Edges.union([outside, among_new]))


class Clusters(Protocol):
    """Clusters that were grouped each by itself, wherever their items are."""

    def leaders(self) -> Indices:
        """Return the ids of the items that lead, ascending."""

    def edges(self) -> Edges:
        """Return the edges between those of neighbouring clusters."""

    def led_by(self, leaders: Indices) -> Indices:
        """Return the ids of the items that some items (ascending) lead, these left out; ascending."""

    def join(self, number: int, orphans: Indices, kept: Indices) -> Round:
        """Return what becomes of orphans: :func:`join_orphans`; ``number`` counts the calls."""


@dataclass(frozen=True, eq=False)
class Mended:
    """The groups of all items, as what is to be changed of those of single clusters.

    Attributes
    ----------
    leads : Groups
        The items that lead or led.
    moved : Groups
        The orphans that joined another.
    rounds : int
        How often orphans were joined.
    """

    leads: Groups
    moved: Groups
    rounds: int

    @property
    def kept(self) -> Indices:
        """The items that lead, ascending."""
        return self.leads.ids[self.leads.leads]

    def apply(self, groups: Groups) -> Groups:
        """Return the final groups of some items from those of their clusters."""
        leaders, cosine = groups.leaders.copy(), groups.cosine.copy()
        for part in (self.moved, self.leads):
            here = is_in(groups.ids, part.ids)
            at = np.searchsorted(part.ids, groups.ids[here])
            leaders[here], cosine[here] = part.leaders[at], part.cosine[at]
        return Groups(groups.ids, leaders, cosine)


def mend_borders(clusters: Clusters, *, most: int) -> Mended:
    """Join near copies across the borders of clusters.

    Parameters
    ----------
    clusters : Clusters
    most : int
        Orphans that are joined at once, the lowest ones; what is kept does not depend on it where no cluster was split.
    """
    ids, edges = clusters.leaders(), clusters.edges()
    moved = Groups(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    rounds = 0
    while True:
        leads = decide(ids, edges)
        gone = ids[~leads.leads]
        orphans = np.setdiff1d(clusters.led_by(gone), np.concatenate([moved.ids, ids]))
        orphans = np.union1d(orphans, moved.ids[is_in(moved.leaders, gone)])[:most]
        if not orphans.size:
            return Mended(leads, moved, rounds)
        found = clusters.join(rounds, orphans, ids[leads.leads])
        rounds += 1
        ids = np.union1d(ids, found.groups.ids[found.groups.leads])
        edges = Edges.union([edges, found.edges])
        moved = _replaced(moved, found.groups)


def _replaced(moved: Groups, fresh: Groups) -> Groups:
    """Return moved orphans, of which some (and others) were moved again or lead now."""
    stay, joined = ~is_in(moved.ids, fresh.ids), ~fresh.leads
    ids = np.concatenate([moved.ids[stay], fresh.ids[joined]])
    leaders = np.concatenate([moved.leaders[stay], fresh.leaders[joined]])
    cosine = np.concatenate([moved.cosine[stay], fresh.cosine[joined]])
    order = np.argsort(ids, kind="stable")
    return Groups(ids[order], leaders[order], cosine[order])
