"""Bound facility-location gains from above in float32, and the memory that makes the next ones cheap.

Two facts make lazy greedy fast without a similarity matrix.

1. A bound may be wrong upwards. With e the largest error of a similarity in float32 and best_i that of the chosen set,

       gain(x | S) <= sum_i c_i max(0, fl(w_ix) + e - best_i),

   so nearly all work is float32 matrix products, and only the few items at the top are evaluated in float64.
2. The represented items that x can still improve, {i : w_ix > best_i}, only become fewer as S grows. Once they are a
   small share, their numbers and similarities are remembered, and later bounds and gains of x read only these.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives.represented import Represented
from ray_subsel.objectives.similarities import downward, upward

Singles = NDArray[np.float32]

_SHARE = 1 / 12  # an item is remembered once it can improve less than this share of the represented set
_Found = list[tuple[NDArray[np.intp], NDArray[np.intp], Singles]]  # places in a block, represented items, similarities


@dataclass(frozen=True)
class CacheSizes:
    """How much is remembered and computed at once; no gain depends on it.

    Attributes
    ----------
    capacity : int
        Entries remembered over all items, 8 bytes each.
    candidates, items : int
        Rows and columns of a block of similarities: 1 MiB, so that it stays in a core's cache.
    """

    capacity: int = 8 << 20
    candidates: int = 128
    items: int = 2048


@dataclass(frozen=True, eq=False)
class _Active:
    """What an item could still improve when it was looked at last: their numbers and float32 similarities."""

    rows: NDArray[np.int32]
    similarities: Singles


@dataclass(eq=False)
class BoundCache:
    """Bounds and gains for the states of one growing chosen set.

    What is remembered holds for supersets of the set it was computed for. ``size`` is that of the largest set so far:
    a state of another size (somebody went back, or tries alternatives) is answered without the memory, and its
    children start an empty one.

    Attributes
    ----------
    to : Represented
    error : float
        The most by which a float32 similarity is wrong.
    items, weights : float32 arrays of shape (m, d) and (m,)
    sizes : CacheSizes
    size : int
    known : dict
        Item to what it can still improve.
    entries : int
        Sum of lengths over ``known``.
    """

    to: Represented
    error: float
    items: Singles
    weights: Singles
    sizes: CacheSizes = CacheSizes()
    size: int = 0
    known: dict[int, _Active] = field(default_factory=dict)
    entries: int = 0

    @staticmethod
    def start(to: Represented, error: float, sizes: CacheSizes) -> BoundCache:
        """Copy the represented items to float32 and remember nothing yet."""
        items = np.empty((to.m, to.items.d), dtype=np.float32)
        for start, stop in to.items.blocks():
            items[start:stop] = to.items.slice(start, stop)
        # taking a floor off a similarity, adding it again and taking another off rounds numbers below 2 three times
        return BoundCache(to, error + 2.0**-21, items, upward(to.weights), sizes)

    def after(self, size: int) -> BoundCache:
        """Return the memory of a child of a state of ``size`` items."""
        if size != self.size:
            return replace(self, size=size + 1, known={}, entries=0)
        self.size += 1
        return self

    def bounds(self, ids: Indices | None, best: Float64s, size: int) -> Float64s:
        """Return upper bounds of the gains of some items, all n by default."""
        ids = np.arange(self.to.candidates.n) if ids is None else ids
        floor = downward(best - self.error)
        bounds = np.empty(ids.size)
        remember = size == self.size
        seen = np.fromiter((remember and int(i) in self.known for i in ids), dtype=np.bool_, count=ids.size)
        if seen.any():
            bounds[seen] = self._remembered(ids[seen], floor)
        new = np.flatnonzero(~seen)
        # a batch that fits one block is halved, so that two threads share it
        largest = self.sizes.candidates
        step = min(largest, max(largest // 4, -(-new.size // 2)))
        ranges = [(start, min(start + step, new.size)) for start in range(0, new.size, step)]

        def compute(start: int, stop: int) -> tuple[Float64s, _Found]:
            return self._computed(ids[new[start:stop]], floor, remember)

        with block_workers() as workers:
            for (start, stop), (computed, found) in zip(ranges, workers(compute, ranges), strict=True):
                bounds[new[start:stop]] = computed
                if found:
                    self._remember(ids[new[start:stop]], found)
        return bounds

    def gains(self, ids: Indices, best: Float64s, size: int) -> Float64s:
        """Return the gains of a few items in float64."""
        gains = np.empty(ids.size)
        for place, item in enumerate(ids.tolist()):
            rows, similarities = self.improved(item, best, size)
            better = np.maximum(similarities - best[rows], 0.0)
            gains[place] = np.sum(better * self.to.weights[rows])
        return gains

    def improved(self, item: int, best: Float64s, size: int) -> tuple[Indices, Float64s]:
        """Return a superset of the represented items that one item improves, and its float64 similarities to them."""
        with block_workers():  # products this small are slower on two threads
            return self._improved(item, best, size)

    def _improved(self, item: int, best: Float64s, size: int) -> tuple[Indices, Float64s]:
        to = self.to
        vector = to.candidates.take(np.array([item]))
        known = self.known.get(item) if size == self.size else None
        if known is None:
            single = to.kernel.of(vector.astype(np.float32), self.items)[0]
            rows = np.flatnonzero(single > downward(best - self.error))
        else:
            rows = known.rows.astype(np.int64)
        if rows.size * 4 > to.m:  # reading in order beats gathering
            return np.arange(to.m), to.row(item)
        return rows, to.kernel.of(vector, to.items.take(rows))[0]

    def _computed(self, ids: Indices, floor: Singles, remember: bool) -> tuple[Float64s, _Found]:
        """Return bounds from matrix products, and what they improve where that is little; changes nothing."""
        vectors = self.to.candidates.take(ids).astype(np.float32)
        bounds = np.zeros(ids.size)
        found: _Found = []
        m = self.to.m
        for start in range(0, m, self.sizes.items):
            part = slice(start, min(start + self.sizes.items, m))
            block = self.to.kernel.of(vectors, self.items[part])
            block -= floor[part]
            np.maximum(block, 0.0, out=block)
            bounds += block @ self.weights[part]
            if remember:
                flat = block.ravel()
                positive = flat > 0
                remember = start > 0 or bool(np.count_nonzero(positive) < _SHARE * flat.size)
            if remember:
                places = np.flatnonzero(positive)
                which, column = np.divmod(places, block.shape[1])
                found.append((which, column + start, flat[places] + floor[column + start]))
        bounds *= 1.0 + 4.0 * self.sizes.items * 2.0**-24  # the float32 sums' rounding
        return bounds, found if remember else []

    def _remember(self, ids: Indices, found: _Found) -> None:
        which = np.concatenate([part[0] for part in found])
        order = np.argsort(which, kind="stable")
        rows = np.concatenate([part[1] for part in found])[order].astype(np.int32)
        similarities = np.concatenate([part[2] for part in found])[order].astype(np.float32)
        ends = np.cumsum(np.bincount(which, minlength=ids.size))
        for place, item in enumerate(ids.tolist()):
            start, stop = int(ends[place - 1]) if place else 0, int(ends[place])
            if stop - start <= _SHARE * self.to.m and self.entries + stop - start <= self.sizes.capacity:
                self.known[item] = _Active(rows[start:stop].copy(), similarities[start:stop].copy())
                self.entries += stop - start

    def _remembered(self, ids: Indices, floor: Singles) -> Float64s:
        """Return bounds from what is known, and forget what can no longer be improved."""
        bounds = np.zeros(ids.size)
        known = [self.known[item] for item in ids.tolist()]
        filled = np.flatnonzero([one.rows.size for one in known])
        if not filled.size:
            return bounds
        sizes = np.array([known[place].rows.size for place in filled])
        starts = np.cumsum(sizes) - sizes
        rows = np.concatenate([known[place].rows for place in filled])
        better = np.concatenate([known[place].similarities for place in filled])
        better -= floor[rows]
        np.maximum(better, 0.0, out=better)
        bounds[filled] = np.add.reduceat(better * self.weights[rows], starts, dtype=np.float64)
        alive = np.add.reduceat(better > 0, starts, dtype=np.int64)
        for at in np.flatnonzero(2 * alive < sizes):
            place = int(filled[at])
            kept = np.flatnonzero(better[starts[at] : starts[at] + sizes[at]])
            self.known[int(ids[place])] = _Active(known[place].rows[kept], known[place].similarities[kept])
            self.entries -= int(sizes[at] - alive[at])
        return bounds * (1.0 + 2.0**-22)  # the float32 products' rounding
