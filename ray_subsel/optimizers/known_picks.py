"""Take items that are known to be the next picks one after the other: nothing is compared.

Items that tie, where picks of some change no gain of the others, or what lazy greedy takes of a few.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from ray_subsel.core.types import Float64s, Indices, Mask

_LEAST, _MOST = 32, 1024
_FEW, _PAUSE = 4, 64


@final
@dataclass(eq=False)
class KnownPicks:
    """Items that are the next picks, in order, as long as they are open.

    What ties stays the same while one of the largest key is open whose gain no pick changes: the last of a run is one.
    Others come with their gains.

    Attributes
    ----------
    most : int
        How many items the next run is best looked for among: more after a run of all of them.
    items : list of int
        Of the run; none where there is none.
    gains : list of float
        What they gain at their turn; none of items that tie, whose gains are known.
    among : int
        How many items others are best looked for among.
    """

    most: int = _LEAST
    items: list[int] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)
    among: int = _LEAST
    _taken: int = 0
    _pause: int = 0  # picks after others were looked for in vain
    _left: int = 0

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
        self.gains = []
        self.items, self._taken = tied[: largest_of[-1] + 1].tolist() if largest_of.size else [], 0

    def foresee(self, items: list[int], gains: list[float]) -> bool:
        """Begin a run of items that were found among :attr:`among`, and tell whether there is one."""
        self._pause = 0 if len(items) > _FEW else min(_PAUSE, 2 * self._pause + 1)
        self._left = self._pause
        self.among = min(_MOST, 2 * self.among) if 2 * len(items) > self.among else max(_LEAST, 4 * len(items))
        self.items, self.gains, self._taken = items, gains, 0
        return bool(items)

    def due(self) -> bool:
        """Tell at a pick whether to look for others: not at each where that was in vain."""
        self._left -= 1
        return self._left < 0

    def next(self, free: Mask) -> tuple[int, float | None] | None:
        """Return the next pick, and its gain or None; None where that is not known. ``free``: which items are open."""
        if self._taken == len(self.items):
            return None
        item = self.items[self._taken]
        if self.gains:
            return (item, self.gains[self._taken]) if free[item] else None
        return (item, None) if free[item] and free[self.items[-1]] else None

    def take(self, item: int) -> bool:
        """Note that an item is chosen, and tell whether it is the next of the run."""
        if self._taken == len(self.items) or item != self.items[self._taken]:
            return False
        self._taken += 1
        return True

    def end(self) -> list[int]:
        """Forget the run, and return what was taken of it."""
        taken, self.items, self.gains, self._taken = self.items[: self._taken], [], [], 0
        return taken
