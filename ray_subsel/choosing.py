"""The stage that selects: GreeDi with one Ray task a partition. The mathematics is in :mod:`ray_subsel.greedi`.

What a partition hands over is kept in ``candidates/part-<partition>.parquet`` (id, vector, in the order of the picks),
so a run that was killed solves the missing partitions only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.config import SelectConfig
from ray_subsel.errors import InputError, invalid
from ray_subsel.greedi import LocalSolution, Reduced, local_budget, reduce_solutions, resolve_lam, solve_partition
from ray_subsel.objectives.base import Float64s
from ray_subsel.objectives.graph_cut import GraphCut, random_value
from ray_subsel.parts import PartFacts, read_partition, repartition, vectors_of
from ray_subsel.progress import Bar
from ray_subsel.rundir import RunDir
from ray_subsel.select import select
from ray_subsel.session import remote
from ray_subsel.vectors import ExactSum

FOLDER = "candidates"
CENTRALIZED_NUMBERS = 40_000_000
"""Centralized greedy is computed beside GreeDi, to report its share, up to this n * d: 160 MB of vectors."""

IN_PROCESS_NUMBERS = 20_000_000
"""Up to this n * d (80 MB of vectors) the driver solves the partitions itself: a worker takes a second to start."""


def candidates_name(partition: int) -> str:
    """Return the file of a partition's candidates."""
    return f"{FOLDER}/part-{partition:05d}.parquet"


@dataclass(frozen=True)
class Plan:
    """What selection is about to do, once the ground set is known.

    Attributes
    ----------
    n, d, k, m : int
        Ground set, dimension, budget, partitions.
    lam : float
    budget : int
        Candidates that each partition hands over.
    total : float64 array of shape (d,)
        t, the sum of all unit vectors.
    """

    n: int
    d: int
    k: int
    m: int
    lam: float
    budget: int
    total: Float64s


@dataclass(frozen=True)
class Choice:
    """The outcome of selection and what it is worth."""

    plan: Plan
    reduced: Reduced
    random_value: float
    centralized_value: float | None

    @property
    def lift_over_random(self) -> float | None:
        """Return (f - E f(random)) / |E f(random)|: above 0 is better than random; None where that is 0."""
        if self.random_value == 0:
            return None
        return (self.reduced.value - self.random_value) / abs(self.random_value)

    @property
    def share_of_centralized(self) -> float | None:
        """Return f over centralized greedy's f; None where that was not computed or is not above 0."""
        if self.centralized_value is None or self.centralized_value <= 0:
            return None
        return self.reduced.value / self.centralized_value

    @property
    def share_of_centralized_lift(self) -> float | None:
        """Return how far f has come from random's expectation toward centralized greedy's f; 1 is all the way.

        The figure to read where f is negative, which it is for large k, and a plain ratio says nothing.
        """
        if self.centralized_value is None or self.centralized_value == self.random_value:
            return None
        return (self.reduced.value - self.random_value) / (self.centralized_value - self.random_value)


def budget_of(config: SelectConfig, *, rows: int, items: int) -> tuple[int, str | None]:
    """Return k and, where it had to be lowered, a sentence that says so.

    A fraction is one of the *rows*, so that a subset with copies collapsed and one with copies kept, or a random one,
    have the same size: k = floor(fraction * rows), at least 1.
    """
    if config.k is not None:
        if config.k > items:
            raise invalid("k", f"be at most the number of items, {items}", config.k, "Equal texts are one item.")
        return config.k, None
    assert config.fraction is not None
    k = max(1, math.floor(config.fraction * rows + 1e-9))
    if k > items:
        warning = f"{k} of {rows} rows were asked for, but only {items} are distinct: all {items} are chosen."
        return items, warning
    return k, None


def make_plan(config: SelectConfig, facts: Sequence[PartFacts], k: int) -> Plan:
    """Reduce what the parts know of themselves to t and the sizes of the partitions."""
    m = config.partitions
    n = sum(fact.items for fact in facts)
    exact = ExactSum.zero(max(fact.dimension for fact in facts))
    for fact in facts:
        if fact.total is not None:
            exact = exact + fact.total
    sizes = [sum(fact.partition_items[partition] for fact in facts) for partition in range(m)]
    total = exact.vector()
    return Plan(n, len(total), k, m, resolve_lam(config.lam, n, k), local_budget(k, config.candidates, sizes), total)


def solve(run: RunDir, facts: Sequence[PartFacts], plan: Plan, partition: int) -> int:
    """Solve one partition and keep its candidates; return its number of items."""
    items = read_partition(run, facts, partition)
    solution = solve_partition(
        items.ids,
        items.vectors,
        partition=partition,
        total=plan.total,
        m=plan.m,
        budget=plan.budget,
        lam=plan.lam,
    )
    flat = pa.array(solution.vectors.reshape(-1))
    vectors = pa.FixedSizeListArray.from_arrays(flat, plan.d)
    table = pa.table({"id": pa.array(solution.ids, pa.int64()), "vector": vectors})
    run.write_table(candidates_name(partition), table)
    return len(items.ids)


def read_solution(run: RunDir, facts: Sequence[PartFacts], partition: int) -> LocalSolution:
    """Read back what :func:`solve` kept."""
    table = run.read_table(candidates_name(partition))
    items = sum(fact.partition_items[partition] for fact in facts)
    return LocalSolution(partition, table["id"].to_numpy().astype(np.int64), vectors_of(table["vector"]), items)


def partitioned(run: RunDir, facts: Sequence[PartFacts], config: SelectConfig) -> list[PartFacts]:
    """Return the facts of parts that are sorted by the partitions wanted, sorting again those that are not."""
    import ray

    stale = [fact.shard for fact in facts if not fact.sorted_by(config.partitions, config.seed)]
    if not stale:
        return list(facts)
    task = remote(repartition)
    fresh = ray.get([task.remote(run, s, partitions=config.partitions, seed=config.seed) for s in stale])
    renewed = {fact.shard: fact for fact in fresh}
    return [renewed.get(fact.shard, fact) for fact in facts]


def choose(run: RunDir, facts: Sequence[PartFacts], plan: Plan, *, bar: Bar) -> Choice:
    """Run both rounds: a Ray task a partition and one for the reducer, or in this process where that is quicker."""
    missing = [partition for partition in range(plan.m) if not run.exists(candidates_name(partition))]
    bar.advance(plan.m - len(missing))
    if plan.n * plan.d <= IN_PROCESS_NUMBERS:
        for partition in missing:
            solve(run, facts, plan, partition)
            bar.advance()
        return reduce(run, facts, plan)
    import ray

    shared = ray.put((list(facts), plan))
    _solve_on_ray(run, shared, missing, bar)
    choice: Choice = ray.get(remote(_reduce_shared).remote(run, shared))
    return choice


def _solve_on_ray(run: RunDir, shared: Any, missing: Sequence[int], bar: Bar) -> None:
    import ray

    task = remote(_solve_shared)
    pending: dict[Any, int] = {task.remote(run, shared, partition): partition for partition in missing}
    while pending:
        [done], _ = ray.wait(list(pending), num_returns=1)
        partition = pending.pop(done)
        try:
            ray.get(done)
        except ray.exceptions.RayTaskError:
            raise
        except ray.exceptions.RayError as error:
            raise InputError(
                f"partition {partition} could not be solved: its worker died again and again "
                f"({type(error).__name__}). Give it more memory or more --partitions, then run the same command again."
            ) from error
        bar.advance()


def _solve_shared(run: RunDir, shared: tuple[list[PartFacts], Plan], partition: int) -> int:
    facts, plan = shared
    return solve(run, facts, plan, partition)


def _reduce_shared(run: RunDir, shared: tuple[list[PartFacts], Plan]) -> Choice:
    facts, plan = shared
    return reduce(run, facts, plan)


def reduce(run: RunDir, facts: Sequence[PartFacts], plan: Plan) -> Choice:
    """Run round 2 on what the partitions kept, and tell what the answer is worth."""
    solutions = [read_solution(run, facts, partition) for partition in range(plan.m)]
    if sum(solution.items for solution in solutions) != plan.n:
        raise InputError(f"partitions must hold {plan.n} items together. Delete {run.path(FOLDER)} and run again.")
    reduced = reduce_solutions(solutions, total=plan.total, k=plan.k, lam=plan.lam)
    expected = random_value(plan.total, plan.n, plan.k, plan.lam)
    centralized = None
    if plan.m == 1:
        centralized = reduced.value
    elif plan.n * plan.d <= CENTRALIZED_NUMBERS:
        centralized = centralized_value(run, facts, plan)
    return Choice(plan, reduced, expected, centralized)


def centralized_value(run: RunDir, facts: Sequence[PartFacts], plan: Plan) -> float:
    """Return f of the exact greedy on the whole ground set."""
    parts = [read_partition(run, facts, partition) for partition in range(plan.m)]
    ids = np.concatenate([part.ids for part in parts])
    vectors = np.concatenate([part.vectors for part in parts])[np.argsort(ids, kind="stable")]
    return float(select(vectors, plan.k, objective=GraphCut(lam=plan.lam, total=plan.total)).value)
