"""Collapse near copies of the embedded items: tasks over files, never all vectors in one process.

sample    a task a part: the items whose hash is low enough        ->  near/sample/part-*.parquet
fit       one task                                                 ->  near/cells.npz, the centres
assign    a task a part: the cluster of each item                     ->  near/cells/part-*.parquet
shuffle   a task a part: items sorted into buckets                 ->  near/pieces/part-*.parquet, a row group a bucket
collapse  a task a bucket, or the buckets of one large cluster     ->  groups/part-*.parquet, leaders/part-*.parquet

``groups/part-*.parquet`` has a row for each item: ``id``, ``leader`` (the item that stands for its group, the lowest
id), ``cosine`` to it, and ``cell``, its cluster. ``leaders/part-*.parquet`` are files like those of ``embeddings/``, of
the leaders alone, with the multiplicities and rows of their groups: selection reads them instead. ``near/`` is deleted
at the end.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.core.errors import InputError
from ray_subsel.core.items import MULTIPLICITY, ItemBatch
from ray_subsel.core.types import Float32s, Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.dedup.buckets import Bucket, BucketGroups, BucketPlan, bucket_size, join_buckets, plan_buckets
from ray_subsel.dedup.clusters import ClusterTree, fit_tree, in_sample
from ray_subsel.dedup.leader_clustering import CLUSTER_SIZE
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import Bar, bar
from ray_subsel.runtime.tasks import TaskSpec, run_tasks
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.storage.embedding_store import (
    METADATA,
    EmbeddingStore,
    part_name,
    vector_type,
    vectors_of,
    write_shard,
)
from ray_subsel.storage.run_directory import RunDir

SCRATCH = "near"
CENTRES = f"{SCRATCH}/cells.npz"
GROUPS = "groups"
LEADERS = "leaders"


@dataclass(frozen=True, eq=False)
class NearTask:
    """All that a worker needs to know.

    Attributes
    ----------
    store : EmbeddingStore
        The embeddings.
    threshold : float
    seed : int
    largest : int
        Items of a bucket.
    cluster_size : int
        Items of a usual cluster.
    """

    store: EmbeddingStore
    threshold: float
    seed: int
    largest: int
    cluster_size: int = CLUSTER_SIZE

    @staticmethod
    def of(store: EmbeddingStore, threshold: float, seed: int, policy: Policy = DEFAULT_POLICY) -> NearTask:
        """Return the task with buckets of a size that fits memory."""
        return NearTask(store, threshold, seed, bucket_size(store.d, policy.bucket_numbers))

    @property
    def run(self) -> RunDir:
        """The run directory."""
        return self.store.run


@dataclass(frozen=True)
class NearFacts:
    """What the report says of the stage.

    Attributes
    ----------
    threshold : float
    items, kept : int
        Items before and after.
    clusters, buckets : int
    """

    threshold: float
    items: int
    kept: int
    clusters: int
    buckets: int

    def as_json(self) -> dict[str, Any]:
        """Return the facts under the names that reports have always had."""
        return {
            "threshold": self.threshold,
            "items": self.items,
            "kept": self.kept,
            "near_collapsed": self.items - self.kept,
            "cells": self.clusters,
            "pieces": self.buckets,
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
    store, run = task.store, task.run
    steps = _Steps(run, in_process, bar, peak)
    items = {meta.shard: meta.items for meta in store.shards}
    if not run.exists(CENTRES):
        steps.run("sampled", _sample, (task,), {shard: _sample_name(shard) for shard in items}, {})
        steps.run("clustered", _fit, (task,), {0: CENTRES}, {})
    steps.run("assigned to clusters", _assign, (task,), {shard: _clusters_name(shard) for shard in items}, items)
    counts = _cluster_counts(task)
    plan = plan_buckets(counts, task.largest, lambda cluster: _ids_of(task, cluster))
    steps.run("shuffled", _shuffle, (task, plan), {shard: _buckets_name(shard) for shard in items}, items)
    numbers = list(range(len(plan.tasks)))
    for number in numbers:
        if not run.exists(part_name(number, GROUPS)):
            run.delete(part_name(number, LEADERS))  # one task makes both
    sizes = dict.fromkeys(numbers, store.n // max(1, len(numbers)))
    outputs = {number: part_name(number, LEADERS) for number in numbers}
    steps.run("collapsed", _collapse_task, (task, plan), outputs, sizes)
    leaders = accounted(store)
    if leaders is None:
        raise InputError(
            f"{run.path(GROUPS)} must account for {store.n} items and {LEADERS} for {store.rows} rows; got "
            f"{_grouped(run)} and {leaders_of(run).rows}. Delete both and run the same command again."
        )
    return leaders, NearFacts(task.threshold, store.n, leaders.n, counts.size, plan.n_buckets)


def accounted(store: EmbeddingStore) -> EmbeddingStore | None:
    """Return the leaders if every item of the embeddings is in a group and every row with a leader, else None."""
    if _grouped(store.run) != store.n or not store.run.names(LEADERS, ".parquet"):
        return None
    leaders = leaders_of(store.run)
    return leaders if leaders.rows == store.rows else None


def leaders_of(run: RunDir) -> EmbeddingStore:
    """Open the leaders' files."""
    return EmbeddingStore.open_folder(run, LEADERS)


def _grouped(run: RunDir) -> int:
    found = 0
    for name in run.names(GROUPS, ".parquet"):
        with run.parquet(name) as file:
            found += file.metadata.num_rows
    return found


@dataclass(frozen=True)
class _Steps:
    """Runs the steps of the stage, a task an output that is missing."""

    directory: RunDir
    in_process: bool
    bar: Bar
    peak: PeakMemory | None

    def run(
        self,
        done: str,
        function: Callable[..., None],
        shared: tuple[Any, ...],
        outputs: dict[int, str],
        sizes: dict[int, int],
    ) -> None:
        """Call ``function(*shared, number)`` for each number whose output is missing; ``sizes`` are told to the bar."""
        missing = {number: output for number, output in outputs.items() if not self.directory.exists(output)}
        self.bar.advance(sum(sizes.get(number, 0) for number in set(outputs) - set(missing)))
        tasks = [
            (number, TaskSpec(output, f"near copies of part {number} could not be {done}", "Give it more memory"))
            for number, output in missing.items()
        ]
        for number, _, used in run_tasks(function, shared, tasks, self.directory, in_process=self.in_process):
            if self.peak is not None:
                self.peak.add(used)
            self.bar.advance(sizes.get(number, 0))


def _sample_name(shard: int) -> str:
    return f"{SCRATCH}/sample/part-{shard:05d}.parquet"


def _clusters_name(shard: int) -> str:
    return f"{SCRATCH}/cells/part-{shard:05d}.parquet"


def _buckets_name(shard: int) -> str:
    return f"{SCRATCH}/pieces/part-{shard:05d}.parquet"


def _sample(task: NearTask, shard: int) -> None:
    """Keep the items of a part that belong to the sample: those whose hash is low enough."""
    n, d = task.store.n, task.store.d
    kind = vector_type(d, task.store.dtype)
    sampled = [pa.table({"id": pa.array([], pa.int64()), "vector": pa.array([], kind)})]
    for table in task.store.row_groups(shard, ["id", "vector"]):
        ids = table["id"].to_numpy().astype(np.int64)
        chosen = np.flatnonzero(in_sample(ids, n=n, d=d, cluster_size=task.cluster_size, seed=task.seed))
        sampled.append(table.take(pa.array(chosen)).replace_schema_metadata(None))
    task.run.write_table(_sample_name(shard), pa.concat_tables(sampled))


def _fit(task: NearTask, _: int) -> None:
    """Keep the centres of the sample's clusters."""
    sample = pa.concat_tables([task.run.read_table(_sample_name(shard)) for shard in task.store.numbers])
    ids = sample["id"].to_numpy()
    order = np.argsort(ids, kind="stable")
    vectors = vectors_of(sample["vector"])[order]
    rows = unit_rows(vectors, parameter="vectors", numbers=ids[order])
    tree = fit_tree(
        rows,
        n=task.store.n,
        threshold=task.threshold,
        cluster_size=task.cluster_size,
        largest=task.largest,
        seed=task.seed,
    )
    split = sorted(tree.splits)
    stream = io.BytesIO()
    np.savez(
        stream,
        centres=tree.centres,
        split=np.array(split, dtype=np.int64),
        sizes=np.array([tree.splits[cluster].shape[0] for cluster in split], dtype=np.int64),
        inner=np.concatenate([tree.centres[:0], *[tree.splits[cluster] for cluster in split]]),
    )
    task.run.write_bytes(CENTRES, stream.getvalue())


def _tree(task: NearTask) -> ClusterTree:
    try:
        with np.load(io.BytesIO(task.run.read_bytes(CENTRES)), allow_pickle=False) as archive:
            inner = np.split(archive["inner"], np.cumsum(archive["sizes"])[:-1]) if archive["sizes"].size else []
            return ClusterTree(archive["centres"], dict(zip(archive["split"].tolist(), inner, strict=True)))
    except Exception as error:  # a damaged archive fails in zipfile, zlib or numpy
        raise InputError(
            f"{task.run.path(CENTRES)} must hold centres of clusters; it could not be read ({error}). "
            f"Delete {SCRATCH} and run the same command again."
        ) from error


def _assign(task: NearTask, shard: int) -> None:
    """Keep the cluster of each item of a part, in the order of the part."""
    from threadpoolctl import threadpool_limits

    tree = _tree(task)
    ids, clusters = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    with threadpool_limits(1):
        for table in task.store.row_groups(shard, ["id", "vector"]):
            some = table["id"].to_numpy().astype(np.int64)
            rows = unit_rows(vectors_of(table["vector"]), parameter="vectors", numbers=some)
            ids.append(some)
            clusters.append(tree.clusters_of(rows))
    table = pa.table({"id": np.concatenate(ids), "cell": np.concatenate(clusters)})
    table = table.replace_schema_metadata({METADATA: str(tree.n_clusters).encode()})
    task.run.write_table(_clusters_name(shard), table)


def _clusters(task: NearTask, shard: int) -> pa.Table:
    return task.run.read_table(_clusters_name(shard))


def _cluster_counts(task: NearTask) -> Indices:
    counts = np.zeros(_tree(task).n_clusters, dtype=np.int64)
    for shard in task.store.numbers:
        counts += np.bincount(_clusters(task, shard)["cell"].to_numpy(), minlength=counts.size)
    return counts


def _ids_of(task: NearTask, cluster: int) -> Indices:
    found = []
    for shard in task.store.numbers:
        table = _clusters(task, shard)
        found.append(table.filter(pc.equal(table["cell"], cluster))["id"].to_numpy())
    return np.concatenate(found)


def _shuffle(task: NearTask, plan: BucketPlan, shard: int) -> None:
    """Sort the items of a part by bucket and id, a row group a bucket."""
    table = task.store.read_shard(shard, ["id", "vector", MULTIPLICITY, "rows"])
    ids, clusters = table["id"].to_numpy(), _clusters(task, shard)["cell"].to_numpy()
    buckets = plan.bucket_of(ids, clusters)
    order = np.lexsort((ids, buckets))
    counts = np.bincount(buckets, minlength=plan.n_buckets).tolist()
    sorted_table = table.append_column("cell", pa.array(clusters)).take(pa.array(order))
    sorted_table = sorted_table.replace_schema_metadata({METADATA: json.dumps(counts).encode()})
    task.run.write_table(_buckets_name(shard), sorted_table, row_groups=counts)


def _read_bucket(task: NearTask, bucket: int) -> pa.Table:
    """Read a bucket, in ascending order of id."""
    tables = []
    for shard in task.store.numbers:
        with task.run.parquet(_buckets_name(shard)) as file:
            counts = json.loads(file.schema_arrow.metadata[METADATA])
            if counts[bucket]:
                table = file.read_row_group(sum(1 for count in counts[:bucket] if count))
                assert table.num_rows == counts[bucket]
                tables.append(table.replace_schema_metadata(None))
    table = pa.concat_tables(tables)
    return table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))


def _collapse_task(task: NearTask, plan: BucketPlan, number: int) -> None:
    """Group the items of one task and keep the groups and their leaders."""
    from threadpoolctl import threadpool_limits

    tables: list[pa.Table] = []  # ids ascend from bucket to bucket; vectors are kept of leaders only
    vectors: list[Float32s] = []
    groups: list[BucketGroups] = []

    def buckets() -> Iterator[Bucket]:
        for bucket in plan.tasks[number]:
            table = _read_bucket(task, bucket)
            read = vectors_of(table["vector"])
            tables.append(table.drop_columns(["vector"]))
            yield Bucket(table["id"].to_numpy(), table["cell"].to_numpy(), read)
            vectors.append(read[groups[-1].leaders == groups[-1].ids])  # by now the bucket's groups are known

    with threadpool_limits(1):  # clusters are small, and there is a task a CPU
        for joined in join_buckets(buckets(), task.threshold, cluster_size=task.cluster_size):
            groups.append(joined)
    table, leader = pa.concat_tables(tables), np.concatenate([joined.leaders for joined in groups])
    cosine = np.concatenate([joined.cosine for joined in groups])
    columns = {"id": table["id"], "leader": leader, "cosine": cosine, "cell": table["cell"]}
    task.run.write_table(part_name(number, GROUPS), pa.table(columns))
    items, members = _led(table, leader, np.concatenate(vectors))
    write_shard(
        task.run,
        number,
        items,
        members,
        texts=table.num_rows,
        partitions=task.store.partitions,
        seed=task.store.seed,
        folder=LEADERS,
        dtype=task.store.dtype,
    )


def _led(table: pa.Table, leader: Indices, vectors: Float32s) -> tuple[ItemBatch, list[list[int]]]:
    """Return the leaders, in order of id as ``vectors`` are, with the multiplicities and the rows of their groups."""
    leaders, group = np.unique(leader, return_inverse=True)
    multiplicity = np.zeros(leaders.size, dtype=np.int64)
    np.add.at(multiplicity, group, table[MULTIPLICITY].to_numpy())
    rows = table["rows"].combine_chunks()
    flat = pc.list_flatten(rows).to_numpy()
    owner = group[pc.list_parent_indices(rows).to_numpy()]
    order = np.lexsort((flat, owner))
    edges = np.searchsorted(owner[order], np.arange(1, leaders.size))
    members = [part.tolist() for part in np.split(flat[order], edges)]
    return ItemBatch(leaders.astype(np.int64), vectors, {MULTIPLICITY: multiplicity}), members


@final
@dataclass(frozen=True)
class DeduplicateStage(Stage[EmbeddingStore]):
    """Collapse near copies, and hand down the leaders as the ground set.

    Attributes
    ----------
    store : EmbeddingStore
        The embeddings.
    threshold : float
    seed : int
    """

    name: ClassVar[str] = "near"
    outputs: ClassVar[tuple[str, ...]] = (SCRATCH, GROUPS, LEADERS)

    store: EmbeddingStore
    threshold: float
    seed: int

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the groups."""
        return {"near": self.threshold, "seed": self.seed, "embed": context.fingerprint("embed")}

    def resume(self, context: RunContext) -> EmbeddingStore | None:
        """Return the leaders, or None where a group or a leader is gone."""
        del context
        return accounted(self.store)

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[EmbeddingStore]:
        """Group what is not grouped yet."""
        in_process = context.in_process(context.policy.is_small(self.store.n, self.store.d))
        task = NearTask.of(self.store, self.threshold, self.seed, context.policy)
        with bar("near", 3 * self.store.n) as progress:
            leaders, facts = collapse(task, in_process=in_process, bar=progress, peak=peak)
        joined = facts.items - facts.kept
        line = f"near: {joined:,} of {facts.items:,} items joined another, {facts.kept:,} are left"
        return StageResult(leaders, facts.as_json(), line)

    def tidy(self, context: RunContext) -> None:
        """Delete the files between the steps."""
        context.run.delete(SCRATCH)
