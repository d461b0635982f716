"""Generate unit vectors with exact and near copies, as an encoder would give for a corpus too large to encode.

An original is a function of its number: a direction that all share, as encoders' vectors do, one of its topic and one
of its own, in integers drawn by a hash. Integers add up the same in every order, so copies equal their original to the
byte in whatever shard they are written.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.hashing import mix
from ray_subsel.core.types import Indices

MIN_TOPICS = 8
BLOCK_NUMBERS = 1 << 17
"""Numbers drawn at once: a megabyte an array."""

_COMMON, _TOPIC, _OWN, _NOISE, _TOPIC_OF = range(11, 16)
_CENTRE = 65_536 * 2 - 2


def n_topics(originals: int) -> int:
    """Return how many topics that many originals have: half the square root, at least 8."""
    return max(MIN_TOPICS, math.isqrt(originals) // 2)


def original_vectors(numbers: Indices, d: int, seed: int, topics: int) -> tuple[NDArray[np.float32], Indices]:
    """Return the unit vectors of originals and the topic of each, in [0, topics).

    ``x = (m + 0.6 c_topic + e) / |...|`` with entries of m, c and e alike: two vectors of one topic have a cosine of
    about 0.58, others 0.42.

    Parameters
    ----------
    numbers : ndarray of shape (n,)
    d : int
    seed : int
    topics : int

    Notes
    -----
    O(n d) time; the blocks in between hold some ten MB.
    """
    topic = (mix(numbers, seed + _TOPIC_OF) % np.uint64(topics)).astype(np.int64)
    X = np.empty((numbers.size, d), dtype=np.float32)
    common = 5 * _draws(np.zeros(1, dtype=np.int64), d, seed + _COMMON)
    step = max(1, BLOCK_NUMBERS // d)
    for start in range(0, numbers.size, step):
        block = slice(start, start + step)
        rows = 5 * _draws(numbers[block], d, seed + _OWN)
        kinds, where = np.unique(topic[block], return_inverse=True)
        rows += (common + 3 * _draws(kinds, d, seed + _TOPIC))[where]
        X[block] = rows / np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return X, topic


def near_vectors(X: NDArray[np.float32], rows: Indices, seed: int, strength: float) -> NDArray[np.float32]:
    """Return near copies: ``x + strength z`` scaled to length 1, z a random unit vector drawn for the copy's row.

    The angle to the original is at most ``arcsin(strength)``: a cosine of at least ``sqrt(1 - strength**2)``, 0.9987
    for 0.05.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        The originals, of length 1.
    rows : ndarray of shape (n,)
        The rows of the copies in the corpus.
    seed : int
    strength : float
    """
    n, d = X.shape
    copies = np.empty_like(X)
    step = max(1, BLOCK_NUMBERS // d)
    for start in range(0, n, step):
        block = slice(start, start + step)
        noise = _draws(rows[block], d, seed + _NOISE).astype(np.float64)
        noise *= strength / np.sqrt((noise * noise).sum(axis=1, keepdims=True))
        noise += X[block]
        copies[block] = noise / np.sqrt((noise * noise).sum(axis=1, keepdims=True))
    return copies


def _draws(numbers: Indices, d: int, seed: int) -> NDArray[np.int64]:
    """Return d integers a number, nearly normal: sums of the four 16-bit parts of a hash, around 0."""
    bits = mix(numbers[:, None] * np.int64(d) + np.arange(d, dtype=np.int64), seed)
    low = np.uint64(0xFFFF)
    total = (bits & low) + ((bits >> np.uint64(16)) & low) + ((bits >> np.uint64(32)) & low) + (bits >> np.uint64(48))
    return np.asarray(total.astype(np.int64) - _CENTRE, dtype=np.int64)
