"""Run GreeDi with a task a partition or reducer; the mathematics is in :mod:`ray_subsel.partitioned.greedi`.

What a partition hands over is kept in ``candidates/part-<partition>.parquet`` (id, vector, in the order of the picks),
so a run that was killed solves the missing partitions only. Where one reducer could not hold all candidates, those of
some partitions are reduced first, level by level (:mod:`ray_subsel.partitioned.reduction_tree`), into
``candidates/level-<level>-<node>.parquet``. Mode exact is :mod:`ray_subsel.stages.select_exact`.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pyarrow as pa

from ray_subsel.config import SelectConfig
from ray_subsel.constraints.base import UNLIMITED
from ray_subsel.core.errors import InputError
from ray_subsel.core.hashing import partition_of
from ray_subsel.core.items import COST, GROUP, UTILITY, ItemBatch
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
from ray_subsel.runtime.metrics import PARTITIONS_DONE, record
from ray_subsel.runtime.peak_memory import peak_bytes
from ray_subsel.runtime.progress import Bar
from ray_subsel.runtime.tasks import TaskSpec, map_tasks, run_tasks
from ray_subsel.stages.constraint_table import ItemState, read_constrained
from ray_subsel.stages.sampling import random_value
from ray_subsel.stages.selection_job import FOLDER, HINT, SelectionJob, SelectionOutcome
from ray_subsel.storage.embedding_store import METADATA, EmbeddingStore, vector_column, vectors_of


def node_name(node: Node) -> str:
    """Return the file of what a node of the tree hands over; level 0 are the partitions."""
    if node.level == 0:
        return f"{FOLDER}/part-{node.number:05d}.parquet"
    return f"{FOLDER}/level-{node.level:02d}-{node.number:05d}.parquet"


def sorted_store(store: EmbeddingStore, config: SelectConfig, *, in_process: bool) -> EmbeddingStore:
    """Return the store sorted by the partitions wanted; files that are not sorted so are sorted again."""
    partitions = store.partitions if config.partitions is None else config.partitions
    stale = [meta for meta in store.shards if not meta.sorted_by(partitions, config.seed)]
    tasks = [
        (
            meta.shard,
            TaskSpec(
                meta.name,
                f"sort part {meta.shard} by partitions",
                f"{store.run.path(meta.name)} could not be sorted by partitions",
                HINT,
            ),
        )
        for meta in stale
    ]
    shared = (store, partitions, config.seed)
    return store.replaced(map_tasks(EmbeddingStore.repartition, shared, tasks, store.run, in_process=in_process))


def solve_node(store: EmbeddingStore, job: SelectionJob, node: Node) -> None:
    """Solve a partition, or reduce what the nodes below a reducer handed over, and keep the candidates."""
    solution = _solve_partition(store, job, node.number) if node.level == 0 else _merge(store, job, node)
    _write_node(store, node, solution)


def _solve_partition(store: EmbeddingStore, job: SelectionJob, partition: int) -> LocalSolution:
    constraints = job.constraints
    if constraints is None:
        items = store.read_partition(partition)
        return solve_partition(
            items, partition=partition, objective=job.objective, m=job.m, n_candidates=job.n_candidates
        )
    items, state = read_constrained(store, partition)
    if job.m == 1:  # the answer itself
        solution = _choose_all(job, items.take(state != ItemState.EXCLUDED))
    else:
        share = None if constraints.shares is None else constraints.shares[partition]
        solution = solve_partition(
            items.take(state == ItemState.AVAILABLE),
            partition=partition,
            objective=job.objective,
            m=job.m,
            n_candidates=job.n_candidates if share is None else share.k,
            constraints=UNLIMITED if share is None else share.constraints,
            cheapest=None if share is None else share.cheapest,
            given=constraints.given,
        )
    return dataclasses.replace(solution, items=len(items))  # items that may not be chosen count, too: none is lost


def _choose_all(job: SelectionJob, items: ItemBatch) -> LocalSolution:
    """Choose the answer itself where one process has all items that may be chosen."""
    given = job.given
    include = np.searchsorted(items.ids, given.ids if given is not None else [])
    picks = best_of(items, min(job.k, len(items)), job.objective.full(), job.whole, include)
    return LocalSolution(0, items.take(picks.indices), len(items))


def _merge(store: EmbeddingStore, job: SelectionJob, node: Node) -> LocalSolution:
    below = job.tree.levels[node.level - 1]
    return merge_solutions(
        [read_node(store, below[child]) for child in node.children],
        node=node.number,
        objective=job.objective,
        share=node.members / job.m,
        n_candidates=node.n_candidates,
        given=job.given,
    )


def _write_node(store: EmbeddingStore, node: Node, solution: LocalSolution) -> None:
    chosen = solution.chosen
    columns = {"id": pa.array(chosen.ids, pa.int64()), "vector": vector_column(chosen.vectors, store.dtype)}
    if GROUP in chosen.columns and COST in chosen.columns:
        columns[GROUP] = pa.array(chosen.columns[GROUP], pa.int64())
        columns[COST] = pa.array(chosen.columns[COST], pa.float64())
    if UTILITY in chosen.columns:
        columns[UTILITY] = pa.array(chosen.columns[UTILITY], pa.float64())
    about = {METADATA: f"{solution.items} {len(chosen)}".encode()}
    store.run.write_table(node_name(node), pa.table(columns).replace_schema_metadata(about))


def read_node(store: EmbeddingStore, node: Node) -> LocalSolution:
    """Read back what a partition, or a reducer above some, kept, and check that it comes of all their items."""
    run = store.run
    table = run.read_table(node_name(node))
    items, candidates = (int(one) for one in (table.schema.metadata or {}).get(METADATA, b"0 0").split())
    expected = sum(store.partition_sizes[node.first : node.first + node.members])
    if items != expected or candidates != table.num_rows:
        raise InputError(
            f"{run.path(node_name(node))} must hold the {candidates} candidates of {expected} items; got "
            f"{table.num_rows} of {items}. Delete it and run the same command again."
        )
    columns = {}
    if GROUP in table.column_names:
        columns = {GROUP: table[GROUP].to_numpy().astype(np.int64), COST: table[COST].to_numpy()}
    if UTILITY in table.column_names:
        columns[UTILITY] = table[UTILITY].to_numpy()
    chosen = ItemBatch(table["id"].to_numpy().astype(np.int64), vectors_of(table["vector"]), columns)
    return LocalSolution(node.number, chosen, items)


def choose(
    store: EmbeddingStore, job: SelectionJob, *, bar: Bar, processes: int | None = None, beside: bool = True
) -> SelectionOutcome:
    """Run all rounds: a Ray task a partition or reducer, or in this process where that is quicker.

    Parameters
    ----------
    processes : int, optional
        How many partitions to solve at the same time, so that they fit into memory; by default Ray decides.
    beside : bool
        Whether to compute the centralized greedy's f too, which takes a process that holds the whole ground set.
    """
    below = [node for level in job.tree.levels[: max(1, job.tree.rounds - 1)] for node in level]
    missing = [node for node in below if not store.run.exists(node_name(node))]
    bar.advance(sum(1 for node in below if node.level == 0) - sum(1 for node in missing if node.level == 0))
    peaks = [0]
    for level in range(job.tree.rounds):
        tasks = [(node, _task(node)) for node in missing if node.level == level]
        ended = run_tasks(solve_node, (store, job), tasks, store.run, in_process=job.in_process, at_a_time=processes)
        for node, _, used in ended:
            peaks.append(used)
            if node.level == 0:
                bar.advance()
                record(PARTITIONS_DONE, 1, store.run)
    last = TaskSpec(f"{FOLDER}/last", "select in the last round", "the last round could not be solved", HINT)
    outcome: SelectionOutcome
    [(_, outcome, used)] = run_tasks(reduce, (store, job), [(beside, last)], store.run, in_process=job.in_process)
    peaks.append(peak_bytes() if job.in_process else used)
    return dataclasses.replace(outcome, peak_bytes=max(peaks))


def _task(node: Node) -> TaskSpec:
    one = f"partition {node.number}"
    what = one if node.level == 0 else f"partitions {node.first} to {node.first + node.members - 1}"
    return TaskSpec(node_name(node), f"select {what}", f"{what} could not be solved", HINT)


def reduce(store: EmbeddingStore, job: SelectionJob, beside: bool = True) -> SelectionOutcome:
    """Run the last round on what the level below kept, and tell what the answer is worth."""
    below = job.tree.levels[max(0, job.tree.rounds - 2)]
    solutions = [read_node(store, node) for node in below]
    if sum(solution.items for solution in solutions) != job.n:
        raise InputError(f"partitions must hold {job.n} items together. Delete {store.run.path(FOLDER)} and run again.")
    result = reduce_solutions(solutions, objective=job.objective, k=job.k, constraints=job.whole, given=job.given)
    result = dataclasses.replace(result, partitions=partition_of(result.ids, job.m, job.seed))
    _check_constraints(job, result)
    expected = random_value(store, job.objective, len(result.ids), seed=job.seed)
    centralized = None
    if job.m == 1:
        centralized = result.value
    elif beside:
        centralized = centralized_value(store, job)
    proof = None
    certified = job.objective.full().has_certificate and job.policy.is_certified(job.n, job.d)
    if certified and job.constraints is None:
        proof = certificate(store, job, result.ids)
    return SelectionOutcome(job, result, expected, centralized, job.tree.rounds, certificate=proof)


def _check_constraints(job: SelectionJob, result: GreediResult) -> None:
    """Make sure of what the mathematics promises: nothing else tells a user that a must-include is missing."""
    ids = result.ids
    assert len(np.unique(ids)) == len(ids)
    given = job.given
    assert given is None or np.array_equal(ids[: len(given)], given.ids)
    assert len(ids) == job.k or job.whole.budget is not None


def certificate(store: EmbeddingStore, job: SelectionJob, ids: Indices) -> Certificate:
    """Bound how far the chosen items are from the best subset of their number."""
    items = store.read_all()
    utility = items.columns.get(UTILITY)
    problem = Problem(X=items.vectors, objective=job.objective.full(), k=job.k, utility=utility)
    return certify(problem, np.searchsorted(items.ids, ids))


def centralized_value(store: EmbeddingStore, job: SelectionJob) -> float:
    """Return f of the exact greedy on the whole ground set, under the same constraints."""
    if job.constraints is None:
        picks = best_of(store.read_all(), job.k, job.objective.full())
        return math.fsum(picks.gains.tolist())
    pieces = []
    for partition in range(job.m):
        items, state = read_constrained(store, partition)
        pieces.append(items.take(state != ItemState.EXCLUDED))
    items = ItemBatch.concatenate(pieces)
    include = np.searchsorted(items.ids, job.constraints.given.ids)
    picks = best_of(items, min(job.k, len(items)), job.objective.full(), job.whole, include)
    return math.fsum(picks.gains.tolist())
