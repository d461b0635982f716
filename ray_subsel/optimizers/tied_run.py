"""Take items that tie one after the other, where picks of some change no gain of the others: nothing is compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from ray_subsel.core.types import Float64s, Indices, Mask

_LEAST = 32


@final
@dataclass(eq=False)
class TiedRun:
    """Items that are the next picks, in order, as long as they are open.

    What ties stays the same while one of the largest key is open whose gain no pick changes: the last of a run is one.

    Attributes
    ----------
    most : int
        How many items the next run is best looked for among: more after a run of all of them.
    items : list of int
        Of the run; none where there is none.
    """

    most: int = _LEAST
    items: list[int] = field(default_factory=list)
    _taken: int = 0

    def start(self, tied: Indices, keys: Float64s, largest: float, apart: int) -> None:
        """Begin a run.

        Parameters
        ----------
        tied : int64 array
            The lowest of the items that tie, ascending.
        keys : float64 array, shape of ``tied``
        largest : float
            The largest key of all.
        apart : int
            Picks of the first so many change no gain of one another.
        """
        self.most = 2 * self.most if apart == self.most else max(_LEAST, 2 * apart)
        largest_of = (keys[:apart] == largest).nonzero()[0]
        self.items, self._taken = tied[: largest_of[-1] + 1].tolist() if largest_of.size else [], 0

    def next(self, free: Mask) -> int | None:
        """Return the next pick; None where that is not known. ``free`` tells which items are open, shape (n,)."""
        if self._taken == len(self.items):
            return None
        item = self.items[self._taken]
        return item if free[item] and free[self.items[-1]] else None

    def take(self, item: int) -> bool:
        """Note that an item is chosen, and tell whether it is the next of the run."""
        if self._taken == len(self.items) or item != self.items[self._taken]:
            return False
        self._taken += 1
        return True

    def end(self) -> list[int]:
        """Forget the run, and return what was taken of it."""
        taken, self.items, self._taken = self.items[: self._taken], [], 0
        return taken
