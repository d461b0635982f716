"""Hash without regard to the process, the platform or the order of work."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEY_BYTES = 16


def text_key(text: str) -> bytes:
    """Return the 16-byte key under which equal texts meet (BLAKE2b; a clash needs some 2^64 texts)."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def shard_of_key(key: bytes, shards: int) -> int:
    """Return the shard, in [0, shards), of a text key."""
    return int.from_bytes(key[:8], "little") % shards


def mix(ids: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each id: splitmix64's finalizer over id and seed.

    It is a bijection of the ids for every seed, so distinct ids never clash.
    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    offset = np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
    z = ids.astype(np.uint64) + offset
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)


def partition_of(ids: NDArray[np.int64], partitions: int, seed: int) -> NDArray[np.int64]:
    """Return each id's partition in [0, partitions): random, and the same wherever and whenever it is asked."""
    return np.asarray(mix(ids, seed) % np.uint64(partitions), dtype=np.int64)


def fingerprint(content: Any) -> str:
    """Return a 16-digit hexadecimal hash of anything JSON can write, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
