"""Keep what constrains each item of a run on disk: its group, its cost, and whether it must or must not be chosen.

``limits/part-*.parquet`` has, for each part of the ground set, the same items in the same row groups: ``id``, ``group``
(a number), ``cost``, ``state`` and ``asked`` (the row that was named to be included, else -1). A partition reads its
row groups of both. What the table says is resolved by :mod:`ray_subsel.stages.resolve_constraints`.

An item is one of several rows, equal texts or near copies: it has the group and the cost of its own row, the lowest id;
it must be chosen if any of its rows must, and is then published as the row that was named; it must not be chosen if any
of its rows must not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.core.errors import InputError, Verbatim, invalid
from ray_subsel.core.items import ItemBatch
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.corpus.rows import RowStore
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import ShardMeta, fact_of, part_name, read_members, read_partitions
from ray_subsel.storage.run_directory import RunDir

FOLDER = "limits"


class ItemState(IntEnum):
    """What ``include`` and ``exclude`` say of an item."""

    AVAILABLE = 0
    EXCLUDED = 1
    INCLUDED = 2


@dataclass(frozen=True, eq=False)
class ConstraintTask:
    """All that a worker needs to write the constraint table of a part.

    Attributes
    ----------
    rows : RowStore
    facts : tuple of ShardMeta
        Of the ground set.
    group : str or None
        The column of the rows that gives groups.
    names : tuple of str
        The groups, sorted.
    cost : str or None
        The column of the rows that gives costs; ``text``: its number of words.
    include, exclude : int64 arrays
        Row ids, ascending.
    """

    rows: RowStore
    facts: tuple[ShardMeta, ...]
    group: str | None
    names: tuple[str, ...]
    cost: str | None
    include: Indices
    exclude: Indices


def write_constraints(task: ConstraintTask, shard: int) -> None:
    """Write the constraint table of one part."""
    fact = fact_of(task.facts, shard)
    run = task.rows.run
    members = read_members(run, shard, fact.folder)
    ids = members["id"].to_numpy().astype(np.int64)
    group, cost = _groups_and_costs(task, fact, ids)
    state, asked = _states(task, members["rows"].combine_chunks())
    table = pa.table({"id": ids, "group": group, "cost": cost, "state": state, "asked": asked})
    run.write_table(part_name(shard, FOLDER), table, row_groups=list(fact.partition_items))


def _groups_and_costs(task: ConstraintTask, fact: ShardMeta, ids: Indices) -> tuple[Indices, Float64s]:
    """Return the group number and the cost of each item; zeros and ones where they do not matter."""
    columns = [name for name in (task.group, task.cost) if name is not None]
    known = _columns_of(task.rows, fact, ids, columns)
    group = np.zeros(len(ids), dtype=np.int64)
    if task.group is not None:
        names = np.array([value or "" for value in known[task.group].to_pylist()], dtype=object)
        group = np.searchsorted(np.array(task.names, dtype=object), names).astype(np.int64)
    cost = np.ones(len(ids))
    if task.cost == "text":
        cost = np.array([max(1, len(text.split())) for text in known["text"].to_pylist()], dtype=np.float64)
    elif task.cost is not None:
        cost = known[task.cost].to_numpy().astype(np.float64)
    return group, cost


def _states(task: ConstraintTask, rows: pa.ListArray) -> tuple[Indices, Indices]:
    """Return the state of each item, and the row that was named for it, else -1.

    Parameters
    ----------
    task : ConstraintTask
    rows : list array of int64
        The rows that each item stands for.
    """
    flat = pc.list_flatten(rows).to_numpy()
    owner = pc.list_parent_indices(rows).to_numpy()
    state, asked = np.zeros(len(rows), dtype=np.int64), np.full(len(rows), -1, dtype=np.int64)
    order = {int(row): place for place, row in enumerate(task.include)}
    for at in np.flatnonzero(np.isin(flat, task.include)):  # of several rows of one item the first named counts
        item, row = int(owner[at]), int(flat[at])
        if asked[item] < 0 or order[row] < order[int(asked[item])]:
            asked[item] = row
    state[asked >= 0] = ItemState.INCLUDED
    out = owner[np.isin(flat, task.exclude)]
    if (asked[out] >= 0).any():
        row = int(asked[out][asked[out] >= 0][0])
        raise invalid("exclude", "share no row with include", Verbatim(f"row {row}, or a copy of it, in both"))
    state[out] = ItemState.EXCLUDED
    return state, asked


def _columns_of(rows: RowStore, fact: ShardMeta, ids: Indices, columns: list[str]) -> pa.Table:
    """Return columns of the rows that lead the items of a part, in the order of the items."""
    if not columns or not len(ids):
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    if fact.folder != EMBEDDINGS:  # leaders of near copies come from all shards
        return rows.take(ids, columns)
    table = rows.shard(fact.shard, ["id", *columns])
    stored = table["id"].to_numpy()
    order = np.argsort(stored)
    return table.take(pa.array(order[np.searchsorted(stored, ids, sorter=order)]))


def read_constraints(run: RunDir, facts: Sequence[ShardMeta], partitions: Sequence[int]) -> pa.Table:
    """Read the constraint table of some partitions, in ascending order of id."""
    tables = []
    for fact in facts:
        name = part_name(fact.shard, FOLDER)
        groups = [
            sum(1 for count in fact.partition_items[:partition] if count)
            for partition in partitions
            if fact.partition_items[partition]
        ]
        if groups:
            with run.parquet(name) as file:
                tables.append(file.read_row_groups(groups))
    table = pa.concat_tables(tables) if tables else _empty()
    return table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))


def _empty() -> pa.Table:
    whole, real = pa.array([], pa.int64()), pa.array([], pa.float64())
    return pa.table({"id": whole, "group": whole, "cost": real, "state": whole, "asked": whole})


def constrained_items(run: RunDir, facts: Sequence[ShardMeta], partition: int) -> tuple[ItemBatch, Indices]:
    """Return the items of a partition with their columns ``group`` and ``cost``, and the :class:`ItemState` of each."""
    items = read_partitions(run, facts, [partition])
    table = read_constraints(run, facts, [partition])
    if not np.array_equal(table["id"].to_numpy(), items.ids):
        raise InputError(
            f"{run.path(FOLDER)} must be about the items of partition {partition}; it is not. "
            "Delete it and run the same command again."
        )
    state = table["state"].to_numpy().astype(np.int64)
    columns = {"group": table["group"].to_numpy().astype(np.int64), "cost": table["cost"].to_numpy()}
    return ItemBatch(items.ids, items.vectors, columns), state


def constraints_of_items(run: RunDir, facts: Sequence[ShardMeta], ids: Indices) -> pa.Table:
    """Read the rows of the constraint table of some items, in no order, one part at a time."""
    tables = []
    for fact in facts:
        table = run.read_table(part_name(fact.shard, FOLDER))
        tables.append(table.filter(pa.array(np.isin(table["id"].to_numpy(), ids))))
    return pa.concat_tables(tables)
