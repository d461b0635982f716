r"""Bring a chosen subset up to date: fill what room there is, then exchange chosen items for newcomers while f rises.

.. math:: S \leftarrow S + \arg\max_x f(S + x) - f(S) \quad \text{while } |S| < k, \qquad
    S \leftarrow S - j + x \quad \text{while } f(S - j + x) - f(S) > \epsilon f(S)

Newcomers are tried in order of what their best exchange is worth, and again until none is worth it, at most
``PASSES`` times. What an exchange is worth is computed as for streams (:mod:`ray_subsel.streaming.functions`): graph
cut and log-determinant exactly, facility location of all items up to 16,384, else of 8,192 drawn by a hash, and at
least 4 k. Products are exact, so the answer depends on no grouping.

Letters: n items, d dimension, k to have, m chosen, r represented.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ray_subsel.core.hashing import mix
from ray_subsel.core.types import Float32s, Float64s, Indices
from ray_subsel.objectives import FacilityLocation, Objective
from ray_subsel.selection.api import select
from ray_subsel.streaming.facility_location import FacilityLocationStream, greedy_order
from ray_subsel.streaming.functions import StreamFunction
from ray_subsel.streaming.grid_rows import grid_rows
from ray_subsel.streaming.registry import stream_function, streamable

ALL_REPRESENTED, SAMPLE = 16_384, 8_192
POOL = 16_384
"""Items that may fill room; of more, newcomers and a sample of the others."""
PASSES = 3
PRODUCTS = 1 << 25
"""Cosines of chosen and represented items that are held to put the chosen in order: 256 MB."""
_BLOCK, _SEEN = 256, 1 << 14


@dataclass(frozen=True, eq=False)
class Limits:
    """What groups may have.

    Attributes
    ----------
    groups : int64 array of shape (n,)
    most, least : int64 arrays of shape (G,)
        Exchanges leave the number of each group as it is; room is filled up to ``least`` first, then up to ``most``.
    """

    groups: Indices
    most: Indices
    least: Indices

    def full(self, chosen: Indices) -> Indices:
        """Return the groups of which as many items are chosen as may be."""
        return np.flatnonzero(np.bincount(self.groups[chosen], minlength=self.most.size) >= self.most)


@dataclass(frozen=True)
class Change:
    """What became of one place in the subset.

    Attributes
    ----------
    out, into : int or None
        The item that left and the one that came.
    rise : float
        What f rose by.
    """

    out: int | None
    into: int | None
    rise: float


@dataclass(frozen=True, eq=False)
class Renewed:
    """A subset that is up to date.

    Attributes
    ----------
    indices : int64 array of shape (m,)
        In greedy order among the chosen.
    gains : float64 array of shape (m,)
    value : float
        f; facility location of a sample is scaled to all n items.
    changes : tuple of Change
        One for each place whose item is another than before: filled ones first.
    """

    indices: Indices
    gains: Float64s
    value: float
    changes: tuple[Change, ...]


def renew(
    X: Float32s,
    chosen: Indices,
    k: int,
    objective: Objective[Any],
    *,
    newcomers: Indices,
    ids: Indices,
    limits: Limits | None = None,
    least_rise: float = 1e-4,
    seed: int = 0,
) -> Renewed:
    """Return the subset of at most k items that comes of a chosen one.

    Parameters
    ----------
    X : float32 array of shape (n, d)
        The items that there are now.
    chosen : int64 array of shape (m,)
        Chosen before, m <= k.
    k : int
    objective : Objective
        Facility location, graph cut or log-determinant.
    newcomers : int64 array
        Items for which chosen ones may be exchanged.
    ids : int64 array of shape (n,)
        What the samples are drawn by.
    limits : Limits, optional
    least_rise : float, default=1e-4
        epsilon; of graph cut, whose f may be negative, a share of <t, s>.
    seed : int, default=0

    Returns
    -------
    Renewed
    """
    function, stretch = _function(X, k, objective, ids, seed)
    f, times = function.objective(ids.size)
    subset = _Subset(function, X, k, limits)
    subset.begin(chosen)
    before = subset.rows.copy()
    filled = subset.fill(_pool(newcomers, ids, seed))
    moved = subset.exchange(newcomers, least_rise)
    after = np.array(subset.rows, dtype=np.int64)
    unit = times * stretch
    changes = [
        Change(None, int(after[place]), unit * (gain + moved.get(place, 0.0)))
        for place, gain in enumerate(filled, start=len(before))
    ]
    changes += [
        Change(before[place], int(after[place]), unit * moved[place])
        for place in sorted(moved)
        if place < len(before) and before[place] != after[place]
    ]
    if not after.size:
        return Renewed(after, np.zeros(0), 0.0, tuple(changes))
    by_row = np.sort(after)
    order, gains = _order(function, f, X[by_row], seed)
    return Renewed(by_row[order], stretch * gains, stretch * math.fsum(gains.tolist()), tuple(changes))


def _order(function: StreamFunction, f: Objective[Any], X: Float32s, seed: int) -> tuple[Indices, Float64s]:
    """Return the order in which greedy picks all rows of X, and their gains."""
    if isinstance(function, FacilityLocationStream) and len(X) * function.r <= PRODUCTS:
        return greedy_order(grid_rows(X), function.R)
    order = select(X, len(X), objective=f, recipe="none", seed=seed)
    return order.indices, order.gains


def _function(
    X: Float32s, k: int, objective: Objective[Any], ids: Indices, seed: int
) -> tuple[StreamFunction, float]:  # fmt: skip
    """Return what follows the subset, and how many items each represented one stands for."""
    n, d = X.shape
    objective = streamable(objective)
    if isinstance(objective, FacilityLocation):
        rows = np.arange(n)
        if n > ALL_REPRESENTED:
            rows = np.sort(np.argsort(mix(ids, seed), kind="stable")[: max(SAMPLE, 4 * k)])
        return stream_function(replace(objective, represented=X[rows]), d, n, seed), n / rows.size
    function = stream_function(objective, d, n, seed)
    for start in range(0, n, _SEEN):
        stop = min(n, start + _SEEN)
        function.see(grid_rows(X[start:stop]), np.arange(start, stop))
    function.step(np.zeros((0, d)))
    return function, 1.0


def _pool(newcomers: Indices, ids: Indices, seed: int) -> Indices:
    """Return the items that may fill room."""
    if ids.size <= POOL:
        return np.arange(ids.size)
    drawn = np.argsort(mix(ids, seed + 1), kind="stable")[:POOL]
    return np.union1d(newcomers, drawn)


@dataclass(eq=False)
class _Subset:
    """The chosen items while they change; each has a place."""

    function: StreamFunction
    X: Float32s
    k: int
    limits: Limits | None
    rows: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = np.zeros((self.k, self.X.shape[1]))
        self.held = np.zeros(0 if self.limits is None else self.limits.most.size, dtype=np.int64)

    @property
    def kept(self) -> Float64s:
        return self.store[: len(self.rows)]

    def begin(self, chosen: Indices) -> None:
        """Take in what was chosen before."""
        if not chosen.size:
            return
        self.rows = chosen.tolist()
        self.store[: chosen.size] = grid_rows(self.X[chosen])
        if self.limits is not None:
            self.held += np.bincount(self.limits.groups[chosen], minlength=self.held.size)
        self.function.begin(self.kept)

    def add(self, row: int) -> None:
        x = grid_rows(self.X[row : row + 1])
        self.store[len(self.rows)] = x[0]
        self.rows.append(row)
        if self.limits is not None:
            self.held[self.limits.groups[row]] += 1
        self.function.added(self.function.look(x), 0, self.kept)

    def fill(self, pool: Indices) -> list[float]:
        """Add what raises f most while there is room, those of groups that lack items first; return the gains."""
        if len(self.rows) >= self.k:
            return []
        if self.limits is None:
            return self._greedy(pool, None)
        return self._greedy(pool, self.limits.least) + self._greedy(pool, self.limits.most)

    def _greedy(self, pool: Indices, most: Indices | None) -> list[float]:
        """Add up to k, of each group up to ``most``; where no gain can grow, lazily."""
        free = self._open(pool)
        if not self.function.monotone:
            return self._eager(free, most)
        heap = [
            (-gain, row, len(self.rows))
            for block in _blocks(free)
            for row, gain in zip(block.tolist(), self._gains(block).tolist(), strict=True)
        ]
        heapq.heapify(heap)
        found: list[float] = []
        while heap and len(self.rows) < self.k:
            negative, row, when = heapq.heappop(heap)
            if not self._room(row, most):
                continue
            if when < len(self.rows):
                gain = float(self._gains(np.array([row]))[0])
                heapq.heappush(heap, (-gain, row, len(self.rows)))
                continue
            self.add(row)
            found.append(-negative)
        return found

    def _eager(self, free: Indices, most: Indices | None) -> list[float]:
        looks = [(block, self.function.look(grid_rows(self.X[block]))) for block in _blocks(free)]
        able = np.ones(free.size, dtype=np.bool_)
        found: list[float] = []
        while len(self.rows) < self.k:
            if most is not None and self.limits is not None:
                able &= (self.held < most)[self.limits.groups[free]]
            if not able.any():
                break
            gains = [self.function.gains(look, slice(0, block.size), self.kept, -np.inf) for block, look in looks]
            at = int(np.argmax(np.where(able, np.concatenate(gains), -np.inf)))
            able[at] = False
            self.add(int(free[at]))
            found.append(float(np.concatenate(gains)[at]))
        return found

    def _room(self, row: int, most: Indices | None) -> bool:
        if most is None or self.limits is None:
            return True
        group = self.limits.groups[row]
        return bool(self.held[group] < most[group])

    def exchange(self, newcomers: Indices, least_rise: float) -> dict[int, float]:
        """Exchange while f rises by enough; return what f rose by at each place where it did."""
        rises: dict[int, float] = {}
        if not self.rows:
            return rises
        for _ in range(PASSES):
            level = least_rise * len(self.rows) * self.function.worth(len(self.rows))
            free = self._open(newcomers)
            bounds = np.concatenate([np.zeros(0), *(self._bounds(block, level) for block in _blocks(free))])
            made = False
            for at in np.lexsort((free, -bounds)).tolist():
                if bounds[at] <= level:
                    break
                swap = self._swap(int(free[at]), level)
                if swap is not None:
                    place, rise = swap
                    rises[place] = rises.get(place, 0.0) + rise
                    made = True
            if not made:
                break
        return rises

    def _swap(self, row: int, level: float) -> tuple[int, float] | None:
        """Make the best exchange for a newcomer if it raises f by more than the level."""
        x = grid_rows(self.X[row : row + 1])
        look = self.function.look(x)
        rises = self.function.rises(look, 0, self.kept)
        if self.limits is not None:
            same = self.limits.groups[np.array(self.rows)] == self.limits.groups[row]
            rises = np.where(same, rises, -np.inf)
        place = int(np.argmax(rises))
        if not rises[place] > level:
            return None
        out = self.store[place].copy()
        self.store[place] = x[0]
        self.rows[place] = row
        self.function.replaced(look, 0, place, out, self.kept)
        return place, float(rises[place])

    def _open(self, rows: Indices) -> Indices:
        return np.setdiff1d(rows, np.array(self.rows, dtype=np.int64))

    def _gains(self, rows: Indices) -> Float64s:
        look = self.function.look(grid_rows(self.X[rows]))
        return self.function.gains(look, slice(0, rows.size), self.kept, -np.inf)

    def _bounds(self, rows: Indices, level: float) -> Float64s:
        look = self.function.look(grid_rows(self.X[rows]))
        return self.function.bounds(look, slice(0, rows.size), self.kept, level)


def _blocks(rows: Indices) -> Iterator[Indices]:
    for start in range(0, rows.size, _BLOCK):
        yield rows[start : start + _BLOCK]
