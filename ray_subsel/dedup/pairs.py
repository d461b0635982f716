"""Find the pairs of unit rows whose cosine reaches a threshold: {(i, j) : <x_i, y_j> >= t}.

Float32 products dismiss; what they cannot decide is decided in float64 in one fixed order of operations, so the pairs
depend neither on blocks nor on threads. Many rows are first compared by a *sketch* of p < d numbers: with an
orthonormal basis P, ``<x, y> <= <P x, P y> + |x - P'P x| |y - P'P y|`` (Cauchy-Schwarz): a product of p + 1
numbers instead of d.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.device import device
from ray_subsel.core.held_rows import HeldRows, hold
from ray_subsel.core.nearest import single_error
from ray_subsel.core.types import Float32s, Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows, row_dots

ROUNDING = 1e-12
"""Equal vectors reach a threshold of 1 although their norms are rounded."""

SKETCHED = 4096
"""From so many rows on a sketch pays for its basis."""

_SKETCHES = (32, 64, 96, 128, 192)
_PAIR_COST = 25.0  # of a pair that a sketch lets pass, in products of d numbers
_SAMPLE = 1024


def cosines_of(left: UnitRows, i: Indices, right: UnitRows, j: Indices) -> Float64s:
    """Return the cosine of each pair in float64, shape (len(i),), a block of pairs at a time."""
    found = np.empty(i.size)
    step = max(1, (1 << 18) // left.d)
    for start in range(0, i.size, step):
        part = slice(start, start + step)
        found[part] = row_dots(left.take(i[part]), right.take(j[part]))
    return found


@dataclass(frozen=True, eq=False)
class PairGrid:
    """All pairs of rows ``left[i]`` and ``right[j]``."""

    left: UnitRows
    i: Indices
    right: UnitRows
    j: Indices

    def cosines(self, a: Indices, b: Indices) -> Float64s:
        """Return the cosine of some pairs in float64, by their places in i and in j."""
        return cosines_of(self.left, self.i[a], self.right, self.j[b])


def reaching_pairs(
    grid: PairGrid, block: Float32s, held: HeldRows, threshold: float, part: slice = slice(None)
) -> tuple[Indices, Indices]:
    """Return which pairs of a grid reach the threshold: places in i and in j, row by row.

    Parameters
    ----------
    grid : PairGrid
    block : float32 array of shape (len(i), d)
        The unit rows ``left[i]``.
    held : HeldRows
        Of which ``part`` are the unit rows ``right[j]``.
    """
    margin = single_error(grid.left.d)
    rows, columns, products = held.reaching(block, threshold - margin, part)
    unsure = np.flatnonzero(products < threshold + margin)
    reached = np.ones(rows.size, dtype=np.bool_)
    reached[unsure] = grid.cosines(rows[unsure], columns[unsure]) >= threshold - ROUNDING
    return rows[reached], columns[reached]


def sketched_pairs(
    grid: PairGrid, block: Float32s, held: HeldRows, threshold: float, part: slice = slice(None)
) -> tuple[Indices, Indices] | None:
    """Return what :func:`reaching_pairs` does from products of sketches; None where whole products cost less.

    Parameters
    ----------
    grid : PairGrid
    block : float32 array of shape (len(i), p + 1)
        Sketches of the rows ``left[i]`` (:meth:`Sketch.of`).
    held : HeldRows
        Of which ``part`` are sketches of the rows ``right[j]``.
    """
    rows, columns, _ = held.reaching(block, threshold - 2.0 * single_error(grid.left.d), part)
    if rows.size * _PAIR_COST > grid.i.size * grid.j.size:
        return None
    reached = _reached(grid.left, grid.i[rows], grid.right, grid.j[columns], threshold)
    return rows[reached], columns[reached]


def _reached(left: UnitRows, i: Indices, right: UnitRows, j: Indices, threshold: float) -> NDArray[np.bool_]:
    """Return which pairs of rows left[i], right[j] reach the threshold."""
    rough, step = np.empty(i.size), max(1, (1 << 18) // left.d)
    for start in range(0, i.size, step):
        part = slice(start, start + step)
        rough[part] = np.einsum("ij,ij->i", left.single(i[part]), right.single(j[part]))
    margin = 2.0 * single_error(left.d)
    reached = rough >= threshold + margin
    unsure = np.flatnonzero(~reached & (rough >= threshold - margin))
    reached[unsure] = cosines_of(left, i[unsure], right, j[unsure]) >= threshold - ROUNDING
    return np.asarray(reached)


@dataclass(frozen=True, eq=False)
class Sketch:
    """A basis onto which rows are projected before they are compared.

    Attributes
    ----------
    basis : float32 array of shape (d, p)
        Orthonormal columns.
    """

    basis: Float32s

    def of(self, single: Float32s) -> Float32s:
        """Return p coordinates of each unit row and, at least, the length of what is left; shape (n, p + 1)."""
        found = np.empty((single.shape[0], self.basis.shape[1] + 1), dtype=np.float32)
        found[:, :-1] = single @ self.basis
        left = 1.0 - np.einsum("ij,ij->i", found[:, :-1], found[:, :-1], dtype=np.float64)
        found[:, -1] = np.sqrt(np.maximum(left, 0.0) + 8.0 * single_error(single.shape[1]))
        return found


def fit_sketch(rows: UnitRows, threshold: float) -> Sketch | None:
    """Return the sketch that compares most cheaply, by a sample of pairs, or None where whole products do.

    On a device they always do. The basis are the first principal axes (uncentred) of a sample. Nothing but speed
    depends on it.
    """
    if device() is not None or rows.n < SKETCHED or rows.d <= 2 * _SKETCHES[0]:
        return None
    sample = rows.take(np.unique(np.linspace(0, rows.n - 1, 2 * _SAMPLE).astype(np.int64)))
    axes = np.linalg.eigh(sample.T @ sample)[1][:, ::-1].astype(np.float32)
    single = sample.astype(np.float32)
    costs: dict[int, float] = {}
    for p in (size for size in _SKETCHES if size <= rows.d // 2):
        sketched = Sketch(axes[:, :p]).of(single)
        passed = np.count_nonzero(sketched[::2] @ sketched[1::2].T >= threshold) / (sketched[::2].shape[0] ** 2)
        costs[p] = p / rows.d + 0.1 + _PAIR_COST * passed
    best = min(costs, key=lambda p: costs[p])
    return Sketch(np.ascontiguousarray(axes[:, :best])) if costs[best] < 0.7 else None


class PairFinder:
    """Compares blocks of rows with those that were kept, which it holds as they are multiplied.

    Parameters
    ----------
    rows : UnitRows
    threshold : float
    """

    def __init__(self, rows: UnitRows, threshold: float) -> None:
        self.rows = rows
        self.threshold = threshold
        self.sketch = fit_sketch(rows, threshold)
        width = rows.d if self.sketch is None else self.sketch.basis.shape[1] + 1
        self._held = hold(np.empty((0, width), dtype=np.float32), room=rows.n)
        self.kept = np.empty(0, dtype=np.int64)

    def single(self, items: Indices) -> Float32s:
        """Return some unit rows in float32."""
        return self.rows.single(items)

    def rows_at_once(self, usual: int) -> int:
        """Return how many rows are best compared at once; ``usual`` on the CPU."""
        return self._held.rows_at_once(usual)

    def keep(self, items: Indices) -> None:
        """Add rows to those that later blocks are compared with."""
        step = max(1, (1 << 18) // self.rows.d)
        for start in range(0, items.size, step):
            single = self.single(items[start : start + step])
            self._held.append(single if self.sketch is None else self.sketch.of(single))
        self.kept = np.concatenate([self.kept, items])

    def with_kept(self, block: Indices, first: int | None = None) -> tuple[Indices, Indices]:
        """Return the pairs of a block and the kept rows that reach the threshold: places in the block and in kept.

        Parameters
        ----------
        block : int64 array
        first : int, optional
            Compare with so many of the kept rows only.
        """
        single = self.single(block)
        kept = self.kept[:first]
        part = slice(0, kept.size)
        if self.sketch is None:
            return reaching_pairs(self._grid(block, kept), single, self._held, self.threshold, part)
        least = self.threshold - 2.0 * single_error(self.rows.d)
        i, j, _ = self._held.reaching(self.sketch.of(single), least, part)
        # Rows that many kept ones might reach are compared as a whole.
        many = np.flatnonzero(np.bincount(i, minlength=block.size) > max(8, kept.size // 50))
        if many.size:
            few = ~np.isin(i, many)
            i, j = i[few], j[few]
        reached = _reached(self.rows, block[i], self.rows, kept[j], self.threshold)
        i, j = i[reached], j[reached]
        if many.size:
            others = self._whole(block[many], single[many], kept)
            i, j = np.concatenate([i, many[others[0]]]), np.concatenate([j, others[1]])
            order = np.lexsort((j, i))
            i, j = i[order], j[order]
        return i, j

    def _whole(self, block: Indices, single: Float32s, kept: Indices) -> tuple[Indices, Indices]:
        """Compare rows with kept ones by whole products, some of the kept at a time."""
        found = []
        step = max(1, (1 << 22) // self.rows.d)
        for start in range(0, kept.size, step):
            some = kept[start : start + step]
            i, j = reaching_pairs(self._grid(block, some), single, hold(self.single(some)), self.threshold)
            found.append((i, j + start))
        return np.concatenate([i for i, _ in found]), np.concatenate([j for _, j in found])

    def among(self, block: Indices) -> NDArray[np.bool_]:
        """Return which pairs of a block reach the threshold, shape (len(block), len(block))."""
        single = self.single(block)
        hits = np.zeros((block.size, block.size), dtype=np.bool_)
        hits[reaching_pairs(self._grid(block, block), single, hold(single), self.threshold)] = True
        return hits

    def _grid(self, block: Indices, others: Indices) -> PairGrid:
        return PairGrid(self.rows, block, self.rows, others)
