"""Look numbers up by id: a map in arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Indices


@dataclass(frozen=True, eq=False)
class IdMap:
    """A map of ids >= 0: ``values`` of ascending ``keys``, and a number ``more`` beside each.

    Examples
    --------
    >>> names = IdMap.of(np.array([7, 2]), np.array([70, 20]))
    >>> names.get(np.array([2, 3, 7]))[0].tolist()
    [20, -1, 70]
    """

    keys: Indices
    values: Indices
    more: NDArray[np.floating]

    @staticmethod
    def of(keys: Indices, values: Indices, more: NDArray[np.floating] | None = None) -> IdMap:
        """Return the map of distinct keys, in any order, to values >= 0."""
        order = np.argsort(keys, kind="stable")
        return IdMap(keys[order], values[order], np.full(keys.size, np.nan) if more is None else more[order])

    def get(self, ids: Indices) -> tuple[Indices, NDArray[np.floating]]:
        """Return the value of each id, -1 where it has none, and what stands beside it, NaN where it has none."""
        if not self.keys.size:
            return np.full(ids.size, -1), np.full(ids.size, np.nan)
        at = np.minimum(np.searchsorted(self.keys, ids), self.keys.size - 1)
        there = self.keys[at] == ids
        return np.where(there, self.values[at], -1), np.where(there, self.more[at], np.nan)
