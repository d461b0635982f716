"""The limits of a run on disk: the group and cost of each item, and which must and must not be chosen.

``limits/part-*.parquet`` has, for each part of the ground set, the same items in the same row groups: ``id``, ``group``
(a number), ``cost``, ``state`` and ``asked`` (the row that was named to be included, else -1). A partition reads its
row groups of both. The mathematics is in :mod:`ray_subsel.partitioned.constraint_shares`.

An item is one of several rows, equal texts or near copies: it has the group and the cost of its own row, the lowest id;
it must be chosen if any of its rows must, and is then published as the row that was named; it must not be chosen if any
of its rows must not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ray_subsel.config import CorpusConfig, SelectConfig
from ray_subsel.core.errors import InputError, Verbatim, invalid
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.corpus.constraint_columns import cost_column, group_column
from ray_subsel.corpus.id_lists import IdLists
from ray_subsel.corpus.rows import RowStore
from ray_subsel.partitioned.constraint_shares import PartitionQuota, ResolvedConstraints, resolve_constraints, shares_of
from ray_subsel.partitioned.greedi import ItemBatch
from ray_subsel.stages.sampling import each_part
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import ShardMeta, fact_of, part_name, read_members, read_partitions
from ray_subsel.storage.run_directory import RunDir

FOLDER = "limits"
FREE, OUT, GIVEN = 0, 1, 2
"""States of an item: may, must not, must be chosen."""

MOST_GROUPS = 100_000


@dataclass(frozen=True, eq=False)
class LimitTask:
    """All that a worker needs to find what limits the items of a part.

    Attributes
    ----------
    rows : RowStore
    facts : tuple of ShardMeta
        Of the ground set.
    group : str or None
        The column of the rows that tells groups.
    names : tuple of str
        The groups, sorted.
    cost : str or None
        The column of the rows that tells costs; ``text``: its words.
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


@dataclass(frozen=True, eq=False)
class PartitionedConstraints:
    """What limits a selection.

    Attributes
    ----------
    rules : ResolvedConstraints
    shares : list of PartitionQuota or None
        What each partition may hand over; None where nothing but k limits it.
    free : list of int
        Items of each partition that may be chosen and are not given.
    given : ItemBatch
        Items that must be chosen, in the order of their ranks.
    asked : int64 array
        The row that was named for each given item.
    excluded : int
        Items that must not be chosen.
    spent : float
        What given items cost.
    warnings : tuple of str
    """

    rules: ResolvedConstraints
    shares: list[PartitionQuota] | None
    free: list[int]
    given: ItemBatch
    asked: Indices
    excluded: int
    spent: float
    warnings: tuple[str, ...] = ()

    def room_left(self) -> int:
        """Return how many items are to be chosen beside the given ones."""
        return self.rules.k - len(self.given.ids)


def constraints_of(
    rows: RowStore,
    facts: Sequence[ShardMeta],
    corpus: CorpusConfig,
    config: SelectConfig,
    named: IdLists,
    *,
    k: int,
    m: int,
    here: bool,
) -> PartitionedConstraints | None:
    """Write what limits the items, unless that is done, and return the limits; None where there are none but k.

    Parameters
    ----------
    k : int
        Items to choose; at most the ground set.
    m : int
        Partitions, by which the parts are sorted.
    here : bool
        In this process, else a Ray task a part.

    Raises
    ------
    InputError
        Where the limits cannot be kept, or name what is not there.
    """
    if not config.limited:
        return None
    run = rows.run
    group = group_column(corpus) if config.grouped else None
    task = LimitTask(
        rows,
        tuple(facts),
        group,
        group_names(rows, group) if group is not None else (),
        None if config.budget is None else cost_column(corpus),
        _row_ids(rows, named.include, "include", corpus.id),
        _row_ids(rows, named.exclude, "exclude", corpus.id),
    )
    missing = [fact.shard for fact in facts if not run.exists(part_name(fact.shard, FOLDER))]
    each_part(run, partial(write_limits, task), missing, "limited", here=here)
    return _gather(task, config, k=k, m=m, corpus=corpus)


def group_names(rows: RowStore, column: str) -> tuple[str, ...]:
    """Return the distinct groups, sorted; rows without one are the group of the empty name."""
    found: set[str] = set()
    for table in rows.iter_tables([column]):
        found.update(value or "" for value in table[column].unique().to_pylist())
        if len(found) > MOST_GROUPS:
            raise invalid("group", f"have at most {MOST_GROUPS:,} values", Verbatim(f"more in column {column}"))
    return tuple(sorted(found))


def _row_ids(rows: RowStore, names: tuple[str, ...], parameter: str, own: str | None) -> Indices:
    """Return the row ids that names mean, in their order: row ids themselves, or the user's own ids."""
    if not names:
        return np.zeros(0, dtype=np.int64)
    if own is None:
        wrong = [name for name in names if not (name.isascii() and name.isdigit())]
        if wrong:
            raise invalid(parameter, "name rows by their position in the input", wrong[0], "Or name your --id column.")
        wanted = np.array([int(name) for name in names], dtype=np.int64)
        known = rows.ids()
        absent = wanted[~np.isin(wanted, known)]
        if absent.size:
            raise invalid(parameter, "name usable rows", int(absent[0]), "See rejected.parquet for the rest.")
        return wanted
    places: dict[str, int] = {}
    asked = set(names)
    for table in rows.iter_tables(["id", "source_id"]):
        sources = table["source_id"].to_pylist()
        for row, source in zip(table["id"].to_pylist(), sources, strict=True):
            if source in asked:
                places.setdefault(source, row)  # copies that augmentation added have the same; the first counts
    unknown = [name for name in names if name not in places]
    if unknown:
        raise invalid(parameter, f"name usable rows by their column {own}", unknown[0])
    return np.array([places[name] for name in names], dtype=np.int64)


def write_limits(task: LimitTask, shard: int) -> None:
    """Write what limits the items of one part."""
    fact = fact_of(task.facts, shard)
    run = task.rows.run
    members = read_members(run, shard, fact.folder)
    ids = members["id"].to_numpy().astype(np.int64)
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
    rows = members["rows"].combine_chunks()
    flat = pc.list_flatten(rows).to_numpy()
    owner = pc.list_parent_indices(rows).to_numpy()
    state, asked = np.zeros(len(ids), dtype=np.int64), np.full(len(ids), -1, dtype=np.int64)
    order = {int(row): place for place, row in enumerate(task.include)}
    for at in np.flatnonzero(np.isin(flat, task.include)):  # of several rows of one item the first named counts
        item, row = int(owner[at]), int(flat[at])
        if asked[item] < 0 or order[row] < order[int(asked[item])]:
            asked[item] = row
    state[asked >= 0] = GIVEN
    out = owner[np.isin(flat, task.exclude)]
    if (asked[out] >= 0).any():
        row = int(asked[out][asked[out] >= 0][0])
        raise invalid("exclude", "share no row with include", Verbatim(f"row {row}, or a copy of it, in both"))
    state[out] = OUT
    table = pa.table({"id": ids, "group": group, "cost": cost, "state": state, "asked": asked})
    run.write_table(part_name(shard, FOLDER), table, row_groups=list(fact.partition_items))


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


def read_limits(run: RunDir, facts: Sequence[ShardMeta], partitions: Sequence[int]) -> pa.Table:
    """Read the limits of all items of some partitions, in ascending order of id."""
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


def limited_rows(run: RunDir, facts: Sequence[ShardMeta], partition: int) -> tuple[ItemBatch, NDArray[np.int64]]:
    """Return the items of a partition with their groups and costs, and the state of each."""
    items = read_partitions(run, facts, [partition])
    table = read_limits(run, facts, [partition])
    if not np.array_equal(table["id"].to_numpy(), items.ids):
        raise InputError(
            f"{run.path(FOLDER)} must be about the items of partition {partition}; it is not. "
            "Delete it and run the same command again."
        )
    state = table["state"].to_numpy().astype(np.int64)
    return ItemBatch(
        items.ids, items.vectors, table["group"].to_numpy().astype(np.int64), table["cost"].to_numpy()
    ), state


def chosen_limits(run: RunDir, facts: Sequence[ShardMeta], ids: Indices) -> pa.Table:
    """Read the limits of some items, in no order, one part at a time."""
    tables = []
    for fact in facts:
        table = run.read_table(part_name(fact.shard, FOLDER))
        tables.append(table.filter(pa.array(np.isin(table["id"].to_numpy(), ids))))
    return pa.concat_tables(tables)


def _gather(task: LimitTask, config: SelectConfig, *, k: int, m: int, corpus: CorpusConfig) -> PartitionedConstraints:
    """Reduce what the parts say to rules and shares; memory: the numbers of one partition."""
    run, facts = task.rows.run, task.facts
    groups = max(1, len(task.names))
    counts, given_groups = np.zeros((m, groups), dtype=np.int64), np.zeros(groups, dtype=np.int64)
    given, excluded = [], 0
    for partition in range(m):
        table = read_limits(run, facts, [partition])
        state, group = table["state"].to_numpy(), table["group"].to_numpy()
        counts[partition] = np.bincount(group[state == FREE], minlength=groups)
        given_groups += np.bincount(group[state == GIVEN], minlength=groups)
        excluded += int((state == OUT).sum())
        mine = table.filter(pa.array(state == GIVEN))
        if mine.num_rows:
            found, _ = limited_rows(run, facts, partition)
            at = np.searchsorted(found.ids, mine["id"].to_numpy())
            given.append((found.take(at), mine["asked"].to_numpy()))
    sizes = counts.sum(axis=0) + given_groups
    chosen, asked = _in_order(given, task.include, max(fact.dimension for fact in facts))
    k, warnings = _checked_k(k, config, int(sizes.sum()), excluded, len(chosen.ids))
    rules = resolve_constraints(
        k,
        names=task.names,
        sizes=sizes,
        given=given_groups,
        quotas=config.quotas,
        floors=config.floors,
        budget=config.budget,
    )
    spent = float(chosen.costs.sum()) if task.cost is not None and chosen.costs is not None else 0.0
    costs = None if config.budget is None else _costs(task, config.budget, m, spent, corpus)
    shares = shares_of(rules, counts, given_groups, c=config.candidates, costs=costs, spent=spent)
    return PartitionedConstraints(rules, shares, counts.sum(axis=1).tolist(), chosen, asked, excluded, spent, warnings)


def _in_order(given: Sequence[tuple[ItemBatch, Indices]], include: Indices, d: int) -> tuple[ItemBatch, Indices]:
    """Return the given items in the order in which they were named, and the rows named."""
    if not given:
        return ItemBatch.none(d), np.zeros(0, dtype=np.int64)
    asked = np.concatenate([rows for _, rows in given])
    order = {int(row): place for place, row in enumerate(include)}
    at = np.argsort([order[int(row)] for row in asked])
    pieces = [piece for piece, _ in given]
    groups = np.concatenate([piece.groups for piece in pieces if piece.groups is not None])
    costs = np.concatenate([piece.costs for piece in pieces if piece.costs is not None])
    rows = ItemBatch(
        np.concatenate([piece.ids for piece in pieces]),
        np.concatenate([piece.vectors for piece in pieces]),
        groups,
        costs,
    )
    return rows.take(at), asked[at]


def _checked_k(k: int, config: SelectConfig, items: int, excluded: int, given: int) -> tuple[int, tuple[str, ...]]:
    warnings: tuple[str, ...] = ()
    if k > items:
        if config.k is not None:
            raise invalid("k", f"be at most {items}, the items left with {excluded} excluded", k)
        if config.fraction is not None:
            warnings = (f"{k} items were asked for, but only {items} may be chosen: all of them are.",)
        k = items
    if given > k:
        raise invalid("include", f"name at most k = {k} items", Verbatim(f"{given} items"), "Raise k.")
    return k, warnings


def _costs(task: LimitTask, budget: float, m: int, spent: float, corpus: CorpusConfig) -> Iterator[Float64s]:
    """Return an iterator over the costs of what may be chosen in each partition, once the budget is known to do."""
    unit = "words" if corpus.cost is None else corpus.cost
    if budget < spent:
        raise invalid("budget", f"pay for the included rows, {spent:g} {unit}", budget, "Raise it.")

    def of_partitions() -> Iterator[Float64s]:
        cheapest = math.inf
        for partition in range(m):
            table = read_limits(task.rows.run, task.facts, [partition])
            costs = table["cost"].to_numpy()[table["state"].to_numpy() == FREE]
            cheapest = min(cheapest, float(np.min(costs, initial=math.inf)))
            yield costs
        if spent == 0.0 and cheapest > budget:
            raise invalid("budget", f"pay for at least one item; the cheapest is {cheapest:g} {unit}", budget)

    return of_partitions()
