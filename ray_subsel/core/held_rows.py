"""Hold vectors with which blocks of others are multiplied, on the CPU or on a device, and find the large products.

On a device only what is asked for comes back: places and values of products, not all of them.
"""

from __future__ import annotations

import abc
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.device import Device, device
from ray_subsel.core.threads import current_workers, ranges, serial
from ray_subsel.core.types import Float32s, Indices

_ROWS = 4096  # rows that a device multiplies at once
_SHARED, _COLUMNS = 1 << 26, 4096  # multiplications that threads share, in parts of so many held rows
_WHOLE = slice(None)


class HeldRows(abc.ABC):
    """Rows of shape (t, d) in float32. A block of shape (b, d) has the products of shape (b, t) with them.

    Products are within ``(d + 8) 2^-24 |x| |y|`` of the truth. ``part`` is a slice of the held rows, from which columns
    are then counted.
    """

    size: int

    @abc.abstractmethod
    def append(self, rows: Float32s) -> None:
        """Hold more rows."""

    @abc.abstractmethod
    def products(self, block: Float32s, part: slice = _WHOLE) -> Float32s:
        """Return all products."""

    @abc.abstractmethod
    def reaching(self, block: Float32s, least: float, part: slice = _WHOLE) -> tuple[Indices, Indices, Float32s]:
        """Return row, column and value of each product that is at least so large, row by row."""

    @abc.abstractmethod
    def largest(self, block: Float32s, wanted: int) -> tuple[Indices, Float32s]:
        """Return columns and values of the ``wanted`` largest products of each row, by falling value.

        Both have shape (b, wanted), 1 <= wanted <= t; of equal products any.
        """

    @abc.abstractmethod
    def nearly_largest(self, block: Float32s, wanted: int, margin: float) -> tuple[Indices, Indices]:
        """Return row and column of each product that is at most ``margin`` below the ``wanted``-th of its row."""

    def rows_at_once(self, usual: int) -> int:
        """Return how many rows a block is best of; ``usual`` on the CPU."""
        return usual


def hold(rows: Float32s, room: int = 0) -> HeldRows:
    """Return rows as they are held where products are computed (:func:`ray_subsel.core.device.computing_on`).

    Parameters
    ----------
    rows : float32 array of shape (t, d)
        Not to be changed.
    room : int
        So many are expected once more were appended.
    """
    there = device()
    return _InArray(rows, room) if there is None else _OnDevice(rows, room, there)


@final
class _InArray(HeldRows):
    """Rows in an array, multiplied by numpy."""

    def __init__(self, rows: Float32s, room: int) -> None:
        self.size, self._room = len(rows), room
        self._rows = rows

    def append(self, rows: Float32s) -> None:
        total = self.size + len(rows)
        if total > len(self._rows):
            grown = np.empty((_grown(total, self._room), self._rows.shape[1]), dtype=np.float32)
            grown[: self.size] = self._rows[: self.size]
            self._rows = grown
        self._rows[self.size : total] = rows
        self.size = total

    def products(self, block: Float32s, part: slice = _WHOLE) -> Float32s:
        return np.asarray(block @ self._rows[: self.size][part].T)

    def reaching(self, block: Float32s, least: float, part: slice = _WHOLE) -> tuple[Indices, Indices, Float32s]:
        held, workers = self._rows[: self.size][part], current_workers()

        def some(start: int, stop: int) -> tuple[Indices, Indices, Float32s]:
            products = block @ held[start:stop].T
            flat = np.flatnonzero(products >= np.float32(least))  # several times as fast as nonzero of a matrix
            rows = flat // max(1, stop - start)
            return rows, start + flat - rows * (stop - start), products.ravel()[flat]

        if workers is serial or len(block) * held.size < _SHARED:
            return some(0, len(held))
        rows, columns, values = (
            np.concatenate(found) for found in zip(*workers(some, ranges(len(held), _COLUMNS)), strict=True)
        )
        order = np.argsort(rows, kind="stable")
        return rows[order], columns[order], values[order]

    def largest(self, block: Float32s, wanted: int) -> tuple[Indices, Float32s]:
        products = self.products(block)
        rows, targets = products.shape
        at = targets - wanted
        last = np.partition(products, at, axis=1)[:, at, None]
        columns = np.flatnonzero(products >= last)
        if columns.size == rows * wanted:
            columns = columns.reshape(rows, wanted) - np.arange(0, rows * targets, targets)[:, None]
        else:  # some products are equal
            columns = np.argpartition(products, at, axis=1)[:, at:]
        values = np.take_along_axis(products, columns, axis=1)
        order = np.argsort(-values, axis=1)
        return np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)

    def nearly_largest(self, block: Float32s, wanted: int, margin: float) -> tuple[Indices, Indices]:
        products = self.products(block)
        if wanted == 1:
            last = products.max(axis=1, keepdims=True)
        else:
            at = self.size - wanted
            last = np.partition(products, at, axis=1)[:, at, None]
        rows, columns = np.nonzero(products >= last - np.float32(margin))
        return rows, columns


@final
class _OnDevice(HeldRows):
    """Rows in a tensor, multiplied where it lies."""

    def __init__(self, rows: Float32s, room: int, there: Device) -> None:
        self.size, self._room, self._there = 0, room, there
        self._rows = there.empty((0, rows.shape[1]), there.single)
        self.append(rows)

    def append(self, rows: Float32s) -> None:
        total = self.size + len(rows)
        if total > len(self._rows):
            room = total if not self.size else _grown(total, self._room)
            grown = self._there.empty((room, rows.shape[1]), self._there.single)
            grown[: self.size].copy_(self._rows[: self.size])
            self._rows = grown
        self._there.fill(self._rows[self.size : total], rows)
        self.size = total

    def products(self, block: Float32s, part: slice = _WHOLE) -> Float32s:
        return np.asarray(self._there.fetch(self._products(block, part)), dtype=np.float32)

    def reaching(self, block: Float32s, least: float, part: slice = _WHOLE) -> tuple[Indices, Indices, Float32s]:
        products = self._products(block, part)
        enough = products >= float(np.float32(least))
        places, values = self._there.fetch(enough.nonzero()), self._there.fetch(products[enough])
        return places[:, 0], places[:, 1], values.astype(np.float32, copy=False)

    def largest(self, block: Float32s, wanted: int) -> tuple[Indices, Float32s]:
        values, columns = self._products(block).topk(wanted, dim=1)
        return self._there.fetch(columns), self._there.fetch(values).astype(np.float32, copy=False)

    def nearly_largest(self, block: Float32s, wanted: int, margin: float) -> tuple[Indices, Indices]:
        products = self._products(block)
        last = products.topk(wanted, dim=1).values[:, -1:]
        places = self._there.fetch((products >= last - margin).nonzero())
        return places[:, 0], places[:, 1]

    def rows_at_once(self, usual: int) -> int:
        return max(usual, min(_ROWS, (1 << 27) // max(1, self.size, self._room)))

    def _products(self, block: NDArray[Any], part: slice = _WHOLE) -> Any:
        held = self._rows[: self.size][part]
        sent = self._there.empty(block.shape, self._there.single)
        self._there.fill(sent, block)
        return sent @ held.T


def _grown(total: int, room: int) -> int:
    return max(total, min(room, total * 3 // 2))
