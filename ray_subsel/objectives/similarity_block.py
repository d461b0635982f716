"""Compute the similarities of represented items and candidates: all at once, block by block, or exactly for a few."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.pages import empty_array
from ray_subsel.core.threads import Workers, block_workers, ranges, serial
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.objectives import moment_bounds
from ray_subsel.objectives.kernels import Kernel
from ray_subsel.objectives.represented import Represented
from ray_subsel.objectives.similarities import KeptSimilarities, Similarities

_TILE = 512
_SUMMED, _COLUMNS = 384, 1280  # rows and columns that are summed together
_BLOCK_BYTES = 4 << 20
_MIRROR_BYTES = 1000  # a vector; products of shorter ones cost less than to copy them
_PROBES, _NEGATIVE = 8, 1 / 256  # rows that tell whether hardly a similarity is negative, and how many may be
_NO_MOMENTS = 1 / 8  # that are negative, from which sums are not bounded closely by moments
_HELD = 64  # rows that there is room for at first
_ROWS_A_LOOK = 16  # of those that are held are summed while one column is computed
_KEEP_BYTES = 2048  # a vector; products of longer ones cost more than the memory


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
    _held: HeldRows | None = None
    _mostly_positive: bool = False

    @staticmethod
    def of(to: Represented, dtype: type[np.floating[Any]], most_bytes: int) -> ComputedSimilarities:
        """Return W of represented items."""
        items = unit_vectors(to.items, dtype)
        own = to.items is to.candidates
        return ComputedSimilarities(to, items, items if own else unit_vectors(to.candidates, dtype), most_bytes)

    computed: ClassVar[bool] = True

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
        multiply(self.to.kernel, self.candidates[items], self.items, found)
        return found

    def rows(self, items: Indices | None, out: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the similarities of parts of some represented items."""
        size = self.m if items is None else items.size
        if items is not None and self._held is not None and not self._held.missing(items):
            yield from self._held.rows(items, out)
            return
        self._ask(size)
        if self._kept is not None:
            yield from self._kept.rows(items, out)
            return
        for start, stop in ranges(size, len(out)):
            part = out[: stop - start]
            some = self.items[start:stop] if items is None else self.items[items[start:stop]]
            multiply(self.to.kernel, some, self.candidates, part)
            yield slice(start, stop), part

    @property
    def mostly_positive(self) -> bool:
        """Whether :meth:`enclosed_sums` has found that hardly a similarity is negative."""
        return self._mostly_positive

    def hold(self, items: Indices, candidates: slice, rows: NDArray[Any]) -> None:
        """Take note of the similarities of represented items whose :meth:`rows` will be asked for again and again."""
        if self._kept is not None or not self._fits:
            return
        self._held = self._held or HeldRows(self.m, self.n, self.dtype)
        if 2 * (self._held.size + self._held.missing(items)) > self.m:
            self._keep()
        else:
            self._held.hold(items, candidates, rows)

    @property
    def kept(self) -> bool:
        """Whether it is in memory."""
        return self._kept is not None

    @property
    def _fits(self) -> bool:
        return self.m * self.n * self.dtype.itemsize <= self.most_bytes

    def looks(self, items: int) -> int:
        """Return how many columns can be summed while that many rows are."""
        if self._kept is not None:
            return self._kept.looks(items)
        if self._held is not None:
            return self.n * items // (_ROWS_A_LOOK * self.m)
        return -(-(self.n * items) // (2 * self.m))

    def positive_sums(self) -> Float64s:
        """Return the sum of each represented item's positive similarities to all candidates, shape (m,)."""
        if self.dtype.itemsize * self.items.shape[1] > _KEEP_BYTES:
            self._keep()
        if self._kept is not None:
            return self._kept.positive_sums()
        own = self.items is self.candidates
        sums, space = np.zeros(self.m), empty_array((_SUMMED * _COLUMNS,), self.dtype)
        ones = np.ones(_COLUMNS, dtype=self.dtype)
        for start, stop in ranges(self.m, _SUMMED):
            for left in range(start if own else 0, self.n, _COLUMNS):
                right = min(left + _COLUMNS, self.n)
                tile = space[: (stop - start) * (right - left)].reshape(stop - start, right - left)
                multiply(self.to.kernel, self.items[start:stop], self.candidates[left:right], tile)
                np.maximum(tile, 0.0, out=tile)
                sums[start:stop] += tile @ ones[: right - left]
                if own and right > stop:  # the other triangle
                    sums[max(left, stop) : right] += ones[: stop - start] @ tile[:, max(0, stop - left) :]
        return sums

    def enclosed_sums(self) -> tuple[Float64s, Float64s]:
        """Return what the sums of positive similarities are not below and not above, but for the error of W."""
        if self.to.mirrored:
            probes = np.unique(np.linspace(0, self.m - 1, min(_PROBES, self.m)).astype(np.int64))
            found = np.empty((probes.size, self.n), dtype=self.dtype)
            multiply(self.to.kernel, self.items[probes], self.candidates, found)
            negative = np.count_nonzero(found < 0.0) / found.size
            enclosed = moment_bounds.positive_sums(self.to, self.items) if negative <= _NO_MOMENTS else None
            self._mostly_positive = bool(negative <= (_NEGATIVE if enclosed is None else 2 * _NEGATIVE))
            if enclosed is not None:
                return enclosed
        sums, lost = self.positive_sums(), 1.01 * _COLUMNS * float(np.finfo(self.dtype).eps) / 2  # of terms >= 0
        return sums * (1.0 - lost), sums * (1.0 + lost)

    def become_exact(self) -> bool:
        """Go on with all similarities in float64 where they fit, and tell whether that is so."""
        if 8 * self.m * self.n > self.most_bytes:
            return False
        self._kept = self._held = None
        self._kept = kept_similarities(self.to, np.float64)
        self.dtype, self.together = self._kept.dtype, 1
        return True

    def _ask(self, size: int) -> None:
        self._asked += size
        if 2 * self._asked > self.m:
            self._keep()

    def _keep(self) -> None:
        """Compute all similarities, where they fit."""
        if self._kept is None and self._fits:
            self._held = None
            with block_workers() as workers:
                block = _block(self.to.kernel, self.items, self.candidates, workers)
            self._kept, self.together = KeptSimilarities(block, self.to.items is self.to.candidates), 1


@final
class HeldRows:
    """Rows of W that are asked for again and again."""

    def __init__(self, m: int, n: int, dtype: np.dtype[Any]) -> None:
        self._place = np.full(m, -1)
        self._rows = np.empty((_HELD, n), dtype=dtype)
        self.size = 0

    def missing(self, items: Indices) -> int:
        """Return how many rows of some represented items are not here."""
        return int(np.count_nonzero(self._place[items] < 0))

    def hold(self, items: Indices, candidates: slice, rows: NDArray[Any]) -> None:
        """Take in some columns of the rows of some represented items; all of them before they are asked for."""
        new = items[self._place[items] < 0]
        if self.size + new.size > len(self._rows):
            more = np.empty((self.size + new.size + len(self._rows), self._rows.shape[1]), dtype=self._rows.dtype)
            more[: self.size] = self._rows[: self.size]
            self._rows = more
        self._place[new] = np.arange(self.size, self.size + new.size)
        self.size += new.size
        self._rows[self._place[items], candidates] = rows

    def rows(self, items: Indices, out: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the rows of parts of some represented items."""
        for start, stop in ranges(items.size, len(out)):
            part = out[: stop - start]
            np.take(self._rows, self._place[items[start:stop]], axis=0, out=part, mode="clip")
            yield slice(start, stop), part


def similarity_block(to: Represented, dtype: type[np.floating[Any]], workers: Workers = serial) -> NDArray[Any]:
    """Return all similarities of represented items (rows) and candidates (columns), shape (m, n).

    Where the items represent themselves, and a similarity costs more than to copy it, each is computed once.
    """
    rows = unit_vectors(to.items, dtype)
    columns = rows if to.items is to.candidates else unit_vectors(to.candidates, dtype)
    return _block(to.kernel, rows, columns, workers)


def kept_similarities(to: Represented, dtype: type[np.floating[Any]]) -> KeptSimilarities:
    """Return W, computed at once."""
    with block_workers() as workers:
        return KeptSimilarities(similarity_block(to, dtype, workers), to.items is to.candidates)


def _block(kernel: Kernel, rows: NDArray[Any], columns: NDArray[Any], workers: Workers) -> NDArray[Any]:
    """Return the similarities of all rows and all columns; the same array where the items represent themselves."""
    own, dtype = rows is columns, rows.dtype
    m, n = len(rows), len(columns)
    W = np.empty((m, n), dtype=dtype)
    step = max(_TILE, _BLOCK_BYTES // (n * W.itemsize) // _TILE * _TILE)
    mirror = own and (kernel.affine() is None or W.itemsize * rows.shape[1] > _MIRROR_BYTES)

    def fill(start: int, stop: int) -> None:
        if not mirror:
            multiply(kernel, rows[start:stop], columns, W[start:stop])
            return
        multiply(kernel, rows[start:stop], rows[start:stop], W[start:stop, start:stop])  # half of it, by the BLAS
        if stop < m:
            multiply(kernel, rows[start:stop], rows[stop:], W[start:stop, stop:])

    def copy(start: int, stop: int) -> None:
        for left in range(0, start, _TILE):
            W[start:stop, left : left + _TILE] = W[left : left + _TILE, start:stop].T

    if workers is serial and dtype == np.float32:  # only bounds
        multiply(kernel, rows, columns, W)
        return W
    workers(fill, ranges(m, step))
    if mirror:
        workers(copy, [(start, min(start + _TILE, m)) for start in range(0, m, _TILE)])
    return W


def multiply(kernel: Kernel, A: NDArray[Any], B: NDArray[Any], out: NDArray[Any]) -> None:
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
    """Return all unit vectors in one array, shape (n, d): X itself where it is of that type and nearly of norm 1."""
    X = rows.as_is
    if dtype == np.float32 and X is not None and X.dtype == dtype and X.flags.c_contiguous:
        return X
    unit = empty_array((rows.n, rows.d), dtype)
    for start, stop in rows.blocks():
        some = slice(start, stop)
        np.multiply(rows.X[some], rows.scale[some, None], out=unit[some], dtype=np.float64, casting="same_kind")
    return unit
