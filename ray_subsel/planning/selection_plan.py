"""Plan a selection before it starts: partitions, rounds, memory, time.

Letters: n ground set, d dimension, k number to choose, m partitions. Bytes are those of whole processes
(:mod:`ray_subsel.planning.memory_model`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ray_subsel.config import SelectConfig
from ray_subsel.core.byte_sizes import show_bytes
from ray_subsel.core.errors import DoesNotFitError, Verbatim, invalid
from ray_subsel.core.numeric import counted
from ray_subsel.objectives import Objective, ProblemSize
from ray_subsel.objectives.represented import DENSE_BYTES
from ray_subsel.partitioned.reduction_tree import Tree, grow_tree
from ray_subsel.planning.machine import USABLE, Machine
from ray_subsel.planning.memory_model import (
    BASE,
    DRIVER,
    POOL_ROWS,
    ProcessBytes,
    driver_bytes,
    held_row_bytes,
    reducer_bytes,
    solver_bytes,
    spread,
)
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy

DISK_BYTES = 1.5e8
"""Of vectors that are read in a second."""

RANK_BYTES = 100
"""Of an item whose score is ranked (measured)."""
LEAST_REPRESENTED = 10_000
REPRESENTED_PER_PICK = 4


@dataclass(frozen=True)
class SelectionPlan:
    """What a selection will take.

    Attributes
    ----------
    n, d, k : int
    mode : str
    partitions : int
    processes : int
        That work at the same time; those that hold the rows in mode exact.
    fan_in : int
        Nodes that one reducer takes in; ``partitions``, or 2 where there is one, for the plain two rounds.
    candidates : int
        Items that the last reducer chooses from; in mode exact those that the driver pools at most.
    rounds : int
        In mode exact an estimate.
    worker_bytes, reducer_bytes : int
        Predicted peaks of a process that solves or holds partitions, and of one that reduces or drives.
    beside : bool
        Whether the centralized greedy's f is computed too, as is done for small ground sets that fit into one process.
    seconds : float
        A rough guess, from the rows on disk to the choice.
    """

    n: int
    d: int
    k: int
    mode: str
    partitions: int
    processes: int
    fan_in: int
    candidates: int
    rounds: int
    worker_bytes: int
    reducer_bytes: int
    beside: bool
    seconds: float

    @property
    def predicted_peak_bytes(self) -> int:
        """The largest process."""
        return max(self.worker_bytes, self.reducer_bytes)

    def lines(self) -> list[str]:
        """Return the plan as it is printed."""
        reducer = "driver" if self.mode == "exact" else "reducer"
        return [
            f"plan      {self.k:,} of at most {self.n:,} items, {self.d} dimensions, mode {self.mode}",
            f"work      {counted(self.partitions, 'partition')}, {self.processes:,} at a time, "
            f"{self.candidates:,} candidates, {counted(self.rounds, 'round')}",
            f"memory    a worker {show_bytes(self.worker_bytes)}, the {reducer} {show_bytes(self.reducer_bytes)}",
        ]


def plan_sizes(
    config: SelectConfig,
    machine: Machine,
    *,
    n: int,
    d: int,
    k: int,
    copies: bool = False,
    policy: Policy = DEFAULT_POLICY,
) -> SelectionPlan:
    """Plan a selection: as many partitions as ``config`` says or, where that leaves it open, as memory asks for.

    Parameters
    ----------
    n, d, k : int
        Items (or an upper bound of them), dimension, number to choose.
    copies : bool
        Whether equal vectors are items of their own: distinct ones are then copied together, at the cost of memory.
    policy : Policy

    Raises
    ------
    DoesNotFitError
        When it cannot fit; it says what would.
    """
    _check_room(machine)
    if config.by_clusters:
        return _by_clusters(config, machine, n, d, k, policy)
    objective, size = config.objective_of(n, k), _problem_size(config, n, d, k)
    peaks = ProcessBytes(objective, size, config.candidates, config.represent == "own", copies)
    if config.partitions is not None:
        m = config.partitions
    else:
        m = _exact_partitions(machine, n, d) if config.mode == "exact" else _auto_partitions(machine, n, peaks.solver)
    if config.mode == "exact":
        return _exact(machine, size, m, objective, policy)
    seconds = _seconds(config, objective, size, m)
    worker = peaks.solver(spread(n, m), m)
    processes = _side_by_side(machine, m, worker, n)
    if policy.is_small(n, d):  # one after the other, in the driver
        processes = 1
    fan_in, tree = _shape(config, machine, _even(n, m), k, m, peaks.reducer)
    candidates = k if tree.rounds == 1 else tree.root.available
    reducer, alone = peaks.reducer(max(k, tree.most_reduced)), peaks.solver(n, 1)
    cheap = policy.runs_beside(objective, replace(size, constrained=config.limited))
    beside = m > 1 and cheap and alone <= machine.for_one
    reducer = max(reducer, alone) if beside else reducer
    seconds = seconds / processes + (seconds if beside else 0.0)
    if policy.is_small(n, d):  # the driver does it all
        worker, reducer = worker + DRIVER, reducer + DRIVER
    return SelectionPlan(
        n, d, k, config.mode, m, processes, fan_in, candidates, tree.rounds, worker, reducer, beside, seconds
    )


def with_ranks(sizes: SelectionPlan) -> SelectionPlan:
    """Return the sizes of a selection whose driver also ranks the scores of all items."""
    ranking = BASE + DRIVER + RANK_BYTES * sizes.n
    return replace(sizes, reducer_bytes=max(sizes.reducer_bytes, ranking))


def with_queries(sizes: SelectionPlan, queries: int) -> SelectionPlan:
    """Return the sizes of a selection whose workers also hold a target's queries, and similarities to them."""
    held = 16 * queries * sizes.d + min(DENSE_BYTES, 4 * queries * min(sizes.n, math.isqrt(DENSE_BYTES // 4)))
    return replace(sizes, worker_bytes=sizes.worker_bytes + held, reducer_bytes=sizes.reducer_bytes + held)


def planned_k(config: SelectConfig, k: int) -> int:
    """Return the k to plan with: where only a budget limits it, a tenth of what there is, until costs are known."""
    return k if config.budget is None or config.k is not None or config.fraction is not None else max(1, k // 10)


def represented_size(config: SelectConfig, n: int, k: int) -> int:
    """Return the size of the reference sample: as asked, else 4 k and at least 10,000; all of a smaller ground set."""
    if not config.objective_class.needs_reference:
        return 0
    asked = config.represented
    return min(n, max(LEAST_REPRESENTED, REPRESENTED_PER_PICK * k) if asked is None else asked)


def _problem_size(config: SelectConfig, n: int, d: int, k: int) -> ProblemSize:
    reference = represented_size(config, n, k)
    return ProblemSize(n, k, d, reference, reference, config.grouped or config.budget is not None)


def _even(n: int, m: int) -> list[int]:
    return [n * (i + 1) // m - n * i // m for i in range(m)]


def _check_room(machine: Machine) -> None:
    if machine.for_one <= BASE:
        name = "memory available" if machine.limit is None else "memory_limit"
        way = f"A process takes {show_bytes(BASE)} before it holds anything; use a larger --memory-limit or machine."
        raise invalid(name, f"be above {show_bytes(BASE)}", Verbatim(show_bytes(machine.for_one)), way)


def _exact_partitions(machine: Machine, n: int, d: int) -> int:
    """Return the least number of partitions that memory asks for in mode exact, at least one for each CPU."""
    available = machine.for_one - BASE
    return min(n, max(machine.cpus, math.ceil(n * held_row_bytes(d) / available * 1.05)))


def _auto_partitions(machine: Machine, n: int, solver: Callable[[int, int], int]) -> int:
    """Return the least number of partitions that memory asks for; ``solver`` tells the bytes of items in one of m."""
    if solver(n, 1) <= machine.for_one:
        return 1

    def fits(m: int) -> bool:
        return solver(spread(n, m), m) <= machine.for_each(min(m, machine.cpus))

    low, high = 1, 2
    while not fits(high):
        if high >= n:
            raise DoesNotFitError(
                f"memory must hold {machine.cpus} workers of {show_bytes(BASE)} each and their rows; there is "
                f"{show_bytes(machine.available)}. Use fewer CPUs or a machine with more memory."
            )
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return min(n, -(-high // machine.cpus) * machine.cpus)


def _side_by_side(machine: Machine, m: int, worker: int, n: int) -> int:
    """Return how many partitions are solved at the same time."""
    if worker > machine.for_one:
        row = (worker - BASE) / spread(n, m)
        least = math.ceil(n * row * 1.05 / (machine.for_one - BASE))
        raise invalid(
            "partitions",
            f"be at least about {max(least, m + 1)} for a worker to fit into {show_bytes(machine.for_one)}",
            m,
            f"A worker would take {show_bytes(worker)}. Leave --partitions out to have it chosen.",
            DoesNotFitError,
        )
    return max(1, min(m, machine.cpus, int(USABLE * machine.available / worker)))


def _shape(
    config: SelectConfig, machine: Machine, sizes: Sequence[int], k: int, m: int, reduces: Callable[[int], int]
) -> tuple[int, Tree]:
    """Return the fan-in, that of the fewest rounds whose reducers fit, and its tree."""
    fans = [config.fan_in] if config.fan_in is not None else [max(2, m), *_narrower(m)]
    for fan_in in fans:
        tree = grow_tree(sizes, k=k, c=config.candidates, fan_in=fan_in)
        if reduces(max(k, tree.most_reduced)) <= machine.for_one:
            return fan_in, tree
    exact = config.objective_class.exact_over_partitions and not config.limited
    other = "--mode exact, whose driver holds none of them, " if exact else ""
    raise _no_room(machine, max(k, tree.most_reduced), reduces(max(k, tree.most_reduced)), other)


def _no_room(machine: Machine, candidates: int, needed: int, other: str = "") -> DoesNotFitError:
    return DoesNotFitError(
        f"memory must hold the {candidates:,} candidates of the last reducer, {show_bytes(needed)}; a process may "
        f"use {show_bytes(machine.for_one)}. Use {other}a smaller k or --candidates, or a larger --memory-limit."
    )


def with_candidates(config: SelectConfig, machine: Machine, sizes: SelectionPlan, candidates: int) -> SelectionPlan:
    """Return sizes with what one reducer takes in once constraints say how much partitions hand over.

    Raises
    ------
    InputError
        When that cannot fit.
    """
    size = replace(_problem_size(config, sizes.n, sizes.d, sizes.k), items=candidates)
    reducer = reducer_bytes(candidates, sizes.d) + config.objective_of(sizes.n, sizes.k).memory_bytes(size)
    if reducer > machine.for_one:
        raise _no_room(machine, candidates, reducer)
    return replace(sizes, candidates=candidates, reducer_bytes=max(sizes.reducer_bytes, reducer))


def _narrower(m: int) -> list[int]:
    """Return fan-ins that make 2, 3, ... levels over m partitions."""
    return sorted({max(2, math.ceil(m ** (1 / height))) for height in range(2, m.bit_length() + 1)}, reverse=True)


def _exact(machine: Machine, size: ProblemSize, m: int, objective: Objective[Any], policy: Policy) -> SelectionPlan:
    n, d, k = size.items, size.d, size.picks
    available = machine.for_one - BASE
    processes = min(m, n, max(machine.cpus, math.ceil(n * held_row_bytes(d) * 1.05 / available)))
    largest = min(n, math.ceil(m / processes) * spread(n, m))
    worker, driver = int(BASE + largest * held_row_bytes(d)), driver_bytes(d, k)
    if policy.is_small(n, d):  # the driver keeps the rows itself
        driver += int(n * held_row_bytes(d))
    together = processes * BASE + n * held_row_bytes(d) + driver
    if worker > machine.for_one:
        raise invalid(
            "partitions",
            f"be more for a worker to fit into {show_bytes(machine.for_one)}",
            m,
            f"A worker would take {show_bytes(worker)}. Leave --partitions out to have it chosen.",
            DoesNotFitError,
        )
    if driver > machine.for_one or together > USABLE * machine.available:
        raise DoesNotFitError(
            f"memory must hold all vectors in mode exact, {show_bytes(together)} in {processes} processes and at most "
            f"{show_bytes(machine.for_one)} in one; there is {show_bytes(USABLE * machine.available)} to use. "
            "Use --mode greedi, which holds one partition a CPU, or more machines."
        )
    pool = min(n, POOL_ROWS)
    rounds = max(1, math.ceil(objective.rounds(size)))
    beside = 1 if policy.is_small(n, d) else min(processes, machine.cpus)
    seconds = n * d * 4 / DISK_BYTES / beside + objective.exact_seconds(size, beside)
    return SelectionPlan(n, d, k, "exact", m, processes, max(2, m), pool, rounds, worker, driver, False, seconds)


def _by_clusters(config: SelectConfig, machine: Machine, n: int, d: int, k: int, policy: Policy) -> SelectionPlan:
    """Plan tasks that read a partition of whole clusters each, and hold the similarities of one at a time."""
    objective = config.objective_of(n, k)
    usual = objective.cluster_items(n)
    largest = n if usual is None else min(n, 2 * usual)
    block = objective.memory_bytes(ProblemSize(largest, min(k, largest), d, represented=largest))

    def worker(m: int) -> int:
        items = n if m == 1 else min(n, math.ceil(n / m) + largest)
        return solver_bytes(items, d, copies=False) + block

    clusters = 1 if usual is None else math.ceil(n / usual)
    if usual is None:
        m = 1
    elif config.partitions is not None:
        m = min(config.partitions, clusters)
    else:
        m = min(clusters, max(1, math.ceil(n * d / policy.bucket_numbers)))
        while m < clusters and worker(m) > machine.for_each(min(m, machine.cpus)):
            m = min(clusters, 2 * m)
    processes = 1 if policy.is_small(n, d) else _side_by_side(machine, m, worker(m), n)
    offered = math.ceil(1.5 * k) + 16 * clusters
    merging, solving = BASE + DRIVER + 200 * offered, worker(m)
    if policy.is_small(n, d):
        solving, merging = solving + DRIVER, max(merging, solving + DRIVER)
    compared = ProblemSize(
        n, math.ceil(k / clusters), d, reference=n if usual is None else usual, constrained=config.limited
    )
    seconds = n * d * 4 / DISK_BYTES + objective.seconds(compared)
    return SelectionPlan(
        n, d, k, "clusters", m, processes, max(2, m), offered, 1, solving, merging, False, seconds / processes
    )


def _seconds(config: SelectConfig, objective: Objective[Any], size: ProblemSize, m: int) -> float:
    """Return a rough time on one CPU: 150 MB/s from disk, then what the objective says of all partitions together."""
    picks = size.picks
    if size.constrained or not objective.exact_over_partitions:  # else rounds over all partitions, for k picks
        picks = min(picks, math.ceil(config.candidates * picks / m))
    return size.items * size.d * 4 / DISK_BYTES + objective.seconds(replace(size, picks=picks))
