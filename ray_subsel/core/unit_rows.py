"""Read rows of an array as unit vectors, in blocks, and sum them so that no order of addition changes the total.

Everything that decides between two items (a gain that is compared, a sum that gains depend on) is computed here in
float64 in one fixed order of operations. That is why the ids that come out of a selection do not depend on the size
of blocks, the number of threads or the way a corpus was cut into partitions.

Arrays are numpy's (float16, float32, float64; a ``np.memmap`` is read block by block); torch tensors are read as such.
Products of many rows are computed on a device where one was named (:mod:`ray_subsel.core.device`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from ray_subsel.core.device import Device, device
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import check_unmasked
from ray_subsel.core.rows_there import RowsThere, Scaled
from ray_subsel.core.tensors import as_array, is_tensor
from ray_subsel.core.threads import Range, Workers, ranges, serial
from ray_subsel.core.types import Float32s, Float64s, Floats, Indices

BLOCK_BYTES = 1 << 20
"""A block is about this large in float64: it stays in a core's cache, and a memory map is never read whole."""

PASS_NUMBERS = 1 << 20
"""Numbers of a block of a pass that several threads share."""

CACHED_NUMBERS = 1 << 18
"""Numbers of a block of X that is multiplied with several vectors, at most."""

SMALL_PRODUCT = 1_000_000
"""Products of up to so many pairs of numbers OpenBLAS makes at once, where it copies the matrices of others first."""

WIDENED_BYTES = 32 << 20
"""Up to this size rows of float16 are held in float32 for many products; others are widened for each, by blocks."""

_SMALLEST = 1e-300
_SAFE_SQUARE = 1e-200  # a sum of squares above it, and below its inverse, has lost nothing that it shows
_NEARLY = 2.0**-22  # how far a scale may be from 1 and go into the error of products in float32
_EXTREME = 2.0**60  # norms beyond which products of float32 might underflow or overflow


EachBlock = Callable[[int, int, Float64s, Float64s], None]
"""Called with first and last row of a block, its unit vectors, which it may change, and memory for as many numbers."""


def to_float64(block: Any) -> Float64s:
    """Return a block as a C-contiguous float64 numpy array: a copy unless it is one already."""
    return np.ascontiguousarray(block, dtype=np.float64)


def float64_blocks(X: Any, start: int, stop: int) -> Iterator[tuple[int, int, Float64s]]:
    """Yield (first, last, X[first:last] in float64) of short blocks: a copy that is the caller's until the next one.

    All are written to the same memory, which is faster than new memory for each where that comes from the system.
    """
    memory = np.empty((min(block_rows(X.shape[1]), stop - start), X.shape[1]))
    for first in range(start, stop, len(memory)):
        last = min(first + len(memory), stop)
        block = memory[: last - first]
        block[...] = X[first:last]
        yield first, last, block


def block_rows(d: int) -> int:
    """Return how many rows :func:`float64_blocks` has in a block."""
    return max(16, BLOCK_BYTES // 4 // (8 * d))


def parts_of(X: Any, workers: Workers) -> Iterator[Range]:
    """Return (start, stop) of the parts into which :func:`float64_blocks` is best divided: one, or some for threads."""
    return ranges(X.shape[0], X.shape[0] if workers is serial else 4 * block_rows(X.shape[1]))


def _discard(results: list[None]) -> None:
    """Return nothing."""
    del results


def row_dots(A: Float64s, b: Float64s) -> Float64s:
    """Return <A_i, b> (or <A_i, b_i>) for each row, shape (n,), bit by bit the same however many rows there are.

    A matrix product may sum a row in an order that depends on the shape of the matrix; numpy's pairwise sum along
    the contiguous axis does not.
    """
    return np.asarray(np.add.reduce(np.ascontiguousarray(A * b), axis=1), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class UnitRows:
    """The rows of X, each times its ``scale``, so that each has norm 1. X itself is neither copied nor changed.

    Attributes
    ----------
    X : numpy array of shape (n, d)
    scale : float64 array of shape (n,)
        One over the norm of each row.
    device : Device or None
        Where products of many rows are computed; None: on the CPU.
    """

    X: Any
    scale: Float64s
    device: Device | None = field(default_factory=device)

    @property
    def n(self) -> int:
        """How many rows."""
        return int(self.scale.size)

    @property
    def d(self) -> int:
        """The dimension."""
        return int(self.X.shape[1])

    def rows_per_block(self, columns: int = 0) -> int:
        """Return how many rows make a block, when each also takes ``columns`` numbers of working space."""
        return max(64, BLOCK_BYTES // (8 * (self.d + columns) + 1))

    def blocks(self, columns: int = 0) -> Iterator[Range]:
        """Yield (start, stop) of consecutive blocks that cover all rows."""
        return ranges(self.n, self.rows_per_block(columns))

    def rows(self, ids: Indices) -> UnitRows:
        """Return some of the rows as unit rows."""
        return UnitRows(self.X[ids], self.scale[ids], self.device)

    def take(self, ids: Indices) -> Float64s:
        """Return the unit vectors of some rows in float64, shape (len(ids), d)."""
        return to_float64(self.X[ids]) * self.scale[ids, None]

    @cached_property
    def unit_roundoff(self) -> float:
        """Half the spacing of the numbers that :meth:`products` computes with: 2^-24 or 2^-53."""
        return 2.0**-24 if self._working is np.float32 else 2.0**-53

    @cached_property
    def _working(self) -> type[np.float32] | type[np.float64]:
        extreme = self.n and (self.scale.max() > _EXTREME or self.scale.min() < 1.0 / _EXTREME)
        double = str(self.X.dtype).endswith("float64")
        rough = self.device is not None and self.device.single is np.float64
        return np.float64 if double or extreme or rough else np.float32

    def take_rounded(self, ids: Indices) -> Floats:
        """Return :meth:`take` in the type that :meth:`products` computes with, rounded."""
        if not self._safe_unscaled:
            return self.take(ids).astype(self._working)
        taken = self.X.take(ids, axis=0).astype(self._working, copy=False)
        return np.asarray(taken if self._of_norm_1 else taken * self.scale[ids, None].astype(self._working))

    def products(self, which: slice | Indices, P: Floats) -> Floats:
        """Return <x, p> for unit rows x and columns p of P, shape (rows, columns), by one matrix product.

        Fast and rounded: computed in the precision of X (float16 in float32), in an order that is not fixed. It is
        within ``(d + 8) unit_roundoff |p|`` of the truth (any order of summation), so it may dismiss but never decide.
        """
        size = len(range(*which.indices(self.n))) if isinstance(which, slice) else which.size
        if self.is_there(size * P.size):
            return self.there.products(which, P)
        if self._working is np.float64:
            rows = self.slice(which.start, which.stop) if isinstance(which, slice) else self.take(which)
            return np.asarray(rows @ P)
        out = np.asarray(self.X[which], dtype=np.float32) @ P.astype(np.float32)
        if not self._of_norm_1:
            out *= self.scale[which].astype(np.float32)[:, None]
        return np.asarray(out)

    def multiplier(self, out: Floats, workers: Workers = serial) -> Callable[[Floats], None]:
        """Return a function that writes <x, p> of all rows to ``out``, a :attr:`working_dtype` array.

        The numbers are those of :meth:`products`, with its error. Made once for many passes, it costs little beside
        the product. Shape (n,) of ``out`` goes with one vector p, shape (n, J) with the columns of a (d, J) matrix.
        """
        if self.is_there(self.d * out.size):
            return partial(self.there.multiply, out=out)
        return self._multiplier_here(out, workers)

    def _multiplier_here(self, out: Floats, workers: Workers) -> Callable[[Floats], None]:
        """Return :meth:`multiplier` by numpy."""
        several = out.ndim == 2
        if several:
            step = max(64, min(CACHED_NUMBERS, SMALL_PRODUCT // out.shape[1]) // self.d)
        else:
            step = max(1024, PASS_NUMBERS // self.d)
        blocks = list(ranges(self.n, step))
        X = self._widened
        if X.dtype != self.working_dtype or not self._safe_unscaled:

            def fill(start: int, stop: int, p: Floats) -> None:
                found = self.products(slice(start, stop), p.reshape(self.d, -1))
                out[start:stop] = found.reshape(out[start:stop].shape)

            return lambda p: _discard(workers(partial(fill, p=p), blocks))
        dtype = self._working
        scale = None if self._of_norm_1 else self.scale.astype(dtype).reshape(-1, *[1] * several)

        if workers is serial and not several:
            blocks = [(0, self.n)]
        parts = {start: (X[start:stop], out[start:stop], slice(start, stop)) for start, stop in blocks}

        def multiply(start: int, stop: int, p: Floats) -> None:
            del stop
            rows, part, which = parts[start]
            np.dot(rows, p, out=part)
            if scale is not None:
                np.multiply(part, scale[which], out=part)

        def multiply_some(start: int, stop: int, p: Floats) -> None:
            with np.errstate(invalid="ignore"):  # OpenBLAS may compute with what it does not use, and raise the flag
                multiply(start, stop, p)

        def multiply_all(p: Floats) -> None:
            p = np.ascontiguousarray(p, dtype=dtype)
            with np.errstate(invalid="ignore"):
                for start, stop in blocks:
                    multiply(start, stop, p)

        if workers is serial and not several:
            return lambda p: multiply(0, self.n, p.astype(dtype))
        if workers is serial:
            return multiply_all
        return lambda p: _discard(workers(partial(multiply_some, p=np.ascontiguousarray(p, dtype=dtype)), blocks))

    @cached_property
    def _widened(self) -> Any:
        """X, in float32 where it is of float16 and small."""
        small = self.X.dtype == np.float16 and 4 * self.X.size <= WIDENED_BYTES
        return self.X.astype(np.float32) if small else self.X

    @cached_property
    def _of_norm_1(self) -> bool:
        """Whether float32 rows are so nearly unit vectors that :meth:`products` need not scale them."""
        return self._working is np.float32 and bool(np.abs(self.scale - 1.0).max(initial=0.0) <= _NEARLY)

    @cached_property
    def working_dtype(self) -> Any:
        """The type that :meth:`products` computes with."""
        return np.dtype(self._working)

    @cached_property
    def _safe_unscaled(self) -> bool:
        """Whether products of rows that are not scaled yet neither overflow nor lose small numbers."""
        return bool(self.scale.max() <= _EXTREME and self.scale.min() >= 1.0 / _EXTREME) if self.n else True

    def is_there(self, products: int) -> bool:
        """Tell whether so many multiplications are best made on the device."""
        return self.device is not None and products >= self.device.least

    @cached_property
    def there(self) -> RowsThere:
        """The rows on the device, where there is one."""
        assert self.device is not None
        scaled: Scaled = "before" if not self._safe_unscaled else "never" if self._of_norm_1 else "after"
        return RowsThere(self.device, self.X, self.scale, self.working_dtype, scaled)

    def single(self, which: slice | Indices) -> Float32s:
        """Return some unit vectors in float32, each number within 2^-23 of itself, shape (rows, d)."""
        if self._working is np.float64:
            rows = self.slice(which.start, which.stop) if isinstance(which, slice) else self.take(which)
            return np.asarray(rows, dtype=np.float32)
        scale = self.scale[which].astype(np.float32)[:, None]
        return np.asarray(np.multiply(self.X[which], scale, dtype=np.float32), dtype=np.float32)

    def row(self, i: int) -> Float64s:
        """Return the unit vector of one row in float64, shape (d,): bit by bit that of :meth:`take`."""
        return np.asarray(np.multiply(self.X[i], self.scale[i], dtype=np.float64))

    @cached_property
    def as_is(self) -> Floats | None:
        """X itself, where it is of the type of :meth:`products` and these need not scale it; else None."""
        if self.X.dtype != self.working_dtype:
            return None
        of_norm_1 = self._of_norm_1 if self._working is np.float32 else bool((self.scale == 1.0).all())
        return np.asarray(self.X) if of_norm_1 else None

    def rounded_row(self, i: int) -> Floats:
        """Return the unit vector of one row in the type that :meth:`products` computes with, each number within 5 u."""
        X = self.as_is
        return self.row(i).astype(self._working) if X is None else np.asarray(X[i])

    def wide(self) -> UnitRows:
        """Return the same unit vectors, bit by bit, for products in float64: a copy."""
        return UnitRows(self.slice(0, self.n), np.ones(self.n))

    def slice(self, start: int, stop: int) -> Float64s:
        """Return the unit vectors of consecutive rows in float64, shape (stop - start, d)."""
        block, scale = to_float64(self.X[start:stop]), self.scale[start:stop, None]
        if self.X.dtype == np.float64:  # the block may be X itself
            return block * scale
        return np.multiply(block, scale, out=block)


def unit_rows(
    X: Any,
    *,
    parameter: str = "X",
    numbers: Indices | None = None,
    of_part: Callable[[int], EachBlock] | None = None,
    workers: Workers = serial,
) -> UnitRows:
    """Check that X can be compared by cosine and return it as unit rows. One pass, O(n d) time, O(n) memory.

    Parameters
    ----------
    X : numpy array or torch tensor of shape (n, d)
        The latter is read as a numpy array.
    parameter : str
        What errors call it.
    numbers : int64 array of shape (n,) or None
        By which number errors call a row; its position by default.
    of_part : callable, optional
        Called with d for each part that one thread reads; returns what is called with the unit vectors of its blocks.
    workers : Workers

    Raises
    ------
    InputError
        Where X is not a non-empty float matrix, or a row is zero or holds NaN or infinity; the first such row is named.
    """
    X = check_matrix(X, parameter)
    scale = np.empty(int(X.shape[0]))

    def fill(start: int, stop: int, block: Float64s, space: Float64s, each: EachBlock | None) -> None:
        squares = np.add.reduce(np.multiply(block, block, out=space), axis=1)  # as row_dots does
        if squares.min() > _SAFE_SQUARE and squares.max() < 1.0 / _SAFE_SQUARE:  # NaN compares false
            scale[start:stop] = 1.0 / np.sqrt(squares)
            if each is not None:
                block *= scale[start:stop, None]
                each(start, stop, block, space)
            return
        largest = np.maximum(block.max(axis=1), -block.min(axis=1))
        bad = np.flatnonzero(~((largest > _SMALLEST) & (largest < 1.0 / _SMALLEST)))  # NaN compares false
        if bad.size:
            row = start + int(bad[0])
            raise _bad_row(row if numbers is None else int(numbers[row]), float(largest[bad[0]]), parameter)
        power = np.exp2(np.floor(np.log2(largest)))  # squares neither overflow nor vanish, and nothing is rounded
        block /= power[:, None]
        scale[start:stop] = 1.0 / np.sqrt(row_dots(block, block)) / power
        if each is not None:
            each(start, stop, to_float64(X[start:stop]) * scale[start:stop, None], space)

    def fill_part(start: int, stop: int) -> None:
        space = np.empty((min(block_rows(X.shape[1]), stop - start), X.shape[1]))
        each = None if of_part is None else of_part(X.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):
            for first, last, block in float64_blocks(X, start, stop):
                fill(first, last, block, space[: last - first], each)

    workers(fill_part, parts_of(X, workers))
    return UnitRows(X, scale)


def check_matrix(X: Any, parameter: str) -> Any:
    """Return X, of a torch tensor the numbers as an array.

    Raises InputError unless it is a non-empty two-dimensional dense array of floats without masked entries.
    """
    if hasattr(X, "tocsr"):
        raise invalid(parameter, "be dense", Verbatim(type(X).__name__), "X.toarray() makes it so.")
    X = as_array(X)
    if is_tensor(X):
        raise invalid(parameter, "be dense", Verbatim(f"a tensor of layout {X.layout}"), "X.to_dense() makes it so.")
    if not isinstance(X, np.ndarray):
        way = "Pass numpy.asarray(vectors, dtype=numpy.float32)."
        raise invalid(parameter, "be a numpy array or a torch tensor", Verbatim(type(X).__name__), way)
    check_unmasked(X, parameter)
    if X.ndim != 2 or 0 in X.shape:
        raise invalid(
            parameter, "have shape (n, d) with n, d >= 1", Verbatim(f"shape {tuple(X.shape)}"), "One row is one item."
        )
    if X.dtype.kind != "f":
        raise invalid(parameter, "hold floats", X.dtype, "Convert with astype('float32').")
    return X


def _bad_row(row: int, largest: float, parameter: str) -> Exception:
    if largest <= _SMALLEST:
        return invalid(
            f"row {row} of {parameter}",
            "not be zero",
            Verbatim("a zero vector"),
            "It has no cosine: drop the row or embed it again.",
        )
    return invalid(
        f"row {row} of {parameter}", "be finite", Verbatim("NaN or infinity"), "Drop the row or embed it again."
    )
