"""The stage that selects: GreeDi with one Ray task a partition. The mathematics is in :mod:`ray_subsel.greedi`.

What a partition hands over is kept in ``candidates/part-<partition>.parquet`` (id, vector, in the order of the picks),
so a run that was killed solves the missing partitions only. Where one reducer could not hold all candidates, those of
some partitions are reduced first, level by level (:mod:`ray_subsel.tree`), into
``candidates/level-<level>-<node>.parquet``. Mode exact is :mod:`ray_subsel.keepers`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ray_subsel.certificate import Certificate, certify
from ray_subsel.config import SelectConfig
from ray_subsel.constraints import FREE
from ray_subsel.drawing import make_goal, random_value
from ray_subsel.errors import InputError, invalid
from ray_subsel.goals import REPRESENTING, Goal
from ray_subsel.greedi import (
    LocalSolution,
    Reduced,
    Rows,
    best_of,
    joined,
    merge_solutions,
    reduce_solutions,
    solve_partition,
)
from ray_subsel.hashing import partition_of
from ray_subsel.limiting import FREE as MAY
from ray_subsel.limiting import OUT, Limits, limited_rows
from ray_subsel.memory import peak_bytes, start_peak
from ray_subsel.objectives import GraphCut
from ray_subsel.objectives.base import Float64s, Indices
from ray_subsel.optimizers.base import Problem
from ray_subsel.parts import METADATA, PartFacts, part_name, read_partition, read_partitions, repartition, vectors_of
from ray_subsel.progress import Bar
from ray_subsel.rundir import RunDir
from ray_subsel.tasks import Work, done_on_ray
from ray_subsel.tree import Node, Tree, grow_tree, two_rounds
from ray_subsel.vectors import ExactSum

FOLDER = "candidates"
CENTRALIZED_NUMBERS = 40_000_000
"""Centralized greedy is computed beside GreeDi, to report its share, up to this n * d: 160 MB of vectors."""

CENTRALIZED_PRODUCTS = 500_000_000_000
"""The same for other objectives, up to so many multiplications."""

CERTIFIED_NUMBERS = 4_000_000
"""Up to this n * d the answer comes with a certificate, which takes up to a hundred passes over the vectors."""

IN_PROCESS_NUMBERS = 20_000_000
"""Up to this n * d (80 MB of vectors) the driver solves the partitions itself: a worker takes a second to start."""

WAY_OUT = "Give it more memory or more --partitions"
"""Where a worker of this stage is lost again and again."""


def is_small(n: int, d: int) -> bool:
    """Tell whether the driver solves a ground set itself."""
    return n * d <= IN_PROCESS_NUMBERS


def candidates_name(partition: int) -> str:
    """Return the file of a partition's candidates."""
    return f"{FOLDER}/part-{partition:05d}.parquet"


def node_name(node: Node) -> str:
    """Return the file of what a node of the tree hands over."""
    if node.level == 0:
        return candidates_name(node.number)
    return f"{FOLDER}/level-{node.level:02d}-{node.number:05d}.parquet"


@dataclass(frozen=True)
class Plan:
    """What selection is about to do, once the ground set is known.

    Attributes
    ----------
    n, d, k, m : int
        Ground set, dimension, budget, partitions. Where costs limit the answer, k is a bound.
    goal : Goal
        What is maximized.
    budget : int
        The most candidates that a partition hands over.
    total : float64 array of shape (d,)
        t, the sum of all unit vectors.
    seed : int
        Of the random partition.
    tree : Tree
        Who reduces what.
    limits : Limits or None
        Whatever else than k limits the answer.
    """

    n: int
    d: int
    k: int
    m: int
    goal: Goal
    budget: int
    total: Float64s
    seed: int
    tree: Tree
    limits: Limits | None = None

    @property
    def given(self) -> Rows | None:
        """Items that must be chosen."""
        return None if self.limits is None else self.limits.given

    @property
    def here(self) -> bool:
        """Whether this process does it all: it is done before a worker has started."""
        return is_small(self.n, self.d)


@dataclass(frozen=True)
class Choice:
    """The outcome of selection and what it is worth.

    Attributes
    ----------
    plan : Plan
    reduced : Reduced
    random_value : float
        f of as many random items: expected, or where there is no formula for it of one draw.
    centralized_value : float or None
        f of the exact greedy on the whole ground set, where that was computed.
    rounds : int
        Of GreeDi, one after the other; in mode exact those of the exact greedy.
    peak_bytes : int or None
        The largest resident memory of any process that selected.
    certificate : Certificate or None
        How far the answer can be from the best subset, on ground sets of up to ``CERTIFIED_NUMBERS``.
    """

    plan: Plan
    reduced: Reduced
    random_value: float
    centralized_value: float | None
    rounds: int = 1
    peak_bytes: int | None = None
    certificate: Certificate | None = None

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
    have the same size: k = floor(fraction * rows), at least 1. Where only a budget limits the answer, k is all items.
    """
    if config.k is not None:
        if config.k > items:
            raise invalid("k", f"be at most the number of items, {items}", config.k, "Equal texts are one item.")
        return config.k, None
    if config.fraction is None:
        return items, None
    k = max(1, math.floor(config.fraction * rows + 1e-9))
    if k > items:
        warning = f"{k} of {rows} rows were asked for, but only {items} are distinct: all {items} are chosen."
        return items, warning
    return k, None


def make_plan(
    run: RunDir, config: SelectConfig, facts: Sequence[PartFacts], k: int, limits: Limits | None = None
) -> Plan:
    """Reduce what the parts know of themselves to t, what is maximized and the sizes of the partitions."""
    m = len(facts[0].partition_items) if config.partitions is None else config.partitions
    n = sum(fact.items for fact in facts)
    exact = ExactSum.zero(max(fact.dimension for fact in facts))
    for fact in facts:
        if fact.total is not None:
            exact = exact + fact.total
    sizes = [sum(fact.partition_items[partition] for fact in facts) for partition in range(m)]
    total = exact.vector()
    goal = make_goal(run, facts, config, k=k, total=total, here=is_small(n, len(total)))
    fan_in = max(2, m) if config.fan_in is None else config.fan_in
    k = k if limits is None else limits.rules.k
    if limits is None or m == 1:
        tree = grow_tree(sizes, k=k, c=config.candidates, fan_in=fan_in)
    elif limits.shares is None:
        tree = grow_tree(limits.free, k=limits.room_left(), c=config.candidates, fan_in=fan_in)
    else:
        tree = two_rounds(limits.free, [share.k for share in limits.shares], k=k)
    budget = max(node.budget for node in tree.levels[0])
    return Plan(n, len(total), k, m, goal, budget, total, config.seed, tree, limits)


def solve(run: RunDir, facts: Sequence[PartFacts], plan: Plan, partition: int) -> int:
    """Solve one partition and keep its candidates; return its number of items."""
    if plan.limits is None:
        items = read_partition(run, facts, partition)
        rows, state = Rows(items.ids, items.vectors), None
    else:
        rows, state = limited_rows(run, facts, partition)
    if plan.m == 1 and plan.limits is not None and state is not None:
        solution = _solve_whole(plan, plan.limits, rows.take(state != OUT))
    else:
        shares = None if plan.limits is None else plan.limits.shares
        solution = solve_partition(
            rows if state is None else rows.take(state == MAY),
            partition=partition,
            goal=plan.goal,
            m=plan.m,
            budget=plan.budget if shares is None else shares[partition].k,
            bounds=FREE if shares is None else shares[partition].bounds,
            given=plan.given,
        )
    n = len(rows.ids)  # items that may not be chosen count, too: none is lost
    _keep(run, candidates_name(partition), dataclasses.replace(solution, items=n))
    return n


def _solve_whole(plan: Plan, limits: Limits, rows: Rows) -> LocalSolution:
    """Choose the answer itself in the only partition."""
    include = np.searchsorted(rows.ids, limits.given.ids)
    chosen = best_of(rows, min(plan.k, len(rows.ids)), plan.goal.whole(), limits.rules.bounds, include)
    return LocalSolution(0, rows.take(chosen.indices), len(rows.ids))


def merge(run: RunDir, facts: Sequence[PartFacts], plan: Plan, node: Node) -> None:
    """Reduce what the nodes below one node of the tree handed over, and keep its candidates."""
    below = plan.tree.levels[node.level - 1]
    solutions = [read_node(run, facts, below[child]) for child in node.children]
    share = node.members / plan.m
    solution = merge_solutions(
        solutions, node=node.number, goal=plan.goal, share=share, budget=node.budget, given=plan.given
    )
    _keep(run, node_name(node), solution)


def _keep(run: RunDir, name: str, solution: LocalSolution) -> None:
    rows = solution.rows
    flat = pa.array(rows.vectors.reshape(-1))
    columns = {
        "id": pa.array(rows.ids, pa.int64()),
        "vector": pa.FixedSizeListArray.from_arrays(flat, rows.vectors.shape[1]),
    }
    if rows.groups is not None and rows.costs is not None:
        columns |= {"group": pa.array(rows.groups, pa.int64()), "cost": pa.array(rows.costs, pa.float64())}
    about = {METADATA: f"{solution.items} {len(rows.ids)}".encode()}
    run.write_table(name, pa.table(columns).replace_schema_metadata(about))


def read_node(run: RunDir, facts: Sequence[PartFacts], node: Node) -> LocalSolution:
    """Read back what a partition, or a reducer above some, kept, and check that it comes of all their items."""
    table = run.read_table(node_name(node))
    items, candidates = (int(one) for one in (table.schema.metadata or {}).get(METADATA, b"0 0").split())
    expected = sum(sum(fact.partition_items[node.first : node.first + node.members]) for fact in facts)
    if items != expected or candidates != table.num_rows:
        raise InputError(
            f"{run.path(node_name(node))} must hold the {candidates} candidates of {expected} items; got "
            f"{table.num_rows} of {items}. Delete it and run the same command again."
        )
    known = "group" in table.column_names
    rows = Rows(
        table["id"].to_numpy().astype(np.int64),
        vectors_of(table["vector"]),
        table["group"].to_numpy().astype(np.int64) if known else None,
        table["cost"].to_numpy() if known else None,
    )
    return LocalSolution(node.number, rows, items)


def partitioned(run: RunDir, facts: Sequence[PartFacts], config: SelectConfig) -> list[PartFacts]:
    """Return the facts of parts that are sorted by the partitions wanted, sorting again those that are not."""
    partitions = len(facts[0].partition_items) if config.partitions is None else config.partitions
    stale = [fact for fact in facts if not fact.sorted_by(partitions, config.seed)]
    names = [part_name(fact.shard, fact.folder) for fact in stale]
    works = [Work(name, f"{run.path(name)} could not be sorted by partitions", WAY_OUT) for name in names]
    done = done_on_ray(repartition, (run, partitions, config.seed), list(zip(stale, works, strict=True)), run)
    renewed = {fact.shard: fresh for fact, fresh, _ in done}
    return [renewed.get(fact.shard, fact) for fact in facts]


def choose(
    run: RunDir, facts: Sequence[PartFacts], plan: Plan, *, bar: Bar, processes: int | None = None, beside: bool = True
) -> Choice:
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
        for node, _, peak in done_on_ray(_solve_node, shared, works, run, at_a_time=processes):
            peaks.append(peak)
            if node.level == 0:
                bar.advance()
    last = Work(f"{FOLDER}/last", "the last round could not be solved", WAY_OUT)
    choice: Choice
    [(_, choice, peak)] = done_on_ray(reduce, shared, [(beside, last)], run)
    return dataclasses.replace(choice, peak_bytes=max(peak, *peaks))


def _solve_node(run: RunDir, facts: Sequence[PartFacts], plan: Plan, node: Node) -> None:
    if node.level == 0:
        solve(run, facts, plan, node.number)
    else:
        merge(run, facts, plan, node)


def _work(node: Node) -> Work:
    one = f"partition {node.number}"
    what = one if node.level == 0 else f"partitions {node.first} to {node.first + node.members - 1}"
    return Work(node_name(node), f"{what} could not be solved", WAY_OUT)


def reduce(run: RunDir, facts: Sequence[PartFacts], plan: Plan, beside: bool = True) -> Choice:
    """Run the last round on what the level below kept, and tell what the answer is worth."""
    below = plan.tree.levels[max(0, plan.tree.rounds - 2)]
    solutions = [read_node(run, facts, node) for node in below]
    if sum(solution.items for solution in solutions) != plan.n:
        raise InputError(f"partitions must hold {plan.n} items together. Delete {run.path(FOLDER)} and run again.")
    bounds = FREE if plan.limits is None else plan.limits.rules.bounds
    reduced = reduce_solutions(solutions, goal=plan.goal, k=plan.k, bounds=bounds, given=plan.given)
    reduced = dataclasses.replace(reduced, partitions=partition_of(reduced.ids, plan.m, plan.seed))
    _check_limits(plan, reduced)
    expected = random_value(run, facts, plan.goal, len(reduced.ids), seed=plan.seed, here=True)
    centralized = None
    if plan.m == 1:
        centralized = reduced.value
    elif beside:
        centralized = centralized_value(run, facts, plan)
    proof = None
    if plan.goal.name == GraphCut.name and plan.limits is None and plan.n * plan.d <= CERTIFIED_NUMBERS:
        proof = certificate(run, facts, plan, reduced.ids)
    return Choice(plan, reduced, expected, centralized, plan.tree.rounds, certificate=proof)


def _check_limits(plan: Plan, reduced: Reduced) -> None:
    """Make sure of what the mathematics promises: nothing else tells a user that a must-include is missing."""
    ids = reduced.ids
    assert len(np.unique(ids)) == len(ids)
    given = plan.given
    assert given is None or np.array_equal(ids[: len(given.ids)], given.ids)
    assert len(ids) == plan.k or (plan.limits is not None and plan.limits.rules.bounds.budget is not None)


def certificate(run: RunDir, facts: Sequence[PartFacts], plan: Plan, ids: Indices) -> Certificate:
    """Bound how far the chosen items are from the best subset of their number."""
    items = read_partitions(run, facts, range(plan.m))
    problem = Problem(X=items.vectors, objective=plan.goal.whole(), k=plan.k)
    return certify(problem, np.searchsorted(items.ids, ids))


def centralized_value(run: RunDir, facts: Sequence[PartFacts], plan: Plan) -> float:
    """Return f of the exact greedy on the whole ground set, under the same limits."""
    if plan.limits is None:
        items = read_partitions(run, facts, range(plan.m))
        return float(best_of(Rows(items.ids, items.vectors), plan.k, plan.goal.whole()).value)
    pieces = []
    for partition in range(plan.m):
        rows, state = limited_rows(run, facts, partition)
        pieces.append(rows.take(state != OUT))
    rows = joined(pieces)
    include = np.searchsorted(rows.ids, plan.limits.given.ids)
    k = min(plan.k, len(rows.ids))
    return float(best_of(rows, k, plan.goal.whole(), plan.limits.rules.bounds, include).value)


def runs_beside(objective: str, n: int, d: int, k: int, represented: int, limited: bool) -> bool:
    """Tell whether the centralized greedy is cheap enough to be run beside GreeDi, for its share to be told."""
    if n * d > CENTRALIZED_NUMBERS:
        return False
    if objective in REPRESENTING:
        return n * represented * d <= CENTRALIZED_PRODUCTS
    if objective != GraphCut.name or limited:  # one pass over the vectors a pick
        return n * k * d <= CENTRALIZED_PRODUCTS
    return True
