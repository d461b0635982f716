"""Choose among candidates whose gains no pick changes, until what is left of a represented item comes to matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from ray_subsel.core.types import Float64s


@final
@dataclass(eq=False)
class ConstantGains:
    """Some candidates, and up to which pick their gains stay as they are.

    Attributes
    ----------
    gains : float64 array of shape (q,)
    constant : callable
        Returns up to which of some next picks, told as places, gains are constant before it.
    """

    gains: Float64s
    constant: Callable[[list[int]], int]

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
        chosen = chosen[: self.constant(chosen)]
        return chosen, [gains[place] for place in chosen]
