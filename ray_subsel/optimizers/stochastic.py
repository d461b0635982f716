"""Maximize by stochastic greedy: before each pick, only a random sample of the items is looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from ray_subsel.core.numeric import finite_number
from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.guarantees import if_constrained, unless_monotone
from ray_subsel.optimizers.lazy import Run
from ray_subsel.optimizers.ties import first_best, tie_width


@final
@dataclass(frozen=True)
class StochasticGreedy(Optimizer):
    """Pick the best of a fresh random sample of ceil(n / k * ln(1 / epsilon)) items, at least one, k times.

    n ln(1 / epsilon) evaluations in all, whatever k is. In expectation at least 1 - 1/e - epsilon of the optimum for
    monotone submodular objectives. Quotas, floors and costs are respected (the sample is drawn from the items that may
    still be chosen), without that guarantee. Wins where a gain is dear and k large.

    Source: Mirzasoleiman et al. 2015, "Lazier than lazy greedy".

    Parameters
    ----------
    epsilon : float, default=0.1
        In (0, 1). Smaller is better and slower.
    """

    name: ClassVar[str] = "stochastic"

    epsilon: float = 0.1

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)

    def caveats(self, problem: Problem) -> tuple[str, ...]:
        """Return what is not guaranteed."""
        return unless_monotone(problem, self.name, "1 - 1/e - epsilon") + if_constrained(problem, self.name)

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        problem, shift = problem.centred()
        rng = np.random.default_rng(problem.seed)
        feasible = FeasibleSet.of(problem)
        run = Run.start(problem, feasible)
        size = max(1, math.ceil(problem.n / problem.k * math.log(1.0 / self.epsilon)))
        evaluations = 0
        while not feasible.exhausted:
            ids = np.flatnonzero(feasible.open)
            sample = np.sort(rng.choice(ids, size=min(size, ids.size), replace=False))
            gains = problem.gains(run.state, sample)
            evaluations += sample.size
            top = int(np.argmax(gains))
            best = first_best(gains, tie_width(problem, run.state, int(sample[top]), float(gains[top])))
            if problem.stop_when_gain is not None and gains[best] <= problem.stop_when_gain:
                break
            run.take(int(sample[best]), float(gains[best]))
        return run.picks({"evaluations": float(evaluations)}).raised(shift)


def check_epsilon(epsilon: float) -> None:
    """Raise InputError unless epsilon lies in (0, 1)."""
    most = math.nextafter(1.0, 0.0)
    finite_number(epsilon, "epsilon", "lie in (0, 1)", "0.1 is usual.", above=0.0, most=most)
