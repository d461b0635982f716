"""Run exact greedy of the log-determinant in rounds: gains only shrink, so what was not proposed stays below.

A round:

1. every shard proposes the rows of highest gain and tells the highest gain among its other rows;
2. the driver picks among the candidates as long as the best is above what all shards told; nothing is verified,
   because no gain grows (Minoux, 1978).

The chosen set is one d x d matrix to everybody (:mod:`ray_subsel.objectives.ridge_leverage`), so a question is small.
Picks are those of the naive greedy on all rows in ascending order of id, ties included, however the rows are divided;
one shard of this process is how ``select`` picks. For kernels that are affine in the rows' dot product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.objectives.kernels import kernel_of
from ray_subsel.objectives.log_determinant import LogDeterminant, affine_rows
from ray_subsel.objectives.ridge_leverage import InverseRoot, LeverageCache
from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.leverage_passes import picks_by_passes, suits_passes
from ray_subsel.optimizers.leverage_shard import LeverageProposal, LeverageRequest, LeverageShard, tie_level
from ray_subsel.optimizers.speculative.driver import GreedyCheckpoint
from ray_subsel.optimizers.speculative.shard_pool import rows_per_shard

PROPOSED = 2048
"""Candidates of a round: their vectors are all that the driver holds beside the d x d matrix."""
_LOOK = 64  # candidates that are brought up to date together


class LeveragePool(Protocol):
    """All rows of the ground set, wherever they are."""

    @property
    def shards(self) -> int:
        """How many shards hold them."""

    def proposals(self, request: LeverageRequest) -> Sequence[LeverageProposal]:
        """Return every shard's proposal."""


@dataclass(frozen=True, eq=False)
class LocalLeveragePool:
    """Shards of this process."""

    kept: Sequence[LeverageShard]

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return len(self.kept)

    def proposals(self, request: LeverageRequest) -> Sequence[LeverageProposal]:
        """Return every shard's proposal."""
        return [shard.propose(request) for shard in self.kept]


def exact_log_determinant(
    pool: LeveragePool,
    objective: LogDeterminant,
    d: int,
    k: int,
    *,
    begin: GreedyCheckpoint | None = None,
    stop_when_gain: float | None = None,
    after_round: Callable[[GreedyCheckpoint], Any] = lambda _: None,
    proposed: int = PROPOSED,
) -> GreedyCheckpoint:
    """Pick k items.

    Parameters
    ----------
    pool : LeveragePool
    objective : LogDeterminant
        Of an affine kernel.
    d : int
        The dimension of the rows.
    k : int
        At least 1, at most what the pool holds.
    begin : GreedyCheckpoint, optional
        What an earlier run of the same items handed to ``after_round``; its ``chosen`` is the root, flattened.
    stop_when_gain : float, optional
        Stop before the first pick whose gain is at or below it.
    after_round : callable
        Called with the checkpoint after each round.
    proposed : int
        Candidates of a round; the picks do not depend on it.

    Notes
    -----
    O(n d) for each pick that an item must be looked at again for, O(n) memory beside the rows; the driver takes
    O(d^2) a pick.
    """
    root = InverseRoot.start(_dimension(objective, d), objective.ridge)
    state = begin or GreedyCheckpoint(np.zeros(0, dtype=np.int64), np.zeros(0), root.matrix.ravel())
    if state.ids.size:
        root = InverseRoot(state.chosen.reshape(root.matrix.shape))
    directions = np.zeros((0, root.matrix.shape[0]))
    share = rows_per_shard(proposed, pool.shards)
    stopped = False
    while state.ids.size < k and not stopped:
        answers = pool.proposals(LeverageRequest(objective, root, state.ids, directions, share))
        ids, gains, root, directions = _pick(answers, objective, root, state.ids.size, k)
        low = NO_ITEMS if stop_when_gain is None else np.flatnonzero(gains <= stop_when_gain)
        if low.size:
            stopped, ids, gains = True, ids[: low[0]], gains[: low[0]]
        state = replace(
            state,
            ids=np.concatenate((state.ids, ids)),
            gains=np.concatenate((state.gains, gains)),
            chosen=root.matrix.ravel(),
            rounds=state.rounds + 1,
            candidates=max(state.candidates, sum(answer.ids.size for answer in answers)),
            passes=state.passes + 1,
            evaluations=state.evaluations + sum(answer.evaluations for answer in answers),
        )
        after_round(state)
    return state


def _pick(
    answers: Sequence[LeverageProposal], objective: LogDeterminant, root: InverseRoot, size: int, k: int
) -> tuple[Indices, Float64s, InverseRoot, Float64s]:
    """Return ids, gains, the root after them and the directions of all picks that these candidates are enough for."""
    ids = np.concatenate([answer.ids for answer in answers])
    order = np.argsort(ids)
    ids = ids[order]
    X = np.concatenate([answer.vectors for answer in answers])[order]
    rows = UnitRows(X, np.concatenate([answer.scale for answer in answers])[order])
    vectors = affine_rows(kernel_of(objective.kernel), rows)
    scores = root.scores(vectors.take(np.arange(ids.size)))
    never, width = np.full(ids.size, size), root.matrix.shape[0]
    cache = LeverageCache(vectors, scores, scores.copy(), never, np.empty((2 * width, width)), size, size)
    outside = max(answer.highest for answer in answers)
    alive = np.ones(ids.size, dtype=np.bool_)
    picked: list[int] = []
    gains: list[float] = []
    directions: list[Float64s] = []
    while size < k and alive.any():
        at = _best(cache, root, size, alive, objective)
        after, score, direction = root.add(vectors.take(np.array([at]))[0])
        gain = float(np.log1p(score))
        if picked and tie_level(gain, objective, 3) <= outside:
            break  # an item that was not proposed may be the best, or tie with it; the first pick is certain
        root, cache = after, cache.after(size, direction)
        alive[at] = False
        size += 1
        picked.append(int(ids[at]))
        gains.append(gain)
        directions.append(direction)
    return np.array(picked, dtype=np.int64), np.array(gains), root, np.array(directions)


def _best(
    cache: LeverageCache, root: InverseRoot, size: int, alive: NDArray[np.bool_], objective: LogDeterminant
) -> int:
    """Return the first of the candidates whose gain is the largest up to rounding; old scores are bounds."""
    stale = np.where(alive, cache.scores, -np.inf)
    look = np.flatnonzero(stale >= -np.partition(-stale, min(_LOOK, stale.size) - 1)[min(_LOOK, stale.size) - 1])
    look = look[alive[look]]
    best = float(np.log1p(cache.of(look, root, size).max()))
    look = np.flatnonzero(alive & (stale >= np.expm1(tie_level(best, objective, 2))))
    gains = np.log1p(cache.of(look, root, size))
    return int(look[np.argmax(gains >= tie_level(float(gains.max()), objective))])


def _dimension(objective: LogDeterminant, d: int) -> int:
    affine = kernel_of(objective.kernel).affine()
    assert affine is not None, "mode exact is for kernels that are affine in the dot product"
    return d + (affine[1] > 0)


@final
@dataclass(frozen=True)
class LeverageGreedy(Optimizer):
    """The greedy of the log-determinant, pick by pick the same; :meth:`suits` says when.

    By passes (:mod:`.leverage_passes`) over few numbers, else in rounds over one shard.

    Parameters
    ----------
    proposed : int
        Candidates of a round, which change the time it takes and nothing else.
    """

    name: ClassVar[str] = "leverage"

    proposed: int = 256

    @staticmethod
    def suits(problem: Problem) -> bool:
        """Tell whether it solves a problem: one d x d matrix is the state, and any item may be chosen once."""
        objective, limits = problem.objective, problem.constraints
        if not isinstance(objective, LogDeterminant):
            return False
        plain = problem.utility is None and problem.multiplicity is None and not limits.limited
        return plain and not problem.include.size and not problem.exclude.size and objective.is_primal(*problem.X.shape)

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        objective = problem.objective
        assert isinstance(objective, LogDeterminant)

        def after_round(state: GreedyCheckpoint) -> None:
            if problem.progress is not None:
                problem.progress(state.ids.size, problem.k)

        with block_workers():  # products this small are slower on two threads
            rows = kernel_of(objective.kernel).read(problem.X)
            if suits_passes(rows, objective):
                return picks_by_passes(rows, objective, problem.k, problem.stop_when_gain, problem.progress)
            shard = LeverageShard(np.arange(problem.n), rows, objective)
            found = exact_log_determinant(
                LocalLeveragePool([shard]), objective, problem.X.shape[1], problem.k,
                stop_when_gain=problem.stop_when_gain, after_round=after_round, proposed=self.proposed,
            )  # fmt: skip
        names = ("rounds", "passes", "evaluations")
        return Picks(found.ids, found.gains, {name: float(getattr(found, name)) for name in names})
