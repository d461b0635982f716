"""Bound the best value of graph cut over subsets of one size, by Frank-Wolfe on its concave relaxation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ray_subsel.core.exact_sum import exact_total
from ray_subsel.core.threads import Workers, block_workers, ranges
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import row_dots, unit_rows
from ray_subsel.objectives.graph_cut import GraphCut, closed_value
from ray_subsel.optimizers.base import Problem
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows, distinct_rows_of

_ATOM_STEPS = 8
_ATOM_SHARE = 1e-3
_MOST_ATOMS = 64


@dataclass(frozen=True)
class Certificate:
    """Proof of quality of a subset under graph cut and utilities: none of its size is worth more than ``bound``.

    Attributes
    ----------
    value : float
        Of the subset.
    bound : float
        At least the value of every subset of the same size that holds the must-includes and no excluded item.
    random_value : float
        Expected value of a random one.
    iterations : int
        Passes over X that it took.
    """

    value: float
    bound: float
    random_value: float
    iterations: int

    @property
    def gap(self) -> float:
        """At most this much is missing to the best."""
        return max(0.0, self.bound - self.value)

    @property
    def closed(self) -> float:
        """At least this share of what a random subset lacks to the best is gained; negative if random is better."""
        span = self.bound - self.random_value
        if span <= 1e-9 * (1.0 + abs(self.bound)):  # all subsets are worth the same but for rounding
            return 1.0
        return (self.value - self.random_value) / span

    def __str__(self) -> str:
        return f"within {self.gap:.4g} of the best, {100 * self.closed:.1f} % of random's shortfall closed"


def certify(problem: Problem, indices: Indices, *, iterations: int = 100, tolerance: float = 1e-4) -> Certificate:
    r"""Bound the best value of graph cut over subsets of the given one's size.

    Relaxed to weights :math:`0 \le z_i \le c_i, \sum z_i = k` and s = sum z_i x_i, the value
    :math:`\langle t, s\rangle - (1 + \lambda/2) |s|^2 + \lambda k / 2 + \langle u, z\rangle` is concave, so at any z it
    plus the most that its slope allows, :math:`\max_v \langle \nabla, v - z\rangle`, is a bound on all subsets. The
    slope's best vertex v is the k items of highest gain: a pass over X, no matrix. Frank-Wolfe, fully corrective:
    after each pass the best mixture of all vertices seen so far is taken.

    Parameters
    ----------
    problem : Problem
        With a GraphCut objective. Quotas and costs are not relaxed further: the bound holds with them, less tightly.
    indices : int64 array of shape (k,)
    iterations : int
        At most so many passes.
    tolerance : float
        Stop when the gap is below this share of what a random subset lacks to the bound.

    Notes
    -----
    O(n d) a pass, in float64, and O(n) memory. The bound allows for its own rounding.

    Source: Frank and Wolfe 1956; Jaggi, "Revisiting Frank-Wolfe", ICML 2013.
    """
    objective = problem.objective
    assert isinstance(objective, GraphCut)
    indices = np.asarray(indices, dtype=np.int64)
    with block_workers() as workers:
        distinct, total = distinct_rows_of(problem, workers)
        relaxation = _Relaxation(problem, distinct, total, objective.lam, indices.size, workers)
        vectors = unit_rows(problem.X[indices]).slice(0, indices.size) if indices.size else None
        chosen = np.zeros(distinct.rows.d) if vectors is None else np.add.reduce(vectors, axis=0)
        bonus = 0.0 if problem.utility is None else float(problem.utility[indices].sum())
        value = closed_value(total, chosen, indices.size, objective.lam) + bonus
        random = relaxation.random_value()
        bound, passes = relaxation.bound(chosen, bonus, value, random, iterations, tolerance)
    return Certificate(value, max(bound, value), random, passes)


class _Relaxation:
    """The concave problem over fractional subsets; a point is the pair (s, sum of utilities)."""

    def __init__(
        self, problem: Problem, distinct: DistinctRows, total: Float64s, lam: float, k: int, workers: Workers
    ) -> None:
        include = problem.include[:k]
        self.distinct = distinct
        self.total = total
        self.lam = lam
        self.k = k
        self.workers = workers
        self.free = k - include.size
        self.units = distinct.copies.size
        fixed = np.zeros((0, total.size))
        if include.size:
            fixed = unit_rows(problem.X[include]).slice(0, include.size)
        self.fixed_sum = np.add.reduce(fixed, axis=0)
        self.fixed_bonus = 0.0 if problem.utility is None else float(problem.utility[include].sum())

    def random_value(self) -> float:
        """Return the expected value of the must-includes plus free items drawn uniformly from those allowed."""
        n, k = int(self.units.sum()), self.free
        own = exact_total(self.distinct.rows, self.units, workers=self.workers).vector()
        bonus = self.fixed_bonus
        if k == 0 or n == 0:
            return closed_value(self.total, self.fixed_sum, self.k, self.lam) + bonus
        if self.distinct.utility is not None:
            bonus += k / n * float(self.units @ self.distinct.utility)
        linear = float(self.total @ self.fixed_sum) + k / n * float(self.total @ own)
        pairs = k * (k - 1) / (n * (n - 1)) * (float(own @ own) - n) if n > 1 else 0.0
        square = float(self.fixed_sum @ self.fixed_sum) + 2 * k / n * float(self.fixed_sum @ own) + k + pairs
        return linear - (1.0 + self.lam / 2.0) * square + self.lam * self.k / 2.0 + bonus

    def bound(
        self, chosen: Float64s, bonus: float, value: float, random: float, iterations: int, tolerance: float
    ) -> tuple[float, int]:
        """Return the least bound found and the passes that it took."""
        atoms, bonuses, weights = chosen[None].copy(), np.array([bonus]), np.ones(1)
        point, point_bonus, point_value = chosen, bonus, value
        best = np.inf
        passes = 0
        while passes < max(1, iterations):
            passes += 1
            vertex, vertex_bonus, slope_value = self._best_vertex(point)
            slope = self.total - (2.0 + self.lam) * point
            gap = slope_value - float(slope @ point) - point_bonus
            best = min(best, point_value + gap + self._noise())
            if best - max(value, point_value) <= tolerance * max(best - random, 1e-12):
                break
            atoms = np.concatenate((atoms, vertex[None]))
            bonuses = np.append(bonuses, vertex_bonus)
            weights = _better_mixture(np.append(weights, 0.0), atoms, bonuses, self.total, self.lam, gap)
            if atoms.shape[0] > _MOST_ATOMS:
                keep = np.sort(np.argsort(-weights, kind="stable")[: _MOST_ATOMS // 2])
                merged, merged_bonus = weights @ atoms, float(weights @ bonuses)
                atoms = np.concatenate((merged[None], atoms[keep]))
                bonuses = np.concatenate(([merged_bonus], bonuses[keep]))
                weights = np.eye(1, bonuses.size)[0]
            point, point_bonus = weights @ atoms, float(weights @ bonuses)
            point_value = closed_value(self.total, point, self.k, self.lam) + point_bonus
        return best, passes

    def _noise(self) -> float:
        """Return a bound on the rounding of a computed bound."""
        size = float(np.sqrt(self.total @ self.total)) + (2.0 + self.lam) * self.k + 1.0
        return 2.0**-50 * size * (self.k + 1)

    def _best_vertex(self, point: Float64s) -> tuple[Float64s, float, float]:
        """Return the sum and the bonus of the k items on which the slope at a point is largest, and slope's value."""
        rows, utility = self.distinct.rows, self.distinct.utility
        slope = self.total - (2.0 + self.lam) * point
        gains = np.empty(rows.n)

        def fill(start: int, stop: int) -> None:
            gains[start:stop] = row_dots(rows.slice(start, stop), slope)

        self.workers(fill, rows.blocks())
        if utility is not None:
            gains += utility
        gains[self.units == 0] = -np.inf
        best = np.argsort(-gains, kind="stable")[: self.free]
        ends = np.cumsum(self.units[best])
        weights = np.clip(self.free - (ends - self.units[best]), 0, self.units[best]).astype(np.float64)
        best, weights = best[weights > 0], weights[weights > 0]
        vertex = self.fixed_sum.copy()
        for start, stop in ranges(best.size, rows.rows_per_block()):
            vertex += weights[start:stop] @ rows.take(best[start:stop])
        bonus = self.fixed_bonus + (0.0 if utility is None else float(weights @ utility[best]))
        slope_value = float(slope @ self.fixed_sum) + self.fixed_bonus + float(weights @ gains[best])
        return vertex, bonus, slope_value


def _better_mixture(
    weights: Float64s, atoms: Float64s, bonuses: Float64s, total: Float64s, lam: float, gap: float
) -> Float64s:
    """Return convex weights of the atoms whose concave value is larger, by pairwise Frank-Wolfe on the atoms alone.

    Any mixture gives a bound, so it ends where little of the gap of this pass is left in the atoms.
    """
    linear = atoms @ total + bonuses
    gram = (2.0 + lam) * (atoms @ atoms.T)
    slope = linear - gram @ weights
    enough = max(_ATOM_SHARE * gap, 1e-14 * (abs(float(linear.max())) + 1.0))
    for _ in range(_ATOM_STEPS * linear.size):
        to = int(slope.argmax())
        off = int(np.where(weights > 0, slope, np.inf).argmin())
        rise = slope[to] - slope[off]
        if rise <= enough:
            break
        bend = gram[to, to] + gram[off, off] - 2 * gram[to, off]
        step = weights[off] if bend <= 0 else min(float(weights[off]), float(rise / bend))
        weights[to] += step
        weights[off] -= step
        slope -= step * (gram[:, to] - gram[:, off])
    return np.asarray(np.maximum(weights, 0.0) / np.maximum(weights, 0.0).sum(), dtype=np.float64)
