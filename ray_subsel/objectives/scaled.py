"""Rescale objectives to a partition's share of the ground set.

A node that chooses for a share of the ground set must see the problem at that scale. For graph cut that is as much of
t; for saturated coverage, as much of what saturates an item; the other objectives have no scale. What an objective
does is written in its own file (:meth:`ray_subsel.objectives.base.Objective.scaled`); this is the contract, and the
case of those without scale.

Objectives that represent items take a random sample of the ground set, drawn once, the same in every process, so that
all partitions and reducers maximize one function, whose values are those of the report; or, in round 1, a partition's
own items ("decomposable" functions in Mirzasoleiman et al., JMLR 2016, section 4.4, where the reducer takes a sample as
here). Pure functions; :mod:`ray_subsel.stages.sampling` reads the sample.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s

if TYPE_CHECKING:
    from ray_subsel.objectives.base import Objective

Vectors = NDArray[np.float32]


class ScaledObjective(abc.ABC):
    """A set function over a ground set that is spread over partitions. Subclasses are immutable."""

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
            part of what is returned; else they must be chosen first.
        """

    @property
    def name(self) -> str:
        """The objective's name."""
        return self.full().name

    @property
    def conditions_on_given(self) -> bool:
        """Whether :meth:`scaled` accounts for the given items itself."""
        return False

    def for_partition(self, share: float, given: Vectors) -> Objective[Any]:
        """Return what a partition maximizes in round 1."""
        return self.scaled(share, given)

    def utility_share(self, share: float) -> float:
        """Return by what utilities are multiplied where a share of the ground set is chosen for; 1 without scale."""
        del share
        return 1.0

    def random_value(self, n: int, k: int) -> float | None:
        """Return the expected value of k of the n items, where there is a formula."""
        del n, k
        return None

    def about(self) -> dict[str, Any]:
        """Return what a report says beside the name."""
        return {}

    def warnings(self, gains: Float64s, n: int) -> list[str]:
        """Return what a user should know of an answer with these gains, chosen of n items."""
        del gains, n
        return []

    @property
    def why_below_random(self) -> str:
        """How an answer can be worth less than a random subset."""
        return "a rare draw"


@final
@dataclass(frozen=True, eq=False)
class Unscaled(ScaledObjective):
    """A function of the chosen items alone: log-determinant, feature-based.

    Attributes
    ----------
    objective : Objective
    """

    objective: Objective[Any]

    def full(self) -> Objective[Any]:
        """Return the function."""
        return self.objective

    def scaled(self, share: float, given: Vectors) -> Objective[Any]:
        """Return the function: it has no scale."""
        del share, given
        return self.objective
