"""Hold the kept items of a stream: vectors, ids, utilities and groups, each at a place."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ray_subsel.core.types import Float64s, Indices


@dataclass(eq=False)
class Kept:
    """The kept items.

    Attributes
    ----------
    store : float64 array of shape (k, d)
        Vectors on the grid; the first ``size`` rows count.
    ids, arrivals, groups : int64 arrays of shape (k,)
        Group -1: none.
    utilities : float64 array of shape (k,)
    size : int
    """

    store: Float64s
    ids: Indices
    arrivals: Indices
    groups: Indices
    utilities: Float64s
    size: int = 0
    counts: dict[int, int] = field(default_factory=dict)

    @staticmethod
    def none(k: int, d: int) -> Kept:
        """Return no items, with room for k."""
        ids, arrivals, groups = (np.full(k, -1, dtype=np.int64) for _ in range(3))
        return Kept(np.zeros((k, d)), ids, arrivals, groups, np.zeros(k))

    @property
    def vectors(self) -> Float64s:
        """The vectors, shape (size, d)."""
        return self.store[: self.size]

    @property
    def full(self) -> bool:
        """Whether there is no room."""
        return self.size == len(self.store)

    def put(self, place: int, x: Float64s, item: int, arrival: int, utility: float, group: int) -> None:
        """Put an item at a place: the one behind the last, or that of an item that goes."""
        if place == self.size:
            self.size += 1
        else:
            self.counts[int(self.groups[place])] -= 1
        self.store[place], self.ids[place], self.arrivals[place] = x, item, arrival
        self.utilities[place], self.groups[place] = utility, group
        self.counts[group] = self.counts.get(group, 0) + 1
