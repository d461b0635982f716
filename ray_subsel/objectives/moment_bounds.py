"""Bound all facility-location gains from above at once, from second moments: O((m + n) d^2) instead of O(n m d).

With differences delta_i = w_ix - best_i, max(0, delta) = (delta + |delta|) / 2 and, by Cauchy-Schwarz, for any a_i > 0

    sum_i c_i max(0, delta_i) <= (sum_i c_i delta_i + sqrt(sum_i c_i a_i * sum_i c_i delta_i^2 / a_i)) / 2.

Where a similarity is affine in <r_i, x>, both sums over i are a linear and a quadratic form in x, whose coefficients
one pass over the represented items yields. The bound is tight where the |delta_i| / a_i of one x are alike: for the
first few picks, before which lazy greedy would otherwise compute the whole similarity matrix twice.

Where hardly a similarity is negative, as with most embeddings of text, the same bound with best = 0 and the sum of the
similarities itself enclose the sum of the positive ones so closely that saturated coverage needs no other.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float64s
from ray_subsel.objectives.represented import Represented

_PROBES = 64
_BLOCK = 4096
_SUMMED = 1024  # rows that are summed in float32
_SUM_PROBES = 32
_APART = 1 / 16  # of a sum that its bounds may lie apart


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


def positive_sums(to: Represented, items: NDArray[np.float32]) -> tuple[Float64s, Float64s] | None:
    """Return numbers that enclose the sum of each item's positive similarities to all; None where they lie far apart.

    Parameters
    ----------
    to : Represented
        Of an affine kernel; the ground set represents itself.
    items : float32 array of shape (n, d)
        Its unit vectors, as :func:`~ray_subsel.objectives.similarity_block.unit_vectors` returns them.

    Returns
    -------
    lower, upper : float64 arrays of shape (n,)
        sum_i w_ix <= sum_i max(0, w_ix) <= (sum_i w_ix + sqrt(n sum_i w_ix^2)) / 2.
    """
    affine = to.kernel.affine()
    n, d = items.shape
    if affine is None or 4 * d > n:
        return None
    slope, shift = affine
    total = np.zeros(d)
    for start, stop in ranges(n, _SUMMED):
        total += np.add.reduce(items[start:stop], axis=0, dtype=np.float64)
    probes = items[np.unique(np.linspace(0, n - 1, _SUM_PROBES).astype(np.int64))]
    energy = np.einsum("ij,ij->i", *[np.asarray(to.kernel.of(probes, items), dtype=np.float64)] * 2)
    lower, upper = _enclosed(slope * (probes @ total) + shift * n, energy, n)
    if float((upper - lower).sum()) > _APART * float(upper.sum()):
        return None
    square = np.zeros((d, d))
    for start, stop in ranges(n, _SUMMED):
        square += items[start:stop].T @ items[start:stop]
    single = square.astype(np.float32)
    sums, squares = np.empty(n), np.empty(n)
    for start, stop in ranges(n, _SUMMED):
        rows = items[start:stop]
        sums[start:stop] = rows @ total
        squares[start:stop] = np.einsum("ij,ij->i", rows @ single, rows)
    # of vectors in float32, of norms within 2^-22 of 1, of each block's sum of squares, and of two sums over d;
    # |x| = 1, so sum_i <x, i>^2 <= n
    error = n * (_SUMMED + 4.0 * d + 64.0) * 2.0**-24
    lost = n * 2.0**-20
    sums = slope * sums + shift * n
    squares = slope**2 * squares + 2.0 * shift * (sums - shift * n) + n * shift**2
    lower, upper = _enclosed(sums, squares + slope**2 * error + 4.0 * lost, n)
    return np.maximum(lower - lost, 0.0), upper + lost


def _enclosed(sums: Float64s, squares: Float64s, n: int) -> tuple[Float64s, Float64s]:
    """Return what the sums of positive similarities are not below and not above."""
    return np.maximum(sums, 0.0), (sums + np.sqrt(n * np.maximum(squares, 0.0))) / 2.0


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
