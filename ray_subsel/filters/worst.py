"""Choose what to drop: the items of highest score, ties to the lowest id, as long as each group keeps its least."""

from __future__ import annotations

import math

import numpy as np

from ray_subsel.core.types import Float64s, Indices, Mask

LABEL_NOISE, OUTLIER = "label_noise", "outlier"


def wanted(share: float, items: int) -> int:
    """Return how many of n items a share F is: floor(F n)."""
    return math.floor(share * items + 1e-9)  # 0.29 * 100 is 28.999...


class Worst:
    """Drops items by one score after the other.

    Parameters
    ----------
    ids : int64 array of shape (n,)
    may : bool array of shape (n,)
        Which items may be dropped at all; others count among those that their group keeps.
    groups : int64 array of shape (n,), optional
        Numbers from 0.
    least : int64 array of shape (n_groups,), optional
        How many items each group keeps at least.
    """

    def __init__(self, ids: Indices, may: Mask, groups: Indices | None = None, least: Indices | None = None) -> None:
        self.ids, self.groups = ids, groups
        self.may = may.copy()
        self.room: Indices | None = None
        if groups is not None and least is not None:
            self.room = np.maximum(np.bincount(groups, minlength=least.size) - least, 0)

    def take(self, score: Float64s, count: int, doubtful: Mask | None = None) -> Indices:
        """Drop at most so many of the items that are left, and return their places, ascending.

        Parameters
        ----------
        score : float64 array of shape (n,)
            The highest goes first.
        count : int
        doubtful : bool array of shape (n,), optional
            Which items the score is about; by default all.
        """
        order = np.lexsort((self.ids, -score))
        order = order[self.may[order] if doubtful is None else (self.may & doubtful)[order]]
        if self.groups is not None and self.room is not None:
            own = self.groups[order]
            by_group = np.argsort(own, kind="stable")
            turn = np.empty(order.size, dtype=np.int64)
            turn[by_group] = np.arange(order.size) - np.searchsorted(own[by_group], own[by_group])
            order = order[turn < self.room[own]]
        taken = np.sort(order[:count])
        self.may[taken] = False
        if self.groups is not None and self.room is not None:
            self.room = self.room - np.bincount(self.groups[taken], minlength=self.room.size)
        return taken
