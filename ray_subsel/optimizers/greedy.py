"""Maximize by greedy, the default, in the fastest way that gives the same picks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ray_subsel.objectives.graph_cut import GraphCut
from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.budgeted import BudgetedGreedy
from ray_subsel.optimizers.lazy import LazyGreedy
from ray_subsel.optimizers.leverage import LeverageGreedy
from ray_subsel.optimizers.naive import NaiveGreedy
from ray_subsel.optimizers.speculative.greedy import CertifiedGreedy


@final
@dataclass(frozen=True)
class Greedy(Optimizer):
    """Pick the item of largest gain, k times; under a budget, :class:`BudgetedGreedy`.

    Graph cut by :class:`CertifiedGreedy`, the log-determinant by
    :class:`ray_subsel.optimizers.leverage.LeverageGreedy`, other submodular objectives by :class:`LazyGreedy`, the rest
    by :class:`NaiveGreedy`: the picks are the last one's.
    """

    name: ClassVar[str] = "greedy"

    def caveats(self, problem: Problem) -> tuple[str, ...]:
        """Return what is not guaranteed."""
        return fastest_for(problem).caveats(problem)

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        return fastest_for(problem).maximize(problem)


def fastest_for(problem: Problem) -> Optimizer:
    """Return the algorithm that makes greedy's picks for a problem in the least time."""
    if problem.constraints.budget is not None or problem.constraints.costs is not None:
        return BudgetedGreedy()
    if isinstance(problem.objective, GraphCut):
        return CertifiedGreedy()
    if LeverageGreedy.suits(problem):
        return LeverageGreedy()
    return LazyGreedy() if problem.objective.submodular else NaiveGreedy()
