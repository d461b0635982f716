"""Run GreeDi with a Ray task a partition; the mathematics is in :mod:`ray_subsel.partitioned.greedi`.

What a partition hands over is kept in ``candidates/part-<partition>.parquet`` (id, vector, in the order of the picks),
so a run that was killed solves the missing partitions only. Where one reducer could not hold all candidates, those of
some partitions are reduced first, level by level (:mod:`ray_subsel.partitioned.reduction_tree`), into
``candidates/level-<level>-<node>.parquet``. Mode exact is :mod:`ray_subsel.stages.select_exact`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ray_subsel.config import SelectConfig
from ray_subsel.constraints.base import UNLIMITED
from ray_subsel.core.errors import InputError
from ray_subsel.core.hashing import partition_of
from ray_subsel.core.items import ItemBatch
from ray_subsel.core.types import Indices
from ray_subsel.optimizers.base import Problem
from ray_subsel.optimizers.speculative.upper_bound import Certificate, certify
from ray_subsel.partitioned.greedi import (
    GreediResult,
    LocalSolution,
    best_of,
    merge_solutions,
    reduce_solutions,
    solve_partition,
)
from ray_subsel.partitioned.reduction_tree import Node
from ray_subsel.runtime.peak_memory import peak_bytes, start_peak
from ray_subsel.runtime.progress import Bar
from ray_subsel.runtime.tasks import TaskSpec, run_tasks
from ray_subsel.stages.constraint_table import ItemState, constrained_items
from ray_subsel.stages.resolve_constraints import PartitionedConstraints
from ray_subsel.stages.sampling import random_value
from ray_subsel.stages.selection_job import FOLDER, HINT, SelectionJob, SelectionOutcome
from ray_subsel.storage.embedding_store import (
    METADATA,
    ShardMeta,
    part_name,
    read_partition,
    read_partitions,
    repartition,
    vectors_of,
)
from ray_subsel.storage.run_directory import RunDir


def candidates_name(partition: int) -> str:
    """Return the file of a partition's candidates."""
    return f"{FOLDER}/part-{partition:05d}.parquet"


def node_name(node: Node) -> str:
    """Return the file of what a node of the tree hands over."""
    if node.level == 0:
        return candidates_name(node.number)
    return f"{FOLDER}/level-{node.level:02d}-{node.number:05d}.parquet"


def solve(run: RunDir, facts: Sequence[ShardMeta], plan: SelectionJob, partition: int) -> int:
    """Solve one partition and keep its candidates; return its number of items."""
    if plan.constraints is None:
        items = read_partition(run, facts, partition)
        rows, state = ItemBatch(items.ids, items.vectors), None
    else:
        rows, state = constrained_items(run, facts, partition)
    if plan.m == 1 and plan.constraints is not None and state is not None:
        solution = _solve_whole(plan, plan.constraints, rows.take(state != ItemState.EXCLUDED))
    else:
        shares = None if plan.constraints is None else plan.constraints.shares
        solution = solve_partition(
            rows if state is None else rows.take(state == ItemState.AVAILABLE),
            partition=partition,
            objective=plan.objective,
            m=plan.m,
            n_candidates=plan.n_candidates if shares is None else shares[partition].k,
            constraints=UNLIMITED if shares is None else shares[partition].constraints,
            given=plan.given,
        )
    n = len(rows)  # items that may not be chosen count, too: none is lost
    _keep(run, candidates_name(partition), dataclasses.replace(solution, items=n))
    return n


def _solve_whole(plan: SelectionJob, constraints: PartitionedConstraints, rows: ItemBatch) -> LocalSolution:
    """Choose the answer itself in the only partition."""
    include = np.searchsorted(rows.ids, constraints.given.ids)
    chosen = best_of(rows, min(plan.k, len(rows)), plan.objective.full(), constraints.whole, include)
    return LocalSolution(0, rows.take(chosen.indices), len(rows))


def merge(run: RunDir, facts: Sequence[ShardMeta], plan: SelectionJob, node: Node) -> None:
    """Reduce what the nodes below one node of the tree handed over, and keep its candidates."""
    below = plan.tree.levels[node.level - 1]
    solutions = [read_node(run, facts, below[child]) for child in node.children]
    share = node.members / plan.m
    solution = merge_solutions(
        solutions,
        node=node.number,
        objective=plan.objective,
        share=share,
        n_candidates=node.n_candidates,
        given=plan.given,
    )
    _keep(run, node_name(node), solution)


def _keep(run: RunDir, name: str, solution: LocalSolution) -> None:
    rows = solution.rows
    flat = pa.array(rows.vectors.reshape(-1))
    columns = {
        "id": pa.array(rows.ids, pa.int64()),
        "vector": pa.FixedSizeListArray.from_arrays(flat, rows.vectors.shape[1]),
    }
    columns |= {name: pa.array(column) for name, column in rows.columns.items()}
    about = {METADATA: f"{solution.items} {len(rows)}".encode()}
    run.write_table(name, pa.table(columns).replace_schema_metadata(about))


def read_node(run: RunDir, facts: Sequence[ShardMeta], node: Node) -> LocalSolution:
    """Read back what a partition, or a reducer above some, kept, and check that it comes of all their items."""
    table = run.read_table(node_name(node))
    items, candidates = (int(one) for one in (table.schema.metadata or {}).get(METADATA, b"0 0").split())
    expected = sum(sum(fact.partition_items[node.first : node.first + node.members]) for fact in facts)
    if items != expected or candidates != table.num_rows:
        raise InputError(
            f"{run.path(node_name(node))} must hold the {candidates} candidates of {expected} items; got "
            f"{table.num_rows} of {items}. Delete it and run the same command again."
        )
    columns = {name: table[name].to_numpy() for name in table.column_names if name not in ("id", "vector")}
    rows = ItemBatch(table["id"].to_numpy().astype(np.int64), vectors_of(table["vector"]), columns)
    return LocalSolution(node.number, rows, items)


def partitioned(run: RunDir, facts: Sequence[ShardMeta], config: SelectConfig) -> list[ShardMeta]:
    """Return the facts of parts that are sorted by the partitions wanted, sorting again those that are not."""
    partitions = len(facts[0].partition_items) if config.partitions is None else config.partitions
    stale = [fact for fact in facts if not fact.sorted_by(partitions, config.seed)]
    names = [part_name(fact.shard, fact.folder) for fact in stale]
    works = [TaskSpec(name, f"{run.path(name)} could not be sorted by partitions", HINT) for name in names]
    done = run_tasks(repartition, (run, partitions, config.seed), list(zip(stale, works, strict=True)), run)
    renewed = {fact.shard: fresh for fact, fresh, _ in done}
    return [renewed.get(fact.shard, fact) for fact in facts]


def choose(
    run: RunDir,
    facts: Sequence[ShardMeta],
    plan: SelectionJob,
    *,
    bar: Bar,
    processes: int | None = None,
    beside: bool = True,
) -> SelectionOutcome:
    """Run all rounds: a Ray task a partition or reducer, or in this process where that is quicker.

    Parameters
    ----------
    processes : int, optional
        How many partitions to solve at the same time, so that they fit into memory; by default Ray decides.
    beside : bool
        Whether to compute the centralized greedy's f too, which takes a process that holds the whole ground set.
    """
    below = [node for level in plan.tree.levels[: max(1, plan.tree.rounds - 1)] for node in level]
    missing = [node for node in below if not run.exists(node_name(node))]
    bar.advance(sum(1 for node in below if node.level == 0) - sum(1 for node in missing if node.level == 0))
    if plan.here:
        start_peak()
        for node in missing:
            _solve_node(run, facts, plan, node)
            if node.level == 0:
                bar.advance()
        return dataclasses.replace(reduce(run, facts, plan, beside=beside), peak_bytes=peak_bytes())
    shared = (run, list(facts), plan)
    peaks = [0]
    for level in range(plan.tree.rounds):
        works = [(node, _work(node)) for node in missing if node.level == level]
        for node, _, peak in run_tasks(_solve_node, shared, works, run, at_a_time=processes):
            peaks.append(peak)
            if node.level == 0:
                bar.advance()
    last = TaskSpec(f"{FOLDER}/last", "the last round could not be solved", HINT)
    choice: SelectionOutcome
    [(_, choice, peak)] = run_tasks(reduce, shared, [(beside, last)], run)
    return dataclasses.replace(choice, peak_bytes=max(peak, *peaks))


def _solve_node(run: RunDir, facts: Sequence[ShardMeta], plan: SelectionJob, node: Node) -> None:
    if node.level == 0:
        solve(run, facts, plan, node.number)
    else:
        merge(run, facts, plan, node)


def _work(node: Node) -> TaskSpec:
    one = f"partition {node.number}"
    what = one if node.level == 0 else f"partitions {node.first} to {node.first + node.members - 1}"
    return TaskSpec(node_name(node), f"{what} could not be solved", HINT)


def reduce(run: RunDir, facts: Sequence[ShardMeta], plan: SelectionJob, beside: bool = True) -> SelectionOutcome:
    """Run the last round on what the level below kept, and tell what the answer is worth."""
    below = plan.tree.levels[max(0, plan.tree.rounds - 2)]
    solutions = [read_node(run, facts, node) for node in below]
    if sum(solution.items for solution in solutions) != plan.n:
        raise InputError(f"partitions must hold {plan.n} items together. Delete {run.path(FOLDER)} and run again.")
    constraints = UNLIMITED if plan.constraints is None else plan.constraints.whole
    reduced = reduce_solutions(solutions, objective=plan.objective, k=plan.k, constraints=constraints, given=plan.given)
    reduced = dataclasses.replace(reduced, partitions=partition_of(reduced.ids, plan.m, plan.seed))
    _check_limits(plan, reduced)
    expected = random_value(run, facts, plan.objective, len(reduced.ids), seed=plan.seed, here=True)
    centralized = None
    if plan.m == 1:
        centralized = reduced.value
    elif beside:
        centralized = centralized_value(run, facts, plan)
    proof = None
    certified = plan.objective.full().exact_over_partitions and plan.policy.is_certified(plan.n, plan.d)
    if certified and plan.constraints is None:
        proof = certificate(run, facts, plan, reduced.ids)
    return SelectionOutcome(plan, reduced, expected, centralized, plan.tree.rounds, certificate=proof)


def _check_limits(plan: SelectionJob, reduced: GreediResult) -> None:
    """Make sure of what the mathematics promises: nothing else tells a user that a must-include is missing."""
    ids = reduced.ids
    assert len(np.unique(ids)) == len(ids)
    given = plan.given
    assert given is None or np.array_equal(ids[: len(given)], given.ids)
    assert len(ids) == plan.k or (plan.constraints is not None and plan.constraints.whole.budget is not None)


def certificate(run: RunDir, facts: Sequence[ShardMeta], plan: SelectionJob, ids: Indices) -> Certificate:
    """Bound how far the chosen items are from the best subset of their number."""
    items = read_partitions(run, facts, range(plan.m))
    problem = Problem(X=items.vectors, objective=plan.objective.full(), k=plan.k)
    return certify(problem, np.searchsorted(items.ids, ids))


def centralized_value(run: RunDir, facts: Sequence[ShardMeta], plan: SelectionJob) -> float:
    """Return f of the exact greedy on the whole ground set, under the same constraints."""
    if plan.constraints is None:
        items = read_partitions(run, facts, range(plan.m))
        return math.fsum(best_of(ItemBatch(items.ids, items.vectors), plan.k, plan.objective.full()).gains)
    pieces = []
    for partition in range(plan.m):
        rows, state = constrained_items(run, facts, partition)
        pieces.append(rows.take(state != ItemState.EXCLUDED))
    rows = ItemBatch.concatenate(pieces)
    include = np.searchsorted(rows.ids, plan.constraints.given.ids)
    k = min(plan.k, len(rows))
    return math.fsum(best_of(rows, k, plan.objective.full(), plan.constraints.whole, include).gains)
