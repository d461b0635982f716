"""Hold what decides which items are near copies: the threshold, and up to which size all pairs are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from ray_subsel.core.numeric import finite_number, whole_number

CLUSTER_SIZE = 2000
"""About how many items a cluster holds."""

EXACT_ITEMS = 100_000
EXACT_NUMBERS = 40_000_000
"""Up to so many items, and n * d, all pairs are compared: one process holds those that are kept, 160 MB of float32."""

REACH = 0.5
"""Copies differ across a plane by a part of their distance: on MiniLM vectors half of it missed none, a third a few."""

BUCKET_NUMBERS = 16_000_000
"""n * d of a bucket: 64 MB of float32, some 300 MB in the process that collapses it."""


@final
@dataclass(frozen=True)
class NearSettings:
    """How near copies are found; the same settings and items give the same groups in memory and in a run.

    Parameters
    ----------
    threshold : float
        Cosine in (0, 1] from which an item is a near copy. 0.9 suits sentence encoders; 1 joins equal directions only.
    seed : int, default=0
        Of the samples and of k-means.
    cluster_size : int, default=2000
        About how many items a cluster holds where not all pairs are compared.
    exact_items : int, default=100_000
        Up to so many items all pairs are compared, if they are at most 40 million numbers.
    bucket_numbers : int, default=16_000_000
        n * d of the items that are worked on at once.

    Raises
    ------
    InputError
        For a threshold or a cluster size that makes no sense.
    """

    threshold: float
    seed: int = 0
    cluster_size: int = CLUSTER_SIZE
    exact_items: int = EXACT_ITEMS
    bucket_numbers: int = BUCKET_NUMBERS

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        whole_number(self.cluster_size, "cluster_size", "be a whole number >= 2", least=2)

    def is_exact(self, n: int, d: int) -> bool:
        """Tell whether all pairs of n items of d numbers are compared."""
        return n <= self.exact_items and n * d <= EXACT_NUMBERS

    def largest(self, d: int) -> int:
        """Return how many items of d numbers a bucket holds: numbers / d, at least a usual cluster."""
        return max(self.cluster_size, self.bucket_numbers // d)

    def most_kept(self, n: int, d: int) -> int:
        """Return how many items of a cluster may be kept before it is split: four usual clusters, or all of n."""
        return n if self.is_exact(n, d) else 4 * self.cluster_size

    @property
    def reach(self) -> float:
        """How near to a plane between two clusters an item is looked for beyond it: a share of sqrt(2 - 2 t) / 2.

        That is half the distance of two unit vectors whose cosine is the threshold t; of two that lie on two sides of a
        plane one is as near as that.
        """
        return REACH * math.sqrt(2.0 - 2.0 * self.threshold) / 2.0


def check_threshold(threshold: float, parameter: str = "threshold") -> None:
    """Raise InputError unless the threshold is a cosine in (0, 1]."""
    finite_number(threshold, parameter, "be a cosine in (0, 1]", "0.9 suits sentence encoders.", above=0.0, most=1.0)
