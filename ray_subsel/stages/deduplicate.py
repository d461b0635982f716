"""Collapse near copies of the embedded items: tasks over files, never all vectors in one process.

order     with a column to keep the best by, this process          ->  near/values/, near/order/
sample    a task a part: the items whose hash is low enough        ->  near/sample/
fit       one task                                                 ->  near/cells.npz, the centres
assign    a task a part: the cluster of each item, and those next  ->  near/cells/
shuffle   a task a part: items sorted into buckets                 ->  near/pieces/, a row group a bucket
collapse  a task a bucket, or the buckets of one large cluster     ->  near/home/, near/kept/, and near/guests/, of
          kept/ the items that are near clusters of other tasks, a row group each of those
compare   a task a bucket: items that lead, across clusters        ->  near/edges/
join      a task a round: orphans join others, or lead             ->  near/rounds/, and a part more of near/kept/
group     a task a bucket                                          ->  groups/, near/members/
lead      a task a bucket                                          ->  leaders/

Each holds ``part-*.parquet``. Where all pairs are compared there is one cluster, and nothing to compare across.
Where the best item of a group is to lead, every step goes by the place of an item in the order of that column, the
highest value first and ties to the lowest id, in the place of its id: an item joins the first, and so best, that it
reaches.

``groups/`` has a row for each item: ``id``, ``leader`` (the item that stands for its group, the first in order),
``cosine`` to it, and ``cell``, its cluster. ``leaders/`` has files like those of ``embeddings/``, of the leaders alone,
with the multiplicities and rows of their groups: selection reads them instead. ``near/`` is deleted at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from ray_subsel.core.errors import InputError
from ray_subsel.dedup.borders import (
    mend_borders,
)
from ray_subsel.dedup.buckets import plan_buckets
from ray_subsel.dedup.recall import Recall
from ray_subsel.dedup.settings import NearSettings
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import Bar, bar
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.near.assign import assign, cluster_counts, fit, ids_of, keep_sample, shuffle
from ray_subsel.stages.near.join import StoredClusters, collapse_buckets
from ray_subsel.stages.near.leaders import accounted, gather_leaders, group, grouped, leaders_of, mixed_rows
from ray_subsel.stages.near.recall import measure_recall
from ray_subsel.stages.near.task import (
    CENTRES,
    GROUPS,
    LEADERS,
    SCRATCH,
    ItemLabels,
    ItemOrder,
    NearTask,
    Steps,
    scratch,
)
from ray_subsel.storage.embedding_store import (
    EmbeddingStore,
    part_name,
)


@dataclass(frozen=True)
class NearFacts:
    """What the report says of the stage.

    Attributes
    ----------
    threshold : float
    items, kept : int
        Items before and after.
    clusters, buckets, rounds : int
        The last: how often orphans were joined.
    recall : Recall or None
        None where all pairs were compared.
    within : str or None
        The column within which near copies joined.
    mixed : int or None
        Rows that joined one of another label; None where no label is known.
    """

    threshold: float
    items: int
    kept: int
    clusters: int
    buckets: int
    rounds: int
    recall: Recall | None
    within: str | None
    mixed: int | None

    @property
    def warnings(self) -> list[str]:
        """What a user should know."""
        if not self.mixed:
            return []
        return [
            f"{self.mixed:,} rows joined near copies of another label; --near-within COLUMN joins within a label only"
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the facts under the names that reports have always had."""
        return {
            "threshold": self.threshold,
            "items": self.items,
            "kept": self.kept,
            "near_collapsed": self.items - self.kept,
            "cells": self.clusters,
            "pieces": self.buckets,
            "rounds": self.rounds,
            "exact": self.recall is None,
            "recall": None if self.recall is None else self.recall.share,
            "recall_sample": None if self.recall is None else self.recall.sample,
            "recall_of": None if self.recall is None else self.recall.to_find,
            "within": self.within,
            "mixed_labels": self.mixed,
            "warnings": self.warnings,
        }


def collapse(
    task: NearTask, *, in_process: bool, bar: Bar, peak: PeakMemory | None = None
) -> tuple[EmbeddingStore, NearFacts]:
    """Collapse near copies and return the store of the leaders; what exists already is not made again.

    Parameters
    ----------
    in_process : bool
        In this process, else on Ray.
    bar : Bar
        Of ``3 n`` items: assigned, shuffled and collapsed.
    peak : PeakMemory, optional
        Told how much memory the tasks took.
    """
    store, run, settings = task.store, task.run, task.settings
    steps = Steps(run, in_process, bar, peak)
    items = {meta.shard: meta.items for meta in store.shards}
    if task.order is not None:
        values = {shard: scratch("values", shard) for shard in items}
        if not all(run.exists(scratch("order", shard)) for shard in items):
            steps.run("read", task.order.write_values, (store,), values, {})
            task.order.write_places(store)
    if not run.exists(CENTRES):
        run.delete(GROUPS)  # of other clusters, if any
        run.delete(LEADERS)
        steps.run("sampled", keep_sample, (task,), {shard: scratch("sample", shard) for shard in items}, {})
        steps.run("clustered", fit, (task,), {0: CENTRES}, {})
    steps.run("assigned to clusters", assign, (task,), {shard: scratch("cells", shard) for shard in items}, items)
    counts = cluster_counts(task)
    plan = plan_buckets(counts, settings.largest(store.d), lambda cluster: ids_of(task, cluster))
    steps.run("shuffled", shuffle, (task, plan), {shard: scratch("pieces", shard) for shard in items}, items)
    numbers = range(len(plan.tasks))
    for number in numbers:
        if not run.exists(scratch("guests", number)):
            run.delete(scratch("home", number))  # one task makes both
    sizes = dict.fromkeys(numbers, store.n // max(1, len(numbers)))
    steps.run(
        "collapsed", collapse_buckets, (task, plan), {number: scratch("home", number) for number in numbers}, sizes
    )
    clusters = StoredClusters(task, plan, steps)
    mended = mend_borders(clusters, most=settings.largest(store.d))
    leads = clusters.known()
    for number in numbers:
        if not run.exists(part_name(number, GROUPS)):
            run.delete(scratch("members", number))  # one task makes both
    steps.run("grouped", group, (task, plan, mended, leads), {n: scratch("members", n) for n in numbers}, {})
    steps.run("gathered", gather_leaders, (task, plan, mended.kept), {n: part_name(n, LEADERS) for n in numbers}, {})
    leaders = accounted(store)
    if leaders is None:
        raise InputError(
            f"{run.path(GROUPS)} must account for {store.n} items and {LEADERS} for {store.rows} rows; got "
            f"{grouped(run)} and {leaders_of(run).rows}. Delete both and run the same command again."
        )
    recall = None if settings.is_exact(store.n, store.d) else measure_recall(task, mended.kept, steps)
    labels = task.labels
    facts = NearFacts(
        settings.threshold,
        store.n,
        leaders.n,
        counts.size,
        plan.n_buckets,
        mended.rounds,
        recall,
        labels.column if labels is not None and labels.within else None,
        None if labels is None else sum(mixed_rows(run, number) for number in numbers),
    )
    return leaders, facts


@final
@dataclass(frozen=True)
class DeduplicateStage(Stage[EmbeddingStore]):
    """Collapse near copies, and hand down the leaders as the ground set.

    Attributes
    ----------
    store : EmbeddingStore
        The embeddings, or what earlier stages left of them.
    threshold : float
    seed : int
    labels : ItemLabels or None
        Where a label of the items is known.
    upstream : str
        The stage that made the store.
    order : ItemOrder or None
        In which items lead; None: that of their ids.
    """

    name: ClassVar[str] = "near"
    outputs: ClassVar[tuple[str, ...]] = (SCRATCH, GROUPS, LEADERS)

    store: EmbeddingStore
    threshold: float
    seed: int
    labels: ItemLabels | None = None
    upstream: str = "embed"
    order: ItemOrder | None = None

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the groups."""
        found = {"near": self.threshold, "seed": self.seed, "embed": context.fingerprint(self.upstream)}
        if self.labels is not None and self.labels.within:
            found["within"] = self.labels.column
        if self.order is not None:
            found["best"] = self.order.column
        return found

    def resume(self, context: RunContext) -> EmbeddingStore | None:
        """Return the leaders, or None where a group or a leader is gone."""
        del context
        return accounted(self.store)

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[EmbeddingStore]:
        """Group what is not grouped yet."""
        in_process = context.in_process(context.policy.is_small(self.store.n, self.store.d))
        settings = NearSettings(self.threshold, self.seed, bucket_numbers=context.policy.bucket_numbers)
        task = NearTask(self.store, settings, self.labels, self.order)
        with bar("near", 3 * self.store.n) as progress:
            leaders, facts = collapse(task, in_process=in_process, bar=progress, peak=peak)
        joined = facts.items - facts.kept
        how = "all pairs compared" if facts.recall is None else f"recall {facts.recall.share:.4f}"
        line = f"near: {joined:,} of {facts.items:,} items joined another, {facts.kept:,} are left; {how}"
        return StageResult(leaders, facts.as_json(), line)

    def tidy(self, context: RunContext) -> None:
        """Delete the files between the steps."""
        context.run.delete(SCRATCH)
