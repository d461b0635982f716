"""Compute means, their confidence intervals and paired differences over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval.

    Attributes
    ----------
    mean : float
    half : float or None
        Half the 95 % interval of Student's t, t(0.975, n - 1) s / sqrt(n); None for one value.
    n : int
        Values.
    """

    mean: float
    half: float | None
    n: int

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.half is not None and abs(self.mean) > self.half


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of at least one value, with its interval."""
    from scipy.stats import t

    assert len(values) > 0
    n, mean = len(values), math.fsum(values) / len(values)
    if n == 1:
        return Estimate(mean, None, 1)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    return Estimate(mean, float(t.ppf(0.975, n - 1)) * deviation / math.sqrt(n), n)


def paired(one: Mapping[int, float], other: Mapping[int, float]) -> Estimate | None:
    """Return the estimate of one minus other over the seeds that both have; None where they share none."""
    shared = sorted(one.keys() & other.keys())
    return estimate([one[seed] - other[seed] for seed in shared]) if shared else None


def correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Spearman's rank correlation of at least three pairs, ties sharing their mean rank, else None."""
    from scipy.stats import spearmanr

    if len(pairs) < 3:
        return None
    first, second = zip(*pairs, strict=True)
    if len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return float(np.asarray(spearmanr(first, second).statistic))
