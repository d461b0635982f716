"""Count the ids that equal vectors can be picked as: exact copies, multiplicities, excluded items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import Workers, ranges, serial
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import is_tensor

_BLOCK_ROWS = 1 << 12


@dataclass(frozen=True, eq=False)
class Copies:
    """For each row, the ids that it can be picked as, lowest first.

    Copies of a vector have the same gain whatever was picked before, so an algorithm may look at one of them and hand
    out their ids in order. A row that is represented by an equal one of lower id has none.

    Attributes
    ----------
    ids : int64 array
        Ids sorted by representing row, then by id.
    ends : int64 array, shape of ``ids``
        Running sum of how often each may be picked.
    first, size : int64 arrays of shape (n,)
        Row i has the units ``first[i] ... first[i] + size[i] - 1`` of that running sum.
    """

    ids: Indices
    ends: Indices
    first: Indices
    size: Indices

    def unit(self, row: int, taken: int) -> int:
        """Return the id that a row is picked as next when ``taken`` of its units are gone."""
        return int(self.ids[self.ends.searchsorted(self.first[row] + taken, side="right")])

    def units(self, rows: Indices, taken: Indices) -> Indices:
        """Return the same for many rows."""
        return np.asarray(self.ids[np.searchsorted(self.ends, self.first[rows] + taken, side="right")], dtype=np.int64)


def copies_of(representative: Indices, counts: Indices, n: int) -> Copies:
    """Return the copies of n rows when item i is represented by row ``representative[i]``, ``counts[i]`` times."""
    some = np.flatnonzero(counts > 0)
    ids = some[np.argsort(representative[some], kind="stable")]
    size = np.bincount(representative[some], weights=counts[some], minlength=n).astype(np.int64)
    return Copies(ids, np.cumsum(counts[ids]), starts_of(size), size)


def starts_of(sizes: Indices) -> Indices:
    """Return where each of some consecutive runs starts, given their sizes."""
    return np.asarray(np.cumsum(sizes) - sizes, dtype=np.int64)


def representatives(X: Any, utility: Float64s | None, *, workers: Workers = serial) -> Indices:
    """Return for each row the lowest row that is the same, byte by byte, and has the same utility. O(n d).

    Rows are compared by a 64-bit hash and, where hashes are equal, in full. Where a collision separates equal rows
    nothing is lost but speed.
    """
    n = int(X.shape[0])
    odd = np.random.default_rng(0x5EED).integers(0, 2**63, _words(X, slice(0, 1)).shape[1], dtype=np.uint64)
    odd = odd * np.uint64(2) + np.uint64(1)
    keys = np.empty(n, dtype=np.uint64)

    def hash_rows(start: int, stop: int) -> None:
        keys[start:stop] = _words(X, slice(start, stop)) @ odd

    workers(hash_rows, ranges(n, _BLOCK_ROWS))
    if utility is not None:
        keys ^= utility.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    ordered = np.sort(keys)
    if not (ordered[1:] == ordered[:-1]).any():
        return np.arange(n)
    _, lowest, inverse = np.unique(keys, return_index=True, return_inverse=True)
    found = np.asarray(lowest[inverse], dtype=np.int64)
    copies = np.flatnonzero(found != np.arange(n))

    def separate(start: int, stop: int) -> None:
        some = copies[start:stop]
        same = (_words(X, some) == _words(X, found[some])).all(axis=1)
        if utility is not None:
            same &= utility[some] == utility[found[some]]
        found[some[~same]] = some[~same]

    workers(separate, ranges(copies.size, _BLOCK_ROWS // 4))
    return found


def _words(X: Any, which: slice | Indices) -> NDArray[np.uint64]:
    """Return the bytes of some rows as 64-bit words, padded with zeros."""
    block = X[which]
    if is_tensor(X):
        block = block.detach().cpu()
        block = (block.float() if str(block.dtype) == "torch.bfloat16" else block).numpy()
    block = np.ascontiguousarray(block)
    row_bytes = block.shape[1] * block.itemsize
    if row_bytes % 8:
        padded = np.zeros((block.shape[0], row_bytes + 8 - row_bytes % 8), dtype=np.uint8)
        padded[:, :row_bytes] = block.view(np.uint8)
        block = padded
    return np.asarray(block.view(np.uint64), dtype=np.uint64)
