"""Maximize by naive greedy: all gains, the largest wins, repeat. The reference of the faster optimizers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.ties import first_best, tie_width


@final
@dataclass(frozen=True)
class NaiveGreedy(Optimizer):
    """Evaluate every gain before every pick: n k evaluations of any objective, no assumption at all.

    At least 1 - 1/e of the optimum for monotone submodular f (Nemhauser, Wolsey, Fisher 1978), 1/2 under quotas
    (Fisher, Nemhauser, Wolsey 1978). Wins over the others only where n is small or gains may grow.
    """

    name: ClassVar[str] = "naive"

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        problem, shift = problem.centred()
        feasible = FeasibleSet.of(problem)
        state = problem.objective.init(problem.X)
        indices: list[int] = []
        gains: list[float] = []
        evaluations = 0
        while len(indices) < problem.include.size or not feasible.exhausted:
            forced = len(indices) < problem.include.size
            ids = problem.include[len(indices) : len(indices) + 1] if forced else np.flatnonzero(feasible.open)
            candidates = problem.gains(state, ids)
            evaluations += ids.size
            top = int(np.argmax(candidates))
            best = first_best(candidates, tie_width(problem, state, int(ids[top]), float(candidates[top])))
            item, gain = int(ids[best]), float(candidates[best])
            if not forced and problem.stop_when_gain is not None and gain <= problem.stop_when_gain:
                break
            feasible.take(item, forced=forced)
            state = problem.objective.add(state, item)
            indices.append(item)
            gains.append(gain)
            if problem.progress is not None:
                problem.progress(len(indices), problem.k)
        stats = {"evaluations": float(evaluations)}
        return Picks(np.array(indices, dtype=np.int64), np.array(gains, dtype=np.float64), stats).raised(shift)
