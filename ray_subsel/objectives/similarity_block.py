"""Compute the similarities of represented items and candidates: all at once, block by block, or exactly for a few."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import Workers, block_workers, ranges, serial
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.objectives.kernels import Kernel
from ray_subsel.objectives.read_ahead import ReadAhead
from ray_subsel.objectives.represented import Represented
from ray_subsel.objectives.similarities import ROWS, KeptSimilarities, Similarities

_TILE, _COLUMNS = 512, 2048
_BLOCK_BYTES = 4 << 20
_MIRROR_BYTES = 1000  # a vector; products of shorter ones cost less than to copy them
_KEEP_BYTES = 2048  # a vector; products of longer ones cost more than the memory
_EXACT_BYTES = 256 << 20  # float64 vectors that are kept
_FIRST, _AHEAD = 32, 64  # rows that are computed ahead, at first and at most
_SHARE, _NUMBERS = 1 / 12, 19  # of the rows, which cost as much as a block, and its memory as numbers of a vector
_PAIRS = 1 << 17  # numbers of vectors that are multiplied two by two
_LEVEL = 4  # picks that cost as much as a level


@final
@dataclass(eq=False)
class ComputedSimilarities(Similarities):
    """W by matrix products when it is asked for; kept once as much was asked for as half of it, where it fits.

    Attributes
    ----------
    to : Represented
        Of an affine kernel.
    items, candidates : arrays of shape (m, d) and (n, d)
        Unit vectors in the precision of W.
    most_bytes : int
        Up to this size W is kept.
    """

    to: Represented
    items: NDArray[Any]
    candidates: NDArray[Any]
    most_bytes: int
    _asked: int = 0
    _kept: KeptSimilarities | None = None

    @staticmethod
    def of(to: Represented, dtype: type[np.floating[Any]], most_bytes: int) -> ComputedSimilarities:
        """Return W of represented items."""
        items = unit_vectors(to.items, dtype)
        own = to.items is to.candidates
        return ComputedSimilarities(to, items, items if own else unit_vectors(to.candidates, dtype), most_bytes)

    def __post_init__(self) -> None:
        self.m, self.n = self.items.shape[0], self.candidates.shape[0]
        self.dtype = self.items.dtype
        self.together = 16

    def columns(self, items: Indices) -> NDArray[Any]:
        """Return the similarities of some candidates to all represented items."""
        self._ask(items.size)
        if self._kept is not None:
            return self._kept.columns(items)
        found = np.empty((items.size, self.m), dtype=self.dtype)
        _multiply(self.to.kernel, self.candidates[items], self.items, found)
        return found

    def rows(self, items: Indices | None, out: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the similarities of parts of some represented items."""
        size = self.m if items is None else items.size
        self._ask(size)
        if self._kept is not None:
            yield from self._kept.rows(items, out)
            return
        for start, stop in ranges(size, len(out)):
            part = out[: stop - start]
            some = self.items[start:stop] if items is None else self.items[items[start:stop]]
            _multiply(self.to.kernel, some, self.candidates, part)
            yield slice(start, stop), part

    @property
    def kept(self) -> bool:
        """Whether it is in memory."""
        return self._kept is not None

    def looks(self, items: int) -> int:
        """Return how many columns can be summed while that many rows are."""
        if self._kept is not None:
            return self._kept.looks(items)
        return -(-(self.n * items) // (2 * self.m))

    def positive_sums(self) -> Float64s:
        """Return the sum of each represented item's positive similarities to all candidates, shape (m,)."""
        if self.dtype.itemsize * self.items.shape[1] > _KEEP_BYTES:
            self._keep()
        if self._kept is not None:
            return self._kept.positive_sums()
        own = self.items is self.candidates
        sums, space = np.zeros(self.m), np.empty(_TILE * _COLUMNS, dtype=self.dtype)
        for start, stop in ranges(self.m, _TILE):
            for left in range(start if own else 0, self.n, _COLUMNS):
                right = min(left + _COLUMNS, self.n)
                tile = space[: (stop - start) * (right - left)].reshape(stop - start, right - left)
                _multiply(self.to.kernel, self.items[start:stop], self.candidates[left:right], tile)
                np.maximum(tile, 0.0, out=tile)
                sums[start:stop] += np.add.reduce(tile, axis=1)
                if own and right > stop:  # the other triangle
                    rest = tile[:, max(0, stop - left) :]
                    for first, last in ranges(stop - start, ROWS):
                        sums[max(left, stop) : right] += np.add.reduce(rest[first:last], axis=0)
        return sums

    @property
    def fits_exact(self) -> bool:
        """Whether all similarities fit in float64."""
        return 8 * self.m * self.n <= self.most_bytes

    def become_exact(self) -> None:
        """Go on with all similarities in float64."""
        self._kept = None
        self._kept = double_similarities(self.to)
        self.dtype, self.together = self._kept.dtype, 1

    def _ask(self, size: int) -> None:
        self._asked += size
        if 2 * self._asked > self.m:
            self._keep()

    def _keep(self) -> None:
        """Compute all similarities, where they fit."""
        if self._kept is None and self.m * self.n * self.dtype.itemsize <= self.most_bytes:
            with block_workers() as workers:
                block = _block(self.to.kernel, self.items, self.candidates, workers)
            self._kept, self.together = KeptSimilarities(block, self.to.items is self.to.candidates), 1


@final
@dataclass(eq=False)
class ExactSimilarities:
    """Similarities of one candidate in float64, which decide.

    Attributes
    ----------
    to : Represented
    ahead_bytes : int
        How much of what was computed is kept: all, where the items represent themselves and it fits.
    """

    to: Represented
    ahead_bytes: int = 32 << 20
    _items: Float64s | None = field(init=False)
    _ahead: Float64s = field(init=False)
    _held: list[int] = field(init=False)  # whose similarities the rows of ``_ahead`` are; -1: nobody's
    _place: dict[int, int] = field(init=False, default_factory=dict)
    _all: bool = field(init=False)  # whether all similarities are kept once they are computed
    _next: int = field(init=False, default=0)  # row of ``_ahead`` to be overwritten
    _read_ahead: ReadAhead = field(init=False)
    _one: Float64s = field(init=False)
    _which: int = field(init=False, default=-1)
    _candidates: int = field(init=False, default=0)  # rows of them that were computed
    _sums: int = field(init=False, default=0)  # and of represented items, to be summed

    def __post_init__(self) -> None:
        to = self.to
        small = 8 * to.m * to.items.d <= _EXACT_BYTES
        self._items = unit_vectors(to.items, np.float64) if small else None
        room = self.ahead_bytes // (8 * to.m)
        self._all = small and to.items is to.candidates and to.m <= room
        self._ahead = np.empty((to.m if self._all else max(1, min(8 * _AHEAD, room)), to.m))
        self._held = [-1] * len(self._ahead)
        self._read_ahead = ReadAhead(min(_AHEAD, len(self._ahead)), _FIRST)
        self._one = np.empty((1, to.m))

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

    def pays_whole(self, levels: int) -> bool:
        """Tell whether it is time to compute all, where the sums of so many more represented items are asked for."""
        return doubles_pay(self.to, self._candidates, self._sums + levels)

    def expects(self, item: int) -> bool:
        """Tell whether a candidate's similarities are there."""
        return item in self._place

    @property
    def together(self) -> int:
        """How many candidates :meth:`expect` is best told."""
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
        self._candidates += items.size
        if self._items is None:
            for part, block in self.to.similarities(items):
                rows[:, part] = block
        else:
            _multiply(self.to.kernel, self._vectors(items), self._items, rows)

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
        to, own, found = self.to, self._items, np.empty(items.size)
        for start, stop in ranges(items.size, max(1, _PAIRS // to.items.d)):
            vectors = self._vectors(candidates[start:stop])
            rows = to.items.take(items[start:stop]) if own is None else own.take(items[start:stop], axis=0)
            found[start:stop] = np.einsum("ij,ij->i", rows, vectors)
        affine = to.kernel.affine()
        assert affine is not None
        return found * affine[0] + affine[1]

    def positive_sums(self, items: Indices) -> Float64s:
        """Return the sum of the positive similarities of some represented items to all candidates."""
        to, sums = self.to, np.zeros(items.size)
        if self._all:  # an item's row is its column
            self._keep(items)
            for start, stop in ranges(items.size, ROWS):
                rows = self._ahead[[self._place[item] for item in items[start:stop].tolist()]]
                sums[start:stop] = np.maximum(rows, 0.0, out=rows).sum(axis=1)
            return sums
        self._sums += items.size
        own = self._items if to.items is to.candidates else None
        step = max(64, _BLOCK_BYTES // (8 * to.candidates.n))
        for start, stop in ranges(items.size, step):
            vectors = to.items.take(items[start:stop])
            for first, last in [(0, to.candidates.n)] if own is not None else to.candidates.blocks(step):
                block = to.kernel.of(vectors, to.candidates.slice(first, last) if own is None else own)
                sums[start:stop] += np.maximum(block, 0.0, out=block).sum(axis=1)
        return sums


def similarity_block(to: Represented, dtype: type[np.floating[Any]], workers: Workers = serial) -> NDArray[Any]:
    """Return all similarities of represented items (rows) and candidates (columns), shape (m, n).

    Where the items represent themselves, and a similarity costs more than to copy it, each is computed once.
    """
    rows = unit_vectors(to.items, dtype)
    columns = rows if to.items is to.candidates else unit_vectors(to.candidates, dtype)
    return _block(to.kernel, rows, columns, workers)


def double_similarities(to: Represented) -> KeptSimilarities:
    """Return all similarities in float64."""
    with block_workers() as workers:
        return KeptSimilarities(similarity_block(to, np.float64, workers), to.items is to.candidates)


def doubles_pay(to: Represented, picks: float, levels: float = 0.0) -> bool:
    """Tell whether what so many picks and levels take in float64, row by row, costs as much as all similarities.

    A level that has come to matter takes its own row once, and similarities in float32 whenever it changes.
    """
    share = picks / to.candidates.n + _LEVEL * levels / to.m
    return share * to.items.d >= _SHARE * to.items.d + _NUMBERS


def _block(kernel: Kernel, rows: NDArray[Any], columns: NDArray[Any], workers: Workers) -> NDArray[Any]:
    """Return the similarities of all rows and all columns; the same array where the items represent themselves."""
    own, dtype = rows is columns, rows.dtype
    m, n = len(rows), len(columns)
    W = np.empty((m, n), dtype=dtype)
    step = max(_TILE, _BLOCK_BYTES // (n * W.itemsize) // _TILE * _TILE)
    mirror = own and (kernel.affine() is None or W.itemsize * rows.shape[1] > _MIRROR_BYTES)

    def fill(start: int, stop: int) -> None:
        if not mirror:
            _multiply(kernel, rows[start:stop], columns, W[start:stop])
            return
        _multiply(kernel, rows[start:stop], rows[start:stop], W[start:stop, start:stop])  # half of it, by the BLAS
        if stop < m:
            _multiply(kernel, rows[start:stop], rows[stop:], W[start:stop, stop:])

    def copy(start: int, stop: int) -> None:
        for left in range(0, start, _TILE):
            W[start:stop, left : left + _TILE] = W[left : left + _TILE, start:stop].T

    if workers is serial and dtype == np.float32:  # only bounds
        _multiply(kernel, rows, columns, W)
        return W
    workers(fill, ranges(m, step))
    if mirror:
        workers(copy, [(start, min(start + _TILE, m)) for start in range(0, m, _TILE)])
    return W


def _multiply(kernel: Kernel, A: NDArray[Any], B: NDArray[Any], out: NDArray[Any]) -> None:
    """Write the similarities of rows of A and rows of B to ``out``."""
    affine = kernel.affine()
    if affine is None:
        out[...] = kernel.of(A, B)
        return
    slope, shift = affine
    np.matmul(A, B.T, out=out)
    if (slope, shift) != (1.0, 0.0):
        out *= slope
        out += shift


def unit_vectors(rows: UnitRows, dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """Return all unit vectors in one array, shape (n, d)."""
    unit = np.empty((rows.n, rows.d), dtype=dtype)
    for start, stop in rows.blocks():
        unit[start:stop] = rows.slice(start, stop)
    return unit
