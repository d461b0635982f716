"""Optimizers by name. A new one is one file here and one line in the table."""

from __future__ import annotations

from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.budgeted import BudgetedGreedy
from ray_subsel.optimizers.greedy import Greedy
from ray_subsel.optimizers.guarantees import GuaranteeWarning
from ray_subsel.optimizers.lazy import LazyGreedy
from ray_subsel.optimizers.naive import NaiveGreedy
from ray_subsel.optimizers.quotas import QuotaGreedy
from ray_subsel.optimizers.randomized import RandomizedGreedy
from ray_subsel.optimizers.speculative.exchange import Exchange
from ray_subsel.optimizers.speculative.greedy import CertifiedGreedy
from ray_subsel.optimizers.speculative.paced import PacedGreedy
from ray_subsel.optimizers.stochastic import StochasticGreedy
from ray_subsel.optimizers.threshold import ThresholdGreedy

OPTIMIZERS: dict[str, type[Optimizer]] = {
    Greedy.name: Greedy,
    NaiveGreedy.name: NaiveGreedy,
    CertifiedGreedy.name: CertifiedGreedy,
    PacedGreedy.name: PacedGreedy,
    Exchange.name: Exchange,
    LazyGreedy.name: LazyGreedy,
    StochasticGreedy.name: StochasticGreedy,
    RandomizedGreedy.name: RandomizedGreedy,
    ThresholdGreedy.name: ThresholdGreedy,
    BudgetedGreedy.name: BudgetedGreedy,
    QuotaGreedy.name: QuotaGreedy,
}

__all__ = [
    "OPTIMIZERS",
    "BudgetedGreedy",
    "CertifiedGreedy",
    "Exchange",
    "Greedy",
    "GuaranteeWarning",
    "LazyGreedy",
    "NaiveGreedy",
    "Optimizer",
    "PacedGreedy",
    "Picks",
    "Problem",
    "QuotaGreedy",
    "RandomizedGreedy",
    "StochasticGreedy",
    "ThresholdGreedy",
]
