"""Choose among candidates whose gains no pick changes, until what is left of a represented item comes to matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import numpy as np

from ray_subsel.core.types import Float64s


@final
@dataclass(eq=False)
class ConstantGains:
    """Candidates of saturated coverage while no represented item is near to be saturated.

    Attributes
    ----------
    gains : float64 array of shape (q,)
    covered : callable
        Returns what the candidate at a place adds to the coverage of the represented items, shape (m,).
    left, matters : float64 arrays of shape (m,)
        What is left until an item is saturated, and below which that changes gains.
    chosen : list of int
        Places of what :meth:`picks` told.
    after : float64 array of shape (m,)
        What is left then.
    """

    gains: Float64s
    covered: Callable[[int], Float64s]
    left: Float64s
    matters: Float64s
    chosen: list[int] = field(init=False, default_factory=list)
    after: Float64s = field(init=False)

    def picks(self, outside: float, rounding: float, unit: float) -> tuple[list[int], list[float]]:
        """Return what greedy chooses, as places, and the gains; of some that tie the first.

        Until a candidate that is not here could win, or gains change. Parameters are those of
        :meth:`ray_subsel.objectives.improvements.Improvements.picks`.
        """
        chosen: list[int] = []
        open_places = np.argsort(-self.gains, kind="stable").tolist()
        gains = self.gains.tolist()
        while open_places:
            top = gains[open_places[0]]
            width = rounding * max(unit, top)
            if top <= max(outside, 0.0) + width:
                break
            tied = 1
            while tied < len(open_places) and gains[open_places[tied]] >= top - width:
                tied += 1
            place = min(open_places[:tied])
            open_places.remove(place)
            chosen.append(place)
        self.chosen = chosen[: self._constant(chosen)]
        return self.chosen, [gains[place] for place in self.chosen]

    def _constant(self, chosen: list[int]) -> int:
        """Return up to which pick gains were constant before it."""
        self.after = left = self.left.copy()
        for place in chosen:
            left -= self.covered(place)
        if not (left < self.matters).any():
            return len(chosen)
        left[:] = self.left
        for turn, place in enumerate(chosen):
            left -= self.covered(place)
            if (left < self.matters).any():
                return turn + 1
        return len(chosen)
