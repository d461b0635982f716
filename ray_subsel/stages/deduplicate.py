"""The stage that collapses near copies: tasks over files, never all vectors in one process.

sample    a task a part: the items whose hash is low enough        ->  near/sample/part-*.parquet
fit       one task                                                 ->  near/cells.npz, the centres
assign    a task a part: the cluster of each item                     ->  near/cells/part-*.parquet
shuffle   a task a part: items sorted into buckets                 ->  near/pieces/part-*.parquet, a row group a bucket
collapse  a task a bucket, or the buckets of one large cluster     ->  groups/part-*.parquet, leaders/part-*.parquet

``groups/part-*.parquet`` has a row for each item: ``id``, ``leader`` (the item that stands for its group, the lowest
id), ``cosine`` to it, and ``cell``, its cluster. ``leaders/part-*.parquet`` are parts like those of ``embeddings/``, of
the leaders alone, with the multiplicities and rows of their groups: selection reads them instead. ``near/`` is deleted
at the end.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.core.errors import InputError
from ray_subsel.core.hashing import mix
from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.dedup.buckets import (
    BUCKET_NUMBERS,
    Bucket,
    BucketGroups,
    BucketPlan,
    ClusterTree,
    fit_tree,
    join_buckets,
    plan_buckets,
)
from ray_subsel.dedup.in_memory import CLUSTER_SIZE
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import Bar
from ray_subsel.runtime.tasks import TaskSpec, run_tasks
from ray_subsel.storage.embedding_store import (
    METADATA,
    Items,
    ShardMeta,
    Vectors,
    fact_of,
    part_name,
    read_facts,
    row_groups,
    vectors_of,
    write_part,
)
from ray_subsel.storage.run_directory import RunDir

SCRATCH = "near"
CENTRES = f"{SCRATCH}/cells.npz"
GROUPS = "groups"
LEADERS = "leaders"

SAMPLE_NUMBERS = 32_000_000
"""n * d of the sample, which one process holds."""

_SAMPLE_PER_CLUSTER = 64
_LEAST_SAMPLE = 1000


@dataclass(frozen=True)
class NearTask:
    """All that a worker needs to know.

    Attributes
    ----------
    run : RunDir
    facts : tuple of ShardMeta
        Of the embeddings.
    threshold : float
    seed : int
    largest : int
        Items of a piece.
    cluster_size : int
        Items of a usual cell.
    """

    run: RunDir
    facts: tuple[ShardMeta, ...]
    threshold: float
    seed: int
    largest: int
    cluster_size: int = CLUSTER_SIZE

    @staticmethod
    def of(run: RunDir, facts: Sequence[ShardMeta], threshold: float, seed: int) -> NearTask:
        """Return the task with pieces of a size that fits memory."""
        d = max(fact.dimension for fact in facts)
        return NearTask(run, tuple(facts), threshold, seed, max(CLUSTER_SIZE, BUCKET_NUMBERS // d))

    @property
    def n(self) -> int:
        """Items of the ground set."""
        return sum(fact.items for fact in self.facts)

    @property
    def d(self) -> int:
        """Length of the vectors."""
        return max(fact.dimension for fact in self.facts)


@dataclass(frozen=True)
class NearFacts:
    """What the report says of the stage.

    Attributes
    ----------
    threshold : float
    items, kept : int
        Items before and after.
    near_collapsed : int
        Their difference.
    cells, pieces : int
    """

    threshold: float
    items: int
    kept: int
    near_collapsed: int
    clusters: int
    buckets: int


def collapse(
    task: NearTask, *, here: bool, bar: Bar, peak: PeakMemory | None = None
) -> tuple[list[ShardMeta], NearFacts]:
    """Collapse near copies and return the facts of the leaders' parts; what exists already is not made again.

    Parameters
    ----------
    here : bool
        In this process, else on Ray.
    bar : Bar
        Of ``3 n`` items: assigned, shuffled and collapsed.
    peak : PeakMemory, optional
        Told how much memory the tasks took.
    """
    peak = PeakMemory() if peak is None else peak
    run, shards = task.run, [fact.shard for fact in task.facts]
    items = {fact.shard: fact.items for fact in task.facts}
    if not run.exists(CENTRES):
        untold = dict.fromkeys((*shards, 0), 0)
        _each(_sample, (task,), shards, [_sample_name(s) for s in shards], untold, here, bar, peak)
        _each(_fit, (task,), [0], [CENTRES], untold, here, bar, peak)
    _each(_assign, (task,), shards, [_clusters_name(s) for s in shards], items, here, bar, peak)
    counts = _cluster_counts(task)
    plan = plan_buckets(counts, task.largest, lambda cluster: _ids_of(task, cluster))
    shared = (task, plan)
    _each(_shuffle, shared, shards, [_buckets_name(s) for s in shards], items, here, bar, peak)
    numbers = list(range(len(plan.tasks)))
    for number in numbers:
        if not run.exists(part_name(number, GROUPS)):
            run.delete(part_name(number, LEADERS))  # one task makes both
    sizes = dict.fromkeys(numbers, task.n // max(1, len(numbers)))
    _each(_collapse_task, shared, numbers, [part_name(number, LEADERS) for number in numbers], sizes, here, bar, peak)
    if not accounted(task):
        raise InputError(
            f"{run.path(GROUPS)} must account for {task.n} items and {LEADERS} for {_rows(task.facts)} rows; got "
            f"{_grouped(run)} and {_rows(leader_facts(run))}. Delete both and run the same command again."
        )
    facts = leader_facts(run)
    kept = sum(fact.items for fact in facts)
    return facts, NearFacts(task.threshold, task.n, kept, task.n - kept, counts.size, plan.n_buckets)


def accounted(task: NearTask) -> bool:
    """Tell whether every item is in a group and every row with a leader."""
    return _grouped(task.run) == task.n and _rows(leader_facts(task.run)) == _rows(task.facts)


def leader_facts(run: RunDir) -> list[ShardMeta]:
    """Read the facts of the leaders' parts."""
    numbers = [int(name.removesuffix(".parquet").rsplit("-", 1)[1]) for name in run.names(LEADERS, ".parquet")]
    return [read_facts(run, number, LEADERS) for number in numbers]


def _grouped(run: RunDir) -> int:
    found = 0
    for name in run.names(GROUPS, ".parquet"):
        with run.parquet(name) as file:
            found += file.metadata.num_rows
    return found


def _rows(facts: Sequence[ShardMeta]) -> int:
    return sum(fact.rows for fact in facts)


def _each(
    function: Callable[..., None],
    shared: tuple[Any, ...],
    numbers: Sequence[int],
    outputs: Sequence[str],
    sizes: dict[int, int],
    here: bool,
    bar: Bar,
    peak: PeakMemory,
) -> None:
    """Call ``function(*shared, number)`` for each number whose output is missing: here, or a Ray task each."""
    run: RunDir = shared[0].run
    missing = {number: output for number, output in zip(numbers, outputs, strict=True) if not run.exists(output)}
    bar.advance(sum(sizes[number] for number in set(numbers) - set(missing)))
    if here:
        for number in missing:
            function(*shared, number)
            bar.advance(sizes[number])
        return
    step = function.__name__.strip("_")
    works = [
        (
            number,
            TaskSpec(output, f"near copies of part {number} could not be collapsed ({step})", "Give it more memory"),
        )
        for number, output in missing.items()
    ]
    for number, _, used in run_tasks(function, shared, works, run):
        peak.add(used)
        bar.advance(sizes[number])


def _sample_name(shard: int) -> str:
    return f"{SCRATCH}/sample/part-{shard:05d}.parquet"


def _clusters_name(shard: int) -> str:
    return f"{SCRATCH}/cells/part-{shard:05d}.parquet"


def _buckets_name(shard: int) -> str:
    return f"{SCRATCH}/pieces/part-{shard:05d}.parquet"


def _sample(task: NearTask, shard: int) -> None:
    """Keep the items of a part that belong to the sample: those whose hash is low enough."""
    wanted = min(max(_LEAST_SAMPLE, _SAMPLE_PER_CLUSTER * -(-task.n // task.cluster_size)), SAMPLE_NUMBERS // task.d)
    highest = np.uint64(min(2**64 - 1, (wanted << 64) // task.n))
    kind = pa.list_(pa.float32(), task.d)
    sampled = [pa.table({"id": pa.array([], pa.int64()), "vector": pa.array([], kind)})]
    for table in row_groups(task.run, fact_of(task.facts, shard), ["id", "vector"]):
        # Another stream of hashes than the one that draws partitions.
        chosen = np.flatnonzero(mix(table["id"].to_numpy().astype(np.int64), task.seed + 0x5EA2) <= highest)
        sampled.append(table.take(pa.array(chosen)).replace_schema_metadata(None))
    task.run.write_table(_sample_name(shard), pa.concat_tables(sampled))


def _fit(task: NearTask, _: int) -> None:
    """Keep the centres of the sample's cells."""
    sample = pa.concat_tables([task.run.read_table(_sample_name(fact.shard)) for fact in task.facts])
    ids = sample["id"].to_numpy()
    order = np.argsort(ids, kind="stable")
    vectors = vectors_of(sample["vector"])[order]
    rows = unit_rows(vectors, parameter="vectors", numbers=ids[order])
    tree = fit_tree(
        rows, n=task.n, threshold=task.threshold, cluster_size=task.cluster_size, largest=task.largest, seed=task.seed
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
            f"{task.run.path(CENTRES)} must hold centres of cells; it could not be read ({error}). "
            f"Delete {SCRATCH} and run the same command again."
        ) from error


def _assign(task: NearTask, shard: int) -> None:
    """Keep the cell of each item of a part, in the order of the part."""
    from threadpoolctl import threadpool_limits

    tree = _tree(task)
    ids, clusters = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    with threadpool_limits(1):
        for table in row_groups(task.run, fact_of(task.facts, shard), ["id", "vector"]):
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
    for fact in task.facts:
        counts += np.bincount(_clusters(task, fact.shard)["cell"].to_numpy(), minlength=counts.size)
    return counts


def _ids_of(task: NearTask, cluster: int) -> Indices:
    found = []
    for fact in task.facts:
        table = _clusters(task, fact.shard)
        found.append(table.filter(pc.equal(table["cell"], cluster))["id"].to_numpy())
    return np.concatenate(found)


def _shuffle(task: NearTask, plan: BucketPlan, shard: int) -> None:
    """Sort the items of a part by piece and id, a row group a piece."""
    fact = fact_of(task.facts, shard)
    table = task.run.read_table(part_name(shard, fact.folder), columns=["id", "vector", "multiplicity", "rows"])
    ids, clusters = table["id"].to_numpy(), _clusters(task, shard)["cell"].to_numpy()
    buckets = plan.bucket_of(ids, clusters)
    order = np.lexsort((ids, buckets))
    counts = np.bincount(buckets, minlength=plan.n_buckets).tolist()
    sorted_table = table.append_column("cell", pa.array(clusters)).take(pa.array(order))
    sorted_table = sorted_table.replace_schema_metadata({METADATA: json.dumps(counts).encode()})
    task.run.write_table(_buckets_name(shard), sorted_table, row_groups=counts)


def _read_bucket(task: NearTask, bucket: int) -> pa.Table:
    """Read a piece, in ascending order of id."""
    tables = []
    for fact in task.facts:
        with task.run.parquet(_buckets_name(fact.shard)) as file:
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

    tables: list[pa.Table] = []  # ids ascend from piece to piece; vectors are kept of leaders only
    vectors: list[Vectors] = []
    groups: list[BucketGroups] = []

    def buckets() -> Iterator[Bucket]:
        for bucket in plan.tasks[number]:
            table = _read_bucket(task, bucket)
            read = vectors_of(table["vector"])
            tables.append(table.drop_columns(["vector"]))
            yield Bucket(table["id"].to_numpy(), table["cell"].to_numpy(), read)
            vectors.append(read[groups[-1].leaders == groups[-1].ids])  # by now the piece's groups are known

    with threadpool_limits(1):  # cells are small, and there is a task a CPU
        for joined in join_buckets(buckets(), task.threshold, cluster_size=task.cluster_size):
            groups.append(joined)
    table, leader = pa.concat_tables(tables), np.concatenate([joined.leaders for joined in groups])
    cosine = np.concatenate([joined.cosine for joined in groups])
    columns = {"id": table["id"], "leader": leader, "cosine": cosine, "cell": table["cell"]}
    task.run.write_table(part_name(number, GROUPS), pa.table(columns))
    items, members = _led(table, leader, np.concatenate(vectors))
    like = task.facts[0]
    write_part(
        task.run,
        number,
        items,
        members,
        texts=table.num_rows,
        partitions=len(like.partition_items),
        seed=like.seed,
        folder=LEADERS,
    )


def _led(table: pa.Table, leader: Indices, vectors: Vectors) -> tuple[Items, list[list[int]]]:
    """Return the leaders, in order of id as ``vectors`` are, with the multiplicities and the rows of their groups."""
    leaders, group = np.unique(leader, return_inverse=True)
    multiplicity = np.zeros(leaders.size, dtype=np.int64)
    np.add.at(multiplicity, group, table["multiplicity"].to_numpy())
    rows = table["rows"].combine_chunks()
    flat = pc.list_flatten(rows).to_numpy()
    owner = group[pc.list_parent_indices(rows).to_numpy()]
    order = np.lexsort((flat, owner))
    edges = np.searchsorted(owner[order], np.arange(1, leaders.size))
    members = [part.tolist() for part in np.split(flat[order], edges)]
    return Items(leaders.astype(np.int64), vectors, multiplicity), members
