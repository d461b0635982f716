"""What GreeDi maximizes where no process holds the ground set: each objective whole, and at the scale of a share of it.

A node that chooses for a share of the ground set must see the problem at that scale. For graph cut that is as much of
t; for saturated coverage, as much of what saturates an item; the other objectives have no scale.

Facility location and saturated coverage want items represented. Those are a sample of the ground set, drawn once, the
same in every process, so that all partitions and reducers maximize one function, whose values are those of the report;
or, in round 1, a partition's own items ("decomposable" functions in Mirzasoleiman et al., JMLR 2016, section 4.4, where
the reducer takes a sample as here). Pure functions; :mod:`ray_subsel.stages.sampling` reads the sample.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s
from ray_subsel.objectives import (
    OBJECTIVES,
    FacilityLocation,
    GraphCut,
    Objective,
    SaturatedCoverage,
)
from ray_subsel.objectives.graph_cut import random_value

Vectors = NDArray[np.float32]

REPRESENTING = (FacilityLocation.name, SaturatedCoverage.name)
"""Objectives that want items represented."""


class ScaledObjective(abc.ABC):
    """A set function over a ground set that is spread over partitions. Subclasses are final and immutable."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The objective's name."""

    @abc.abstractmethod
    def full(self) -> Objective[Any]:
        """Return the function itself, for a reducer that chooses the answer."""

    @abc.abstractmethod
    def scaled(self, share: float, given: Vectors) -> Objective[Any]:
        """Return what a reducer maximizes that chooses for a share of the ground set.

        Parameters
        ----------
        share : float
            In (0, 1].
        given : float32 array of shape (q, d)
            Unit vectors of items that are in the answer already. Where :attr:`conditions_on_given` is true they are
            part of what is
            returned; else they must be chosen first.
        """

    @property
    def conditions_on_given(self) -> bool:
        """Whether :meth:`scaled` accounts for the given items itself."""
        return False

    def for_partition(self, share: float, given: Vectors) -> Objective[Any]:
        """Return what a partition maximizes in round 1."""
        return self.scaled(share, given)

    def random_value(self, n: int, k: int) -> float | None:
        """Return the expected value of k of the n items, where there is a formula."""
        del n, k
        return None

    def about(self) -> dict[str, Any]:
        """Return what a report says beside the name."""
        return {}


@final
@dataclass(frozen=True, eq=False)
class ScaledGraphCut(ScaledObjective):
    """Graph cut, whose scale is that of t.

    With s_I the sum of the given items, a share sees the gains <x, share (t - (2 + lam) s_I) - (2 + lam) s> - 1.

    Attributes
    ----------
    lam : float
    total : float64 array of shape (d,)
        t, the sum of the unit vectors of the whole ground set.
    """

    lam: float
    total: Float64s

    @property
    def name(self) -> str:
        """The objective's name."""
        return GraphCut.name

    @property
    def conditions_on_given(self) -> bool:
        """True: given items are a shift of t."""
        return True

    def full(self) -> GraphCut:
        """Return graph cut against all of t."""
        return GraphCut(self.lam, self.total)

    def scaled(self, share: float, given: Vectors) -> GraphCut:
        """Return graph cut against a share of t, less what is given."""
        taken = given.astype(np.float64).sum(axis=0) if len(given) else 0.0
        return GraphCut(self.lam, (self.total - (2.0 + self.lam) * taken) * share)

    def random_value(self, n: int, k: int) -> float:
        """Return the expected value of k of the n items."""
        return random_value(self.total, n, k, self.lam)

    def about(self) -> dict[str, Any]:
        """Return lambda."""
        return {"lam": self.lam}


@final
@dataclass(frozen=True, eq=False)
class ScaledCoverage(ScaledObjective):
    """Facility location or saturated coverage of a sample.

    Attributes
    ----------
    objective : str
        One of ``REPRESENTING``.
    items : float32 array of shape (r, d)
        The unit vectors to be represented.
    everything : float64 array of shape (r,) or None
        For saturated coverage: the sum of each one's positive similarities to the whole ground set.
    own : bool
        Whether a partition represents its own items in round 1 instead.
    """

    objective: str
    items: Vectors
    everything: Float64s | None = None
    own: bool = False

    @property
    def name(self) -> str:
        """The objective's name."""
        return self.objective

    def full(self) -> Objective[Any]:
        """Return the function against the sample."""
        return self._with(self.everything)

    def scaled(self, share: float, given: Vectors) -> Objective[Any]:
        """Return the function against the sample, saturated at a share of what saturates it."""
        del given
        return self._with(None if self.everything is None else self.everything * share)

    def for_partition(self, share: float, given: Vectors) -> Objective[Any]:
        """Return what a partition maximizes: as a reducer, or the function of its own items."""
        return OBJECTIVES[self.objective]() if self.own else self.scaled(share, given)

    def about(self) -> dict[str, Any]:
        """Return what is represented."""
        return {"represented": len(self.items), "represented_in_partitions": "own items" if self.own else "the sample"}

    def _with(self, everything: Float64s | None) -> Objective[Any]:
        if self.objective == FacilityLocation.name:
            return FacilityLocation(represented=self.items)
        return SaturatedCoverage(represented=self.items, everything=everything)


@final
@dataclass(frozen=True)
class Unscaled(ScaledObjective):
    """A function of the chosen items alone: log-determinant, feature-based.

    Attributes
    ----------
    objective : str
    """

    objective: str

    @property
    def name(self) -> str:
        """The objective's name."""
        return self.objective

    def full(self) -> Objective[Any]:
        """Return the function."""
        return OBJECTIVES[self.objective]()

    def scaled(self, share: float, given: Vectors) -> Objective[Any]:
        """Return the function: it has no scale."""
        del share, given
        return self.full()
