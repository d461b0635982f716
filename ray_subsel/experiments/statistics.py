"""Compute means, their confidence intervals and paired differences over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


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


def over_draws_and_rows(values: NDArray[Any], comparisons: int = 1) -> Estimate:
    """Return the mean over draws and test rows of what was seen of each, with an interval for both at once.

    With draw means c_j and row means r_i, the variance of the mean is taken as var(c) / J + var(r) / n. Draws share
    the test rows and rows share the draws, so neither alone tells it, and the sum is at least as large as it
    (Owen, "The pigeonhole bootstrap", Ann. Appl. Stat. 1, 2007).

    Parameters
    ----------
    values : array of shape (J, n)
        For a difference in accuracy: 1 where only the one way was right, -1 where only the other, else 0.
    comparisons : int
        How many such intervals are looked at: each then holds 1 - 0.05 / comparisons (Bonferroni).

    Returns
    -------
    Estimate
        Student's t, its degrees of freedom by Satterthwaite's formula; for one draw, or one row, the half is None.
    """
    from scipy.stats import t

    draws, rows = values.shape
    mean = float(values.mean(dtype=np.float64))
    if draws == 1 or rows == 1:
        return Estimate(mean, None, draws)
    of_draws, of_rows = values.mean(axis=1, dtype=np.float64), values.mean(axis=0, dtype=np.float64)
    parts = float(of_draws.var(ddof=1)) / draws, float(of_rows.var(ddof=1)) / rows
    variance = sum(parts)
    if variance == 0:
        return Estimate(mean, 0.0, draws)
    freedom = variance**2 / (parts[0] ** 2 / (draws - 1) + parts[1] ** 2 / (rows - 1))
    return Estimate(mean, float(t.ppf(1 - 0.025 / comparisons, freedom)) * math.sqrt(variance), draws)
