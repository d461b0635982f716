"""State which subsets are feasible: S holds I, misses E, l_g <= |S in group g| <= q_g for each g, sum of costs <= B.

Letters: n items, G groups, I items to include, E items to exclude, q quotas, l floors, B budget.

What limits a subset is here; the columns of the items that it reads (``group``, ``cost``) are here too once they are
known. :class:`ray_subsel.optimizers.feasibility.FeasibleSet` is what keeps a growing subset feasible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.constraints.spending import Costs, Number, Spending
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices


@dataclass(frozen=True, eq=False, kw_only=True)
class Constraints:
    """Which subsets are feasible; what is None limits nothing.

    Attributes
    ----------
    include, exclude : int64 arrays
        Items that S must hold (chosen first, in the order given) and must not hold.
    quotas, floors : int64 arrays of shape (G,) or None
        At most, and at least, so many items of each group: a partition matroid.
    budget : int, float or None
        A knapsack: the chosen items' costs may not exceed it (:mod:`ray_subsel.constraints.spending`).
    spent : tuple of int or float
        Costs that count as spent before the first pick; a negative one refunds an item that uses up no budget.
    kept, most : float64 arrays of shape (G,) or None
        Money of the budget that is kept for each group, and the most that a group may spend.
    cheapest : list of list of number, or None
        With floors and a budget: what the cheapest items cost by which each group's floor can be met, ascending. It is
        needed where the items are not all at hand.
    least_cost, most_paid : int, float or None
        With a budget: the least cost of an item that may be chosen and is not included, and about how many of the
        cheapest of these it pays for, where that is known.
    groups : int64 array of shape (n,) or None
        The group of each item, in 0..G-1; needed where quotas, floors or shares of money are given.
    costs : float64 or int64 array of shape (n,) or None
        The cost of each item; needed where a budget is given.
    """

    include: Indices = field(default_factory=lambda: NO_ITEMS)
    exclude: Indices = field(default_factory=lambda: NO_ITEMS)
    quotas: Indices | None = None
    floors: Indices | None = None
    budget: Number | None = None
    spent: tuple[Number, ...] = ()
    kept: Float64s | None = None
    most: Float64s | None = None
    cheapest: list[list[Number]] | None = None
    least_cost: Number | None = None
    most_paid: int | None = None
    groups: Indices | None = None
    costs: Costs | None = None

    @property
    def grouped(self) -> bool:
        """Whether groups matter."""
        return any(limit is not None for limit in (self.quotas, self.floors, self.kept, self.most))

    @property
    def limited(self) -> bool:
        """Whether anything but k, ``include`` and ``exclude`` limits a subset."""
        return self.grouped or self.budget is not None

    @property
    def n_groups(self) -> int:
        """Number of groups G; 0 where they do not matter."""
        limits = (self.quotas, self.floors, self.kept, self.most)
        return next((int(limit.size) for limit in limits if limit is not None), 0)

    @property
    def shares_budget(self) -> bool:
        """Whether groups limit how the budget is spent."""
        return self.budget is not None and any(limit is not None for limit in (self.floors, self.kept, self.most))

    @property
    def spending(self) -> Spending | None:
        """What counts as spent before the first pick; None without a budget."""
        return None if self.budget is None else Spending(self.budget).plus(self.spent)

    def most_picks(self, k: int) -> int:
        """Return k or, where it is known that a budget pays for fewer of the cheapest items, about how many."""
        return k if self.most_paid is None else min(k, self.most_paid)

    def check(self) -> None:
        """Raise InputError where a limit lacks its column, or two limits do not go together."""
        if self.grouped and self.groups is None:
            raise invalid("groups", "be given with quotas or floors", Verbatim("None"))
        if (self.costs is None) != (self.budget is None):
            raise invalid("costs and budget", "be given together", Verbatim("one of them"))

    def for_items(self, columns: Mapping[str, NDArray[Any]], include: Indices = NO_ITEMS) -> Constraints:
        """Return these limits for some items.

        Parameters
        ----------
        columns : mapping
            ``group`` and ``cost`` of the items; each is read where a limit needs it.
        include : int64 array
            Places of items that must be chosen.
        """
        groups = columns["group"] if self.grouped else None
        costs = columns["cost"] if self.budget is not None else None
        return replace(self, include=include, groups=groups, costs=costs)

    def take(self, kept: Indices) -> Constraints:
        """Return the constraints on some items; what is said of the others is left out.

        Parameters
        ----------
        kept : int64 array
            Items, ascending.
        """
        return replace(
            self,
            include=_places(kept, self.include),
            exclude=_places(kept, self.exclude),
            groups=None if self.groups is None else self.groups[kept],
            costs=None if self.costs is None else self.costs[kept],
        )

    def after(self, columns: Mapping[str, NDArray[Any]], q: int) -> Constraints:
        """Return the constraints on the same items behind q more that must be chosen and use up no limit.

        The q items come first: they are a group of their own, whose quota is q, and their costs are refunded.

        Parameters
        ----------
        columns : mapping
            ``cost`` of the q items, where there is a budget.
        q : int
        """
        after = replace(self, include=np.arange(q), exclude=self.exclude + q)
        if self.groups is not None:
            quotas = None if self.quotas is None else np.append(self.quotas, q)
            floors = None if self.floors is None else np.append(self.floors, 0)
            groups = np.concatenate((np.full(q, self.n_groups), self.groups))
            kept = None if self.kept is None else np.append(self.kept, 0.0)
            most = None if self.most is None else np.append(self.most, np.inf)
            after = replace(after, quotas=quotas, floors=floors, kept=kept, most=most, groups=groups)
        if self.costs is not None and self.budget is not None:
            first = columns["cost"]
            refunds = tuple(-cost for cost in first.tolist())
            after = replace(after, spent=self.spent + refunds, costs=np.concatenate((first, self.costs)))
        return after


def _places(kept: Indices, items: Indices) -> Indices:
    """Return the places of those items that are kept, in their order."""
    if not kept.size:
        return NO_ITEMS
    places = np.minimum(np.searchsorted(kept, items), kept.size - 1)
    return np.asarray(places[kept[places] == items], dtype=np.int64)


UNLIMITED = Constraints()
