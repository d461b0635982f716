"""What facility location and saturated coverage know of each represented item while they pick: a level.

A pick changes what candidates add to an item only where their similarity to it lies above the level.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices, Mask
from ray_subsel.objectives.constant_gains import ConstantGains
from ray_subsel.objectives.improvements import Improvements


@dataclass(frozen=True, eq=False)
class Change:
    """How far levels move.

    Attributes
    ----------
    items : int64 array of shape (q,) or None
        Represented items, ascending; None: all m.
    low, high : arrays of shape (q,), of W's dtype
        The interval that each one's level passes over.
    blurred : bool
        Whether some levels have moved by less than W's precision shows: any gain may have changed.
    """

    items: Indices | None
    low: NDArray[Any]
    high: NDArray[Any]
    blurred: bool = False


class Levels(abc.ABC):
    """What an objective knows of its represented items while it picks: a level each."""

    rise: ClassVar[bool]
    """Whether levels only rise, so that what of W is below them never matters again."""

    several: ClassVar[bool] = False
    """Whether the gains of several candidates cost little more than that of one."""

    @abc.abstractmethod
    def left(self) -> Change:
        """Return the intervals that no level has passed over yet, one for every represented item."""

    @property
    def slack(self) -> float:
        """How much a gain may be above the sum over what is left of W: what the error of W can make of it."""
        return 0.0

    @abc.abstractmethod
    def gain(self, item: int) -> float:
        """Return the marginal gain of a candidate in float64."""

    @abc.abstractmethod
    def bounds(self, columns: NDArray[Any]) -> Float64s:
        """Return numbers that gains do not exceed, given the candidates' columns of W, shape (q, m)."""

    @abc.abstractmethod
    def take(self, item: int) -> None:
        """Choose a candidate."""

    def gains(self, items: Indices) -> Float64s:
        """Return the marginal gains of some candidates in float64."""
        return np.array([self.gain(item) for item in items.tolist()])

    def apart(self, items: Indices) -> int:
        """Return how many of the first candidates surely change nothing of one another's gains: 1, or more."""
        del items
        return 1

    def foresees(self, item: int) -> int:
        """Return among how many candidates the next picks are best looked for, where this one gains most; 0: none."""
        del item
        return 0

    def ready(self, items: Indices) -> Mask:
        """Return which of some candidates :meth:`foresight` may be told."""
        return np.ones(items.size, dtype=np.bool_)

    def foresight(self, items: Indices) -> Improvements | ConstantGains | None:
        """Return what tells the next picks among some candidates, until another one could win; None: it costs more."""
        del items
        return None

    def take_run(self, items: Indices) -> None:
        """Choose candidates that are :meth:`apart`, or in their order some that :meth:`foresight` was told last."""
        for item in items.tolist():
            self.take(item)

    def wants(self, item: int) -> int:
        """Return how many candidates to tell :meth:`expect` before the gain of one is asked for; 0: none."""
        del item
        return 0

    def expect(self, items: Indices) -> None:
        """Take note of candidates whose gains may be asked for next."""
        del items

    def gains_seen(self, items: Indices) -> Float64s | None:
        """Return the gains of candidates that :meth:`expect` was told last, where it has found them; else None."""
        del items
        return None

    @property
    @abc.abstractmethod
    def moved(self) -> int:
        """How many levels have moved since they were settled."""

    @abc.abstractmethod
    def settle(self) -> Change:
        """Return how far levels have moved since this was called last."""
