"""Decide what a size allows: work in this process, a centralized greedy beside GreeDi, a certificate.

Letters: n ground set, d dimension, k to choose.
"""

from __future__ import annotations

from typing import Any

from ray_subsel.objectives import Objective, ProblemSize

IN_PROCESS_NUMBERS = 20_000_000
"""Up to this n * d (80 MB of vectors) the driver does the work itself: a worker takes a second to start."""

CENTRALIZED_NUMBERS = 40_000_000
"""Centralized greedy is computed beside GreeDi, to report its share, up to this n * d: 160 MB of vectors."""

CENTRALIZED_PRODUCTS = 500_000_000_000
"""And up to so many multiplications."""

CERTIFIED_NUMBERS = 4_000_000
"""Up to this n * d the answer comes with a certificate, which takes up to a hundred passes over the vectors."""


def is_small(n: int, d: int) -> bool:
    """Tell whether the driver solves a ground set itself."""
    return n * d <= IN_PROCESS_NUMBERS


def runs_beside(objective: Objective[Any], size: ProblemSize) -> bool:
    """Tell whether the centralized greedy is cheap enough to be run beside GreeDi, to compare values."""
    return size.items * size.d <= CENTRALIZED_NUMBERS and objective.multiplications(size) <= CENTRALIZED_PRODUCTS
