"""The contract of every set function.

An objective is a frozen set of parameters. Bound to vectors by :meth:`Objective.init` it yields a *state*, the value
of the empty set; :meth:`Objective.add` returns the state of a set with one more item and leaves the old one as it was.

Laws, tested for every objective in ``tests/objectives/``:

- ``value(init(X)) == 0``;
- ``gains(state)[i] == value(add(state, i)) - value(state)`` for every i outside the set;
- ``value(state) == evaluate(X, subset)``, the formula written down a second time, without any state;
- where ``submodular`` is true, no gain grows when the set grows; where ``monotone`` is true, no gain is negative.

Letters: n ground set, d dimension, k budget, S chosen set.
"""

from __future__ import annotations

import abc
from typing import ClassVar, Generic, TypeVar

from ray_subsel.core.types import Float64s, Floats, Indices

S = TypeVar("S")


class Objective(abc.ABC, Generic[S]):
    """A set function f over the rows of X. Subclasses are final frozen dataclasses that hold parameters only."""

    name: ClassVar[str]
    """The name by which :func:`ray_subsel.select` and the command line know it."""
    submodular: ClassVar[bool]
    monotone: ClassVar[bool]

    rounding: ClassVar[float] = 0.0
    """Gains that differ by less than this times max(1, gain) are ties. Zero where gains do not depend on how they were
    grouped; above it where matrix products may round equal items differently."""
    loose_bounds: ClassVar[bool] = False
    """Whether :meth:`bounds` is something else than :meth:`gains`."""

    @abc.abstractmethod
    def init(self, X: Floats) -> S:
        """Return the state of the empty set over the rows of X, shape (n, d)."""

    @abc.abstractmethod
    def gains(self, state: S, candidates: Indices | None = None) -> Float64s:
        """Return f(S + i) - f(S) for each candidate i (all n by default), shape (len(candidates),).

        What is returned for an item already in S is not specified; optimizers never ask.
        """

    def bounds(self, state: S, candidates: Indices | None = None) -> Float64s:
        """Return numbers that no gain exceeds, shape (len(candidates),): the gains, unless there is a cheaper way.

        Lazy optimizers rank by bounds and ask for the gains of the few items at the top only.
        """
        return self.gains(state, candidates)

    def cheap_bounds(self, state: S) -> Float64s | None:
        """Return looser bounds of all n gains at a small fraction of their cost, or None: there are none."""
        return None

    @abc.abstractmethod
    def add(self, state: S, item: int) -> S:
        """Return the state of S + item."""

    @abc.abstractmethod
    def value(self, state: S) -> float:
        """Return f(S)."""

    @abc.abstractmethod
    def evaluate(self, X: Floats, subset: Indices) -> float:
        """Return f(subset) straight from the formula: the oracle of the tests and of reports."""
