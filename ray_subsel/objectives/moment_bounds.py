"""Bound all facility-location gains from above at once, from second moments: O((m + n) d^2) instead of O(n m d).

With differences delta_i = w_ix - best_i, max(0, delta) = (delta + |delta|) / 2 and, by Cauchy-Schwarz, for any a_i > 0

    sum_i c_i max(0, delta_i) <= (sum_i c_i delta_i + sqrt(sum_i c_i a_i * sum_i c_i delta_i^2 / a_i)) / 2.

Where a similarity is affine in <r_i, x>, both sums over i are a linear and a quadratic form in x, whose coefficients
one pass over the represented items yields. The bound is tight where the |delta_i| / a_i of one x are alike: for the
first few picks, before which lazy greedy would otherwise compute the whole similarity matrix twice.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s
from ray_subsel.objectives.represented import Represented

_PROBES = 64
_BLOCK = 4096


def cheap_bounds(to: Represented, items: NDArray[np.float32], best: Float64s) -> Float64s | None:
    """Return an upper bound of each candidate's gain, shape (n,), or None where there is no cheap one.

    Parameters
    ----------
    to : Represented
    items : float32 array of shape (m, d)
        The represented rows, as :class:`~ray_subsel.objectives.bound_cache.BoundCache` keeps them.
    best : float64 array of shape (m,)
    """
    affine = to.kernel.affine()
    m, d = items.shape
    if affine is None or 4 * d > m:
        return None
    slope, shift = affine
    spread = _spread(to, items, best)
    share, height = to.weights / spread, best - shift
    total, pull, square = np.zeros(d), np.zeros(d), np.zeros((d, d))
    for start in range(0, m, _BLOCK):
        part = slice(start, min(start + _BLOCK, m))
        rows = items[part].astype(np.float64)
        scaled = rows * share[part, None]
        total += to.weights[part] @ rows
        pull += height[part] @ scaled
        square += scaled.T @ rows
    offset, energy = float(to.weights @ height), float(share @ height**2)
    weight = float(to.weights @ spread)
    bounds: Float64s = np.empty(to.candidates.n)
    for start, stop in to.candidates.blocks():
        rows = slope * to.candidates.slice(start, stop)
        squares = np.einsum("ij,ij->i", rows @ square, rows) - 2.0 * (rows @ pull) + energy
        bounds[start:stop] = (rows @ total - offset + np.sqrt(weight * np.maximum(squares, 0.0))) / 2.0
    # what the float32 copy and the cancellation of squares may have lost
    slack = 2.0**-21 * float(to.weights.sum()) + 1e-7 * math.sqrt(weight * energy)
    return bounds * (1.0 + 1e-9) + slack


def _spread(to: Represented, items: NDArray[np.float32], best: Float64s) -> Float64s:
    """Return a_i, the root mean square of delta_i over some candidates: what makes the bound tight for typical x."""
    n = to.candidates.n
    probes = np.unique(np.linspace(0, n - 1, min(n, _PROBES)).astype(np.int64))
    vectors = to.candidates.take(probes).astype(np.float32)
    spread = np.empty(best.size)
    for start in range(0, best.size, _BLOCK):
        part = slice(start, min(start + _BLOCK, best.size))
        differences = to.kernel.of(vectors, items[part]) - best[part]
        spread[part] = np.sqrt(np.mean(differences**2, axis=0))
    return np.maximum(spread, 1e-3)
