"""Choose by SemDeDup: drop near copies, draw at random from what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from ray_subsel.baselines.in_turn import started, take_in_turn
from ray_subsel.dedup.in_memory import collapse_near
from ray_subsel.dedup.settings import CLUSTER_SIZE, NearSettings, check_threshold
from ray_subsel.optimizers.base import Optimizer, Picks, Problem


@final
@dataclass(frozen=True)
class SemDeDup(Optimizer):
    """A random one of the leaders of :func:`ray_subsel.dedup.in_memory.collapse_near`, k times.

    Near copies of an included item count as dropped. Where k exceeds the number of leaders, dropped items fill up, in
    random order.

    Parameters
    ----------
    threshold : float, default=0.9
        Cosine from which an item is a near copy.
    cell_size : int, default=2000

    Source: Abbas et al. 2023, "SemDeDup", which keeps the item farthest from its centroid; here the lowest id is kept.
    """

    name: ClassVar[str] = "semdedup"

    threshold: float = 0.9
    cell_size: int = CLUSTER_SIZE

    def __post_init__(self) -> None:
        check_threshold(self.threshold)

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        available = np.flatnonzero(problem.available())
        settings = NearSettings(self.threshold, problem.seed, self.cell_size)
        groups = collapse_near(problem.X[available], settings)
        leader = np.arange(problem.n)
        leader[available] = available[groups.leader]
        kept = available[groups.leaders]
        kept = kept[~np.isin(kept, leader[problem.include])]
        rng = np.random.default_rng(problem.seed)
        dropped = np.setdiff1d(available, kept)
        order = np.concatenate([rng.permutation(kept), rng.permutation(dropped)])
        picks = take_in_turn(started(problem), order.tolist())
        return Picks(picks.indices, picks.gains, {**picks.stats, "leaders": float(groups.leaders.size)})
