"""Resolve the constraints of a run: from the user's words and the constraint table to each partition's share.

The table is :mod:`ray_subsel.stages.constraint_table`, the mathematics :mod:`ray_subsel.partitioned.constraint_shares`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from ray_subsel.config import CorpusConfig, SelectConfig
from ray_subsel.constraints.base import Constraints
from ray_subsel.constraints.size import resolve_k
from ray_subsel.constraints.spec import ConstraintSpec
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.items import ItemBatch
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.corpus.constraint_columns import cost_column, group_column
from ray_subsel.corpus.id_lists import IdLists
from ray_subsel.corpus.rows import RowStore
from ray_subsel.partitioned.constraint_shares import PartitionQuota, shares_of
from ray_subsel.stages.constraint_table import (
    FOLDER,
    ConstraintTask,
    ItemState,
    constrained_items,
    read_constraints,
    write_constraints,
)
from ray_subsel.stages.sampling import each_part
from ray_subsel.storage.embedding_store import ShardMeta, part_name

MOST_GROUPS = 100_000


@dataclass(frozen=True, eq=False)
class PartitionedConstraints:
    """The constraints of a selection over partitions, as numbers.

    Attributes
    ----------
    k : int
        Items to choose, included ones counted; where only a budget limits them, all that may be chosen.
    whole : Constraints
        Quotas, floors and budget of the whole problem.
    names : tuple of str
        The groups; empty where they do not matter.
    shares : list of PartitionQuota or None
        What each partition may hand over; None where nothing but k limits it.
    available : list of int
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

    k: int
    whole: Constraints
    names: tuple[str, ...]
    shares: list[PartitionQuota] | None
    available: list[int]
    given: ItemBatch
    asked: Indices
    excluded: int
    spent: float
    warnings: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """How many items are to be chosen beside the given ones."""
        return self.k - len(self.given)


def partition_constraints(
    rows: RowStore,
    facts: Sequence[ShardMeta],
    corpus: CorpusConfig,
    config: SelectConfig,
    id_lists: IdLists,
    *,
    items: int,
    m: int,
    here: bool,
) -> PartitionedConstraints | None:
    """Write the constraint table, unless that is done, and resolve it; None where nothing but k limits the answer.

    Parameters
    ----------
    items : int
        Number of items of the ground set.
    m : int
        Partitions, by which the parts are sorted.
    here : bool
        In this process, else a Ray task a part.

    Raises
    ------
    InputError
        Where no subset satisfies the constraints, or they name what is not there.
    """
    if not config.limited:
        return None
    run = rows.run
    group = group_column(corpus) if config.grouped else None
    task = ConstraintTask(
        rows,
        tuple(facts),
        group,
        group_names(rows, group) if group is not None else (),
        None if config.budget is None else cost_column(corpus),
        _row_ids(rows, id_lists.include, "include", corpus.id),
        _row_ids(rows, id_lists.exclude, "exclude", corpus.id),
    )
    missing = [fact.shard for fact in facts if not run.exists(part_name(fact.shard, FOLDER))]
    each_part(run, partial(write_constraints, task), missing, "limited", here=here)
    return _gather(task, config, items=items, m=m, corpus=corpus)


def group_names(rows: RowStore, column: str) -> tuple[str, ...]:
    """Return the distinct groups, sorted; rows without one are the group of the empty name."""
    found: set[str] = set()
    for table in rows.iter_tables([column]):
        found.update(value or "" for value in table[column].unique().to_pylist())
        if len(found) > MOST_GROUPS:
            raise invalid("group", f"have at most {MOST_GROUPS:,} values", Verbatim(f"more in column {column}"))
    return tuple(sorted(found))


def _row_ids(rows: RowStore, names: tuple[str, ...], parameter: str, id_column: str | None) -> Indices:
    """Return the row ids that names mean, in their order: row ids themselves, or the user's own ids."""
    if not names:
        return np.zeros(0, dtype=np.int64)
    if id_column is None:
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
        raise invalid(parameter, f"name usable rows by their column {id_column}", unknown[0])
    return np.array([places[name] for name in names], dtype=np.int64)


def _gather(
    task: ConstraintTask, config: SelectConfig, *, items: int, m: int, corpus: CorpusConfig
) -> PartitionedConstraints:
    """Reduce the table to constraints and shares; memory: the numbers of one partition."""
    run, facts = task.rows.run, task.facts
    groups = max(1, len(task.names))
    counts, included = np.zeros((m, groups), dtype=np.int64), np.zeros(groups, dtype=np.int64)
    given, excluded = [], 0
    for partition in range(m):
        table = read_constraints(run, facts, [partition])
        state, group = table["state"].to_numpy(), table["group"].to_numpy()
        counts[partition] = np.bincount(group[state == ItemState.AVAILABLE], minlength=groups)
        included += np.bincount(group[state == ItemState.INCLUDED], minlength=groups)
        excluded += int((state == ItemState.EXCLUDED).sum())
        mine = table.filter(pa.array(state == ItemState.INCLUDED))
        if mine.num_rows:
            found, _ = constrained_items(run, facts, partition)
            at = np.searchsorted(found.ids, mine["id"].to_numpy())
            given.append((found.take(at), mine["asked"].to_numpy()))
    chosen, asked = _in_order(given, task.include, max(fact.dimension for fact in facts))
    k, warning = resolve_k(
        config.k, config.fraction, rows=task.rows.n_rows, items=items, excluded=excluded, no_limit=True
    )
    if len(chosen) > k:
        raise invalid("include", f"name at most k = {k} items", Verbatim(f"{len(chosen)} items"), "Raise k.")
    spec = ConstraintSpec.parse(config.quotas, config.floors, config.budget)
    constraints = spec.resolve(k, task.names, counts.sum(axis=0) + included, included)
    spent = float(chosen.columns["cost"].sum()) if task.cost is not None and len(chosen) else 0.0
    costs = None if config.budget is None else _costs(task, config.budget, m, spent, corpus)
    shares = shares_of(k, constraints, counts, included, c=config.candidates, costs=costs, spent=spent)
    available = counts.sum(axis=1).tolist()
    warnings = (warning,) if warning is not None and excluded else ()
    return PartitionedConstraints(
        k, constraints, task.names, shares, available, chosen, asked, excluded, spent, warnings
    )


def _in_order(given: Sequence[tuple[ItemBatch, Indices]], include: Indices, d: int) -> tuple[ItemBatch, Indices]:
    """Return the given items in the order in which they were named, and the rows named."""
    if not given:
        return ItemBatch.none(d), np.zeros(0, dtype=np.int64)
    items = ItemBatch.concatenate([piece for piece, _ in given])
    ids, rows = (np.concatenate(arrays) for arrays in ([piece.ids for piece, _ in given], [row for _, row in given]))
    asked = rows[np.argsort(ids, kind="stable")]
    order = {int(row): place for place, row in enumerate(include)}
    at = np.argsort([order[int(row)] for row in asked])
    return items.take(at), asked[at]


def _costs(task: ConstraintTask, budget: float, m: int, spent: float, corpus: CorpusConfig) -> Iterator[Float64s]:
    """Return an iterator over the costs of what may be chosen in each partition, once the budget is known to do."""
    unit = "words" if corpus.cost is None else corpus.cost
    if budget < spent:
        raise invalid("budget", f"pay for the included rows, {spent:g} {unit}", budget, "Raise it.")

    def of_partitions() -> Iterator[Float64s]:
        cheapest = math.inf
        for partition in range(m):
            table = read_constraints(task.rows.run, task.facts, [partition])
            costs = table["cost"].to_numpy()[table["state"].to_numpy() == ItemState.AVAILABLE]
            cheapest = min(cheapest, float(np.min(costs, initial=math.inf)))
            yield costs
        if spent == 0.0 and cheapest > budget:
            raise invalid("budget", f"pay for at least one item; the cheapest is {cheapest:g} {unit}", budget)

    return of_partitions()
