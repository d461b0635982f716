"""Compute similarities on a device, and keep them there where they fit: sums over them come back, not they.

They are float32 and within the kernel's error, as on the CPU: they bound gains and decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.device import Device, device
from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float32s, Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.objectives.represented import Represented
from ray_subsel.objectives.similarities import Similarities
from ray_subsel.objectives.similarity_block import unit_vectors

_TOGETHER = 32  # columns that are fetched at once


@final
class DeviceSimilarities(Similarities):
    """W on a device, by matrix products: all at once where that fits, else when it is asked for.

    Parameters
    ----------
    to : Represented
        Of an affine kernel.
    there : Device
    most_bytes : int
        Up to this size W is kept.
    never_zero : bool
        Whether a 0 in W, which is then known to be exact, is to be -1: it represents nothing.
    """

    computed: ClassVar[bool] = True

    def __init__(self, to: Represented, there: Device, most_bytes: int, *, never_zero: bool = False) -> None:
        own = to.items is to.candidates
        self.m, self.n, self.dtype, self.together = to.m, to.candidates.n, np.dtype(np.float32), _TOGETHER
        self._there, self._never_zero, self._affine = there, never_zero, to.kernel.affine() or (1.0, 0.0)
        self._items = self._sent(to.items)
        self._candidates = self._items if own else self._sent(to.candidates)
        self._symmetric = own
        self._block: Any = None
        if 4 * self.m * self.n <= most_bytes:
            block = there.empty((self.m, self.n), np.float32)
            for start, stop in there.parts(self.m, self.n):
                block[start:stop].copy_(self._product(self._items[start:stop], self._candidates))
            self._block = block

    def _sent(self, rows: UnitRows) -> Any:
        """Return all unit vectors there; what was given there may be of a narrower type."""
        vectors = unit_vectors(rows, self._there.single)
        return self._there.send(vectors).to(self._there.empty((0,), vectors.dtype).dtype)

    @staticmethod
    def of(to: Represented, most_bytes: int, *, never_zero: bool = False) -> DeviceSimilarities | None:
        """Return W where products are computed on a device and are enough to pay; else None."""
        there = device()
        if there is None or to.kernel.affine() is None or to.m * to.candidates.n * to.items.d < there.least:
            return None
        return DeviceSimilarities(to, there, most_bytes, never_zero=never_zero)

    @property
    def kept(self) -> bool:
        """Whether it is in the device's memory."""
        return self._block is not None

    def columns(self, items: Indices) -> Float32s:
        """Return the similarities of some candidates to all represented items."""
        if self._block is None or not self._symmetric:
            vectors = self._candidates[self._there.send(items)]
            return self._single(self._there.fetch(self._product(vectors, self._items)))
        return self._single(self._there.fetch(self._block[self._there.send(items)]))

    def rows(self, items: Indices | None, out: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the similarities of parts of some represented items."""
        for start, stop in ranges(self.m if items is None else items.size, len(out)):
            part = slice(start, stop)
            found = self._rows(part if items is None else items[part])
            yield part, self._there.fetch(found.float(), out[: stop - start])

    def looks(self, items: int) -> int:
        """Return 0: to sum all columns takes no longer than to fetch a few."""
        del items
        return 0

    def over(self, items: Indices | None, low: NDArray[Any], high: NDArray[Any], weights: Float64s) -> Float64s | None:
        """Return the sums of what of some rows lies between two levels."""
        total = self._there.empty((self.n,), np.float64).zero_()
        bounded = bool(np.isfinite(high).any())
        levels = [self._there.send(np.ascontiguousarray(one)[:, None]) for one in (low, high)]
        each = self._there.send(np.ascontiguousarray(weights, dtype=np.float64))
        for start, stop in self._there.parts(low.size, self.n):
            part = slice(start, stop)
            bottom = levels[0][part]
            found = self._rows(part if items is None else items[part]).maximum(bottom)
            if bounded:
                found = found.minimum(levels[1][part])
            total += each[part] @ (found - bottom).double()
        return self._there.fetch(total)

    def share_above(self, levels: NDArray[Any]) -> float:
        """Return how much of W lies above the levels of its rows."""
        least = self._there.send(np.ascontiguousarray(levels)[:, None])
        parts = self._there.parts(self.m, self.n)
        return sum(int((self._rows(slice(*part)) > least[slice(*part)]).sum()) for part in parts) / (self.m * self.n)

    def entries_above(self, levels: NDArray[Any], most: int) -> tuple[Indices, NDArray[np.int32], NDArray[Any]] | None:
        """Return how much of each row is above its level, and of that candidates and values; None if it is too much."""
        sizes, candidates, values = np.zeros(self.m, dtype=np.int64), [], []
        least = self._there.send(np.ascontiguousarray(levels)[:, None])
        for start, stop in self._there.parts(self.m, self.n):
            part = slice(start, stop)
            found = self._rows(part)
            over = found > least[part]
            sizes[part] = self._there.fetch(over.sum(dim=1))
            most -= int(sizes[part].sum())
            if most < 0:
                return None
            candidates.append(self._there.fetch(over.nonzero()[:, 1].int()))
            values.append(self._single(self._there.fetch(found[over])))
        return sizes, np.concatenate(candidates), np.concatenate(values)

    def positive_sums(self) -> Float64s:
        """Return the sum of each represented item's positive similarities to all candidates, shape (m,)."""
        sums = np.zeros(self.m)
        for start, stop in self._there.parts(self.m, self.n):
            found = self._rows(slice(start, stop)).clamp(min=0.0)
            sums[start:stop] = self._there.fetch(found.double().sum(dim=1))
        return sums

    def _rows(self, which: slice | Indices) -> Any:
        """Return the similarities of some represented items, there."""
        places = which if isinstance(which, slice) else self._there.send(which)
        if self._block is not None:
            return self._block[places]
        return self._product(self._items[places], self._candidates)

    def _product(self, left: Any, right: Any) -> Any:
        slope, shift = self._affine
        found = left @ right.T
        if (slope, shift) != (1.0, 0.0):
            found.mul_(slope).add_(shift)
        return found.masked_fill_(found == 0.0, -1.0) if self._never_zero else found

    @staticmethod
    def _single(numbers: NDArray[Any]) -> Float32s:
        return numbers.astype(np.float32, copy=False)
