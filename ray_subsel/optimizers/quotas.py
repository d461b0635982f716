"""Maximize under quotas and floors per group: a partition matroid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.guarantees import unless_monotone
from ray_subsel.optimizers.lazy import greedy


@final
@dataclass(frozen=True)
class QuotaGreedy(Optimizer):
    """Pick the item of largest gain whose choice keeps quotas and floors possible.

    Sets within quotas (at most q_g of group g), and sets that can be completed to k items with at least l_g of group
    g, are the independent sets of a matroid; greedy reaches 1/2 of the optimum for monotone submodular objectives.
    Floors reserve the last places: when as many are left as floors still lack, only the groups that lack are open.

    Lazy where the objective is submodular; all gains before every pick otherwise.

    Source: Fisher, Nemhauser, Wolsey 1978; for floors El Halabi et al. 2020.
    """

    name: ClassVar[str] = "quotas"

    def caveats(self, problem: Problem) -> tuple[str, ...]:
        """Return what is not guaranteed."""
        return unless_monotone(problem, self.name, "1/2")

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        if not problem.constraints.grouped:
            raise invalid("quotas", f"be given for optimizer {self.name!r}", Verbatim("None"), "Use optimizer='lazy'.")
        return greedy(problem, lazy=problem.objective.submodular)
