"""Sum costs exactly against a budget: S is feasible where sum_{i in S} c_i <= B, with no slack in any unit.

Whole numbers are summed as integers, floats as the binary numbers that they are. Decimals are no binary numbers: the
float of 0.1 is above 1/10 by 6e-18, so that ten of them would not fit a budget of 1.0, and which sets fit would depend
on the unit of cost. So a sum that has such numbers among its terms fits too where it does in decimals: a float within
two units in the last place of a decimal of at most 12 digits is *read* as that decimal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from ray_subsel.core.types import Float64s, Indices, Mask

Number = int | float
Costs = Float64s | Indices

_DIGITS = 12
_READ_WITHIN = 2.0**-51
"""Relative: two roundings, that of a decimal and that of a product with a power of ten."""
_NEARLY = 2.0**-40


def read(number: Number) -> Fraction:
    """Return the decimal of at most 12 digits that a float stands for, or else the float, or the integer, itself.

    Examples
    --------
    >>> read(0.1), read(7 * 1e-12) == Fraction(7, 10**12), read(1 / 3) == Fraction(1 / 3), read(2**60 + 1)
    (Fraction(1, 10), True, True, Fraction(1152921504606846977, 1))
    """
    exact = Fraction(number)
    if exact.denominator == 1:
        return exact
    short = Fraction(f"{number:.{_DIGITS - 1}e}")
    return short if abs(short - exact) <= abs(exact) * Fraction(_READ_WITHIN) else exact


def picks_expected(k: int, budget: Number | None, mean: float | None) -> int:
    """Return k or, where a budget limits the answer, about how many items of the mean cost it pays for, if fewer."""
    if budget is None or not mean:
        return k
    return max(1, min(k, int(budget / mean)))


def cheapest_paid(costs: Costs, budget: Number) -> Costs:
    """Return about the costs of the cheapest items that a budget pays for together, ascending: summed in float64."""
    order = np.argsort(costs, kind="stable")
    sums = np.cumsum(costs[order], dtype=np.float64)
    return costs[order[: int(np.searchsorted(sums, float(budget) * (1.0 + _NEARLY), side="right"))]]


@dataclass(frozen=True)
class Spending:
    """What is spent of a budget, as a value: :meth:`plus` returns another one.

    Attributes
    ----------
    budget : int or float
    exact, decimal : Fraction
        The sum of the costs as the numbers that they are, and as they are read.
    rounded : bool
        Whether a cost is read as another number than it is.
    """

    budget: Number
    exact: Fraction = field(default=Fraction(0))
    decimal: Fraction = field(default=Fraction(0))
    rounded: bool = False

    def plus(self, costs: Iterable[Number]) -> Spending:
        """Return the spending after some costs more; negative ones are refunded."""
        exact, decimal, rounded = self.exact, self.decimal, self.rounded
        for cost in costs:
            number, decimals = Fraction(cost), read(cost)
            exact, decimal, rounded = exact + number, decimal + decimals, rounded or number != decimals
        return replace(self, exact=exact, decimal=decimal, rounded=rounded)

    @property
    def fits(self) -> bool:
        """Whether the budget pays for it."""
        return self.exact <= Fraction(self.budget) or (self.rounded and self.decimal <= read(self.budget))

    @cached_property
    def _left(self) -> float:
        """About what is left."""
        return float(Fraction(self.budget) - self.exact)

    def pays_for(self, cost: Number) -> bool:
        """Return whether the budget pays for one cost besides."""
        if abs(cost - self._left) > _NEARLY * self.budget:  # of which neither rounding nor decimals make another number
            return cost < self._left
        return bool(self.pays(np.array([cost]))[0])

    def pays(self, costs: Costs) -> Mask:
        """Return for each cost whether the budget pays for it besides, shape (n,)."""
        left = Fraction(self.budget) - self.exact
        affordable: Mask = np.asarray(costs <= _at_most(left, costs))
        decimals = read(self.budget) - self.decimal
        if costs.dtype.kind != "f" and not self.rounded:
            return affordable
        # a float tells most costs from what is left in decimals; the few that are near it are compared as they are
        near = float(abs(decimals)) * 2.0**-49
        level = float(decimals)
        if self.rounded:
            affordable |= costs < level - near
        unsure = np.flatnonzero(~affordable & (costs <= level + near))
        if unsure.size:
            values, inverse = np.unique(costs[unsure], return_inverse=True)
            affordable[unsure] = np.array([self.plus([value]).fits for value in values.tolist()])[inverse]
        return affordable


UNSPENT = 0.02
"""The share of a budget from which what is left is warned of."""


def unspent(budget: Number, cost: float) -> str | None:
    """Return a sentence on what is left of a budget, or None where that is little."""
    left = float(budget) - cost
    if left <= UNSPENT * float(budget):
        return None
    return (
        f"{left:,.10g} of the budget of {budget:,.10g} is not spent ({left / float(budget):.1%}): nothing more that "
        "fits it and the other limits adds to f."
    )


def _at_most(limit: Fraction, costs: Costs) -> Number:
    """Return the largest number of the costs' kind that is at most the limit."""
    if costs.dtype.kind != "f":
        kind = np.iinfo(np.int64)
        return min(max(math.floor(limit), int(kind.min)), int(kind.max))
    nearest = float(limit)
    return nearest if Fraction(nearest) <= limit else math.nextafter(nearest, -math.inf)
