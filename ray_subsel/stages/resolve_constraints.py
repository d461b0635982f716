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
from ray_subsel.constraints.size import resolve_k
from ray_subsel.constraints.spec import ConstraintSpec
from ray_subsel.constraints.spending import Spending
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.items import COST, ItemBatch
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.corpus.constraint_columns import cost_column, group_column
from ray_subsel.corpus.id_lists import IdLists
from ray_subsel.corpus.rows import RowStore
from ray_subsel.partitioned.constraint_shares import PartitionQuota, shares_of
from ray_subsel.runtime.tasks import TaskSpec, map_tasks
from ray_subsel.stages.constraint_table import (
    FOLDER,
    ItemState,
    TableTask,
    group_names,
    read_constrained,
    read_table,
    row_ids,
    with_equal_rows,
    write_table,
)
from ray_subsel.storage.embedding_store import EmbeddingStore, part_name


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
        (shard, TaskSpec(part_name(shard, FOLDER), f"limits of part {shard} could not be written", "Free some memory"))
        for shard in missing
    ]
    map_tasks(write_table, (task,), tasks, store.run, in_process=in_process)
    return _gather(task, config, items=items, corpus=corpus)


def _gather(task: TableTask, config: SelectConfig, *, items: int, corpus: CorpusConfig) -> PartitionedConstraints:
    """Reduce what the table says to numbers; memory: the numbers of one partition."""
    store, m = task.store, task.store.partitions
    groups = max(1, len(task.names))
    counts, included = np.zeros((m, groups), dtype=np.int64), np.zeros(groups, dtype=np.int64)
    given, excluded = [], 0
    for partition in range(m):
        table = read_table(store, [partition])
        state, group = table["state"].to_numpy(), table["group"].to_numpy()
        counts[partition] = np.bincount(group[state == ItemState.AVAILABLE], minlength=groups)
        included += np.bincount(group[state == ItemState.INCLUDED], minlength=groups)
        excluded += int((state == ItemState.EXCLUDED).sum())
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
    spec = ConstraintSpec.parse(config.quotas, config.floors, config.budget)
    constraints = spec.resolve(k, task.names, counts.sum(axis=0) + included, included)
    if constraints.budget is not None and len(chosen):
        constraints = replace(constraints, spent=tuple(chosen.columns[COST].tolist()))
    costs = None if constraints.spending is None else _costs(task, constraints.spending, corpus)
    shares = shares_of(k, constraints, counts, included, c=config.candidates, costs=costs)
    constraints = replace(constraints, spent=())  # the reducer takes the given items itself
    warnings = (warning,) if warning is not None and excluded else ()
    return PartitionedConstraints(
        k, constraints, task.names, shares, counts.sum(axis=1).tolist(), chosen, asked, excluded, warnings
    )


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


def _costs(task: TableTask, spending: Spending, corpus: CorpusConfig) -> Iterator[Float64s]:
    """Return an iterator over the costs of what may be chosen in each partition, once the budget is known to do."""
    unit = "words" if corpus.cost is None else corpus.cost
    if not spending.fits:
        cost = f"{float(spending.exact):.17g} {unit}"
        raise invalid("budget", f"pay for the included rows, {cost}", spending.budget, "Raise it.")

    def of_partitions() -> Iterator[Float64s]:
        cheapest = math.inf
        for partition in range(task.store.partitions):
            table = read_table(task.store, [partition])
            costs = table["cost"].to_numpy()[table["state"].to_numpy() == ItemState.AVAILABLE]
            cheapest = min(cheapest, float(np.min(costs, initial=math.inf)))
            yield costs
        if spending.exact == 0 and not spending.pays(np.array([cheapest])).all():
            must = f"pay for at least one item; the cheapest is {cheapest:.17g} {unit}"
            raise invalid("budget", must, spending.budget)

    return of_partitions()
