"""Choose by herding: the running mean of the chosen items stays as close as possible to the mean of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from ray_subsel.baselines.in_turn import started, take_one
from ray_subsel.baselines.k_center import cosines
from ray_subsel.core.exact_sum import summed_unit_rows
from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.ties import first_best, relative_width


@final
@dataclass(frozen=True)
class Herding(Optimizer):
    r"""Kernel herding of the unit vectors: the next item is the one most in the direction that the mean still lacks.

    .. math:: x_{t+1} = \arg\max_x \langle x, (t + 1) \mu - s_t \rangle

    with mu the mean of all unit vectors and s_t the sum of the t chosen. O(n d) a pick. Ties go to the lowest index.

    Source: Welling 2009; Chen, Welling, Smola 2010.
    """

    name: ClassVar[str] = "herding"

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        run = started(problem)
        rows, summed = summed_unit_rows(problem.X, problem.multiplicity)
        items = rows.n if problem.multiplicity is None else int(problem.multiplicity.sum())
        mean = summed.vector() / items
        chosen = np.zeros(rows.d)
        for item in run.indices:
            chosen += rows.take(np.array([item]))[0]
        while not run.feasible.exhausted:
            wanted = (len(run.indices) + 1) * mean - chosen
            values = np.where(run.feasible.open, cosines(rows, wanted), -np.inf)
            item = first_best(values, relative_width(float(values.max()), 1e-12))
            if not take_one(run, item):
                break
            chosen += rows.take(np.array([item]))[0]
        lack = float(np.linalg.norm(chosen / max(1, len(run.indices)) - mean))
        return run.picks({"mean_distance": lack})
