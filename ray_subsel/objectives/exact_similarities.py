"""Compute similarities in float64, which decide, for a few candidates, pairs or sums, and keep what was computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np

from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives.read_ahead import ReadAhead
from ray_subsel.objectives.represented import Represented
from ray_subsel.objectives.similarities import ROWS
from ray_subsel.objectives.similarity_block import multiply, unit_vectors

_BLOCK_BYTES = 4 << 20
_EXACT_BYTES = 256 << 20  # float64 vectors that are kept
_FIRST, _AHEAD = 32, 64  # rows that are computed ahead, at first and at most
_SHARE, _NUMBERS = 0.12, 44  # of the rows, which cost as much as a block, and its memory as numbers of a vector
_PART, _PART_NUMBERS = 256, 1 << 17  # represented items at least, and similarities, that stay in a processor's cache
_PAIRS = 1 << 17  # numbers of vectors that are multiplied two by two
_LEVEL = 1.8  # picks that cost as much as a level


@final
@dataclass(eq=False)
class ExactSimilarities:
    """Similarities of one candidate in float64, which decide.

    Attributes
    ----------
    to : Represented
    ahead_bytes : int
        How much of what was computed is kept: all, where the items represent themselves and it fits.
    positive : bool
        Whether rows have 0 where a similarity is negative.
    """

    to: Represented
    ahead_bytes: int = 32 << 20
    positive: bool = False
    _small: bool = field(init=False)
    _ahead: Float64s = field(init=False)
    _held: list[int] = field(init=False)  # whose similarities the rows of ``_ahead`` are; -1: nobody's
    _place: dict[int, int] = field(init=False, default_factory=dict)
    _all: bool = field(init=False)  # whether all similarities are kept once they are computed
    _next: int = field(init=False, default=0)  # row of ``_ahead`` to be overwritten
    _read_ahead: ReadAhead = field(init=False)
    _one: Float64s = field(init=False)
    _which: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        to = self.to
        self._small = 8 * to.m * to.items.d <= _EXACT_BYTES
        room = self.ahead_bytes // (8 * to.m)
        self._all = self._small and to.items is to.candidates and to.m <= room
        self._ahead = np.empty((to.m if self._all else max(1, min(to.candidates.n, room)), to.m))
        self._held = [-1] * len(self._ahead)
        self._read_ahead = ReadAhead(min(_AHEAD, len(self._ahead)), _FIRST)
        self._one = np.empty((1, to.m))

    @cached_property
    def _items(self) -> Float64s | None:
        """All vectors of the represented items, where they fit."""
        return unit_vectors(self.to.items, np.float64) if self._small else None

    def row(self, item: int) -> Float64s:
        """Return the similarities of a candidate to all represented items, shape (m,); not to be changed."""
        place = self._place.get(item)
        if place is not None:
            self._read_ahead.asked(item)
            return np.asarray(self._ahead[place])
        if item != self._which:
            self._fill(np.array([item]), self._one)
            self._which = item
        return np.asarray(self._one[0])

    def expects(self, item: int) -> bool:
        """Tell whether a candidate's similarities are there."""
        return item in self._place

    def together(self) -> int:
        """Return how many candidates :meth:`expect` is best told."""
        return self._read_ahead.size

    def expect(self, items: Indices) -> None:
        """Compute the similarities of candidates that will be asked for, by one product; the oldest others go."""
        self._read_ahead.computed(self._keep(items))

    def _keep(self, items: Indices) -> list[int]:
        """Compute the similarities of candidates that are not there, and return which were not."""
        new = [item for item in items.tolist() if item not in self._place]
        start = self._next if self._next + len(new) <= len(self._ahead) else 0
        self._next = start + len(new)
        for place in range(start, self._next):
            self._place.pop(self._held[place], None)
        self._fill(np.array(new, dtype=np.int64), self._ahead[start : self._next])
        self._held[start : self._next] = new
        self._place |= zip(new, range(start, self._next), strict=True)
        return new

    def _fill(self, items: Indices, rows: Float64s) -> None:
        if self._items is None:
            for part, block in self.to.similarities(items):
                rows[:, part] = block
        else:
            multiply(self.to.kernel, self._vectors(items), self._items, rows)
        if self.positive:
            np.maximum(rows, 0.0, out=rows)

    def parts(self, items: Indices) -> Iterator[tuple[slice, Float64s]]:
        """Yield the similarities of candidates to parts of the represented items, which are not kept."""
        own = self._items
        found = self.to.similarities(items) if own is None else self._parts_of(own, items)
        for part, block in found:
            yield part, np.maximum(block, 0.0, out=block) if self.positive else block

    def _parts_of(self, own: Float64s, items: Indices) -> Iterator[tuple[slice, Float64s]]:
        vectors, step = self._vectors(items), min(self.to.m, max(_PART, _PART_NUMBERS // max(1, items.size)))
        space = np.empty(items.size * step)
        for start, stop in ranges(self.to.m, step):
            block = space[: items.size * (stop - start)].reshape(items.size, stop - start)
            multiply(self.to.kernel, vectors, own[start:stop], block)
            yield slice(start, stop), block

    def _vectors(self, items: Indices) -> Float64s:
        own = self._items if self.to.items is self.to.candidates else None
        return self.to.candidates.take(items) if own is None else own.take(items, axis=0)

    def some(self, item: int, items: Indices) -> Float64s:
        """Return the similarities of a candidate to some represented items."""
        if item in self._place or 4 * items.size > self.to.m:  # reading in order beats gathering
            return self.row(item)[items]
        to, own = self.to, self._items
        rows = to.items.take(items) if own is None else own.take(items, axis=0)
        vector = own[item] if own is not None and to.items is to.candidates else to.candidates.row(item)
        return np.asarray(to.kernel.of(rows, vector[None])[:, 0])

    def pairs(self, candidates: Indices, items: Indices) -> Float64s:
        """Return the similarity of each candidate to the represented item beside it, by an affine kernel."""
        to, own, found = self.to, self._items if items.size > self.to.m else None, np.empty(items.size)
        for start, stop in ranges(items.size, max(1, _PAIRS // to.items.d)):
            some = candidates[start:stop]
            vectors = to.candidates.take(some) if own is None else self._vectors(some)
            rows = to.items.take(items[start:stop]) if own is None else own.take(items[start:stop], axis=0)
            found[start:stop] = np.einsum("ij,ij->i", rows, vectors)
        affine = to.kernel.affine()
        assert affine is not None
        return found * affine[0] + affine[1]

    def item_rows(self, items: Indices) -> Iterator[tuple[slice, slice, Float64s]]:
        """Yield ``(part of items, candidates, similarities)``: those of some represented items, 0 where negative."""
        to = self.to
        if self._all:  # an item's row is its column
            self._keep(items)
            for start, stop in ranges(items.size, ROWS):
                rows = self._ahead[[self._place[item] for item in items[start:stop].tolist()]]
                yield slice(start, stop), slice(None), np.maximum(rows, 0.0, out=rows)
            return
        own = self._items if to.items is to.candidates else None
        step = max(64, _BLOCK_BYTES // (8 * to.candidates.n))
        for start, stop in ranges(items.size, step):
            vectors = to.items.take(items[start:stop])
            for first, last in [(0, to.candidates.n)] if own is not None else to.candidates.blocks(step):
                block = to.kernel.of(vectors, to.candidates.slice(first, last) if own is None else own)
                yield slice(start, stop), slice(first, last), np.maximum(block, 0.0, out=block)


def doubles_pay(to: Represented, picks: float, levels: float = 0.0) -> bool:
    """Tell whether what so many more picks and levels take in float64, row by row, costs as much as all similarities.

    A level that comes to matter takes its own row once, and a pass over it whenever it changes (measured).
    """
    share = picks / to.candidates.n + _LEVEL * levels / to.m
    return share * to.items.d >= _SHARE * to.items.d + _NUMBERS
