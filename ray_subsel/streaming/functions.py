"""Define what a set function offers to a stream: how much f rises where a newcomer joins, or replaces, a kept item.

A stream function holds what it must know of the kept items and a summary of everything seen, of a size that does not
grow. Every newcomer enters the summary; decisions use the summary as it was at the last *step*, a number of arrivals
that is fixed in advance (:func:`next_step`). So a batch of newcomers is judged by a few matrix products, and no
decision depends on how the stream was cut into batches.

Letters: m kept items, d dimension, b newcomers, t sum of the unit vectors seen.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives.base import Objective

LONGEST_STEP = 256
"""Arrivals after which the summary that decisions use is brought up to date."""

State = dict[str, NDArray[Any]]


def next_step(seen: int) -> int:
    """Return the number of arrivals at which the summary is next brought up to date.

    Every arrival at first, then after an eighth more, never after more than 256.
    """
    return seen + min(max(1, seen // 8), LONGEST_STEP)


class StreamFunction(abc.ABC):
    """A set function over a stream. Mutable: one instance follows one kept set.

    Kept items are given as ``kept``, float64 of shape (m, d) on the grid of :mod:`ray_subsel.streaming.grid_rows`;
    their places are 0..m-1. A place keeps its number when its item is replaced.
    """

    monotone: ClassVar[bool] = False
    """Whether no gain is negative: what the guarantee of swapping asks for."""

    @abc.abstractmethod
    def see(self, X: Float64s, numbers: Indices) -> None:
        """Take note of newcomers, shape (b, d), and of their numbers in the stream, until the next step."""

    @abc.abstractmethod
    def step(self, kept: Float64s) -> None:
        """Bring the summary up to date with all that was noted."""

    @abc.abstractmethod
    def look(self, X: Float64s) -> Any:
        """Return what the next three methods want to know of some newcomers, whatever is kept."""

    @abc.abstractmethod
    def bounds(self, look: Any, part: slice, kept: Float64s, threshold: float) -> Float64s:
        """Return for each newcomer of a part a number that no rise by replacing a kept item exceeds.

        Parameters
        ----------
        look : object
            What :meth:`look` returned.
        part : slice
        kept : float64 array of shape (m, d)
        threshold : float
            Rises at or below it are of no interest: any number at or below it may stand for them.
        """

    @abc.abstractmethod
    def rises(self, look: Any, at: int, kept: Float64s) -> Float64s:
        """Return f(S - j + x) - f(S) for one newcomer x and each kept j, shape (m,)."""

    @abc.abstractmethod
    def gains(self, look: Any, part: slice, kept: Float64s, threshold: float) -> Float64s:
        """Return f(S + x) - f(S) for each newcomer x of a part; below the threshold perhaps a bound of it."""

    @abc.abstractmethod
    def added(self, look: Any, at: int, kept: Float64s) -> None:
        """Take note that a newcomer is the last of the kept items now."""

    def begin(self, kept: Float64s) -> None:
        """Take note of all kept items at once, where there were none."""
        look = self.look(kept)
        for at in range(len(kept)):
            self.added(look, at, kept[: at + 1])

    @abc.abstractmethod
    def replaced(self, look: Any, at: int, place: int, out: Float64s, kept: Float64s) -> None:
        """Take note that a newcomer has replaced ``out``, shape (d,), at a place of the kept items."""

    @abc.abstractmethod
    def value(self, m: int) -> float:
        """Return f(S), on the scale of rises."""

    def worth(self, m: int) -> float:
        """Return what a kept item is worth on average: the unit of utilities and of the least rise."""
        return max(self.value(m), 0.0) / m if m else 0.0

    @abc.abstractmethod
    def most(self, k: int) -> float | None:
        """Return a number that f cannot exceed for k items, on the scale of rises; None where there is none."""

    @abc.abstractmethod
    def objective(self, seen: int) -> tuple[Objective[Any], float]:
        """Return the objective, over what was seen, and how much larger its values are than those here."""

    @abc.abstractmethod
    def save(self) -> State:
        """Return all that it holds, as arrays."""

    @abc.abstractmethod
    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what :meth:`save` returned."""


def joined(pieces: list[Float64s], d: int) -> Float64s:
    """Return pieces of shape (?, d) as one array."""
    return np.concatenate(pieces) if pieces else np.zeros((0, d))
