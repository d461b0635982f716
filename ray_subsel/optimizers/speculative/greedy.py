"""Maximize graph cut by exact greedy that reads the vectors once or twice for some hundred picks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from ray_subsel.core.errors import invalid
from ray_subsel.core.threads import block_workers, workers_for
from ray_subsel.core.unit_rows import row_dots, unit_rows
from ray_subsel.objectives.graph_cut import GraphCut
from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.lazy import greedy
from ray_subsel.optimizers.speculative.distinct_rows import distinct_rows_of
from ray_subsel.optimizers.speculative.draft_length import DraftSizes
from ray_subsel.optimizers.speculative.driver import GreedyCheckpoint, exact_greedy
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.shard import RowShard
from ray_subsel.optimizers.speculative.shard_pool import LocalPool
from ray_subsel.optimizers.speculative.verify import USUAL_SIZES, SieveSizes


@final
@dataclass(frozen=True)
class CertifiedGreedy(Optimizer):
    """The greedy of :class:`ray_subsel.objectives.GraphCut`, pick by pick the same, in far fewer passes over X.

    Parameters
    ----------
    picks, pool : int
        How many picks to draft in the first round, and how many candidates for each pick. Later rounds adapt. None:
        16, or one pass over X for each pick where X is small.
    sieves : SieveSizes
        How verifications divide their work.

    Notes
    -----
    All parameters change the time it takes and nothing else. Under quotas and floors one pass over X a pick.
    """

    name: ClassVar[str] = "certified"
    graph_cut_only: ClassVar[bool] = True

    picks: int | None = None
    pool: int = 3
    sieves: SieveSizes = USUAL_SIZES

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        if problem.constraints.grouped and problem.constraints.budget is None:
            check_objective(problem, self.name)
            return greedy(problem, lazy=False)
        return certified_picks(problem, self.name, self.picks, self.pool, self.sieves)


def certified_picks(
    problem: Problem,
    name: str,
    picks: int | None,
    pool: int,
    sieves: SieveSizes = USUAL_SIZES,
    *,
    paced: bool = False,
) -> Picks:
    """Run rounds until k items are picked or a gain falls to ``stop_when_gain``."""
    f = check_goes_with(problem, name)
    problem, shift = problem.centred()

    def after_round(state: GreedyCheckpoint) -> None:
        if problem.progress is not None:
            problem.progress(state.ids.size, problem.k)

    with block_workers() as all_workers:
        workers = workers_for(problem.X.size, all_workers)
        distinct, total = distinct_rows_of(problem, workers)
        score = GraphCutScore(total, f.lam, problem.k if paced else None)
        found = exact_greedy(
            LocalPool(RowShard(np.arange(problem.n), distinct, workers, sieves)),
            score,
            problem.k,
            begin=_included(problem, score),
            included=problem.include.size,
            stop_when_gain=problem.stop_when_gain,
            sizes=DraftSizes.for_rows(distinct.rows, picks, pool),
            after_round=after_round,
            workers=workers,
        )
    names = ("rounds", "passes", "evaluations", "survivors", "suspects")
    return Picks(found.ids, found.gains, {name: float(getattr(found, name)) for name in names}).raised(shift)


def check_goes_with(problem: Problem, optimizer: str) -> GraphCut:
    """Return the objective; raises InputError for a problem that the optimizers of graph cut do not solve."""
    f = check_objective(problem, optimizer)
    if problem.constraints.limited:
        limits = "costs" if problem.constraints.budget is not None else "quotas and floors"
        raise invalid("optimizer", f"know {limits} when they are given", optimizer, "Use 'greedy' or 'naive'.")
    return f


def check_objective(problem: Problem, optimizer: str) -> GraphCut:
    """Return the objective; raises InputError where it is not graph cut."""
    f = problem.objective
    if not isinstance(f, GraphCut):
        way = "Use optimizer='greedy', which takes the way that suits the objective."
        raise invalid("objective", f"be graph_cut for the {optimizer} optimizer", f.name, way)
    return f


def _included(problem: Problem, score: GraphCutScore) -> GreedyCheckpoint:
    """Return where a run begins: with the must-includes, in their order."""
    include, utility = problem.include, problem.utility
    if include.size == 0:
        return GreedyCheckpoint.start(score.total.size)
    vectors = unit_rows(problem.X[include]).slice(0, include.size)
    sums = np.cumsum(np.concatenate((np.zeros((1, vectors.shape[1])), vectors)), axis=0)
    gains = row_dots(vectors, score.total - score.penalty * sums[:-1]) - 1.0
    return GreedyCheckpoint(include, gains if utility is None else gains + utility[include], sums[-1])
