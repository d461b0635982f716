"""Collapse near copies of the embedded items: tasks over files, never all vectors in one process.

order     with a column to keep the best by, this process          ->  near/values/, near/order/
sample    a task a part: the items whose hash is low enough        ->  near/sample/
fit       one task                                                 ->  near/cells.npz, the centres
assign    a task a part: the cluster of each item, and those next  ->  near/cells/
shuffle   a task a part: items sorted into buckets                 ->  near/pieces/, a row group a bucket
collapse  a task a bucket, or the buckets of one large cluster     ->  near/home/, near/kept/
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

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ray_subsel.core.errors import InputError
from ray_subsel.core.hashing import text_key
from ray_subsel.core.items import MULTIPLICITY, ItemBatch
from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.corpus.row_values import row_values
from ray_subsel.corpus.rows import RowStore
from ray_subsel.dedup.borders import (
    Clusters,
    Edges,
    Mended,
    Round,
    Side,
    edges_between,
    is_in,
    join_orphans,
    may_meet,
    mend_borders,
)
from ray_subsel.dedup.buckets import Bucket, BucketPlan, Groups, join_buckets, plan_buckets
from ray_subsel.dedup.clusters import Centres, fit_centres, in_sample
from ray_subsel.dedup.order import places_in_order
from ray_subsel.dedup.recall import Recall, in_recall_sample, missed
from ray_subsel.dedup.settings import NearSettings
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import Bar, bar
from ray_subsel.runtime.tasks import TaskSpec, map_tasks, run_tasks
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.constraint_table import columns_of
from ray_subsel.storage.embedding_store import (
    METADATA,
    EmbeddingStore,
    flat_rows,
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
ITEM = "item"
"""The column of the ids of items, where ``id`` is their place in another order."""

HINT = "Give it more memory"


@dataclass(frozen=True)
class ItemLabels:
    """A column of the rows that tells the label of each item: that of its own row, the lowest.

    Attributes
    ----------
    rows : RowStore
    column : str
    within : bool
        Near copies join within a label only; else the labels are only told apart in the report.
    """

    rows: RowStore
    column: str
    within: bool

    def of(self, store: EmbeddingStore, shard: int, ids: Indices) -> Indices:
        """Return a number for the label of each item of a shard: equal for equal labels, in whatever shard."""
        found = columns_of(self.rows, store, shard, ids, [self.column])[self.column]
        names = np.array([value or "" for value in found.to_pylist()], dtype=object)
        distinct, which = np.unique(names, return_inverse=True)
        keys = [int.from_bytes(text_key(name)[:8], "little", signed=True) for name in distinct.tolist()]
        return np.array(keys, dtype=np.int64)[which] if keys else np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class ItemOrder:
    """The order in which items lead: by a column of the input, the highest value first, ties to the lowest id.

    Attributes
    ----------
    rows : RowStore
    column : str
    """

    rows: RowStore
    column: str

    def write_values(self, store: EmbeddingStore, shard: int) -> None:
        """Keep the value of each item of a shard: that of its own row."""
        ids = store.read_shard(shard, ["id"])["id"].to_numpy().astype(np.int64)
        values = row_values(self.rows, ids, self.column)
        store.run.write_table(_name("values", shard), pa.table({"id": ids, "value": values}))

    def write_places(self, store: EmbeddingStore) -> None:
        """Keep the place of each item, a file a shard. Memory: some 40 bytes an item."""
        tables = [store.run.read_table(_name("values", shard)) for shard in store.numbers]
        ids, values = (np.concatenate([table[name].to_numpy() for table in tables]) for name in ("id", "value"))
        places = places_in_order(values, ids)
        start = 0
        for shard, table in zip(store.numbers, tables, strict=True):
            own = slice(start, start + table.num_rows)
            order = np.argsort(ids[own], kind="stable")
            places_of_shard = pa.table({"id": ids[own][order], "place": places[own][order]})
            store.run.write_table(_name("order", shard), places_of_shard)
            start += table.num_rows


@dataclass(frozen=True, eq=False)
class NearTask:
    """All that a worker needs to know.

    Attributes
    ----------
    store : EmbeddingStore
        The embeddings.
    settings : NearSettings
    labels : ItemLabels or None
    order : ItemOrder or None
        In which items lead; None: that of their ids.
    """

    store: EmbeddingStore
    settings: NearSettings
    labels: ItemLabels | None = None
    order: ItemOrder | None = None

    @property
    def run(self) -> RunDir:
        """The run directory."""
        return self.store.run

    @property
    def most_kept(self) -> int:
        """How many items of a cluster may be kept before it is split."""
        return self.settings.most_kept(self.store.n, self.store.d)

    def places(self, shard: int, ids: Indices) -> Indices:
        """Return what stands for the ids of some items of a shard: their places in the order, where there is one."""
        if self.order is None:
            return ids
        table = self.run.read_table(_name("order", shard))
        return np.asarray(table["place"].to_numpy()[np.searchsorted(table["id"].to_numpy(), ids)], dtype=np.int64)

    def bucket_of(self, table: pa.Table) -> Bucket:
        """Return a table of items as a bucket."""
        ids, label = table["id"].to_numpy(), table["label"].to_numpy()
        within = self.labels is not None and self.labels.within
        return Bucket(
            ids,
            table["cell"].to_numpy(),
            label if within else np.zeros_like(label),
            _neighbours_of(table),
            vectors_of(table["vector"]),
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
    steps = _Steps(run, in_process, bar, peak)
    items = {meta.shard: meta.items for meta in store.shards}
    if task.order is not None:
        values = {shard: _name("values", shard) for shard in items}
        if not all(run.exists(_name("order", shard)) for shard in items):
            steps.run("read", task.order.write_values, (store,), values, {})
            task.order.write_places(store)
    if not run.exists(CENTRES):
        run.delete(GROUPS)  # of other clusters, if any
        run.delete(LEADERS)
        steps.run("sampled", _sample, (task,), {shard: _name("sample", shard) for shard in items}, {})
        steps.run("clustered", _fit, (task,), {0: CENTRES}, {})
    steps.run("assigned to clusters", _assign, (task,), {shard: _name("cells", shard) for shard in items}, items)
    counts = _cluster_counts(task)
    plan = plan_buckets(counts, settings.largest(store.d), lambda cluster: _ids_of(task, cluster))
    steps.run("shuffled", _shuffle, (task, plan), {shard: _name("pieces", shard) for shard in items}, items)
    numbers = range(len(plan.tasks))
    sizes = dict.fromkeys(numbers, store.n // max(1, len(numbers)))
    steps.run("collapsed", _collapse_task, (task, plan), {number: _name("home", number) for number in numbers}, sizes)
    clusters = _StoredClusters(task, plan, steps)
    mended = mend_borders(clusters, most=settings.largest(store.d))
    leads = clusters.known()
    for number in numbers:
        if not run.exists(part_name(number, GROUPS)):
            run.delete(_name("members", number))  # one task makes both
    steps.run("grouped", _group, (task, plan, mended, leads), {n: _name("members", n) for n in numbers}, {})
    steps.run("gathered", _lead, (task, plan, mended.kept), {n: part_name(n, LEADERS) for n in numbers}, {})
    leaders = accounted(store)
    if leaders is None:
        raise InputError(
            f"{run.path(GROUPS)} must account for {store.n} items and {LEADERS} for {store.rows} rows; got "
            f"{_grouped(run)} and {leaders_of(run).rows}. Delete both and run the same command again."
        )
    recall = None if settings.is_exact(store.n, store.d) else _recall(task, mended.kept, steps)
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
        None if labels is None else sum(_mixed(run, number) for number in numbers),
    )
    return leaders, facts


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
        tasks = [(number, _spec(output, number, done)) for number, output in missing.items()]
        for number, _, used in run_tasks(function, shared, tasks, self.directory, in_process=self.in_process):
            if self.peak is not None:
                self.peak.add(used)
            self.bar.advance(sizes.get(number, 0))


def _neighbours_of(table: pa.Table) -> NDArray[np.int32]:
    """Return the clusters next to each item."""
    beside = [table[name].to_numpy() for name in table.column_names if name.startswith("beside")]
    return np.stack(beside, axis=1) if beside else np.zeros((table.num_rows, 0), dtype=np.int32)


def _spec(makes: str, number: int, done: str) -> TaskSpec:
    return TaskSpec(makes, f"near copies of part {number} could not be {done}", HINT)


def _name(folder: str, number: int) -> str:
    return part_name(number, f"{SCRATCH}/{folder}")


def _sample(task: NearTask, shard: int) -> None:
    """Keep the items of a part that belong to the sample: those whose hash is low enough."""
    n, d, size = task.store.n, task.store.d, task.settings.cluster_size
    kind = vector_type(d, task.store.dtype)
    sampled = [pa.table({"id": pa.array([], pa.int64()), "vector": pa.array([], kind)})]
    for table in task.store.row_groups(shard, ["id", "vector"]):
        ids = task.places(shard, table["id"].to_numpy().astype(np.int64))
        chosen = np.flatnonzero(in_sample(ids, n=n, d=d, cluster_size=size, seed=task.settings.seed))
        table = table.set_column(0, "id", pa.array(ids)).replace_schema_metadata(None)
        sampled.append(table.take(pa.array(chosen)))
    task.run.write_table(_name("sample", shard), pa.concat_tables(sampled))


def _fit(task: NearTask, _: int) -> None:
    """Keep the centres of the sample's clusters."""
    sample = pa.concat_tables([task.run.read_table(_name("sample", shard)) for shard in task.store.numbers])
    ids = sample["id"].to_numpy()
    order = np.argsort(ids, kind="stable")
    rows = unit_rows(vectors_of(sample["vector"])[order], parameter="vectors", numbers=ids[order])
    stream = io.BytesIO()
    np.savez(stream, centres=fit_centres(rows, task.settings, n=task.store.n).vectors)
    task.run.write_bytes(CENTRES, stream.getvalue())


def _centres(task: NearTask) -> Centres:
    try:
        with np.load(io.BytesIO(task.run.read_bytes(CENTRES)), allow_pickle=False) as archive:
            return Centres(archive["centres"])
    except Exception as error:  # a damaged archive fails in zipfile, zlib or numpy
        raise InputError(
            f"{task.run.path(CENTRES)} must hold centres of clusters; it could not be read ({error}). "
            f"Delete {SCRATCH} and run the same command again."
        ) from error


def _assign(task: NearTask, shard: int) -> None:
    """Keep the cluster of each item of a part, those next to it and its label, in the order of the part."""
    from threadpoolctl import threadpool_limits

    centres = _centres(task)
    found = [(np.zeros(0, np.int64), *centres.assign_none())]
    with threadpool_limits(1):
        for table in task.store.row_groups(shard, ["id", "vector"]):
            some = table["id"].to_numpy().astype(np.int64)
            rows = unit_rows(vectors_of(table["vector"]), parameter="vectors", numbers=some)
            found.append((some, *centres.assign(rows, task.settings.reach)))
    ids, clusters, beside = (np.concatenate(parts) for parts in zip(*found, strict=True))
    label = np.zeros(ids.size, dtype=np.int64) if task.labels is None else task.labels.of(task.store, shard, ids)
    columns = {"id": task.places(shard, ids), "cell": clusters, "label": label}
    columns |= {f"beside{place}": beside[:, place] for place in range(beside.shape[1])}
    task.run.write_table(_name("cells", shard), pa.table(columns))


def _cluster_counts(task: NearTask) -> Indices:
    counts = np.zeros(_centres(task).n_clusters, dtype=np.int64)
    for shard in task.store.numbers:
        cells = task.run.read_table(_name("cells", shard), ["cell"])["cell"]
        counts += np.bincount(cells.to_numpy(), minlength=counts.size)
    return counts


def _ids_of(task: NearTask, cluster: int) -> Indices:
    found = []
    for shard in task.store.numbers:
        table = task.run.read_table(_name("cells", shard), ["id", "cell"])
        found.append(table.filter(pc.equal(table["cell"], cluster))["id"].to_numpy())
    return np.concatenate(found)


def _shuffle(task: NearTask, plan: BucketPlan, shard: int) -> None:
    """Sort the items of a part by bucket and id, a row group a bucket."""
    table = task.store.read_shard(shard, ["id", "vector", MULTIPLICITY, "rows"])
    cells = task.run.read_table(_name("cells", shard))
    ids = cells["id"].to_numpy()
    if task.order is not None:
        table = table.rename_columns([ITEM, *table.column_names[1:]]).append_column("id", cells["id"])
    buckets = plan.bucket_of(ids, cells["cell"].to_numpy())
    order = np.lexsort((ids, buckets))
    for name in cells.column_names[1:]:
        table = table.append_column(name, cells[name])
    _write_row_groups(task.run, _name("pieces", shard), table.take(pa.array(order)), buckets, plan.n_buckets)


def _write_row_groups(run: RunDir, name: str, table: pa.Table, where: Indices, total: int) -> None:
    """Write a table that is sorted by ``where``, in [0, total): a row group each."""
    counts = np.bincount(where, minlength=total).tolist()
    run.write_table(name, table.replace_schema_metadata({METADATA: json.dumps(counts).encode()}), row_groups=counts)


def _read_row_group(run: RunDir, name: str, number: int, columns: list[str] | None = None) -> pa.Table | None:
    """Read one of the row groups of :func:`_write_row_groups`; None where it is empty."""
    with run.parquet(name) as file:
        counts = json.loads(file.schema_arrow.metadata[METADATA])
        if not counts[number]:
            return None
        table = file.read_row_group(sum(1 for count in counts[:number] if count), columns=columns)
        assert table.num_rows == counts[number]
        return table.replace_schema_metadata(None)


def _read_bucket(task: NearTask, bucket: int, leave_out: tuple[str, ...] = ()) -> pa.Table:
    """Read a bucket, in ascending order of id."""
    names = [_name("pieces", shard) for shard in task.store.numbers]
    with task.run.parquet(names[0]) as file:
        columns = [name for name in file.schema_arrow.names if name not in leave_out]
    read = (_read_row_group(task.run, name, bucket, columns) for name in names)
    table = pa.concat_tables([one for one in read if one is not None])
    return table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))


def _collapse_task(task: NearTask, plan: BucketPlan, number: int) -> None:
    """Group the items of one task, each cluster by itself, and keep the groups and the items that lead."""
    from threadpoolctl import threadpool_limits

    leading: list[pa.Table] = []
    groups: list[Groups] = []
    read: list[pa.Table] = []

    def buckets() -> Iterator[Bucket]:
        for bucket in plan.tasks[number]:
            read.append(_read_bucket(task, bucket, (MULTIPLICITY, "rows")))
            yield task.bucket_of(read[-1])

    with threadpool_limits(1):  # products are small, and there is a task a CPU
        for joined in join_buckets(buckets(), task.settings.threshold, most_kept=task.most_kept):
            groups.append(joined)
            leading.append(read.pop().filter(pa.array(joined.leads)))
    task.run.write_table(_name("kept", number), pa.concat_tables(leading))
    task.run.write_table(_name("home", number), _table_of(groups))


def _table_of(groups: list[Groups]) -> pa.Table:
    return pa.table(
        {
            "id": np.concatenate([part.ids for part in groups]),
            "leader": np.concatenate([part.leaders for part in groups]),
            "cosine": np.concatenate([part.cosine for part in groups]),
        }
    )


def _groups_of(table: pa.Table) -> Groups:
    return Groups(*(table[name].to_numpy() for name in ("id", "leader", "cosine")))


def _write_edges(run: RunDir, name: str, edges: Edges) -> None:
    run.write_table(name, pa.table({"later": edges.later, "earlier": edges.earlier, "cosine": edges.cosine}))


def _read_edges(run: RunDir, name: str) -> Edges:
    table = run.read_table(name)
    return Edges(*(table[column].to_numpy() for column in ("later", "earlier", "cosine")))


def _compare(task: NearTask, parts: int, number: int) -> None:
    """Compare the items that lead in one part with those of half of the other parts; these do it with the rest."""
    from threadpoolctl import threadpool_limits

    threshold = task.settings.threshold
    with threadpool_limits(1):
        left = Side.of(_read_block(task, number))
        found = [edges_between(left, left, threshold, same_cluster=False)]
        for step in range(1, parts // 2 + 1):
            if 2 * step < parts or number < step:
                right = _read_neighbours(task, left, (number + step) % parts)
                if right.n:
                    found.append(edges_between(left, Side.of(right), threshold, same_cluster=False))
    _write_edges(task.run, _name("edges", number), Edges.union(found))


def _read_neighbours(task: NearTask, side: Side, number: int) -> Bucket:
    """Read the items of another part that are to be compared with those of a side."""
    name = _name("kept", number)
    with task.run.parquet(name) as file:
        small = [column for column in file.schema_arrow.names if column != "vector"]
    table = task.run.read_table(name, small)
    here = may_meet(side, table["cell"].to_numpy(), _neighbours_of(table))
    if not here.any():
        return side.bucket.take(np.zeros(0, dtype=np.int64))
    return task.bucket_of(task.run.read_table(name).filter(pa.array(here)))


def _read_block(task: NearTask, number: int) -> Bucket:
    return task.bucket_of(task.run.read_table(_name("kept", number)))


def _join_round(task: NearTask, blocks: int, orphans: Indices, kept: Indices, number: int) -> None:
    """Join orphans to the items that lead in all parts, and keep those that lead now as one more part."""
    from threadpoolctl import threadpool_limits

    tables = []
    for shard in task.store.numbers:
        with task.run.parquet(_name("pieces", shard)) as file:
            columns = [name for name in file.schema_arrow.names if name not in (MULTIPLICITY, "rows")]
            for group in range(file.num_row_groups):
                here = is_in(file.read_row_group(group, columns=["id"])["id"].to_numpy(), orphans)
                if here.any():
                    table = file.read_row_group(group, columns=columns).filter(pa.array(here))
                    tables.append(table.replace_schema_metadata(None))
    table = pa.concat_tables(tables)
    table = table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))
    with threadpool_limits(1):
        found = join_orphans(
            task.bucket_of(table),
            (_read_block(task, block) for block in range(blocks)),
            kept,
            task.settings.threshold,
            most_kept=task.most_kept,
        )
    task.run.write_table(_name("kept", blocks), table.filter(pa.array(found.groups.leads)))
    _write_edges(task.run, _name("edges", blocks), found.edges)
    task.run.write_table(_name("rounds", number), _table_of([found.groups]))


@final
class _StoredClusters(Clusters):
    """Clusters that were grouped by tasks."""

    def __init__(self, task: NearTask, plan: BucketPlan, steps: _Steps) -> None:
        self.task, self.plan, self.steps = task, plan, steps
        self.blocks = len(plan.tasks)  # parts of items that lead: one a task, and one a round

    def known(self) -> pa.Table:
        """Return id, part and label of the items that lead or led, in order of id."""
        columns = ["id", "cell", "label", *([] if self.task.order is None else [ITEM])]
        tables = [self.task.run.read_table(_name("kept", n), columns) for n in range(self.blocks)]
        table = pa.concat_tables(tables)
        part = self.plan.task_of(table["id"].to_numpy(), table["cell"].to_numpy())
        table = table.append_column("part", pa.array(part))
        return table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))

    def leaders(self) -> Indices:
        return np.asarray(self.known()["id"].to_numpy())

    def edges(self) -> Edges:
        parts = self.blocks
        if _centres(self.task).n_clusters == 1:
            return Edges.union([])
        outputs = {number: _name("edges", number) for number in range(parts)}
        self.steps.run("compared across clusters", _compare, (self.task, parts), outputs, {})
        return Edges.union(_read_edges(self.task.run, name) for name in outputs.values())

    def led_by(self, leaders: Indices) -> Indices:
        found = [np.zeros(0, dtype=np.int64)]
        for number in range(len(self.plan.tasks)) if leaders.size else ():
            table = self.task.run.read_table(_name("home", number), ["id", "leader"])
            ids, leader = table["id"].to_numpy(), table["leader"].to_numpy()
            found.append(ids[is_in(leader, leaders) & (ids != leader)])
        return np.sort(np.concatenate(found))

    def join(self, number: int, orphans: Indices, kept: Indices) -> Round:
        run, shared = self.task.run, (self.task, self.blocks, orphans, kept)
        self.steps.run("joined across clusters", _join_round, shared, {number: _name("rounds", number)}, {})
        round_ = Round(
            _groups_of(run.read_table(_name("rounds", number))), _read_edges(run, _name("edges", self.blocks))
        )
        self.blocks += 1
        return round_


def _group(task: NearTask, plan: BucketPlan, mended: Mended, leads: pa.Table, number: int) -> None:
    """Keep the final groups of one task's items, and for each part the rows of the items that its leaders lead."""
    groups = mended.apply(_groups_of(task.run.read_table(_name("home", number))))
    table = pa.concat_tables([_read_bucket(task, bucket, ("vector",)) for bucket in plan.tasks[number]])
    assert np.array_equal(table["id"].to_numpy(), groups.ids)
    leaders, at = groups.leaders, np.searchsorted(leads["id"].to_numpy(), groups.leaders)
    mixed = table["label"].to_numpy() != leads["label"].to_numpy()[at]
    rows = int(table[MULTIPLICITY].to_numpy()[mixed].sum())
    if task.order is not None:
        groups = Groups(table[ITEM].to_numpy(), leads[ITEM].to_numpy()[at], groups.cosine)
    final_groups = _table_of([groups]).append_column("cell", table["cell"])
    final_groups = final_groups.replace_schema_metadata({METADATA: str(rows).encode()})
    task.run.write_table(part_name(number, GROUPS), final_groups)
    part = leads["part"].to_numpy()[at]
    members = pa.table({"leader": leaders, MULTIPLICITY: table[MULTIPLICITY], "rows": table["rows"]})
    order = np.argsort(part, kind="stable")
    _write_row_groups(task.run, _name("members", number), members.take(pa.array(order)), part, len(plan.tasks))


def _mixed(run: RunDir, number: int) -> int:
    """Return how many rows of a part joined one of another label."""
    with run.parquet(part_name(number, GROUPS)) as file:
        return int(file.schema_arrow.metadata[METADATA])


def _lead(task: NearTask, plan: BucketPlan, kept: Indices, number: int) -> None:
    """Keep the leaders of one part as embeddings are, with the multiplicities and the rows of their groups."""
    run = task.run
    blocks = []
    for block in [number, *range(len(plan.tasks), len(run.names(f"{SCRATCH}/kept", ".parquet")))]:
        table = run.read_table(_name("kept", block), ["id", "cell", "vector", *([] if task.order is None else [ITEM])])
        here = is_in(table["id"].to_numpy(), kept)
        here &= plan.task_of(table["id"].to_numpy(), table["cell"].to_numpy()) == number
        blocks.append(table.filter(pa.array(here)))
    table = pa.concat_tables(blocks)
    table = table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))
    parts = [_read_row_group(run, _name("members", other), number) for other in range(len(plan.tasks))]
    found = [part for part in parts if part is not None]
    items, members = _led(table, pa.concat_tables(found) if found else None)
    if task.order is not None:
        items = replace(items, ids=table[ITEM].to_numpy().astype(np.int64))
    write_shard(
        run,
        number,
        items,
        members,
        texts=sum(part.num_rows for part in found),
        partitions=task.store.partitions,
        seed=task.store.seed,
        folder=LEADERS,
        dtype=task.store.dtype,
    )


def _led(table: pa.Table, led: pa.Table | None) -> tuple[ItemBatch, list[list[int]]]:
    """Return leaders, in order of id as ``table`` is, with the multiplicities and the rows of their groups."""
    leaders = table["id"].to_numpy().astype(np.int64)
    multiplicity = np.zeros(leaders.size, dtype=np.int64)
    vectors = vectors_of(table["vector"])
    if led is None:
        return ItemBatch(leaders, vectors, {MULTIPLICITY: multiplicity}), []
    group = np.searchsorted(leaders, led["leader"].to_numpy())
    np.add.at(multiplicity, group, led[MULTIPLICITY].to_numpy())
    flat, places = flat_rows(led["rows"])
    owner = group[places]
    order = np.lexsort((flat, owner))
    edges = np.searchsorted(owner[order], np.arange(1, leaders.size))
    members = [part.tolist() for part in np.split(flat[order], edges)]
    return ItemBatch(leaders, vectors, {MULTIPLICITY: multiplicity}), members


def _recall(task: NearTask, kept: Indices, steps: _Steps) -> Recall:
    """Measure on a sample what was missed."""
    blocks = len(task.run.names(f"{SCRATCH}/kept", ".parquet"))
    specs = [(number, _spec(_name("recall", number), number, "measured")) for number in range(blocks)]
    shared: tuple[Any, ...] = (task, kept)
    buckets = map_tasks(_kept_sample, shared, specs, task.run, in_process=steps.in_process)
    sample = buckets[0]
    for bucket in buckets[1:]:
        sample = sample.append(bucket)
    lost = np.zeros(sample.n, dtype=np.bool_)
    for found in map_tasks(_missed, (*shared, sample), specs, task.run, in_process=steps.in_process):
        lost |= found
    drawn = 0
    for name in task.run.names(f"{SCRATCH}/cells", ".parquet"):
        ids = task.run.read_table(name, ["id"])["id"].to_numpy()
        drawn += int(np.count_nonzero(in_recall_sample(ids, n=task.store.n, seed=task.settings.seed)))
    return Recall(drawn, drawn - sample.n, int(np.count_nonzero(lost)))


def _kept_block(task: NearTask, kept: Indices, number: int) -> Bucket:
    block = _read_block(task, number)
    return block.take(is_in(block.ids, kept))


def _kept_sample(task: NearTask, kept: Indices, number: int) -> Bucket:
    block = _kept_block(task, kept, number)
    return block.take(in_recall_sample(block.ids, n=task.store.n, seed=task.settings.seed))


def _missed(task: NearTask, kept: Indices, sample: Bucket, number: int) -> Any:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return missed(sample, _kept_block(task, kept, number), task.settings.threshold)


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
