"""What a user would otherwise pick, as optimizers: they ignore the objective, which only tells what their picks gain.

A new one is one file here and one line in the table.
"""

from __future__ import annotations

from ray_subsel.baselines.for_target import MostSimilar, RoundRobin
from ray_subsel.baselines.herding import Herding
from ray_subsel.baselines.k_center import KCenter
from ray_subsel.baselines.random import DeduplicatedRandom, RandomSubset
from ray_subsel.baselines.semdedup import SemDeDup
from ray_subsel.optimizers.base import Optimizer

BASELINES: dict[str, type[Optimizer]] = {
    RandomSubset.name: RandomSubset,
    DeduplicatedRandom.name: DeduplicatedRandom,
    KCenter.name: KCenter,
    SemDeDup.name: SemDeDup,
    Herding.name: Herding,
    RoundRobin.name: RoundRobin,
    MostSimilar.name: MostSimilar,
}

__all__ = [
    "BASELINES",
    "DeduplicatedRandom",
    "Herding",
    "KCenter",
    "MostSimilar",
    "RandomSubset",
    "RoundRobin",
    "SemDeDup",
]
