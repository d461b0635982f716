"""Decide for how many candidates numbers are computed ahead: twice as many as were asked for of the last ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import final

_LEAST = 8


@final
@dataclass(eq=False)
class ReadAhead:
    """What was computed ahead last, and how much of it was asked for since.

    Attributes
    ----------
    most, first : int
        Candidates that are computed ahead at most, and at first.
    """

    most: int
    first: int
    _ahead: set[int] = field(default_factory=set)
    _asked: set[int] = field(default_factory=set)

    @property
    def size(self) -> int:
        """How many candidates to compute ahead next."""
        wanted = max(_LEAST, 2 * len(self._asked)) if self._ahead else self.first
        return min(self.most, wanted)

    def computed(self, candidates: Iterable[int]) -> None:
        """Note what is computed ahead now."""
        self._ahead, self._asked = set(candidates), set()

    def asked(self, candidate: int) -> None:
        """Note that a candidate is asked for."""
        if candidate in self._ahead:
            self._asked.add(candidate)
