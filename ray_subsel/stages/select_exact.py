"""Run the exact greedy on a run's partitions: in this process, or by Ray actors that hold the vectors.

An actor that is lost is started again, reads its partitions again and is asked again: a request brings everything that
its answer depends on. Every so often the picks so far are written to ``candidates/exact.parquet``, from which a run
that was killed goes on.
"""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.core.errors import InputError
from ray_subsel.core.hashing import partition_of
from ray_subsel.core.items import UTILITY
from ray_subsel.core.threads import Workers, block_workers, serial
from ray_subsel.objectives.base import Objective
from ray_subsel.objectives.graph_cut import GraphCut
from ray_subsel.objectives.log_determinant import LogDeterminant
from ray_subsel.optimizers.leverage import LocalLeveragePool, exact_log_determinant
from ray_subsel.optimizers.leverage_shard import LeverageProposal, LeverageRequest, LeverageShard
from ray_subsel.optimizers.speculative.draft_length import USUAL_SIZES, DraftSizes
from ray_subsel.optimizers.speculative.driver import GreedyCheckpoint, exact_greedy
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.shard import DraftRequest, ProposalRequest, RowShard
from ray_subsel.optimizers.speculative.shard_pool import LocalPool
from ray_subsel.optimizers.speculative.verify import Verification
from ray_subsel.partitioned.exact_greedy import DividedPool, Proposal, proposal_of
from ray_subsel.partitioned.greedi import GreediResult
from ray_subsel.runtime.metrics import ITEMS_CHOSEN, VALUE, record
from ray_subsel.runtime.peak_memory import peak_bytes, start_peak
from ray_subsel.runtime.progress import Bar
from ray_subsel.runtime.tasks import TaskSpec, result_of
from ray_subsel.stages.sampling import random_value
from ray_subsel.stages.selection_job import FOLDER, HINT, SelectionJob, SelectionOutcome
from ray_subsel.storage.embedding_store import EmbeddingStore
from ray_subsel.storage.run_directory import RunDir

Shard = RowShard | LeverageShard
CHECKPOINT = f"{FOLDER}/exact.parquet"
_CHOSEN = b"ray_subsel.chosen"
_ROUNDS = b"ray_subsel.rounds"


def choose_exactly(store: EmbeddingStore, job: SelectionJob, *, bar: Bar, processes: int) -> SelectionOutcome:
    """Pick what the centralized greedy would, with at most ``processes`` actors that hold the vectors.

    Parameters
    ----------
    bar : Bar
        Advanced by the number of items picked.
    processes : int

    Raises
    ------
    InputError
        Where the same actor is lost again and again, or the partitions do not hold the ground set.
    """
    objective, begin = job.objective.full(), read_checkpoint(store.run, job)
    assert objective.exact_over_partitions, "the configuration refuses other objectives in this mode"
    done = 0 if begin is None else begin.ids.size
    bar.advance(done)
    writer = CheckpointWriter(store.run, bar, done, job.policy.checkpoint_seconds, time.monotonic())
    drive = partial(_drive, job=job, objective=objective, begin=begin, after_round=writer.after_round)
    start_peak()
    with block_workers() as workers:
        if job.in_process:
            shard = load_shard(store, range(job.m), objective, workers)
            _check_items(store.run, shard.n_items, job)
            found = drive(shard, workers=workers)
            peak = peak_bytes()
        else:
            with actor_pool(store, job, processes) as actors:
                found = drive(actors, workers=workers)
                peak = max(peak_bytes(), *actors.peaks())
    write_checkpoint(store.run, found)
    value = math.fsum(found.gains)
    where = partition_of(found.ids, job.m, job.seed)
    result = GreediResult(found.ids, where, found.gains, value, max(found.candidates, job.k), None, "exact")
    expected = random_value(store, job.objective, job.k, seed=job.seed)
    return SelectionOutcome(job, result, expected, value, found.rounds, peak)


def _drive(
    rows: Shard | ActorPool,
    *,
    job: SelectionJob,
    objective: Objective[Any],
    begin: GreedyCheckpoint | None,
    after_round: Callable[[GreedyCheckpoint], None],
    workers: Workers,
) -> GreedyCheckpoint:
    """Run the driver that the objective has."""
    if isinstance(objective, LogDeterminant):
        shards = LocalLeveragePool([rows]) if isinstance(rows, LeverageShard) else rows
        assert not isinstance(shards, RowShard)
        return exact_log_determinant(shards, objective, job.d, job.k, begin=begin, after_round=after_round)
    assert isinstance(objective, GraphCut)
    assert not isinstance(rows, LeverageShard)
    sizes = DraftSizes.for_rows(rows.distinct.rows) if isinstance(rows, RowShard) else USUAL_SIZES
    pool = LocalPool(rows) if isinstance(rows, RowShard) else rows
    score = GraphCutScore(objective.given_total(job.d), objective.lam)
    return exact_greedy(pool, score, job.k, begin=begin, sizes=sizes, after_round=after_round, workers=workers)


def load_shard(
    store: EmbeddingStore, partitions: Sequence[int], objective: Objective[Any], workers: Workers = serial
) -> Shard:
    """Read some partitions."""
    items = store.read_partitions(partitions)
    if isinstance(objective, LogDeterminant):
        return LeverageShard.of(items.ids, items.vectors, objective)
    return RowShard.of(items.ids, items.vectors, workers, items.columns.get(UTILITY))


def _check_items(run: RunDir, found: int, job: SelectionJob) -> None:
    """Stop where the partitions that were read are not the whole ground set."""
    if found != job.n:
        raise InputError(
            f"partitions in {run.path()} must hold {job.n} items together; got {found}. Run again with --overwrite."
        )


class ShardActor:
    """An actor. It reads its partitions when it is first asked, so that an unreadable one is an error that arrives."""

    def __init__(self, store: EmbeddingStore, objective: Objective[Any], partitions: list[int]) -> None:
        self._source = (store, partitions, objective)
        self._shard: Shard | None = None

    def _loaded(self) -> Shard:
        if self._shard is None:
            start_peak()
            self._shard = load_shard(*self._source)
        return self._shard

    def load(self) -> int:
        """Read the partitions and return their number of items."""
        return self._loaded().n_items

    def propose(self, request: ProposalRequest | LeverageRequest) -> Proposal | LeverageProposal:
        """Return the rows of highest gain."""
        shard = self._loaded()
        if isinstance(shard, LeverageShard):
            assert isinstance(request, LeverageRequest)
            return shard.propose(request)
        assert isinstance(request, ProposalRequest)
        return proposal_of(shard, request)

    def verify(self, request: DraftRequest, shard: int) -> Verification:
        """Return the first turn of a draft that a row of this actor rejects."""
        kept = self._loaded()
        assert isinstance(kept, RowShard), "gains of the other objective only shrink: nothing is verified"
        return kept.verify(request, shard)

    def peak(self) -> int:
        """Return the peak of this process in bytes."""
        return peak_bytes()


@dataclass(frozen=True, eq=False)
class ActorPool(DividedPool):
    """A shard an actor.

    Attributes
    ----------
    handles : list of actor handles
    partitions : list of lists of int
        What each holds.
    """

    handles: list[Any]
    partitions: list[list[int]]

    @property
    def shards(self) -> int:
        """How many."""
        return len(self.handles)

    def load(self) -> int:
        """Have every actor read its partitions and return the number of items of all."""
        return sum(self._all([handle.load.remote() for handle in self.handles]))

    def proposals(self, request: ProposalRequest | LeverageRequest) -> list[Any]:
        """Return every actor's proposal."""
        import ray

        shared = ray.put(request)
        return self._all([handle.propose.remote(shared) for handle in self.handles])

    def verifications(self, request: DraftRequest) -> list[Verification]:
        """Return every actor's verification."""
        import ray

        shared = ray.put(request)
        return self._all([handle.verify.remote(shared, shard) for shard, handle in enumerate(self.handles)])

    def peaks(self) -> list[int]:
        """Return the peak of every actor in bytes."""
        return self._all([handle.peak.remote() for handle in self.handles])

    def _all(self, answers: list[Any]) -> list[Any]:
        """Return all answers; name the partitions of an actor that cannot be brought back."""
        specs = [_spec(partitions) for partitions in self.partitions]
        return [result_of(answer, spec) for answer, spec in zip(answers, specs, strict=True)]


def _spec(partitions: list[int]) -> TaskSpec:
    shown = ", ".join(map(str, partitions[:8])) + (", ..." if len(partitions) > 8 else "")
    return TaskSpec(CHECKPOINT, f"hold partitions {shown}", f"partitions {shown} could not be kept in memory", HINT)


@contextlib.contextmanager
def actor_pool(store: EmbeddingStore, job: SelectionJob, processes: int) -> Iterator[ActorPool]:
    """Yield actors that have read their partitions, and end them when the block ends."""
    import ray

    groups = [group for first in range(processes) if (group := list(range(first, job.m, processes)))]
    sizes = store.partition_sizes
    groups = [group for group in groups if any(sizes[q] for q in group)]
    cpus = float(ray.cluster_resources().get("CPU", 1.0))  # type: ignore[no-untyped-call]
    share = min(1.0, math.floor(1000 * cpus / len(groups)) / 1000)
    # Restarts bound what is tried: a call alone would use up its retries before a lost node is known to be lost.
    actor = ray.remote(num_cpus=share, max_restarts=job.policy.attempts, max_task_retries=-1)(ShardActor)
    shared = ray.put(store)
    full = job.objective.full()
    # Names are the driver's own, but another run of this process may have actors that are not gone yet.
    this = uuid.uuid4().hex[:8]
    named = [actor.options(name=f"{_spec(group).does} ({this})") for group in groups]
    pool = ActorPool([one.remote(shared, full, group) for one, group in zip(named, groups, strict=True)], groups)
    try:
        _check_items(store.run, pool.load(), job)
        yield pool
    finally:
        for handle in pool.handles:
            ray.kill(handle)


@dataclass
class CheckpointWriter:
    """Reports progress and writes checkpoints from time to time.

    Attributes
    ----------
    run : RunDir
    bar : Bar
    reported : int
        How many picks the bar knows.
    seconds : float
        Time between two checkpoints, at least.
    written : float
        When the last one was written.
    """

    run: RunDir
    bar: Bar
    reported: int
    seconds: float
    written: float

    def after_round(self, state: GreedyCheckpoint) -> None:
        """Take note of a round."""
        self.bar.advance(state.ids.size - self.reported)
        self.reported = state.ids.size
        record(ITEMS_CHOSEN, state.ids.size, self.run)
        record(VALUE, math.fsum(state.gains), self.run)
        if time.monotonic() - self.written >= self.seconds:
            write_checkpoint(self.run, state)
            self.written = time.monotonic()


def write_checkpoint(run: RunDir, state: GreedyCheckpoint) -> None:
    """Write how far a run is."""
    table = pa.table({"id": pa.array(state.ids, pa.int64()), "gain": pa.array(state.gains, pa.float64())})
    about = {
        _CHOSEN: state.chosen.tobytes().hex().encode(),
        _ROUNDS: f"{state.rounds} {state.candidates}".encode(),
    }
    run.write_table(CHECKPOINT, table.replace_schema_metadata(about))


def read_checkpoint(run: RunDir, job: SelectionJob) -> GreedyCheckpoint | None:
    """Return how far an earlier start of the same run came; None where there was none."""
    if not run.exists(CHECKPOINT):
        return None
    table = run.read_table(CHECKPOINT)
    about = table.schema.metadata or {}
    if _CHOSEN not in about or _ROUNDS not in about:
        raise InputError(f"{run.path(CHECKPOINT)} must say how far a run is. Delete it and run the same command again.")
    chosen = np.frombuffer(bytes.fromhex(about[_CHOSEN].decode()), dtype=np.float64)
    rounds, candidates = (int(number) for number in about[_ROUNDS].split())
    ids, gains = table["id"].to_numpy().astype(np.int64), table["gain"].to_numpy().astype(np.float64)
    numbers = job.d**2 if isinstance(job.objective.full(), LogDeterminant) else job.d
    if ids.size > job.k or chosen.shape != (numbers,):
        raise InputError(f"{run.path(CHECKPOINT)} must be of this run. Delete it and run the same command again.")
    return GreedyCheckpoint(ids, gains, chosen, rounds, candidates)
