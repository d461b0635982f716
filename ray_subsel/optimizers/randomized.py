"""Randomized greedy: the one with a guarantee where more items can be worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.guarantees import warn_if_constrained, warn_unless_submodular
from ray_subsel.optimizers.lazy import Run


@final
@dataclass(frozen=True)
class RandomizedGreedy(Optimizer):
    """In each of k turns, draw uniformly one of the k items of largest gain; an item of negative gain means: none.

    In expectation at least 1/e of the optimum for submodular non-negative objectives that need not be monotone, and
    1 - 1/e for monotone ones. Fewer than k items may come back: turns whose draw falls on a negative gain pick nothing
    (the dummy items of the paper). n evaluations a turn.

    For an objective that is not submodular, such as graph cut where similarities are negative, it warns. Quotas, floors
    and costs are respected without a guarantee.

    Source: Buchbinder, Feldman, Naor, Schwartz 2014, "Submodular maximization with cardinality constraints".
    """

    name: ClassVar[str] = "randomized"

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        warn_unless_submodular(problem, self.name, "the bound of 1/e does not hold")
        warn_if_constrained(problem, self.name, "quotas" if problem.costs is None else "budgeted")
        rng = np.random.default_rng(problem.seed)
        room = FeasibleSet.of(problem)
        run = Run.start(problem, room)
        turns = room.slots
        evaluations = 0
        for _ in range(turns):
            if room.exhausted:
                break
            ids = np.flatnonzero(room.open)
            gains = problem.gains(run.state, ids)
            evaluations += ids.size
            if problem.stop_when_gain is not None and gains.max() <= problem.stop_when_gain:
                break
            drawn = int(rng.integers(turns))
            order = np.lexsort((ids, -gains))
            if drawn >= order.size or gains[order[drawn]] < 0:
                continue  # a dummy
            if problem.stop_when_gain is not None and gains[order[drawn]] <= problem.stop_when_gain:
                continue  # the user wants none of these
            run.take(int(ids[order[drawn]]), float(gains[order[drawn]]))
        return run.picks({"evaluations": float(evaluations)})
