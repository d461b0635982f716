"""The contract of every optimizer: a :class:`Problem` goes in, :class:`Picks` come out.

An optimizer never changes its problem. Ties go to the lowest index. A gain is always that of f plus the item's
utility, which is what :meth:`Problem.gains` returns.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.objectives.base import Objective

Progress = Callable[[int, int], None]
"""Called as ``progress(picked, k)`` from time to time; raising KeyboardInterrupt in it ends the run."""

NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Problem:
    """Maximize ``f(S) + sum_{i in S} utility_i`` over subsets S of the rows of X.

    Attributes
    ----------
    X : array of shape (n, d)
    objective : Objective
    k : int
        Budget, ``len(include) <= k <= n - len(exclude)``; ``include`` counts toward it.
    include, exclude : int64 arrays
        Items that S must hold (picked first, in the order given) and must not hold.
    stop_when_gain : float or None
        Stop before the first pick whose gain is at or below it, so fewer than k items may come back.
    utility : float64 array of shape (n,) or None
    multiplicity : int64 array of shape (n,) or None
        Row i stands for this many equal items. Only objectives that say so take it.
    groups, quotas : int64 array of shape (n,) and of shape (n_groups,), or None
        Item i is of group ``groups[i]``; at most ``quotas[g]`` items of group g are chosen (a partition matroid).
    floors : int64 array of shape (n_groups,), or None
        At least ``floors[g]`` of the k items are of group g; needs ``groups``.
    costs, budget : float64 array of shape (n,) and float, or None
        A knapsack: the chosen items' costs may not exceed ``budget``.
    seed : int
        Of the optimizers that draw.
    progress : callable or None
    """

    X: Floats
    objective: Objective[Any]
    k: int
    include: Indices = field(default_factory=lambda: NONE)
    exclude: Indices = field(default_factory=lambda: NONE)
    stop_when_gain: float | None = None
    utility: Float64s | None = None
    multiplicity: Indices | None = None
    groups: Indices | None = None
    quotas: Indices | None = None
    floors: Indices | None = None
    costs: Float64s | None = None
    budget: float | None = None
    seed: int = 0
    progress: Progress | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])

    def gains(self, state: Any, candidates: Indices | None = None) -> Float64s:
        """Return the marginal gains of f plus utilities."""
        gains = self.objective.gains(state, candidates)
        if self.utility is None:
            return gains
        return gains + (self.utility if candidates is None else self.utility[candidates])

    def bounds(self, state: Any, candidates: Indices | None = None) -> Float64s:
        """Return numbers that no marginal gain of f plus utilities exceeds."""
        bounds = self.objective.bounds(state, candidates)
        if self.utility is None:
            return bounds
        return bounds + (self.utility if candidates is None else self.utility[candidates])

    def cheap_bounds(self, state: Any) -> Float64s | None:
        """Return cheap bounds of all marginal gains of f plus utilities, or None."""
        bounds = self.objective.cheap_bounds(state)
        return bounds if bounds is None or self.utility is None else bounds + self.utility

    def available(self) -> NDArray[np.bool_]:
        """Return the mask of items that may still be chosen before the first pick."""
        mask = np.ones(self.n, dtype=np.bool_)
        mask[self.exclude] = False
        return mask


@dataclass(frozen=True)
class Picks:
    """What an optimizer found, in the order in which it was picked.

    Attributes
    ----------
    indices : int64 array of shape (k,)
    gains : float64 array of shape (k,)
        Marginal gain (utility included) of each pick at its turn; they sum to the value.
    stats : dict
        Counts of work, for reports: ``passes`` over X, ``evaluations`` of single gains, ...
    """

    indices: Indices
    gains: Float64s
    stats: dict[str, float]


class Optimizer(abc.ABC):
    """An algorithm that maximizes a problem. Subclasses are final frozen dataclasses that hold parameters only."""

    name: ClassVar[str]

    @abc.abstractmethod
    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
