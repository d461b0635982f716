"""Define the contract of every optimizer: a :class:`Problem` goes in, :class:`Picks` come out.

An optimizer never changes its problem. Ties go to the lowest index. A gain is always that of f plus the item's
utility, which is what :meth:`Problem.gains` returns.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ray_subsel.constraints.base import UNLIMITED, Constraints
from ray_subsel.core.tensors import as_array
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.objectives.base import Objective
from ray_subsel.objectives.target import Target

Progress = Callable[[int, int], None]
"""Called as ``progress(picked, k)`` from time to time; raising KeyboardInterrupt in it ends the run."""


@dataclass(frozen=True)
class Problem:
    """Maximize ``f(S) + sum_{i in S} utility_i`` over subsets S of the rows of X.

    Attributes
    ----------
    X : array of shape (n, d)
        A torch tensor is read as one.
    objective : Objective
    k : int
        Number to choose, ``len(include) <= k <= n - len(exclude)``; included items count toward it.
    constraints : Constraints
        Which subsets are feasible: items to include (picked first) and to exclude, quotas, floors, a budget.
    stop_when_gain : float or None
        Stop before the first pick whose gain is at or below it, so fewer than k items may come back.
    utility : float64 array of shape (n,) or None
    multiplicity : int64 array of shape (n,) or None
        Row i stands for this many equal items. Only objectives that say so take it.
    seed : int
        Of the optimizers that draw.
    progress : callable or None
    target : Target or None
        Queries, for optimizers that look at them (:mod:`ray_subsel.baselines.for_target`); an objective has its own.
    """

    X: Floats
    objective: Objective[Any]
    k: int
    constraints: Constraints = UNLIMITED
    stop_when_gain: float | None = None
    utility: Float64s | None = None
    multiplicity: Indices | None = None
    seed: int = 0
    progress: Progress | None = None
    target: Target | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "X", as_array(self.X))

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])

    @property
    def include(self) -> Indices:
        """Items that S must hold."""
        return self.constraints.include

    @property
    def exclude(self) -> Indices:
        """Items that S must not hold."""
        return self.constraints.exclude

    def gains(self, state: Any, candidates: Indices | None = None) -> Float64s:
        """Return the marginal gains of f plus utilities."""
        gains = as_floats(self.objective.gains(state, candidates))
        if self.utility is None:
            return gains
        return gains + (self.utility if candidates is None else self.utility[candidates])

    def gain(self, state: Any, item: int) -> float:
        """Return the marginal gain of f plus utility of one item."""
        return float(self.gains(state, np.array([item]))[0])

    def bounds(self, state: Any, candidates: Indices | None = None) -> Float64s:
        """Return numbers that no marginal gain of f plus utilities exceeds."""
        bounds = as_floats(self.objective.bounds(state, candidates))
        if self.utility is None:
            return bounds
        return bounds + (self.utility if candidates is None else self.utility[candidates])

    def cheap_bounds(self, state: Any) -> Float64s | None:
        """Return cheap bounds of all marginal gains of f plus utilities, or None."""
        bounds = self.objective.cheap_bounds(state)
        if bounds is None:
            return None
        return as_floats(bounds) if self.utility is None else as_floats(bounds) + self.utility

    def centred(self) -> tuple[Problem, float]:
        """Return the problem whose utilities have the median 0, and what was taken from each: its gains lack as much.

        Its picks are the same where it matters only which gain is larger and how many are picked is given, and there
        a constant in all utilities costs no digit. With a budget, signs and quotients matter: nothing is taken.
        """
        if self.utility is None or self.constraints.budget is not None:
            return self, 0.0
        middle = (self.n - 1) // 2
        shift = float(np.partition(self.utility, middle)[middle])
        stop = None if self.stop_when_gain is None else self.stop_when_gain - shift
        return replace(self, utility=self.utility - shift, stop_when_gain=stop), shift

    def available(self) -> NDArray[np.bool_]:
        """Return the mask of items that may still be chosen before the first pick."""
        mask = np.ones(self.n, dtype=np.bool_)
        mask[self.exclude] = False
        return mask


def as_floats(gains: Any) -> Float64s:
    """Return gains, or bounds of them, in float64: an objective of the user's may count in whole numbers."""
    return np.asarray(gains, dtype=np.float64)


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

    def raised(self, shift: float) -> Picks:
        """Return the picks of a problem from whose utilities ``shift`` was taken, as those of the problem itself."""
        return self if shift == 0.0 else replace(self, gains=self.gains + shift)


class Optimizer(abc.ABC):
    """An algorithm that maximizes a problem. Subclasses are final frozen dataclasses that hold parameters only."""

    name: ClassVar[str]
    graph_cut_only: ClassVar[bool] = False
    """Whether it takes no other objective."""
    takes_target: ClassVar[bool] = False
    """Whether it looks at :attr:`Problem.target`."""

    def caveats(self, problem: Problem) -> tuple[str, ...]:
        """Return sentences on what :meth:`maximize` does not guarantee for a problem; the caller may warn of them."""
        del problem
        return ()

    @abc.abstractmethod
    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
