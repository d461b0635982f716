"""Permute [0, n) pseudo-randomly without a list: each place's item, and each item's place, in O(1).

A Feistel network permutes the numbers of 2b bits for any round function; walking on from those that fall outside
[0, n) until one falls inside keeps it a permutation of [0, n). With 4^b < 4 n that takes at most some four steps on
average. Source: Black, Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002.
"""

from __future__ import annotations

import numpy as np

from ray_subsel.core.hashing import mix
from ray_subsel.core.types import Indices

_ROUNDS = 4


def scramble(places: Indices, n: int, seed: int) -> Indices:
    """Return the item at each place, both in [0, n)."""
    return _walk(places, n, seed, range(_ROUNDS), backward=False)


def unscramble(items: Indices, n: int, seed: int) -> Indices:
    """Return the place of each item: the inverse of :func:`scramble`."""
    return _walk(items, n, seed, range(_ROUNDS - 1, -1, -1), backward=True)


def _walk(numbers: Indices, n: int, seed: int, rounds: range, *, backward: bool) -> Indices:
    bits = max(1, ((n - 1).bit_length() + 1) // 2)
    found = np.array(numbers, dtype=np.int64)
    outside = np.arange(found.size)
    while outside.size:
        found[outside] = _feistel(found[outside], bits, seed, rounds, backward=backward)
        outside = outside[found[outside] >= n]
    return found


def _feistel(numbers: Indices, bits: int, seed: int, rounds: range, *, backward: bool) -> Indices:
    mask = np.int64((1 << bits) - 1)
    left, right = numbers >> bits, numbers & mask
    for number in rounds:
        if backward:
            left, right = right ^ _round(left, seed + 7 * number, mask), left
        else:
            left, right = right, left ^ _round(right, seed + 7 * number, mask)
    return np.asarray((left << bits) | right, dtype=np.int64)


def _round(half: Indices, seed: int, mask: np.int64) -> Indices:
    return np.asarray((mix(half, seed) >> np.uint64(20)).astype(np.int64) & mask, dtype=np.int64)
