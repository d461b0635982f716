"""Draw ids that come in pieces: those of the lowest, or the highest, hashes, without all of them in memory."""

from __future__ import annotations

import numpy as np

from ray_subsel.core.hashing import mix
from ray_subsel.core.types import NO_ITEMS, Indices


class LowestHashes:
    """The ``size`` ids of the lowest hashes among those that were added, in memory of the order of ``size``.

    Parameters
    ----------
    size : int
        At most so many are drawn.
    seed : int
        Of the hash: :func:`ray_subsel.core.hashing.mix`.
    highest : bool
        Draw those of the highest hashes instead.

    Examples
    --------
    >>> ids = np.arange(100)
    >>> drawn = LowestHashes(3, seed=1)
    >>> for piece in np.split(ids, 5):
    ...     drawn.add(piece)
    >>> bool((drawn.ids == ids[np.argsort(mix(ids, 1))][:3]).all())
    True
    """

    def __init__(self, size: int, seed: int, *, highest: bool = False) -> None:
        self._size, self._seed, self._highest = size, seed, highest
        self.ids: Indices = NO_ITEMS
        """Those drawn so far, in the order of their hashes: the lowest first, or the highest."""
        self._keys = np.zeros(0, dtype=np.uint64)

    def add(self, ids: Indices) -> None:
        """Take in some ids."""
        keys = mix(ids, self._seed)
        if self._highest:
            keys = ~keys
        if self._keys.size and self._keys.size == self._size:
            better = keys < self._keys[-1]
            ids, keys = ids[better], keys[better]
        ids, keys = np.concatenate((self.ids, ids)), np.concatenate((self._keys, keys))
        order = np.argsort(keys, kind="stable")[: self._size]
        self.ids, self._keys = ids[order], keys[order]
