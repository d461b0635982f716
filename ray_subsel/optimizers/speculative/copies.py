"""Count the ids that equal vectors can be picked as: exact copies, multiplicities, excluded items."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import Workers, ranges, serial
from ray_subsel.core.types import Float64s, Indices

_BLOCK_ROWS = 1 << 12
_FIRST_COLUMNS = 8


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
    if representative.size == n and np.array_equal(representative, np.arange(n)):
        size = np.maximum(counts, 0)
        return Copies(some, np.cumsum(size[some]), starts_of(size), size)
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
    keys = np.empty(n, dtype=np.uint64)

    def hash_first(start: int, stop: int) -> None:
        words = _words(X[:, :_FIRST_COLUMNS], slice(start, stop))
        keys[start:stop] = words @ _multipliers(words.shape[1])

    def hash_whole(start: int, stop: int) -> None:
        some = repeated[start:stop]
        words = _words(X, slice(start, stop) if repeated.size == n else some)
        keys[some] = words @ _multipliers(words.shape[1])

    workers(hash_first, ranges(n, _BLOCK_ROWS))
    mixed = None if utility is None else utility.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    if mixed is not None:
        keys ^= mixed
    found, repeated = np.arange(n), _repeated(keys)
    if repeated.size and X.shape[1] > _FIRST_COLUMNS:  # of most rows the first columns tell that they are no copies
        workers(hash_whole, ranges(repeated.size, _BLOCK_ROWS))
        if mixed is not None:
            keys[repeated] ^= mixed[repeated]
        repeated = repeated[_repeated(keys[repeated])]
    if not repeated.size:
        return found
    _, lowest, inverse = np.unique(keys[repeated], return_index=True, return_inverse=True)
    found[repeated] = repeated[lowest[inverse]]
    copies = np.flatnonzero(found != np.arange(n))

    def separate(start: int, stop: int) -> None:
        some = copies[start:stop]
        same = (_words(X, some) == _words(X, found[some])).all(axis=1)
        if utility is not None:
            same &= utility[some] == utility[found[some]]
        found[some[~same]] = some[~same]

    workers(separate, ranges(copies.size, _BLOCK_ROWS // 4))
    return found


def _repeated(keys: NDArray[np.uint64]) -> Indices:
    """Return the places of keys that are there more than once.

    Most are alone in a slot of a table, which takes a fifth of the time of sorting them; the others are sorted.
    """
    bits, places = keys.size.bit_length() + 1, np.arange(keys.size)
    slots = (keys >> np.uint64(64 - bits)).astype(np.int64)
    last = np.empty(1 << bits, dtype=np.int32 if keys.size < 1 << 31 else np.int64)
    last[slots] = places
    shared = np.zeros(1 << bits, dtype=np.bool_)
    shared[slots[last[slots] != places]] = True
    maybe = shared[slots].nonzero()[0]
    some = keys[maybe]
    ordered = np.sort(some)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    if not again.size:
        return np.empty(0, dtype=np.int64)
    place = np.minimum(again.searchsorted(some), again.size - 1)
    return np.asarray(maybe[again[place] == some], dtype=np.int64)


@lru_cache(maxsize=8)
def _multipliers(words: int) -> NDArray[np.uint64]:
    """Return odd numbers, always the same."""
    numbers: NDArray[np.uint64] = np.random.default_rng(0x5EED).integers(0, 2**63, words, dtype=np.uint64)
    return np.asarray(numbers * np.uint64(2) + np.uint64(1), dtype=np.uint64)


def _words(X: Any, which: slice | Indices) -> NDArray[np.uint64]:
    """Return the bytes of some rows as 64-bit words, padded with zeros."""
    block = np.ascontiguousarray(X[which])
    row_bytes = block.shape[1] * block.itemsize
    if row_bytes % 8:
        padded = np.zeros((block.shape[0], row_bytes + 8 - row_bytes % 8), dtype=np.uint8)
        padded[:, :row_bytes] = block.view(np.uint8)
        block = padded
    return np.asarray(block.view(np.uint64), dtype=np.uint64)
