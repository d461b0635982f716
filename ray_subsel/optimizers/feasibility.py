"""Keep track of the items that may still be chosen: excluded ones, copies, quotas, floors and a budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ray_subsel.constraints.base import Constraints
from ray_subsel.constraints.group_budget import GroupBudget, cheapest
from ray_subsel.constraints.spending import Spending
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Indices
from ray_subsel.optimizers.base import Problem


def check_floors_paid(shared: GroupBudget) -> None:
    """Raise InputError where the budget does not pay for the cheapest items by which floors are met."""
    if not shared.fits:
        least = math.fsum(float(cost) for group in shared.aside or [] for cost in group) + float(shared.spending.exact)
        must = f"pay for the floors, {least:.17g} at least"
        raise invalid("budget", must, shared.spending.budget, "Raise it or lower the floors.")


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
    shared : GroupBudget or None
        How groups limit what it is spent on.
    members : list of int64 arrays
        The items of each group, where the budget is shared.
    """

    constraints: Constraints
    open: NDArray[np.bool_]
    slots: int
    left: Indices
    quotas: Indices | None
    floors: Indices | None
    spending: Spending | None
    shared: GroupBudget | None = None
    members: list[Indices] = field(default_factory=list)

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
        feasible._share_budget()
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
            if self.shared is not None and self.constraints.groups is not None:
                cost = self.constraints.costs[item].item()
                self.shared.buy(int(self.constraints.groups[item]), cost, aside=not forced)
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
        if costs is None or self.spending is None:
            return
        if self.shared is None:
            self.open &= self.spending.pays(costs)
            return
        for number, items in enumerate(self.members):
            still = items[self.open[items]]
            if still.size:
                self.open[still] = self.shared.pays(number, costs[still])

    def only_lacking(self) -> bool:
        """Close all groups whose floors are met; return whether any lacks items and has some."""
        if self.floors is None or self.constraints.groups is None or not (self.floors > 0).any():
            return False
        self.open &= (self.floors > 0)[self.constraints.groups]
        return bool(self.open.any())

    def _share_budget(self) -> None:
        """Set aside what floors cost, and note what each group may spend."""
        limits = self.constraints
        if not limits.shares_budget or limits.groups is None or limits.costs is None or self.spending is None:
            return
        aside = None
        if self.floors is not None:
            free = self.left.copy()
            np.subtract.at(free, limits.include, 1)
            included = np.bincount(limits.groups[limits.include], minlength=self.floors.size)
            missing = np.maximum(self.floors - included, 0)
            if missing.any():
                rows = np.repeat(np.arange(free.size), np.maximum(free, 0))
                aside = cheapest(limits.costs[rows], limits.groups[rows], missing)
        self.shared = GroupBudget(self.spending, aside, limits.kept, limits.most, np.zeros(limits.n_groups))
        self.members = [np.flatnonzero(limits.groups == group) for group in range(limits.n_groups)]
        forced = self.spending.plus(limits.costs[limits.include].tolist())
        check_floors_paid(GroupBudget(forced, aside, None, None, np.zeros(0)))

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
