"""What a selection will take - partitions, rounds, memory, time - told before it starts.

Letters: n ground set, d dimension, k budget, m partitions. Bytes are those of whole processes, Python and its
libraries (``BASE``) included. An item adds its float32 vector, the engine's working space of an eighth of that, and
some 200 bytes for ids, copies and gains.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ray_subsel.config import SelectConfig
from ray_subsel.core.byte_sizes import show_bytes
from ray_subsel.core.errors import DoesNotFitError, Verbatim, invalid
from ray_subsel.partitioned.reduction_tree import Tree, grow_tree
from ray_subsel.planning import policy
from ray_subsel.planning.machine import USABLE, Machine
from ray_subsel.planning.policy import runs_beside
from ray_subsel.stages.sampling import represented_size

BASE = 180 << 20
"""A worker that has imported what selection needs."""

DRIVER = 80 << 20
"""What the driver, which has started Ray and read the corpus, takes above a worker."""

ROW_BYTES = 200
ENGINE = 1.15
COMPACTED = 0.75
MERGE_COPIES = 3.0
POOL_BYTES = 200 << 20
POOL_ROWS = 6_144
FACILITY_BYTES = 340 << 20
"""What facility location remembers of its bounds, with what Python adds to it, and blocks of similarities."""


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
            f"work      {self.partitions:,} partitions, {self.processes:,} at a time, "
            f"{self.candidates:,} candidates, {self.rounds:,} rounds",
            f"memory    a worker {show_bytes(self.worker_bytes)}, the {reducer} {show_bytes(self.reducer_bytes)}",
            f"time      some {_show_seconds(self.seconds)} (rough)",
        ]


def plan_sizes(
    config: SelectConfig,
    machine: Machine,
    *,
    n: int,
    d: int,
    k: int,
    copies: bool = False,
    partitions: int | None = None,
    sizes: Sequence[int] | None = None,
) -> SelectionPlan:
    """Plan a selection.

    Parameters
    ----------
    n, d, k : int
        Items (or an upper bound of them), dimension, budget.
    copies : bool
        Whether equal vectors are items of their own: distinct ones are then copied together, at the cost of memory.
    partitions : int, optional
        How many; by default as ``config`` says or, where that leaves it open, as many as memory asks for.
    sizes : sequence of int, optional
        The items of each partition, where they are known; by default even ones with random's spread.

    Raises
    ------
    RoomError
        When it cannot fit; it says what would.
    """
    _check_room(machine)
    given = partitions if partitions is not None else config.partitions
    represented = represented_size(config, n, k)
    goal = partial(objective_bytes, config, d=d, represented=represented)

    def solver(items: int, m: int) -> int:
        picks = min(k, math.ceil(config.candidates * k / m))
        return solver_bytes(items, d, copies) + goal(items, picks, leaf=m > 1)

    def reduces(items: int) -> int:
        return reducer_bytes(items, d) + goal(items, k)

    if given is not None:
        m = given
    else:
        m = _exact_partitions(machine, n, d) if config.mode == "exact" else _auto_partitions(machine, n, solver)
    largest = max(sizes) if sizes is not None else spread(n, m)
    seconds = _seconds(config, n, d, k, m)
    if config.mode == "exact":
        return _exact(machine, n, d, k, m, seconds)
    worker = solver(largest, m)
    processes = _side_by_side(machine, m, worker, n)
    fan_in, tree = _shape(config, machine, sizes or _even(n, m), k, m, reduces)
    candidates = k if tree.rounds == 1 else tree.root.available
    reducer, alone = reduces(max(k, tree.most_reduced)), solver(n, 1)
    cheap = runs_beside(config.objective, n, d, k, represented, config.limited)
    beside = m > 1 and cheap and alone <= machine.for_one
    reducer = max(reducer, alone) if beside else reducer
    seconds = seconds / processes + (seconds if beside else 0.0)
    if policy.is_small(n, d):  # the driver does it all
        worker, reducer = worker + DRIVER, reducer + DRIVER
    return SelectionPlan(
        n, d, k, config.mode, m, processes, fan_in, candidates, tree.rounds, worker, reducer, beside, seconds
    )


def planned_k(config: SelectConfig, k: int) -> int:
    """Return the k to plan with: where only a budget limits it, a tenth of what there is, until costs are known."""
    return k if config.budget is None or config.k is not None or config.fraction is not None else max(1, k // 10)


def solver_bytes(items: int, d: int, copies: bool) -> int:
    """Return the peak of a process that runs the exact greedy on some items."""
    factor = ENGINE + (COMPACTED if copies else 0.0)
    return int(BASE + items * (4 * d * factor + ROW_BYTES))


def objective_bytes(
    config: SelectConfig, items: int, picks: int, *, d: int, represented: int, leaf: bool = False
) -> int:
    """Return what the objective takes beside the vectors, in a process that makes some picks from some items.

    Facility location: the sample twice and the memory of its bounds. Log-determinant: a row of d numbers a pick, twice.
    """
    if config.objective == "facility_location":
        shown = items if leaf and config.represent == "own" else represented
        return int(FACILITY_BYTES + 4 * d * (shown + represented) + 600 * items)
    if config.objective == "saturated_coverage":
        return int(POOL_BYTES // 4 + 4 * d * represented + 40 * represented)
    if config.objective == "log_determinant":
        return int(2 * 8 * (d + 1) * picks + 24 * items)
    return 0


def reducer_bytes(items: int, d: int) -> int:
    """Return the peak of a process that gathers candidates and chooses among them."""
    return int(BASE + items * (4 * d * MERGE_COPIES + ROW_BYTES))


def driver_bytes(d: int, k: int) -> int:
    """Return the peak of the driver of mode exact: pool, Gram matrix, bet."""
    return int(BASE + DRIVER + POOL_BYTES + POOL_ROWS * d * 40 + 32 * k)


def spread(n: int, m: int) -> int:
    """Return about the size of the largest of m random partitions: three deviations above the mean."""
    return n if m == 1 else min(n, math.ceil(n / m + 3 * math.sqrt(n / m)))


def _even(n: int, m: int) -> list[int]:
    return [n * (i + 1) // m - n * i // m for i in range(m)]


def _check_room(machine: Machine) -> None:
    if machine.for_one <= BASE:
        name = "memory available" if machine.limit is None else "memory_limit"
        way = f"A process takes {show_bytes(BASE)} before it holds anything; use a larger --memory-limit or machine."
        raise invalid(name, f"be above {show_bytes(BASE)}", Verbatim(show_bytes(machine.for_one)), way)


def _exact_partitions(machine: Machine, n: int, d: int) -> int:
    """Return the least number of partitions that memory asks for in mode exact, at least one for each CPU."""
    room = machine.for_one - BASE
    return min(n, max(machine.cpus, math.ceil(n * _held_row(d) / room * 1.05)))


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
    linear = config.objective == "graph_cut" and not config.limited
    other = "--mode exact, whose driver holds none of them, " if linear else ""
    raise _no_room(machine, max(k, tree.most_reduced), reduces(max(k, tree.most_reduced)), other)


def _no_room(machine: Machine, candidates: int, needed: int, other: str = "") -> DoesNotFitError:
    return DoesNotFitError(
        f"memory must hold the {candidates:,} candidates of the last reducer, {show_bytes(needed)}; a process may "
        f"use {show_bytes(machine.for_one)}. Use {other}a smaller k or --candidates, or a larger --memory-limit."
    )


def with_candidates(config: SelectConfig, machine: Machine, sizes: SelectionPlan, candidates: int) -> SelectionPlan:
    """Return sizes with what one reducer takes in once limits have told how much partitions hand over.

    Raises
    ------
    InputError
        When that cannot fit.
    """
    goal = objective_bytes(
        config, candidates, sizes.k, d=sizes.d, represented=represented_size(config, sizes.n, sizes.k)
    )
    reducer = reducer_bytes(candidates, sizes.d) + goal
    if reducer > machine.for_one:
        raise _no_room(machine, candidates, reducer)
    return replace(sizes, candidates=candidates, reducer_bytes=max(sizes.reducer_bytes, reducer))


def _narrower(m: int) -> list[int]:
    """Return fan-ins that make 2, 3, ... levels over m partitions."""
    return sorted({max(2, math.ceil(m ** (1 / height))) for height in range(2, m.bit_length() + 1)}, reverse=True)


def _held_row(d: int) -> float:
    return 4 * d * ENGINE + ROW_BYTES


def _exact(machine: Machine, n: int, d: int, k: int, m: int, seconds: float) -> SelectionPlan:
    room = machine.for_one - BASE
    processes = min(m, n, max(machine.cpus, math.ceil(n * _held_row(d) * 1.05 / room)))
    largest = min(n, math.ceil(m / processes) * spread(n, m))
    worker, driver = int(BASE + largest * _held_row(d)), driver_bytes(d, k)
    if policy.is_small(n, d):  # the driver keeps the rows itself
        driver += int(n * _held_row(d))
    together = processes * BASE + n * _held_row(d) + driver
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
    rounds = max(1, math.ceil(_passes(n, k, 10.0)))
    seconds /= min(processes, machine.cpus)
    return SelectionPlan(n, d, k, "exact", m, processes, max(2, m), pool, rounds, worker, driver, False, seconds)


def _passes(n: int, k: int, lam: float) -> float:
    """Return about how many rounds the exact greedy takes: long bets up to k = n / (2 + lam), short ones beyond."""
    easy = min(k, n / (2 + lam))
    return 4 + easy / 500 + (k - easy) / 40


def _seconds(config: SelectConfig, n: int, d: int, k: int, m: int) -> float:
    """Return a rough time on one CPU: 150 MB/s from disk, 36 operations a number and round at 10 GFlop/s.

    Facility location compares every item with the sample some times over, saturated coverage more often; the others
    read all vectors of a partition once a pick of its own, and so does graph cut under quotas or a budget.
    """
    reading = n * d * 4 / 1.5e8 + 1.0
    represented = represented_size(config, n, k)
    if represented:
        times = 2.0 if config.objective == "facility_location" else 8.0
        return reading + times * 2.0 * n * represented * d / 2e10
    lam = 10.0 if isinstance(config.lam, str) else config.lam
    if config.objective == "graph_cut" and not (config.grouped or config.budget is not None):
        return reading + _passes(n, k, lam) * n * d * 36 / 1e10
    return reading + min(k, config.candidates * k / m) * n * d * 2 / 4e9


def _show_seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
