"""Leave of a budget what groups must still be able to buy: the cheapest items of their floors, or a share of money.

With R the costs of the cheapest l_g items of each group g that lacks l_g of its floor, an item of cost c in group g may
be bought where c + R - max R_g <= what is left: it takes the place of the dearest that is set aside for g, and all
floors can still be paid. With money kept for groups, K_g - spent_g is out of reach of all groups but g. Both leave less
and less, so an item that cannot be bought never can be again.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

import numpy as np

from ray_subsel.constraints.spending import Costs, Number, Spending
from ray_subsel.core.types import Float64s, Indices, Mask

_SLACK = 1e-9
"""Of the budget: shares of money are no exact numbers."""


@dataclass(eq=False)
class GroupBudget:
    """What groups may spend, kept up purchase by purchase.

    Attributes
    ----------
    spending : Spending
        What is spent.
    aside : list of list of number, or None
        The costs, ascending, of the cheapest items that each group still needs for its floor.
    kept, most : float64 arrays of shape (G,) or None
        Money that is kept for each group, and the most that each may spend.
    spent : float64 array of shape (G,)
    """

    spending: Spending
    aside: list[list[Number]] | None
    kept: Float64s | None
    most: Float64s | None
    spent: Float64s

    def __post_init__(self) -> None:
        costs = [cost for group in self.aside or [] for cost in group]
        self._reserved = self.spending.plus(costs)

    @property
    def fits(self) -> bool:
        """Whether the budget pays for all floors."""
        return self._reserved.fits

    def pays(self, group: int, costs: Costs) -> Mask:
        """Return for each cost whether an item of a group may be bought for it, shape (n,)."""
        reserved = self._reserved
        if self.aside is not None and self.aside[group]:
            reserved = reserved.plus([-self.aside[group][-1]])
        affordable = reserved.pays(costs)
        slack = _SLACK * float(self.spending.budget)
        if self.kept is not None:
            lacking = np.maximum(self.kept - self.spent, 0.0)
            left = float(self.spending.budget) - float(self.spending.exact)
            affordable &= costs <= left - (float(lacking.sum()) - float(lacking[group])) + slack
        if self.most is not None:
            affordable &= costs <= self.most[group] - self.spent[group] + slack
        return affordable

    def buy(self, group: int, cost: Number, *, aside: bool = True) -> None:
        """Buy an item; ``aside``: it counts toward the floor of its group and was not taken account of before."""
        self.spending = self.spending.plus([cost])
        self._reserved = self._reserved.plus([cost])
        self.spent[group] += float(cost)
        if not aside or self.aside is None or not self.aside[group]:
            return
        own = self.aside[group]
        at = min(bisect.bisect_left(own, cost), len(own) - 1)
        self._reserved = self._reserved.plus([-own.pop(at)])


def cheapest(costs: Costs, groups: Indices, floors: Indices) -> list[list[Number]]:
    """Return the costs, ascending, of the cheapest ``floors[g]`` items of each group; fewer where it has fewer."""
    order = np.argsort(costs, kind="stable")
    group = groups[order]
    return [costs[order[group == g][:floor]].tolist() for g, floor in enumerate(floors.tolist())]


def totals_of(costs: Costs, groups: Indices, n_groups: int, times: Indices | None = None) -> Float64s:
    """Return what the items of each group cost together, each ``times`` over, rounded once: in any order the same."""
    paid = costs if times is None else costs * times
    return np.array([math.fsum(paid[groups == group].tolist()) for group in range(n_groups)])
