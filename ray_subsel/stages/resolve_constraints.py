"""Resolve the constraints of a run to numbers, and share them out over the partitions of its ground set.

The mathematics is in :mod:`ray_subsel.partitioned.constraint_shares`, the files in
:mod:`ray_subsel.stages.constraint_table`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ray_subsel.config import CorpusConfig, SelectConfig
from ray_subsel.constraints.base import Constraints
from ray_subsel.constraints.group_budget import GroupBudget, cheapest
from ray_subsel.constraints.size import resolve_k
from ray_subsel.constraints.spec import ConstraintSpec, GroupFacts
from ray_subsel.constraints.spending import Costs, Number, Spending, cheapest_paid
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.items import COST, ItemBatch
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.corpus.constraint_columns import cost_column, group_column
from ray_subsel.corpus.id_lists import IdLists
from ray_subsel.corpus.rows import RowStore
from ray_subsel.optimizers.feasibility import check_floors_paid
from ray_subsel.partitioned.constraint_shares import PartitionQuota, shares_of
from ray_subsel.runtime.tasks import TaskSpec, map_tasks
from ray_subsel.stages.constraint_table import (
    FOLDER,
    ItemState,
    TableTask,
    group_names,
    group_rows,
    read_constrained,
    read_table,
    row_ids,
    with_equal_rows,
    write_table,
)
from ray_subsel.storage.embedding_store import EmbeddingStore, part_name

NO_COSTS = np.zeros(0)


@dataclass(frozen=True, eq=False)
class PartitionedConstraints:
    """Constraints of a selection over partitions.

    Attributes
    ----------
    k : int
        Items to choose, given ones counted; where only a budget limits them, all that may be chosen.
    constraints : Constraints
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
    warnings : tuple of str
    """

    k: int
    constraints: Constraints
    names: tuple[str, ...]
    shares: list[PartitionQuota] | None
    available: list[int]
    given: ItemBatch
    asked: Indices
    excluded: int
    warnings: tuple[str, ...] = ()

    @property
    def k_beside_given(self) -> int:
        """How many items are to be chosen beside the given ones."""
        return self.k - len(self.given)


def partition_constraints(
    rows: RowStore,
    store: EmbeddingStore,
    corpus: CorpusConfig,
    config: SelectConfig,
    lists: IdLists,
    *,
    items: int,
    in_process: bool,
) -> PartitionedConstraints | None:
    """Write what constrains the items, unless that is done, and return the constraints; None where there is but k.

    Parameters
    ----------
    store : EmbeddingStore
        The ground set, sorted by the partitions.
    items : int
        Number of items of the ground set.
    in_process : bool
        In this process, else a Ray task a shard.

    Raises
    ------
    InputError
        Where the constraints cannot be kept, or name what is not there.
    """
    if not config.limited:
        return None
    group = group_column(corpus) if config.grouped else None
    exclude = row_ids(rows, lists.exclude, "exclude", corpus.id)
    task = TableTask(
        rows,
        store,
        group,
        group_names(rows, group) if group is not None else (),
        None if config.budget is None else cost_column(corpus),
        row_ids(rows, lists.include, "include", corpus.id),
        with_equal_rows(rows, exclude) if corpus.copies == "keep" else exclude,
    )
    missing = [shard for shard in store.numbers if not store.run.exists(part_name(shard, FOLDER))]
    tasks = [
        (
            shard,
            TaskSpec(
                part_name(shard, FOLDER),
                f"write limits of part {shard}",
                f"limits of part {shard} could not be written",
                "Free some memory",
            ),
        )
        for shard in missing
    ]
    map_tasks(write_table, (task,), tasks, store.run, in_process=in_process)
    return _gather(task, config, lists, items=items, corpus=corpus)


def _gather(
    task: TableTask, config: SelectConfig, lists: IdLists, *, items: int, corpus: CorpusConfig
) -> PartitionedConstraints:
    """Reduce what the table says to numbers; memory: those of a partition, and the costs that a budget may pay for."""
    store, m = task.store, task.store.partitions
    groups = max(1, len(task.names))
    counts, included = np.zeros((m, groups), dtype=np.int64), np.zeros(groups, dtype=np.int64)
    given, excluded = [], 0
    costs_of: list[list[Float64s]] = [[] for _ in range(groups)]
    cheap: Costs = NO_COSTS
    least = math.inf
    for partition in range(m):
        table = read_table(store, [partition])
        state, group = table["state"].to_numpy(), table["group"].to_numpy()
        counts[partition] = np.bincount(group[state == ItemState.AVAILABLE], minlength=groups)
        included += np.bincount(group[state == ItemState.INCLUDED], minlength=groups)
        excluded += int((state == ItemState.EXCLUDED).sum())
        if config.budget is not None:
            free = table["cost"].to_numpy()[state == ItemState.AVAILABLE]
            least = min(least, free.min().item()) if free.size else least
            cheap = cheapest_paid(np.concatenate([cheap, free]), config.budget)[: config.k]
        if config.budget is not None and config.grouped:
            may, cost = state != ItemState.EXCLUDED, table["cost"].to_numpy()
            for one in range(groups):
                costs_of[one].append(cost[may & (group == one)])
        mine = table.filter(pa.array(state == ItemState.INCLUDED))
        if mine.num_rows:
            found, _ = read_constrained(store, partition)
            at = np.searchsorted(found.ids, mine["id"].to_numpy())
            given.append((found.take(at), mine["asked"].to_numpy()))
    chosen, asked = _in_order(given, task.include, store.d)
    k, warning = resolve_k(
        config.k, config.fraction, rows=task.rows.n_rows, items=items, excluded=excluded, no_limit=True
    )
    if len(chosen) > k:
        raise invalid("include", f"name at most k = {k} items", Verbatim(f"{len(chosen)} items"), "Raise k.")
    spec = ConstraintSpec.parse(config.quotas, config.floors, config.budget, config.mix)
    spec, unlike = _like(spec, lists, task.names)
    totals = np.array([math.fsum(np.concatenate([NO_COSTS, *one]).tolist()) for one in costs_of])
    facts = GroupFacts(task.names, counts.sum(axis=0) + included, included, group_rows(task), totals)
    constraints = spec.resolve(k, facts, counted=config.counted)
    if constraints.budget is not None:
        known = None if math.isinf(least) else least
        constraints = replace(constraints, least_cost=known, most_paid=int(cheap.size))
    if constraints.budget is not None and constraints.floors is not None:
        constraints = replace(constraints, cheapest=_cheapest(task, np.maximum(constraints.floors - included, 0)))
    if constraints.budget is not None and len(chosen):
        constraints = replace(constraints, spent=tuple(chosen.columns[COST].tolist()))
    if constraints.cheapest is not None and constraints.spending is not None:
        check_floors_paid(GroupBudget(constraints.spending, constraints.cheapest, None, None, np.zeros(0)))
    if constraints.spending is not None:
        _check_pays(constraints.spending, constraints.least_cost, "words" if corpus.cost is None else corpus.cost)
    costs = None if constraints.budget is None else _costs(task)
    shares = shares_of(k, constraints, counts, included, c=config.candidates, costs=costs)
    constraints = replace(constraints, spent=())  # the reducer takes the given items itself
    warnings = (*((warning,) if warning is not None and excluded else ()), *unlike)
    return PartitionedConstraints(
        k, constraints, task.names, shares, counts.sum(axis=1).tolist(), chosen, asked, excluded, warnings
    )


def _like(spec: ConstraintSpec, lists: IdLists, names: Sequence[str]) -> tuple[ConstraintSpec, tuple[str, ...]]:
    """Return limits whose mix is like the rows of a file, and what of those rows no group here is like."""
    if not lists.like:
        return spec, ()
    there = {label: count for label, count in lists.like if label in names}
    gone = [f"{label or '(none)'} ({count:,})" for label, count in lists.like if label not in names]
    if not there:
        raise invalid("mix", "be like rows of groups that occur", Verbatim(", ".join(gone[:5])))
    total = sum(there.values())
    more = ", ..." if len(gone) > 5 else ""
    said = (f"mix: no row here is like these rows of the other file: {', '.join(gone[:5])}{more}.",) if gone else ()
    return replace(spec, mix={label: count / total for label, count in there.items()}), said


def _cheapest(task: TableTask, missing: Indices) -> list[list[Number]]:
    """Return the costs of the cheapest items by which floors can be met; memory: those and a partition's."""
    costs, groups = NO_COSTS, NO_ITEMS
    for partition in range(task.store.partitions):
        table = read_table(task.store, [partition])
        free = table["state"].to_numpy() == ItemState.AVAILABLE
        costs = np.concatenate([costs, table["cost"].to_numpy()[free]])
        groups = np.concatenate([groups, table["group"].to_numpy()[free]])
        found = cheapest(costs, groups, missing)
        costs = np.array([cost for group in found for cost in group], dtype=np.float64)
        groups = np.repeat(np.arange(missing.size), [len(group) for group in found])
    return cheapest(costs, groups, missing)


def _in_order(given: Sequence[tuple[ItemBatch, Indices]], include: Indices, d: int) -> tuple[ItemBatch, Indices]:
    """Return the given items in the order in which they were named, and the rows named."""
    if not given:
        return ItemBatch.none(d), NO_ITEMS
    items = ItemBatch.concatenate([batch for batch, _ in given])
    ids, rows = (np.concatenate(arrays) for arrays in ([batch.ids for batch, _ in given], [row for _, row in given]))
    asked = rows[np.argsort(ids, kind="stable")]
    order = {int(row): place for place, row in enumerate(include)}
    at = np.argsort([order[int(row)] for row in asked])
    return items.take(at), asked[at]


def _check_pays(spending: Spending, least: Number | None, unit: str) -> None:
    """Raise InputError where the budget does not pay for the included rows or, without any, for the cheapest item."""
    if not spending.fits:
        cost = f"{float(spending.exact):.17g} {unit}"
        raise invalid("budget", f"pay for the included rows, {cost}", spending.budget, "Raise it.")
    if spending.exact == 0 and least is not None and not spending.pays_for(least):
        must = f"pay for at least one item; the cheapest is {least:.17g} {unit}"
        raise invalid("budget", must, spending.budget)


def _costs(task: TableTask) -> Iterator[tuple[Float64s, Indices]]:
    """Yield costs and groups of what may be chosen in each partition."""
    for partition in range(task.store.partitions):
        table = read_table(task.store, [partition])
        free = table["state"].to_numpy() == ItemState.AVAILABLE
        yield table["cost"].to_numpy()[free], table["group"].to_numpy()[free].astype(np.int64)
