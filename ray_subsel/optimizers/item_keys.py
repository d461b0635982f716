"""Keep a key for each item: what its gain, with its utility and times its scale, does not exceed.

Candidates are distinct rows; equal rows are one candidate, and items of one candidate have its gain.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np

from ray_subsel.core.types import Float64s, Indices, Mask


@final
@dataclass(eq=False)
class ItemKeys:
    """The keys of n items, infinite at first; they only fall.

    Attributes
    ----------
    candidate : int64 array of shape (n,)
        Of each item.
    q : int
        Number of candidates.
    utility, scale : float64 arrays of shape (n,) or None
        What is added to a gain, and what that is multiplied with then.
    values : float64 array of shape (n,)
        No open item's key is larger; -infinity where an item is closed.
    copies : bool
        Whether some candidates have several items.
    """

    candidate: Indices
    q: int
    utility: Float64s | None
    scale: Float64s | None
    values: Float64s = field(init=False)
    copies: bool = field(init=False)

    def __post_init__(self) -> None:
        n = self.candidate.size
        self.values = np.full(n, np.inf)
        self.copies = self.q != n or bool((self.candidate != np.arange(self.q)).any())

    def put(self, candidates: Indices, bounds: Float64s) -> None:
        """Give the items of some candidates keys for numbers that their gains do not exceed."""
        if not self.copies:
            self._lower(candidates, bounds)
        elif candidates.size == 1:
            self._lower(self._items_of(int(candidates[0])), bounds)
        else:
            of = np.full(self.q, np.inf)
            of[candidates] = bounds
            items = (of[self.candidate] < np.inf).nonzero()[0]
            self._lower(items, of[self.candidate[items]])

    def put_one(self, candidate: int, bound: float) -> None:
        """Do for one candidate what :meth:`put` does, number by number."""
        if self.copies:
            self.put(np.array([candidate]), np.array([bound]))
            return
        if self.utility is not None:
            bound += float(self.utility[candidate])
        if self.scale is not None:
            bound *= float(self.scale[candidate])
        if bound < self.values[candidate]:
            self.values[candidate] = bound

    def put_all(self, bounds: Float64s) -> None:
        """Give all items keys, for a number of each candidate."""
        self._lower(slice(None), bounds[self.candidate] if self.copies else bounds)

    def highest(self, most: int, among: Mask | None = None) -> Indices:
        """Return the candidates of the items of largest keys, ascending; ``among``: of which items, by default all."""
        keys = self.values if among is None else np.where(among, self.values, -np.inf)
        if most >= keys.size:
            return np.unique(self.candidate)
        least = np.partition(keys, -most)[-most]
        top = (keys > least).nonzero()[0]
        if least > -np.inf:  # the lowest of those that tie, which are looked at next
            top = np.concatenate([top, (keys == least).nonzero()[0][: most - top.size]])
        return np.unique(self.candidate[top])

    def _items_of(self, candidate: int) -> Indices:
        order, starts = self._by_candidate
        return order[starts[candidate] : starts[candidate + 1]]

    @cached_property
    def _by_candidate(self) -> tuple[Indices, Indices]:
        """The items by candidate, and where those of each begin."""
        order = np.argsort(self.candidate, kind="stable")
        return order, np.searchsorted(self.candidate, np.arange(self.q + 1), sorter=order)

    def _lower(self, items: Indices | slice, bounds: Float64s) -> None:
        if self.utility is not None:
            bounds = bounds + self.utility[items]
        if self.scale is not None:
            bounds = bounds * self.scale[items]
        self.values[items] = np.minimum(self.values[items], bounds)
