"""Score candidates of graph cut: the gain of the definition, its ties and its rounding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ray_subsel.core.types import Float64s, Indices

ROUNDOFF = 2.0**-53

MOST_PICKS = 1024
"""A draft is at most this long; :meth:`GraphCutScore.slack` counts on it."""


@dataclass(frozen=True, eq=False)
class GraphCutScore:
    """What the greedy compares: <x, t - (2 + lam) s> - 1 of a unit vector x, with bounds on its rounding.

    Attributes
    ----------
    total : float64 array of shape (d,)
        t of graph cut.
    lam : float
    pace : int or None
        k of a paced greedy, whose i-th pick sees (i / k) t in the place of t. None: the greedy of the definition.
    """

    total: Float64s
    lam: float
    pace: int | None = None

    @cached_property
    def _norm(self) -> float:
        return float(np.sqrt(self.total @ self.total))

    @property
    def penalty(self) -> float:
        """What a pick's similarity costs another item: 2 + lam."""
        return 2.0 + self.lam

    @property
    def drift(self) -> float:
        """How far t moves from one pick to the next: |t| / k of a paced greedy."""
        return 0.0 if self.pace is None else self._norm / self.pace

    def direction(self, chosen: Float64s, picked: int) -> Float64s:
        """Return the vector whose products with unit rows, less one, are compared when ``picked`` items make up s."""
        total = self.total if self.pace is None else (picked + 1) / self.pace * self.total
        direction: Float64s = total - self.penalty * chosen
        return direction

    def directions(self, sums: Float64s, start: int) -> Float64s:
        """Return :meth:`direction` for each row of ``sums``, where ``start``, ``start + 1``, ... items were picked."""
        if self.pace is None:
            return np.asarray(self.total - self.penalty * sums, dtype=np.float64)
        share = (start + 1 + np.arange(sums.shape[0])) / self.pace
        return np.asarray(share[:, None] * self.total - self.penalty * sums, dtype=np.float64)

    def scale(self, picked: int) -> float:
        """Return a bound on any gain after ``picked`` picks: |t| + (2 + lam) picked >= |t - (2 + lam) s|."""
        return self._norm + self.penalty * picked + 1.0

    def _scales(self, picked: Indices) -> Float64s:
        return np.asarray(self._norm + self.penalty * picked + 1.0, dtype=np.float64)

    def ties(self, picked: Indices) -> Float64s:
        """Return :meth:`tie` of each number, bit by bit."""
        return ROUNDOFF * max(8192, 16 * self.total.size) * self._scales(picked)

    def slacks(self, picked: Indices) -> Float64s:
        """Return :meth:`slack` of each number, bit by bit."""
        return ROUNDOFF * (2 * self.total.size + 2 * MOST_PICKS + 16) * self._scales(picked)

    def tie(self, picked: int) -> float:
        """Return the difference of float64 gains up to which two items are equal, so that the lower id wins."""
        return ROUNDOFF * max(8192, 16 * self.total.size) * self.scale(picked)

    def slack(self, picked: int) -> float:
        """Return a bound on the rounding by which two float64 ways of computing a gain differ; below half of a tie."""
        return ROUNDOFF * (2 * self.total.size + 2 * MOST_PICKS + 16) * self.scale(picked)
