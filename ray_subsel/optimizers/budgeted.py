"""Maximize under a budget: items cost something, tokens for instance, and their costs may not exceed a sum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.guarantees import unless_monotone
from ray_subsel.optimizers.lazy import greedy
from ray_subsel.optimizers.ties import relative_width


@final
@dataclass(frozen=True)
class BudgetedGreedy(Optimizer):
    """The better of two greedies that skip what they cannot afford: by gain per cost, and by gain.

    Either alone can be arbitrarily bad (many cheap items of little gain; one item that costs the whole budget); the
    better of the two is at least (1 - 1/e) / 2 of the optimum for monotone submodular objectives. The greedy by gain
    starts with the best single item, so that comparison is included. Quotas are respected besides, without a guarantee.

    A budget is a limit and no target: neither greedy takes an item of negative gain, so less than the budget, and
    fewer than k items, may come back. But floors are met, and shares of the budget spent, whatever the gain. Lazy where
    the objective is submodular; otherwise all items are looked at before every pick.

    Source: Lin & Bilmes 2010; Leskovec et al. 2007.
    """

    name: ClassVar[str] = "budgeted"

    def caveats(self, problem: Problem) -> tuple[str, ...]:
        """Return what is not guaranteed."""
        return unless_monotone(problem, self.name, "(1 - 1/e) / 2")

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        costs = problem.constraints.costs
        if costs is None:
            raise invalid(
                "costs and budget", f"be given for optimizer {self.name!r}", Verbatim("None"), "Use optimizer='lazy'."
            )
        lazy = problem.objective.submodular
        # gains of zero may come in, negative ones may not, unless groups have shares that are to be spent
        least = None if problem.constraints.kept is not None else -math.ulp(0.0)
        by_ratio = greedy(problem, lazy=lazy, per_cost=True, limit_gain=least)
        by_gain = greedy(problem, lazy=lazy, limit_gain=least)
        value = math.fsum(by_gain.gains.tolist())
        least_value = value - relative_width(value, problem.objective.rounding, 0.0)
        better = by_ratio if math.fsum(by_ratio.gains.tolist()) >= least_value else by_gain
        spent = math.fsum(costs[better.indices].tolist())
        evaluations = by_ratio.stats["evaluations"] + by_gain.stats["evaluations"]
        stats = {"evaluations": evaluations, "cost": spent, "by_ratio": float(better is by_ratio)}
        return Picks(better.indices, better.gains, stats)
