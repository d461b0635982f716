"""Say what every task that collapses near copies is told, and run its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ray_subsel.core.hashing import text_key
from ray_subsel.core.types import Indices
from ray_subsel.corpus.row_values import row_values
from ray_subsel.corpus.rows import RowStore
from ray_subsel.dedup.buckets import Bucket
from ray_subsel.dedup.order import places_in_order
from ray_subsel.dedup.settings import NearSettings
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import Bar
from ray_subsel.runtime.tasks import TaskSpec, run_tasks
from ray_subsel.stages.constraint_table import columns_of
from ray_subsel.storage.embedding_store import (
    EmbeddingStore,
    part_name,
    vectors_of,
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
        store.run.write_table(scratch("values", shard), pa.table({"id": ids, "value": values}))

    def write_places(self, store: EmbeddingStore) -> None:
        """Keep the place of each item, a file a shard. Memory: some 40 bytes an item."""
        tables = [store.run.read_table(scratch("values", shard)) for shard in store.numbers]
        ids, values = (np.concatenate([table[name].to_numpy() for table in tables]) for name in ("id", "value"))
        places = places_in_order(values, ids)
        start = 0
        for shard, table in zip(store.numbers, tables, strict=True):
            own = slice(start, start + table.num_rows)
            order = np.argsort(ids[own], kind="stable")
            places_of_shard = pa.table({"id": ids[own][order], "place": places[own][order]})
            store.run.write_table(scratch("order", shard), places_of_shard)
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
        table = self.run.read_table(scratch("order", shard))
        return np.asarray(table["place"].to_numpy()[np.searchsorted(table["id"].to_numpy(), ids)], dtype=np.int64)

    def bucket_of(self, table: pa.Table) -> Bucket:
        """Return a table of items as a bucket."""
        ids, label = table["id"].to_numpy(), table["label"].to_numpy()
        within = self.labels is not None and self.labels.within
        return Bucket(
            ids,
            table["cell"].to_numpy(),
            label if within else np.zeros_like(label),
            neighbours_of(table),
            vectors_of(table["vector"]),
        )


@dataclass(frozen=True)
class Steps:
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
        tasks = [(number, near_spec(output, number, done)) for number, output in missing.items()]
        for number, _, used in run_tasks(function, shared, tasks, self.directory, in_process=self.in_process):
            if self.peak is not None:
                self.peak.add(used)
            self.bar.advance(sizes.get(number, 0))


def near_spec(makes: str, number: int, done: str) -> TaskSpec:
    """Return what is told where a task of a part fails."""
    return TaskSpec(
        makes, f"near copies of part {number}: {done}", f"near copies of part {number} could not be {done}", HINT
    )


def scratch(folder: str, number: int) -> str:
    """Return the name of a file between the steps."""
    return part_name(number, f"{SCRATCH}/{folder}")


def neighbours_of(table: pa.Table) -> NDArray[np.int32]:
    """Return the clusters next to each item."""
    beside = [table[name].to_numpy() for name in table.column_names if name.startswith("beside")]
    return np.stack(beside, axis=1) if beside else np.zeros((table.num_rows, 0), dtype=np.int32)
