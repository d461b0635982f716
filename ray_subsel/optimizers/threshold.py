"""Maximize by threshold greedy: take whatever gains enough, then lower the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.guarantees import if_constrained, unless_monotone, unless_submodular
from ray_subsel.optimizers.lazy import Run
from ray_subsel.optimizers.stochastic import check_epsilon

_BATCH = 64


@final
@dataclass(frozen=True)
class ThresholdGreedy(Optimizer):
    """Sweep over the items, taking each whose gain reaches a threshold, which falls by 1 - epsilon from sweep to sweep.

    At least 1 - 1/e - epsilon of the optimum for monotone submodular objectives, in O(n / epsilon log(n / epsilon))
    evaluations whatever k is; an item whose old gain is below the threshold is not looked at. Items within one
    threshold come in index order, so ranks are coarse. The last threshold is epsilon / n of the first; items that gain
    less are then added in index order until there are k, as long as no gain is negative.

    Source: Badanidiyuru & Vondrak 2014.

    Parameters
    ----------
    epsilon : float, default=0.1
        In (0, 1).
    """

    name: ClassVar[str] = "threshold"

    epsilon: float = 0.1

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)

    def caveats(self, problem: Problem) -> tuple[str, ...]:
        """Return what is not guaranteed."""
        return (
            *unless_submodular(problem, self.name, "old gains are no bounds, and items may be missed"),
            *unless_monotone(problem, self.name, "1 - 1/e - epsilon"),
            *if_constrained(problem, self.name),
        )

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        feasible = FeasibleSet.of(problem)
        run = Run.start(problem, feasible)
        ids = np.flatnonzero(feasible.open)
        if feasible.exhausted:
            return run.picks({"evaluations": 0.0})
        bounds = np.full(problem.n, -np.inf)
        bounds[ids] = problem.gains(run.state, ids)
        evaluations = ids.size
        threshold = largest = float(bounds.max())
        stop = -np.inf if problem.stop_when_gain is None else problem.stop_when_gain
        while threshold > max(self.epsilon / problem.n * largest, stop, 0.0) and not feasible.exhausted:
            evaluations += sweep(run, bounds, threshold, stop)
            threshold *= 1.0 - self.epsilon
        if not feasible.exhausted:
            evaluations += sweep(run, bounds, max(0.0, stop), stop)
        return run.picks({"evaluations": float(evaluations)})


def sweep(run: Run, bounds: Float64s, threshold: float, stop: float) -> int:
    """Go once through the open items in index order and take those whose gain reaches the threshold.

    Parameters
    ----------
    run : Run
        Receives the picks.
    bounds : float64 array of shape (n,)
        Gains as last seen; updated in place.
    threshold, stop : float
        A gain must be at least the former and above the latter.

    Returns
    -------
    int
        The number of evaluations.
    """
    feasible, problem = run.feasible, run.problem
    evaluations = 0
    waiting: Indices = np.flatnonzero(feasible.open & (bounds >= threshold))
    while waiting.size and not feasible.exhausted:
        batch = waiting[:_BATCH]
        gains = problem.gains(run.state, batch)
        bounds[batch] = gains
        evaluations += batch.size
        good = np.flatnonzero((gains >= threshold) & (gains > stop))
        if good.size == 0:
            waiting = waiting[_BATCH:]
            continue
        first = int(good[0])
        run.take(int(batch[first]), float(gains[first]))
        rest = waiting[first:] if feasible.open[batch[first]] else waiting[first + 1 :]
        waiting = rest[feasible.open[rest] & (bounds[rest] >= threshold)]
    return evaluations
