"""Keep track of the items that may still be chosen: excluded ones, copies, quotas, floors and a budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.constraints.base import Constraints
from ray_subsel.constraints.spending import Spending
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Indices
from ray_subsel.optimizers.base import Problem


@dataclass(eq=False)
class FeasibleSet:
    """The items that may be chosen next, kept up pick by pick. An item that has closed never opens again.

    Attributes
    ----------
    constraints : Constraints
    open : bool array of shape (n,)
        Items whose choice keeps the set feasible.
    slots : int
        How many items may still be chosen, of k.
    left : int64 array of shape (n,)
        How many of the equal items that a row stands for may still be chosen.
    quotas, floors : int64 arrays of shape (n_groups,) or None
        How many a group may still, and must still, receive.
    spending : Spending or None
        What is spent of the budget.
    """

    constraints: Constraints
    open: NDArray[np.bool_]
    slots: int
    left: Indices
    quotas: Indices | None
    floors: Indices | None
    spending: Spending | None

    @staticmethod
    def of(problem: Problem) -> FeasibleSet:
        """Return the items that are open before the first pick.

        Raises
        ------
        InputError
            Where no set of k items can fulfil the quotas and floors, or a parameter is missing.
        """
        constraints = problem.constraints
        constraints.check()
        left = np.ones(problem.n, dtype=np.int64) if problem.multiplicity is None else problem.multiplicity.copy()
        left[constraints.exclude] = 0
        quotas = None if constraints.quotas is None else constraints.quotas.copy()
        floors = None if constraints.floors is None else constraints.floors.copy()
        feasible = FeasibleSet(constraints, left > 0, problem.k, left, quotas, floors, constraints.spending)
        feasible._check_floors()
        feasible._close(None)
        return feasible

    @property
    def exhausted(self) -> bool:
        """Whether no item may be chosen any more."""
        return self.slots <= 0 or not self.open.any()

    def take(self, item: int, *, forced: bool = False) -> None:
        """Choose an item that is open. ``forced`` says that the user demanded it, and words the error so."""
        if forced and not self.open[item]:
            raise invalid(
                "include", "fit the quotas, floors and budget", Verbatim(f"row {item} that does not"), "Leave it out."
            )
        assert self.open[item]
        self.slots -= 1
        self.left[item] -= 1
        if self.left[item] == 0:
            self.open[item] = False
        if self.constraints.costs is not None and self.spending is not None:
            self.spending = self.spending.plus([self.constraints.costs[item].item()])
        group = None if self.constraints.groups is None else int(self.constraints.groups[item])
        if group is not None and self.quotas is not None:
            self.quotas[group] -= 1
        if group is not None and self.floors is not None:
            self.floors[group] = max(0, self.floors[group] - 1)
        self._close(group)

    def _close(self, group: int | None) -> None:
        """Close what the last pick (of ``group``; None: whatever has happened so far) made infeasible."""
        groups, costs = self.constraints.groups, self.constraints.costs
        if groups is not None and self.quotas is not None:
            full = self.quotas <= 0
            if group is None or full[group]:
                self.open &= ~full[groups]
        if groups is not None and self.floors is not None and int(self.floors.sum()) >= self.slots:
            self.open &= (self.floors > 0)[groups]
        if costs is not None and self.spending is not None:
            self.open &= self.spending.pays(costs)

    def _check_floors(self) -> None:
        """Raise InputError for floors that no k of the items can reach."""
        groups, quotas, floors = self.constraints.groups, self.quotas, self.floors
        if floors is None or groups is None:
            return
        size = np.bincount(groups, weights=self.left, minlength=floors.size)
        limit = size if quotas is None else np.minimum(size, quotas)
        short = np.flatnonzero(floors > limit)
        if short.size:
            g = int(short[0])
            raise invalid(f"floor of group {g}", f"be at most the {int(limit[g])} items it may have", int(floors[g]))
        if int(floors.sum()) > self.slots:
            raise invalid(
                "floors", f"sum to at most k = {self.slots}", int(floors.sum()), "Raise k or lower the floors."
            )
