"""Decide what a size allows: work in this process, a centralized greedy beside GreeDi, a certificate.

Letters: n ground set, d dimension, k number to choose.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from typing import Any

from ray_subsel.core.extras import installed
from ray_subsel.dedup.settings import BUCKET_NUMBERS
from ray_subsel.objectives import Objective, ProblemSize


@dataclass(frozen=True)
class Policy:
    """Sizes up to which something is done. They change where work is done and what is reported, never what is chosen.

    Attributes
    ----------
    in_process_bytes : int
        Input files of up to this size together are read by the driver itself.
    in_process_numbers : int
        Up to this n * d (160 MB of vectors) the driver embeds, collapses near copies and selects itself.
    in_process_seconds : float
        An embedder that takes longer in the driver, roughly, is left to workers.
    start_seconds : float
        What workers and their models take to start, Ray included: the driver embeds where it would end before them.
    centralized_numbers : int
        Centralized greedy is computed beside GreeDi, to report its share, up to this n * d: 160 MB of vectors.
    centralized_products : int
        And up to so many multiplications.
    certified_numbers : int
        Up to this n * d the answer comes with a certificate, which takes up to a hundred passes over the vectors.
    bucket_numbers : int
        n * d of the items that are compared for near copies in one task: 64 MB of float32, some 300 MB of its process.
    checkpoint_seconds : float
        Time between two checkpoints of the exact greedy, at least.
    attempts : int
        How often an actor of the exact greedy is started again before the run gives up.
    """

    in_process_bytes: int = 128 << 20
    in_process_numbers: int = 40_000_000
    in_process_seconds: float = 300.0
    start_seconds: float = 20.0
    centralized_numbers: int = 40_000_000
    centralized_products: int = 500_000_000_000
    certified_numbers: int = 4_000_000
    bucket_numbers: int = BUCKET_NUMBERS
    checkpoint_seconds: float = 20.0
    attempts: int = 3

    @property
    def alone(self) -> Policy:
        """The policy where Ray is not installed: this process does all work."""
        return replace(
            self,
            in_process_bytes=sys.maxsize,
            in_process_numbers=sys.maxsize,
            in_process_seconds=math.inf,
            start_seconds=math.inf,
        )

    def is_small(self, n: int, d: int) -> bool:
        """Tell whether the driver solves a ground set itself."""
        return n * d <= self.in_process_numbers

    def embeds_here(self, here: float, work: float) -> bool:
        """Tell whether the driver embeds, by its rough seconds and those of workers once they have started."""
        return here <= min(self.in_process_seconds, self.start_seconds + work)

    def is_certified(self, n: int, d: int) -> bool:
        """Tell whether an answer is compared with an upper bound."""
        return n * d <= self.certified_numbers

    def runs_beside(self, objective: Objective[Any], size: ProblemSize) -> bool:
        """Tell whether the centralized greedy is cheap enough to be run beside GreeDi, to compare values."""
        cheap = objective.multiplications(size) <= self.centralized_products
        return cheap and size.items * size.d <= self.centralized_numbers


DEFAULT_POLICY = Policy()
ON_RAY = Policy(in_process_bytes=0, in_process_numbers=0, in_process_seconds=0.0)
"""Leaves all work to Ray, whatever its size."""


def possible(policy: Policy) -> Policy:
    """Return a policy that needs nothing that is not installed."""
    return policy if installed("ray") else policy.alone
