"""The default: greedy, by the fastest way that gives the same picks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ray_subsel.objectives.graph_cut import GraphCut
from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.budgeted import BudgetedGreedy
from ray_subsel.optimizers.lazy import LazyGreedy
from ray_subsel.optimizers.naive import NaiveGreedy
from ray_subsel.optimizers.speculative.greedy import CertifiedGreedy


@final
@dataclass(frozen=True)
class Greedy(Optimizer):
    """Pick the item of largest gain, k times; under a budget, :class:`BudgetedGreedy`.

    Graph cut by :class:`CertifiedGreedy`, submodular objectives by :class:`LazyGreedy`, the rest by
    :class:`NaiveGreedy`: the picks are the last one's.
    """

    name: ClassVar[str] = "greedy"

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        if isinstance(problem.objective, GraphCut) and problem.groups is None and problem.costs is None:
            return CertifiedGreedy().maximize(problem)
        if problem.costs is not None:
            return BudgetedGreedy().maximize(problem)
        return (LazyGreedy() if problem.objective.submodular else NaiveGreedy()).maximize(problem)
