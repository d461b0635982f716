"""Run the exact greedy on Ray: actors keep the partitions' vectors, this process drives the rounds.

An actor that is lost is started again, reads its partitions again and is asked again; a question brings everything that
its answer depends on. Every so often the picks so far are kept in ``candidates/exact.parquet``, from which a run that
was killed goes on.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.core.errors import InputError
from ray_subsel.core.hashing import partition_of
from ray_subsel.objectives.graph_cut import ScaledGraphCut
from ray_subsel.partitioned.exact_greedy import (
    DraftRequest,
    GreedyCheckpoint,
    LocalPool,
    Proposal,
    ProposalRequest,
    RowShard,
    exact_greedy,
)
from ray_subsel.partitioned.greedi import GreediResult
from ray_subsel.planning import policy
from ray_subsel.runtime.peak_memory import peak_bytes, start_peak
from ray_subsel.runtime.progress import Bar
from ray_subsel.runtime.tasks import TaskSpec, result_of
from ray_subsel.stages.selection_job import FOLDER, HINT, SelectionJob, SelectionOutcome
from ray_subsel.storage.embedding_store import ShardMeta, read_partitions
from ray_subsel.storage.run_directory import RunDir

STANDING = f"{FOLDER}/exact.parquet"
ATTEMPTS = 3
KEEP_SECONDS = 20.0
_CHOSEN = b"ray_subsel.chosen"
_ROUNDS = b"ray_subsel.rounds"


def choose_exactly(
    run: RunDir, facts: Sequence[ShardMeta], plan: SelectionJob, *, bar: Bar, processes: int
) -> SelectionOutcome:
    """Pick what the centralized greedy would, with at most ``processes`` actors that keep the vectors.

    Progress is told in items. Raises InputError where the same actor is lost again and again.
    """
    goal = plan.goal
    assert isinstance(goal, ScaledGraphCut), "the configuration refuses other objectives in this mode"
    begin = read_checkpoint(run, plan)
    bar.advance(begin.ids.size)
    book = CheckpointWriter(run, bar, begin.ids.size, time.monotonic())
    start_peak()
    if policy.is_small(plan.n, plan.d):
        holding = load_holding(run, facts, range(plan.m))
        _check_items(run, holding.items, plan)
        here = LocalPool([holding])
        at = exact_greedy(here, total=plan.total, k=plan.k, lam=goal.lam, begin=begin, after_round=book.after_round)
        peak = peak_bytes()
    else:
        with actor_pool(run, facts, plan, processes) as fleet:
            at = exact_greedy(
                fleet, total=plan.total, k=plan.k, lam=goal.lam, begin=begin, after_round=book.after_round
            )
            peak = max(peak_bytes(), *fleet.peaks())
    write_checkpoint(run, at)
    value = math.fsum(at.gains)
    where = partition_of(at.ids, plan.m, plan.seed)
    reduced = GreediResult(at.ids, where, at.gains, value, max(at.pool, plan.k), None, "exact")
    expected = goal.random_value(plan.n, plan.k)
    return SelectionOutcome(plan, reduced, expected, value, at.rounds, peak)


def load_holding(run: RunDir, facts: Sequence[ShardMeta], partitions: Sequence[int]) -> RowShard:
    """Read some partitions."""
    items = read_partitions(run, facts, partitions)
    return RowShard(items.ids, items.vectors)


def _check_items(run: RunDir, found: int, plan: SelectionJob) -> None:
    """Stop where the partitions that were read are not the whole ground set."""
    if found != plan.n:
        raise InputError(
            f"partitions in {run.path()} must hold {plan.n} items together; got {found}. Run again with --overwrite."
        )


class ShardActor:
    """An actor. It reads its partitions when it is first asked, so that an unreadable one is an error that arrives."""

    def __init__(self, run: RunDir, facts: list[ShardMeta], partitions: list[int]) -> None:
        self._load = (run, facts, partitions)
        self._holding: RowShard | None = None

    def _ready(self) -> RowShard:
        if self._holding is None:
            start_peak()
            self._holding = load_holding(*self._load)
        return self._holding

    def load(self) -> int:
        """Read the partitions and return their number of items."""
        return self._ready().items

    def offer(self, ask: ProposalRequest) -> Proposal:
        """Answer the first question of a round."""
        return self._ready().offer(ask)

    def first_spoiled(self, bet: DraftRequest, mine: int) -> int:
        """Answer the second question of a round."""
        return self._ready().first_spoiled(bet, mine)

    def peak(self) -> int:
        """Return the peak of this process in bytes."""
        return peak_bytes()


@dataclass(frozen=True)
class ActorPool:
    """A fleet of Ray actors.

    Attributes
    ----------
    handles : list of actor handles
    partitions : list of lists of int
        What each keeps.
    """

    handles: list[Any]
    partitions: list[list[int]]

    @property
    def holdings(self) -> int:
        """How many."""
        return len(self.handles)

    def load(self) -> int:
        """Have every actor read its partitions and return the number of items of all."""
        return sum(self._all([handle.load.remote() for handle in self.handles]))

    def offers(self, ask: ProposalRequest) -> list[Proposal]:
        """Return every actor's offer."""
        import ray

        shared = ray.put(ask)
        return self._all([handle.offer.remote(shared) for handle in self.handles])

    def spoiled(self, bet: DraftRequest) -> list[int]:
        """Return every actor's first spoiled turn."""
        import ray

        shared = ray.put(bet)
        return self._all([handle.first_spoiled.remote(shared, mine) for mine, handle in enumerate(self.handles)])

    def peaks(self) -> list[int]:
        """Return the peak of every actor in bytes."""
        return self._all([handle.peak.remote() for handle in self.handles])

    def _all(self, answers: list[Any]) -> list[Any]:
        """Return all answers; name the partitions of an actor that cannot be brought back."""
        works = [_work(partitions) for partitions in self.partitions]
        return [result_of(answer, work) for answer, work in zip(answers, works, strict=True)]


def _work(partitions: list[int]) -> TaskSpec:
    shown = ", ".join(map(str, partitions[:8])) + (", ..." if len(partitions) > 8 else "")
    return TaskSpec(STANDING, f"partitions {shown} could not be kept in memory", HINT)


@contextlib.contextmanager
def actor_pool(run: RunDir, facts: Sequence[ShardMeta], plan: SelectionJob, processes: int) -> Any:
    """Yield actors that have read their partitions, and end them when the block ends."""
    import ray

    groups = [group for first in range(processes) if (group := list(range(first, plan.m, processes)))]
    groups = [group for group in groups if any(fact.partition_items[q] for fact in facts for q in group)]
    cpus = float(ray.cluster_resources().get("CPU", 1.0))  # type: ignore[no-untyped-call]
    share = min(1.0, math.floor(1000 * cpus / len(groups)) / 1000)
    # Restarts bound what is tried: a call alone would use up its retries before a lost node is known to be lost.
    actor = ray.remote(num_cpus=share, max_restarts=ATTEMPTS, max_task_retries=-1)(ShardActor)
    shared = ray.put(list(facts))
    fleet = ActorPool([actor.remote(run, shared, group) for group in groups], groups)
    try:
        _check_items(run, fleet.load(), plan)
        yield fleet
    finally:
        for handle in fleet.handles:
            ray.kill(handle)


@dataclass
class CheckpointWriter:
    """Tells progress and keeps the standing from time to time."""

    run: RunDir
    bar: Bar
    told: int
    kept: float

    def after_round(self, at: GreedyCheckpoint) -> None:
        """Take note of a round."""
        self.bar.advance(at.ids.size - self.told)
        self.told = at.ids.size
        if time.monotonic() - self.kept >= KEEP_SECONDS:
            write_checkpoint(self.run, at)
            self.kept = time.monotonic()


def write_checkpoint(run: RunDir, at: GreedyCheckpoint) -> None:
    """Keep how far a run is."""
    table = pa.table({"id": pa.array(at.ids, pa.int64()), "gain": pa.array(at.gains, pa.float64())})
    about = {_CHOSEN: at.chosen.tobytes().hex().encode(), _ROUNDS: f"{at.rounds} {at.pool}".encode()}
    run.write_table(STANDING, table.replace_schema_metadata(about))


def read_checkpoint(run: RunDir, plan: SelectionJob) -> GreedyCheckpoint:
    """Return how far an earlier start of the same run came."""
    if not run.exists(STANDING):
        return GreedyCheckpoint.start(plan.d)
    table = run.read_table(STANDING)
    about = table.schema.metadata or {}
    if _CHOSEN not in about or _ROUNDS not in about:
        raise InputError(f"{run.path(STANDING)} must say how far a run is. Delete it and run the same command again.")
    chosen = np.frombuffer(bytes.fromhex(about[_CHOSEN].decode()), dtype=np.float64)
    rounds, pool = (int(number) for number in about[_ROUNDS].split())
    ids, gains = table["id"].to_numpy().astype(np.int64), table["gain"].to_numpy().astype(np.float64)
    if ids.size > plan.k or chosen.shape != (plan.d,):
        raise InputError(f"{run.path(STANDING)} must be of this run. Delete it and run the same command again.")
    return GreedyCheckpoint(ids, gains, chosen, rounds, pool)
