"""Collapse near copies of an array: leader(i) = the first kept j < i with <x_i, x_j> >= threshold, else i itself.

Up to some 100,000 rows all pairs count: no two kept rows reach the threshold, and each row joins the first that does.
Above, in the SemDeDup scheme (Abbas et al. 2023), rows are grouped cluster by cluster
(:mod:`ray_subsel.dedup.buckets`) and then joined across the borders of clusters (:mod:`ray_subsel.dedup.borders`): **no
two kept rows of one cluster, or of clusters next to one of them, reach the threshold**, and what is missed is measured
(:mod:`ray_subsel.dedup.recall`). Either way each row reaches its leader, which is never a later one. A run over files
takes the same steps with the same functions: the same items, ids and settings give the same groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.places import is_in
from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import UnitRows, unit_rows
from ray_subsel.dedup.borders import Clusters, Edges, Hosts, Round, Side, join_orphans, mend_borders
from ray_subsel.dedup.buckets import Bucket, Groups, join_buckets, plan_buckets
from ray_subsel.dedup.clusters import fit_centres, in_sample
from ray_subsel.dedup.recall import Recall, in_recall_sample, missed
from ray_subsel.dedup.settings import NearSettings


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
    recall : Recall or None
        How many near copies were found, on a sample; None where all pairs were compared.
    """

    leader: Indices
    leaders: Indices
    multiplicity: Indices
    recall: Recall | None


def collapse_near(
    X: Any,
    settings: NearSettings,
    *,
    ids: Indices | None = None,
    multiplicity: ArrayLike | None = None,
    labels: Indices | None = None,
) -> DuplicateGroups:
    """Group the rows of X by near copies.

    Parameters
    ----------
    X : numpy array or torch tensor of shape (n, d), or UnitRows
    settings : NearSettings
    ids : int64 array of shape (n,), optional
        Ascending numbers by which rows are sampled and errors name them; by default their positions.
    multiplicity : int array of shape (n,), optional
        How many equal items each row stands for already.
    labels : int64 array of shape (n,), optional
        Rows join rows of their label only.

    Returns
    -------
    DuplicateGroups

    Raises
    ------
    InputError
        For multiplicities that make no sense, and for rows that have no cosine.

    Notes
    -----
    O(n n_kept d) where all pairs are compared. Above, about n^2 d / cluster_size for finding clusters and n d
    cluster_size for each cluster that is compared; beyond X, memory of the rows that lead, twice.
    """
    rows = X if isinstance(X, UnitRows) else unit_rows(X, numbers=ids)
    ids = np.arange(rows.n) if ids is None else ids
    labels = np.zeros(rows.n, dtype=np.int64) if labels is None else labels
    counts = _counts(multiplicity, rows.n)
    with block_workers():
        array = _ArrayClusters(rows, ids, labels, settings)
        mended = mend_borders(array, most=settings.largest(rows.d))
        groups = mended.apply(array.groups)
        recall = None if settings.is_exact(rows.n, rows.d) else array.recall(groups)
    leader = np.searchsorted(ids, groups.leaders)
    leaders, group = np.unique(leader, return_inverse=True)
    sizes = np.zeros(leaders.size, dtype=np.int64)
    np.add.at(sizes, group, counts)
    return DuplicateGroups(leader, leaders.astype(np.int64), sizes, recall)


@final
class _ArrayClusters(Clusters):
    """Clusters of the rows of an array."""

    def __init__(self, rows: UnitRows, ids: Indices, labels: Indices, settings: NearSettings) -> None:
        self.rows, self.ids, self.labels, self.settings = rows, ids, labels, settings
        drawn = in_sample(ids, n=rows.n, d=rows.d, cluster_size=settings.cluster_size, seed=settings.seed)
        centres = fit_centres(rows.rows(np.flatnonzero(drawn)), settings, n=rows.n)
        self.clusters, self.neighbours = centres.assign(rows, settings.reach)
        counts = np.bincount(self.clusters, minlength=centres.n_clusters)
        self.plan = plan_buckets(counts, settings.largest(rows.d), lambda one: ids[self.clusters == one])
        self.bucket_of = self.plan.bucket_of(ids, self.clusters)
        self.groups = self._grouped()
        self.new: Indices = np.zeros(0, dtype=np.int64)  # orphans that came to lead

    def _grouped(self) -> Groups:
        leaders, cosine = self.ids.copy(), np.ones(self.rows.n)
        most_kept = self.settings.most_kept(self.rows.n, self.rows.d)
        for task in self.plan.tasks:
            buckets = (self.bucket(np.flatnonzero(self.bucket_of == number)) for number in task)
            for groups in join_buckets(buckets, self.settings.threshold, most_kept=most_kept):
                places = np.searchsorted(self.ids, groups.ids)
                leaders[places], cosine[places] = groups.leaders, groups.cosine
        return Groups(self.ids, leaders, cosine)

    def bucket(self, places: Indices) -> Bucket:
        """Return some rows as a bucket."""
        return Bucket(
            self.ids[places],
            self.clusters[places],
            self.labels[places],
            self.neighbours[places],
            np.asarray(self.rows.X[places]),
        )

    def blocks(self, ids: Indices) -> Iterator[Bucket]:
        """Yield some items (ascending), those of a task together."""
        places = np.searchsorted(self.ids, ids)
        for task in self.plan.tasks:
            number = self.bucket_of[places]
            yield self.bucket(places[(number >= task.start) & (number < task.stop)])

    def leaders(self) -> Indices:
        return self.ids[self.groups.leads]

    def edges(self) -> Edges:
        tasks = len(self.plan.tasks)
        if tasks and not self.neighbours.shape[1]:
            return Edges.union([])
        found, leaders = [], list(self.blocks(self.leaders()))
        guests = [self.plan.guests(block.clusters, block.neighbours) for block in leaders]
        for number, block in enumerate(leaders):
            side = Side.of(block)
            hosts = Hosts(side, self.settings.threshold)
            found.append(hosts.edges(side))
            for home, (places, parts) in zip(leaders, guests, strict=True):
                near = places[parts == number]
                if near.size:
                    found.append(hosts.edges(Side.of(home.take(near))))
        return Edges.union(found)

    def led_by(self, leaders: Indices) -> Indices:
        return self.ids[is_in(self.groups.leaders, leaders) & ~self.groups.leads]

    def join(self, number: int, orphans: Indices, kept: Indices) -> Round:
        del number
        known = np.union1d(self.leaders(), self.new)
        round_ = join_orphans(
            self.bucket(np.searchsorted(self.ids, orphans)),
            self.blocks(known),
            kept,
            self.settings.threshold,
            most_kept=self.settings.most_kept(self.rows.n, self.rows.d),
        )
        self.new = np.union1d(self.new, orphans[round_.groups.leads])
        return round_

    def recall(self, groups: Groups) -> Recall:
        """Measure what was missed."""
        drawn = in_recall_sample(self.ids, n=self.rows.n, seed=self.settings.seed)
        sample = self.bucket(np.flatnonzero(drawn & groups.leads))
        lost = np.zeros(sample.n, dtype=np.bool_)
        for block in self.blocks(self.ids[groups.leads]):
            lost |= missed(sample, block, self.settings.threshold)
        return Recall(int(drawn.sum()), int(drawn.sum()) - sample.n, int(lost.sum()))


def _counts(multiplicity: ArrayLike | None, n: int) -> Indices:
    if multiplicity is None:
        return np.ones(n, dtype=np.int64)
    given = np.asarray(multiplicity)
    if given.shape != (n,) or given.dtype.kind not in "iu" or (given < 1).any():
        raise invalid("multiplicity", f"be {n} integers >= 1", Verbatim(f"{given.dtype} of shape {given.shape}"))
    return given.astype(np.int64)
