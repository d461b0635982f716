"""Drop the items whose labels their nearest neighbours contradict most, and those that nothing comes near.

sort     the ground set, by clusters where it is large            ->  its own files
score    a task a partition: neighbours within a cluster          ->  neighbours/<m>/
gather                                                             ->  dropped.parquet
leave    a task a shard: the items that are left                   ->  kept/

The scores are those of :mod:`ray_subsel.filters.neighbours`. Up to ``ONE_CLUSTER`` items all are one cluster; above,
neighbours are those within the k-means cluster of an item, of some 4,096 items. Of n items floor(F n) are dropped for
their labels, and floor(F n) of those that are left as outliers, ties to the lowest id; of a label one item stays at
least, of a group with a floor as many as that. Rows of ``--include`` and ``--exclude`` are not dropped.

``dropped.parquet`` has a line for each row, in order of ``id``: ``source_id`` (its own id), ``item`` (the item that it
belonged to), ``kind`` (``label_noise`` or ``outlier``), ``score`` (the weighed share of neighbours with another label,
or the mean cosine to them), ``label``, ``neighbours`` (their ids, the nearest first), ``neighbour_labels``, and
``cosine`` (the mean to them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.config import FilterConfig, SelectConfig
from ray_subsel.constraints.size import resolve_k
from ray_subsel.constraints.spec import ConstraintSpec
from ray_subsel.core.errors import InputError, Verbatim, invalid
from ray_subsel.core.hashing import fingerprint
from ray_subsel.core.places import is_in
from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import NO_ITEMS, Indices, Mask
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.corpus.constraint_columns import group_column
from ray_subsel.corpus.rows import RowStore
from ray_subsel.dedup.clusters import Centres
from ray_subsel.filters.neighbours import CLUSTER_ITEMS, ONE_CLUSTER, UNKNOWN, nearest_neighbours
from ray_subsel.filters.worst import LABEL_NOISE, OUTLIER, Worst, wanted
from ray_subsel.partitioned.by_clusters import places_of
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import bar
from ray_subsel.runtime.tasks import TaskSpec, run_tasks
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.constraint_table import group_names
from ray_subsel.stages.select_clusters import arranged_store, cluster_layout
from ray_subsel.stages.smaller_store import smaller_store, without_items
from ray_subsel.storage.embedding_store import EmbeddingStore, flat_rows, part_name

SCRATCH, KEPT, DROPPED = "neighbours", "kept", "dropped.parquet"
HINT = "Give it more memory"
VERSION = 1
"""Of what decides the scores: part of the stage's settings."""


@dataclass(frozen=True, eq=False)
class ScoreTask:
    """All that a worker needs to score the items of a partition.

    Attributes
    ----------
    rows : RowStore
    store : EmbeddingStore
        The ground set, its partitions whole clusters.
    centres : Centres or None
        None: all items are one cluster.
    label, group : (str, tuple of str) or None
        A column of the rows and its values, sorted.
    """

    rows: RowStore
    store: EmbeddingStore
    centres: Centres | None
    label: tuple[str, tuple[str, ...]] | None
    group: tuple[str, tuple[str, ...]] | None

    @property
    def parts(self) -> int:
        """How many tasks there are."""
        return 1 if self.centres is None else self.store.partitions

    def name(self, part: int) -> str:
        """Return the file of a part's scores."""
        return part_name(part, f"{SCRATCH}/{self.parts}")


def score(task: ScoreTask, part: int) -> None:
    """Keep the scores and the neighbours of the items of one partition."""
    items = task.store.read_all() if task.centres is None else task.store.read_partition(part)
    n = len(items)
    numbers = {
        "label": _numbers(task.rows, items.ids, task.label, nameless=UNKNOWN),
        "group": _numbers(task.rows, items.ids, task.group),
    }
    noise, close, near = np.zeros(n), np.zeros(n), [NO_ITEMS] * n
    with block_workers():
        rows = unit_rows(items.vectors, parameter="vectors", numbers=items.ids) if n else None
        clusters = np.zeros(n, dtype=np.int64) if task.centres is None or rows is None else task.centres.nearest(rows)
        largest = n if task.centres is None else 2 * CLUSTER_ITEMS
        for own in places_of(clusters, max(1, largest)).values():
            assert rows is not None
            found = nearest_neighbours(rows.rows(own))
            noise[own], close[own] = found.label_noise(numbers["label"][own]), found.closeness()
            for place, others in zip(own.tolist(), found.places, strict=True):
                near[place] = items.ids[own[others[others >= 0]]]
    lists = pa.array(near, pa.list_(pa.int64()))
    table = {"id": items.ids, **numbers, "noise": noise, "closeness": close, "neighbours": lists}
    task.store.run.write_table(task.name(part), pa.table(table))


def _numbers(
    rows: RowStore, ids: Indices, of: tuple[str, tuple[str, ...]] | None, nameless: int | None = None
) -> Indices:
    """Return the numbers of the values of a column, ``nameless`` where one is empty; of no column: unknown."""
    if of is None or not ids.size:
        return np.full(ids.size, UNKNOWN, dtype=np.int64)
    column, names = of
    values = np.array([value or "" for value in rows.take(ids, [column])[column].to_pylist()], dtype=object)
    found = np.searchsorted(np.array(names, dtype=object), values).astype(np.int64)
    return found if nameless is None else np.where(values == "", nameless, found)


@final
@dataclass(frozen=True)
class DropDoubtfulStage(Stage[EmbeddingStore]):
    """Drop doubtful labels and outliers, and hand down the ground set without them.

    Attributes
    ----------
    rows : RowStore
    store : EmbeddingStore
        The embeddings, or what earlier stages left of them.
    asked : FilterConfig
    select : SelectConfig
        Its seed is that of the clusters; floors are kept.
    named : int64 array
        Rows that must, or must not, be chosen: they stay.
    upstream : str
        The stage that made the store.
    """

    name: ClassVar[str] = "drop"
    outputs: ClassVar[tuple[str, ...]] = (SCRATCH, KEPT, DROPPED)

    rows: RowStore
    store: EmbeddingStore
    asked: FilterConfig
    select: SelectConfig
    named: Indices
    upstream: str

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides which items are dropped."""
        select = self.select
        floors = {"k": select.k, "fraction": select.fraction, "floors": list(select.floors)} if select.floors else {}
        return {
            "version": VERSION,
            "label_noise": self.asked.drop_label_noise,
            "outliers": self.asked.drop_outliers,
            "seed": select.seed,
            "named": fingerprint(np.sort(self.named).tolist()),
            **floors,
            "embed": context.fingerprint(self.upstream),
        }

    def resume(self, context: RunContext) -> EmbeddingStore | None:
        """Return the ground set, or None where a part of it is gone."""
        if not context.run.exists(DROPPED):
            return None
        table = context.run.read_table(DROPPED, ["item"])
        return smaller_store(self.store, len(pc.unique(table["item"])), table.num_rows, KEPT)

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[EmbeddingStore]:
        """Score what is not scored yet, and drop the worst."""
        here = context.in_process(context.policy.is_small(self.store.n, self.store.d))
        task = self._task(context, in_process=here)
        specs = [
            (
                part,
                TaskSpec(
                    task.name(part),
                    f"find neighbours of part {part}",
                    f"neighbours of part {part} could not be found",
                    HINT,
                ),
            )
            for part in range(task.parts)
            if not context.run.exists(task.name(part))
        ]
        with bar("neighbours", task.parts, "part") as progress:
            progress.advance(task.parts - len(specs))
            for _, _, used in run_tasks(score, (task,), specs, context.run, in_process=here):
                peak.add(used)
                progress.advance(1)
        found = self._worst(task)
        table = self._gather(task, found)
        dropped = np.concatenate(list(found.values()))
        store = without_items(task.store, dropped, KEPT, in_process=here)
        context.run.write_table(DROPPED, table)
        facts = self._facts(task, found, table)
        line = f"drop: {facts['items']:,} of {self.store.n:,} items ({_counted(facts['kinds'])})"
        return StageResult(store, facts, line)

    def tidy(self, context: RunContext) -> None:
        """Delete the scores."""
        context.run.delete(SCRATCH)

    def _task(self, context: RunContext, *, in_process: bool) -> ScoreTask:
        corpus = context.config.corpus
        label = None if self.asked.drop_label_noise is None else ("label", group_names(self.rows, "label"))
        group = None
        if self.select.floors:
            column = group_column(corpus)
            group = column, group_names(self.rows, column)
        store = self.store
        if store.n <= ONE_CLUSTER:
            return ScoreTask(self.rows, store, None, label, group)
        partitions = max(1, -(-store.n * store.d // context.policy.bucket_numbers))
        layout = cluster_layout(
            store, self.select, cluster_items=CLUSTER_ITEMS, partitions=partitions, in_process=in_process
        )
        return ScoreTask(self.rows, arranged_store(store, layout, in_process=in_process), layout.centres, label, group)

    def _worst(self, task: ScoreTask) -> dict[str, Indices]:
        """Return the ids of what is dropped, ascending, by kind. Memory: some 40 bytes an item."""
        columns = ["id", "label", "group", "noise", "closeness"]
        run, store = task.store.run, task.store
        table = pa.concat_tables([run.read_table(task.name(part), columns) for part in range(task.parts)])
        table = table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))
        if table.num_rows != store.n:
            raise InputError(
                f"{run.path(SCRATCH)} must have scores of {store.n} items; got {table.num_rows}. "
                "Delete it and run the same command again."
            )
        ids, noise, close = (table[name].to_numpy() for name in ("id", "noise", "closeness"))
        may = ~self._items_of_named(ids)
        to_drop, found = Worst(ids, may, *self._least(task, table)), {}
        if self.asked.drop_label_noise is not None:
            count = wanted(self.asked.drop_label_noise, ids.size)
            found[LABEL_NOISE] = ids[to_drop.take(noise, count, noise > 0)]
        if self.asked.drop_outliers is not None:
            found[OUTLIER] = ids[to_drop.take(-close, wanted(self.asked.drop_outliers, ids.size))]
        if sum(part.size for part in found.values()) == ids.size:
            raise invalid("drop_outliers", "leave items to choose from", Verbatim(f"all {ids.size}"))
        return found

    def _items_of_named(self, ids: Indices) -> Mask:
        """Return which items have a row that must, or must not, be chosen."""
        named = np.zeros(ids.size, dtype=np.bool_)
        for shard in self.store.numbers if self.named.size else ():
            members = self.store.members(shard)
            flat, places = flat_rows(members["rows"])
            own = members["id"].to_numpy()[places[np.isin(flat, self.named)]]
            named[np.searchsorted(ids, own)] = True
        return named

    def _least(self, task: ScoreTask, table: pa.Table) -> tuple[Indices | None, Indices | None]:
        """Return the group of each item, and how many items each group keeps."""
        if task.group is not None:
            groups, names = table["group"].to_numpy(), task.group[1]
            asked = self.select
            k, _ = resolve_k(asked.k, asked.fraction, rows=self.rows.n_rows, items=task.store.n, no_limit=True)
            return groups, ConstraintSpec.parse((), asked.floors).least(k, names, groups)
        if task.label is not None:  # items of no known label are a group of their own
            return table["label"].to_numpy() + 1, np.ones(len(task.label[1]) + 1, dtype=np.int64)
        return None, None

    def _gather(self, task: ScoreTask, found: dict[str, Indices]) -> pa.Table:
        """Return a line for each row that is dropped."""
        kinds = {one: kind for kind, ids in found.items() for one in ids.tolist()}
        dropped = np.array(sorted(kinds), dtype=np.int64)
        run = task.store.run
        tables = []
        for part in range(task.parts):
            table = run.read_table(task.name(part), ["id", "noise", "closeness", "neighbours"])
            tables.append(table.filter(pa.array(is_in(table["id"].to_numpy(), dropped))))
        table = pa.concat_tables(tables)
        table = table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))
        near = table["neighbours"].to_pylist()
        others = np.unique(np.array([one for lists in near for one in lists], dtype=np.int64))
        named = dict(zip(others.tolist(), self._labels(others), strict=True))
        kind = [kinds[one] for one in dropped.tolist()]
        noise, close = table["noise"].to_pylist(), table["closeness"].to_pylist()
        items = pa.table(
            {
                "item": pa.array(dropped, pa.int64()),
                "kind": pa.array(kind, pa.string()),
                "score": pa.array(
                    [a if one == LABEL_NOISE else b for one, a, b in zip(kind, noise, close, strict=True)],
                    pa.float64(),
                ),
                "label": pa.array(self._labels(dropped), pa.string()),
                "neighbours": pa.array(near, pa.list_(pa.int64())),
                "neighbour_labels": pa.array([[named[one] for one in lists] for lists in near], pa.list_(pa.string())),
                "cosine": pa.array(close, pa.float64()),
            }
        )
        rows, item = self._rows_of(dropped)
        own = self.rows.take(rows, ["source_id"])["source_id"] if rows.size else pa.array([], pa.string())
        table = items.take(pa.array(np.searchsorted(dropped, item)))
        return table.add_column(0, "id", pa.array(rows, pa.int64())).add_column(1, "source_id", own.cast(pa.string()))

    def _labels(self, ids: Indices) -> list[str | None]:
        found: list[str | None] = self.rows.take(ids, ["label"])["label"].to_pylist() if ids.size else []
        return found

    def _rows_of(self, items: Indices) -> tuple[Indices, Indices]:
        """Return all rows of some items, ascending, and the item of each."""
        rows, owner = [NO_ITEMS], [NO_ITEMS]
        for shard in self.store.numbers if items.size else ():
            members = self.store.members(shard)
            members = members.filter(pa.array(is_in(members["id"].to_numpy(), items)))
            flat, places = flat_rows(members["rows"])
            rows.append(flat)
            owner.append(members["id"].to_numpy()[places])
        every = np.concatenate(rows)
        order = np.argsort(every, kind="stable")
        return every[order], np.concatenate(owner)[order]

    def _facts(self, task: ScoreTask, found: dict[str, Indices], table: pa.Table) -> dict[str, Any]:
        shares = {LABEL_NOISE: self.asked.drop_label_noise, OUTLIER: self.asked.drop_outliers}
        score, kinds = table["score"].to_numpy(), np.array(table["kind"].to_pylist(), dtype=object)
        warnings = []
        for kind, share in shares.items():
            if share is not None and found[kind].size < (asked := wanted(share, self.store.n)):
                why = "no label is doubted" if kind == LABEL_NOISE else "each group keeps its least"
                warnings.append(f"{found[kind].size:,} of {asked:,} items were dropped as {kind}: of the others {why}")
        return {
            "items": int(sum(ids.size for ids in found.values())),
            "rows": table.num_rows,
            "kinds": {kind: int(ids.size) for kind, ids in found.items()},
            "mildest": {kind: _mildest(kind, score[kinds == kind]) for kind in found},
            "clusters": 1 if task.centres is None else task.centres.n_clusters,
            "warnings": warnings,
        }


def _mildest(kind: str, score: Any) -> float | None:
    """Return the score of the item that was dropped last."""
    if not score.size:
        return None
    return float(score.min() if kind == LABEL_NOISE else score.max())


def _counted(kinds: dict[str, int]) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in kinds.items())
