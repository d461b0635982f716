"""Maximize by randomized greedy: the one with a guarantee where more items can be worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.guarantees import if_constrained, unless_submodular
from ray_subsel.optimizers.lazy import Run


@final
@dataclass(frozen=True)
class RandomizedGreedy(Optimizer):
    """In each of k turns, draw uniformly one of the k items of largest gain; an item of negative gain means: none.

    In expectation at least 1/e of the optimum for submodular non-negative objectives that need not be monotone, and
    1 - 1/e for monotone ones. Fewer than k items may come back: turns whose draw falls on a negative gain pick nothing
    (the dummy items of the paper). n evaluations a turn.

    For an objective that is not submodular, such as graph cut where similarities are negative, the bound does not hold.
    Quotas, floors and costs are respected without a guarantee.

    Source: Buchbinder, Feldman, Naor, Schwartz 2014, "Submodular maximization with cardinality constraints".
    """

    name: ClassVar[str] = "randomized"

    def caveats(self, problem: Problem) -> tuple[str, ...]:
        """Return what is not guaranteed."""
        return unless_submodular(problem, self.name, "the bound of 1/e does not hold") + if_constrained(
            problem, self.name
        )

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        rng = np.random.default_rng(problem.seed)
        feasible = FeasibleSet.of(problem)
        run = Run.start(problem, feasible)
        turns = feasible.slots
        evaluations = 0
        for _ in range(turns):
            if feasible.exhausted:
                break
            ids = np.flatnonzero(feasible.open)
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
