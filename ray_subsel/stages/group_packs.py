"""Sort the ground set by groups: ``packs/part-*.parquet``, a file a shard, in it one row group a pack of groups.

An item of equal texts that rows of several groups have is an item of each of them, named by the lowest row id there. So
a task that chooses in the groups of a pack reads its own row group of each file, and no process holds all vectors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.core.errors import InputError, Verbatim, invalid
from ray_subsel.core.places import places_among
from ray_subsel.core.types import Indices
from ray_subsel.corpus.rows import RowStore
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import METADATA, EmbeddingStore, flat_rows, part_name

FOLDER = "packs"
COLUMNS = ("label", "cost", "quality", "text")
"""The columns of rows that a choice in groups may need."""


@dataclass(frozen=True, eq=False)
class PackTask:
    """All that a worker needs to sort a shard by packs.

    Attributes
    ----------
    rows : RowStore
    store : EmbeddingStore
    names : tuple of str
        The groups, sorted; the empty name is that of rows without one.
    pack_of : int64 array
        The pack of each group.
    packs : int
    columns : tuple of str
        Of the rows, which the choice needs.
    include, exclude : int64 arrays
        Row ids: in the order of their ranks, and in any order.
    """

    rows: RowStore
    store: EmbeddingStore
    names: tuple[str, ...]
    pack_of: Indices
    packs: int
    columns: tuple[str, ...]
    include: Indices
    exclude: Indices


def group_sizes(rows: RowStore, column: str) -> tuple[tuple[str, ...], Indices]:
    """Return the distinct groups of rows, sorted, and how many rows each has."""
    counts: dict[str, int] = {}
    for table in rows.iter_tables([column]):
        for entry in table[column].combine_chunks().value_counts().to_pylist():
            name = entry["values"] or ""
            counts[name] = counts.get(name, 0) + entry["counts"]
    names = tuple(sorted(counts))
    return names, np.array([counts[name] for name in names], dtype=np.int64)


def write_packs(task: PackTask, shard: int) -> None:
    """Write the items of one shard, sorted by pack, group and id."""
    items = task.store.read_shard(shard, ["id", "vector", "rows"])
    flat, owner = flat_rows(items["rows"])
    known = _columns_of(task, shard, flat)
    names = pa.array(task.names, pa.string())
    group = pc.index_in(pc.fill_null(known["group"], ""), value_set=names).combine_chunks().to_numpy()
    order = np.lexsort((flat, group, owner))
    flat, owner, group = flat[order], owner[order].astype(np.int64), group[order].astype(np.int64)
    starts = np.flatnonzero(np.r_[True, (np.diff(owner) != 0) | (np.diff(group) != 0)]) if flat.size else flat[:0]
    ends = np.r_[starts[1:], flat.size].astype(np.int64)
    asked = _first_named(flat, starts, task.include)
    barred = np.isin(owner[starts], np.unique(owner[np.isin(flat, task.exclude)]))
    if (barred & (asked >= 0)).any():
        row = int(asked[barred & (asked >= 0)][0])
        raise invalid("exclude", "share no row with include", Verbatim(f"row {row}, or a copy of it, in both"))
    pack = task.pack_of[group[starts]]
    sort = np.lexsort((flat[starts], group[starts], pack))
    first, counts = starts[sort], np.bincount(pack, minlength=task.packs).tolist()
    offsets = np.r_[0, np.cumsum((ends - starts)[sort])]
    members = np.concatenate([flat[a:b] for a, b in zip(first, ends[sort], strict=True)]) if first.size else flat
    taken = known.take(pa.array(order[first]))
    table = pa.table(
        {
            "group": pa.array(group[first], pa.int64()),
            "id": pa.array(flat[first], pa.int64()),
            "vector": items["vector"].take(pa.array(owner[first])),
            "rows": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(members, pa.int64())),
            "asked": pa.array(asked[sort], pa.int64()),
            "barred": pa.array(barred[sort]),
            **{name: taken[name] for name in task.columns},
        }
    )
    table = table.replace_schema_metadata({METADATA: json.dumps(counts).encode()})
    task.store.run.write_table(part_name(shard, FOLDER), table, row_groups=counts)


def _columns_of(task: PackTask, shard: int, ids: Indices) -> pa.Table:
    """Return the group and the other columns of some rows of a shard, in their order."""
    columns = ["group", *task.columns]
    if task.store.folder != EMBEDDINGS:
        return task.rows.take(ids, columns)
    table = task.rows.shard(shard, ["id", *columns])
    return table.take(pa.array(places_among(ids, table["id"].to_numpy())))


def _first_named(flat: Indices, starts: Indices, include: Indices) -> Indices:
    """Return for each run of rows the one that is named first, else -1."""
    asked = np.full(starts.size, -1, dtype=np.int64)
    order = {int(row): place for place, row in enumerate(include)}
    for at in np.flatnonzero(np.isin(flat, include)):
        item, row = int(np.searchsorted(starts, at, side="right")) - 1, int(flat[at])
        if asked[item] < 0 or order[row] < order[int(asked[item])]:
            asked[item] = row
    return asked


def read_pack(task: PackTask, pack: int) -> pa.Table:
    """Return the items of a pack, sorted by group and id: one row group of each file."""
    run, tables = task.store.run, []
    for shard in task.store.numbers:
        with run.parquet(part_name(shard, FOLDER)) as file:
            counts = json.loads((file.schema_arrow.metadata or {}).get(METADATA, b"[]"))
            if len(counts) != task.packs or sum(counts) != file.metadata.num_rows:
                raise InputError(
                    f"{run.path(part_name(shard, FOLDER))} must hold {task.packs} packs of groups; it does not. "
                    "Delete it and run the same command again."
                )
            if counts[pack]:
                tables.append(file.read_row_group(sum(1 for count in counts[:pack] if count)))
    table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    order = np.lexsort((table["id"].to_numpy(), table["group"].to_numpy()))
    return table.take(pa.array(order))
