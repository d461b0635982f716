"""Write and read the table of what constrains each item: its group and cost, and whether it must or must not be chosen.

``limits/part-*.parquet`` has, for each shard of the ground set, the same items in the same row groups: ``id``,
``group`` (a number), ``cost``, ``state`` (an :class:`ItemState`) and ``asked`` (the row that was named to be included,
else -1). A partition reads its row groups of both.

An item is one of several rows, equal texts or near copies: it has the group and the cost of its own row, the lowest id;
it must be chosen if any of its rows must, and is then published as the row that was named first; it must not be chosen
if any of its rows, or a copy of one, must not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pyarrow as pa

from ray_subsel.core.errors import InputError, Verbatim, invalid
from ray_subsel.core.hashing import shard_of_key
from ray_subsel.core.items import COST, GROUP, ItemBatch
from ray_subsel.core.places import is_in, places_among
from ray_subsel.core.types import NO_ITEMS, Indices
from ray_subsel.corpus.id_lists import NamedRows
from ray_subsel.corpus.rows import RowStore
from ray_subsel.corpus.values import respelled
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import EmbeddingStore, flat_rows, part_name

FOLDER = "limits"
MOST_GROUPS = 100_000


class ItemState(IntEnum):
    """What is demanded of an item."""

    AVAILABLE = 0
    EXCLUDED = 1
    INCLUDED = 2


@dataclass(frozen=True, eq=False)
class TableTask:
    """All that a worker needs to write the table of a shard.

    Attributes
    ----------
    rows : RowStore
    store : EmbeddingStore
        The ground set.
    group : str or None
        The column of the rows that tells groups.
    names : tuple of str
        The groups, sorted.
    cost : str or None
        The column of the rows that tells costs; ``text``: its words.
    include, exclude : int64 arrays
        Row ids: in the order of their ranks, and in any order.
    """

    rows: RowStore
    store: EmbeddingStore
    group: str | None
    names: tuple[str, ...]
    cost: str | None
    include: Indices
    exclude: Indices


def group_names(rows: RowStore, column: str) -> tuple[str, ...]:
    """Return the distinct groups, sorted; rows without one are the group of the empty name."""
    found: set[str] = set()
    for table in rows.iter_tables([column]):
        found.update(value or "" for value in table[column].unique().to_pylist())
        if len(found) > MOST_GROUPS:
            raise invalid("group", f"have at most {MOST_GROUPS:,} values", Verbatim(f"more in column {column}"))
    return tuple(sorted(found))


def group_rows(task: TableTask) -> Indices:
    """Return how many rows each group has, copies counted, shape (G,)."""
    counts = np.zeros(max(1, len(task.names)), dtype=np.int64)
    if task.group is None:
        return counts
    number = {name: at for at, name in enumerate(task.names)}
    for table in task.rows.iter_tables([task.group]):
        for entry in table[task.group].value_counts().to_pylist():
            counts[number[entry["values"] or ""]] += entry["counts"]
    return counts


def row_ids(rows: RowStore, named: NamedRows, parameter: str, column: str | None) -> Indices:
    """Return the ids of the rows that are named, in their order.

    Parameters
    ----------
    rows : RowStore
    named : NamedRows
    parameter : str
        What named them.
    column : str or None
        The column of the user's own ids.

    Raises
    ------
    InputError
        For what names no usable row.
    """
    names = named.ids
    if not names:
        return NO_ITEMS
    if not named.own:
        wrong = [name for name in names if not (name.isascii() and name.isdigit())]
        if wrong:
            raise invalid(parameter, "name rows by their position in the input", wrong[0], "Or name your --id column.")
        long = next((name for name in names if len(name.lstrip("0")) > 18), None)  # beyond 64 bits: no row's
        wanted = np.array([int(name) for name in names] if long is None else [], dtype=np.int64)
        absent = wanted[~np.isin(wanted, rows.ids())]
        if long is not None or absent.size:
            first = Verbatim(long or absent[0])
            raise invalid(parameter, "name usable rows", first, "See rejected.parquet for the rest.")
        return wanted
    places: dict[str, int] = {}
    asked = {*names, *map(respelled, names)}
    for table in rows.iter_tables(["id", "source_id"]):
        sources = table["source_id"].to_pylist()
        for row, source in zip(table["id"].to_pylist(), sources, strict=True):
            if source in asked:
                places.setdefault(source, row)  # copies that augmentation added have the same; the first counts
    spelt = [name if name in places else respelled(name) for name in names]
    unknown = [name for name in spelt if name not in places]
    if unknown:
        raise invalid(parameter, f"name usable rows by their column {column}", unknown[0])
    return np.array([places[name] for name in spelt], dtype=np.int64)


def with_equal_rows(rows: RowStore, ids: Indices) -> Indices:
    """Return rows and all rows of equal text (or vector), which lie in the same shard; ascending."""
    if not ids.size:
        return ids
    keys = set(rows.take(ids, ["key"])["key"].to_pylist())
    found = []
    for shard in sorted({shard_of_key(key, rows.shards) for key in keys}):
        table = rows.shard(shard, ["id", "key"])
        equal = np.array([key in keys for key in table["key"].to_pylist()], dtype=np.bool_)
        found.append(table["id"].to_numpy()[equal])
    return np.sort(np.concatenate(found)).astype(np.int64)


def write_table(task: TableTask, shard: int) -> None:
    """Write the table of the items of one shard."""
    members = task.store.members(shard)
    ids = members["id"].to_numpy().astype(np.int64)
    columns = [name for name in (task.group, task.cost) if name is not None]
    known = columns_of(task.rows, task.store, shard, ids, columns)
    group = np.zeros(len(ids), dtype=np.int64)
    if task.group is not None:
        names = np.array([value or "" for value in known[task.group].to_pylist()], dtype=object)
        group = np.searchsorted(np.array(task.names, dtype=object), names).astype(np.int64)
    cost = np.ones(len(ids))
    if task.cost == "text":
        cost = np.array([max(1, len(text.split())) for text in known["text"].to_pylist()], dtype=np.float64)
    elif task.cost is not None:
        cost = known[task.cost].to_numpy().astype(np.float64)
    state, asked = _states(task, members)
    table = pa.table({"id": ids, "group": group, "cost": cost, "state": state, "asked": asked})
    row_groups = list(task.store.meta(shard).partition_items)
    task.rows.run.write_table(part_name(shard, FOLDER), table, row_groups=row_groups)


def _states(task: TableTask, members: pa.Table) -> tuple[Indices, Indices]:
    """Return the state of each item of a shard, and the row that was named for an included one."""
    flat, owner = flat_rows(members["rows"])
    state = np.full(members.num_rows, int(ItemState.AVAILABLE), dtype=np.int64)
    asked = np.full(members.num_rows, -1, dtype=np.int64)
    order = {int(row): place for place, row in enumerate(task.include)}
    for at in np.flatnonzero(np.isin(flat, task.include)):  # of several rows of one item the first named counts
        item, row = int(owner[at]), int(flat[at])
        if asked[item] < 0 or order[row] < order[int(asked[item])]:
            asked[item] = row
    state[asked >= 0] = ItemState.INCLUDED
    excluded = owner[np.isin(flat, task.exclude)]
    if (asked[excluded] >= 0).any():
        row = int(asked[excluded][asked[excluded] >= 0][0])
        raise invalid("exclude", "share no row with include", Verbatim(f"row {row}, or a copy of it, in both"))
    state[excluded] = ItemState.EXCLUDED
    return state, asked


def columns_of(rows: RowStore, store: EmbeddingStore, shard: int, ids: Indices, columns: list[str]) -> pa.Table:
    """Return columns of the rows that lead the items of a shard, in the order of the items."""
    if not columns or not len(ids):
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    if store.folder != EMBEDDINGS:  # leaders of near copies come from all shards
        return rows.take(ids, columns)
    table = rows.shard(shard, ["id", *columns])
    return table.take(pa.array(places_among(ids, table["id"].to_numpy())))


def read_table(store: EmbeddingStore, partitions: Sequence[int]) -> pa.Table:
    """Read the table of all items of some partitions, in ascending order of id."""
    tables = []
    for meta in store.shards:
        groups = [group for q in partitions if (group := meta.row_group_of(q)) is not None]
        if groups:
            with store.run.parquet(part_name(meta.shard, FOLDER)) as file:
                tables.append(file.read_row_groups(groups))
    table = pa.concat_tables(tables) if tables else _empty()
    return table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))


def _empty() -> pa.Table:
    whole, real = pa.array([], pa.int64()), pa.array([], pa.float64())
    return pa.table({"id": whole, "group": whole, "cost": real, "state": whole, "asked": whole})


def read_constrained(store: EmbeddingStore, partition: int) -> tuple[ItemBatch, Indices]:
    """Return the items of a partition with their groups and costs, and the state of each."""
    items = store.read_partition(partition)
    table = read_table(store, [partition])
    if not np.array_equal(table["id"].to_numpy(), items.ids):
        raise InputError(
            f"{store.run.path(FOLDER)} must be about the items of partition {partition}; it is not. "
            "Delete it and run the same command again."
        )
    group, cost = table["group"].to_numpy().astype(np.int64), table["cost"].to_numpy()
    state = table["state"].to_numpy().astype(np.int64)
    return ItemBatch(items.ids, items.vectors, {**items.columns, GROUP: group, COST: cost}), state


def read_rows_of(store: EmbeddingStore, ids: Indices) -> pa.Table:
    """Read the table of some items, in no order, one shard at a time."""
    tables, wanted = [], np.sort(ids)
    for shard in store.numbers:
        table = store.run.read_table(part_name(shard, FOLDER))
        tables.append(table.filter(pa.array(is_in(table["id"].to_numpy(), wanted))))
    return pa.concat_tables(tables)
