"""Resolve quotas, floors and a budget as a user states them into the numbers of :class:`Constraints`.

``select()`` and runs state limits by label ("proportional", "equal", ``{"a": 3}``), on the command line by text
(``proportional``, ``a=3``); both are resolved here against the sizes of the groups.

Letters: k to choose, G groups.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.constraints.apportion import above_floors, balanced, equal, half_equal, proportional
from ray_subsel.constraints.base import Constraints
from ray_subsel.constraints.labels import numbers_of
from ray_subsel.constraints.mix import Mix, above_least, is_percent, money_by, parse_mix, share, shares_of
from ray_subsel.constraints.spending import Number
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import as_number, number_of_text, whole_number
from ray_subsel.core.types import Float64s, Indices

ENDLESS = 1 << 62
COUNT = "be a whole number >= 0"
APPORTIONED = {"proportional": proportional, "equal": equal}
"""The words that stand for k apportioned to the groups."""

BALANCED = "balanced"
WORDS = (BALANCED, *APPORTIONED)
"""All words that stand for quotas."""

Quotas = str | Mapping[Hashable, Any] | NDArray[np.int64]
Floors = int | str | Mapping[Hashable, Any] | NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GroupFacts:
    """What limits are resolved against.

    Attributes
    ----------
    names : sequence
        The labels of the groups, in the order of their numbers.
    sizes, included : int64 arrays of shape (G,)
        Items of each group that may be chosen, included ones counted, and the latter alone.
    rows : array of shape (G,) or None
        Rows of the input of each group; None: as many as there are items.
    costs : float64 array of shape (G,) or None
        What those items of each group cost together; needed where shares are of a budget.
    """

    names: Sequence[Hashable]
    sizes: Indices
    included: Indices
    rows: Indices | Float64s | None = None
    costs: Float64s | None = None


@dataclass(frozen=True, eq=False)
class ConstraintSpec:
    """Limits as a user states them; what is None limits nothing.

    Attributes
    ----------
    quotas : "balanced", "proportional", "equal", mapping, int64 array of shape (G,) or None
        "balanced": equal shares, none below half of a proportional one
        (:func:`ray_subsel.constraints.apportion.balanced`); floors and included items come first.
        "proportional": k apportioned to the groups' sizes (largest remainders, ties to the earlier group). "equal": k
        apportioned equally, as far as groups reach. Floors come first: a group whose share would be below its floor has
        the floor, and the others share the rest. A mapping from label to the most that the group may have; groups
        that it does not name are not limited. An array: the most of each group.
    floors : int, mapping, int64 array of shape (G,) or None
        The least that each group, or each named group, must have.
        In place of a number each may be a share, such as ``20%``: of k, or of a budget that alone decides.
    budget : int, float or None
        What the chosen items may cost together.
    mix : "uniform", "input", mapping or None
        The share that each group is to have, of k, or of a budget that alone decides
        (:func:`ray_subsel.constraints.mix.shares_of`). Each is met to within one item, as far as groups reach.
    """

    quotas: Quotas | None = None
    floors: Floors | None = None
    budget: Number | None = None
    mix: Mix | None = None

    @staticmethod
    def parse(
        quotas: Sequence[str] = (), floors: Sequence[str] = (), budget: float | None = None, mix: Sequence[str] = ()
    ) -> ConstraintSpec:
        """Return what the texts of the command line say.

        Raises
        ------
        InputError
            For a quota that is neither one of the two words nor ``LABEL=N`` once a label, and the like for floors.
        """
        return ConstraintSpec(parse_quotas(quotas), parse_floors(floors), budget, parse_mix(mix)).checked()

    def checked(self) -> ConstraintSpec:
        """Return it, once its limits are known to go together."""
        if self.mix is not None and (self.quotas is not None or self.floors is not None):
            raise invalid("mix", "be given without quotas and floors", Verbatim("both"), "A mix states every share.")
        return self

    @property
    def grouped(self) -> bool:
        """Whether groups matter."""
        return self.quotas is not None or self.floors is not None or self.mix is not None

    def check_names(self, names: Sequence[Hashable]) -> None:
        """Refuse limits of a label that no group has."""
        for parameter, limits in (("quotas", self.quotas), ("floors", self.floors)):
            if isinstance(limits, Mapping):
                numbers_of(limits, names, parameter)

    def resolve(self, k: int, facts: GroupFacts | None = None, *, counted: bool = True) -> Constraints:
        """Return the limits as numbers, without the items' columns.

        Parameters
        ----------
        k : int
            Items to choose, included ones counted.
        facts : GroupFacts or None
            Of the groups, where they matter.
        counted : bool
            Whether k was asked for. False: a budget alone decides, k is all that there is, and words divide the budget.

        Raises
        ------
        InputError
            Where no k items can keep all limits; it names the label.
        """
        if not self.grouped:
            return Constraints(budget=self.budget)
        assert facts is not None
        if self.budget is not None and not counted:
            paid = self._by_cost(facts)
            limits = paid.numbers._in_numbers(k, facts, paid=True) if paid.numbers.grouped else Constraints()
            return replace(limits, budget=self.budget, kept=paid.kept, most=paid.most)
        if self.mix is not None:
            rows = facts.sizes if facts.rows is None else facts.rows
            shares, k = shares_of(self.mix, facts.names, rows), min(k, int(facts.sizes.sum()))
            numbers = above_least(shares, facts.sizes, k, facts.included)
            return Constraints(quotas=numbers, floors=numbers, budget=self.budget)
        return replace(self._in_numbers(k, facts, paid=self.budget is not None), budget=self.budget)

    def _in_numbers(self, k: int, facts: GroupFacts, *, paid: bool) -> Constraints:
        """Return quotas and floors as numbers of items; ``paid``: a budget may end the choice before k."""
        names, sizes, taken = facts.names, facts.sizes, facts.included
        floors = self._floors(names, sizes.size, k)
        if floors is not None:
            _check_floors(floors, sizes, names, k)
        quotas = self._quotas(k, names, sizes, floors, taken)
        limit = sizes if quotas is None else np.minimum(quotas, sizes)
        if floors is not None:
            _check_floors(floors, limit, names, k)
        reach = int(limit.sum())
        if reach < k and not paid:
            raise invalid("quotas", f"allow k = {k} items", Verbatim(f"{reach} at most"), "Raise quotas or lower k.")
        _check_included(taken, limit, floors, names, k)
        return Constraints(quotas=quotas, floors=floors)

    def _by_cost(self, facts: GroupFacts) -> _Paid:
        """Divide the budget where limits are shares of it; what is stated in numbers of items is left."""
        assert self.budget is not None
        budget, n = float(self.budget), facts.sizes.size
        totals = np.full(n, budget) if facts.costs is None else facts.costs
        none = np.zeros(n, dtype=np.int64)
        if self.mix is not None:
            shares = shares_of(self.mix, facts.names, totals if facts.rows is None else facts.rows)
            kept = money_by(lambda sizes, units: above_least(shares, sizes, units, none), totals, budget)
            return _Paid(ConstraintSpec(), kept)
        if isinstance(self.quotas, str):
            if self.quotas not in WORDS:
                raise invalid("quotas", f"be one of {', '.join(WORDS)} or a mapping", self.quotas)
            word = self.quotas

            def rule(sizes: Indices, units: int) -> Indices:
                return half_equal(sizes, units, none) if word == BALANCED else APPORTIONED[word](sizes, units)

            return _Paid(ConstraintSpec(floors=self.floors), money_by(rule, totals, budget))
        quotas, most = _money(self.quotas, facts.names, "quotas", budget, np.inf)
        floors, wanted = _money(self.floors, facts.names, "floors", budget, 0.0)
        if wanted is None:
            return _Paid(ConstraintSpec(quotas, floors), None, most)
        if math.fsum(wanted.tolist()) > budget * (1 + 1e-9):
            raise invalid("floors", "sum to 100 % at most", f"{100 * math.fsum(wanted.tolist()) / budget:g} %")
        return _Paid(ConstraintSpec(quotas, floors), np.minimum(wanted, totals), most)

    def least(self, k: int, names: Sequence[Hashable], groups: Indices | None) -> Indices | None:
        """Return the floors as numbers, for the group of each item; None without floors."""
        if self.floors is None or groups is None:
            return None
        sizes = np.bincount(groups, minlength=len(names)).astype(np.int64)
        return ConstraintSpec(floors=self.floors).resolve(k, GroupFacts(names, sizes, np.zeros_like(sizes))).floors

    def _quotas(
        self, k: int, names: Sequence[Hashable], sizes: Indices, floors: Indices | None, included: Indices
    ) -> Indices | None:
        """Return the most of each group."""
        if self.quotas is None:
            return None
        if isinstance(self.quotas, np.ndarray):
            return self.quotas
        if isinstance(self.quotas, str):
            if self.quotas not in WORDS:
                must = "be 'balanced', 'proportional', 'equal' or a mapping from label to number"
                raise invalid("quotas", must, self.quotas)
            least = np.zeros_like(sizes) if floors is None else floors
            if self.quotas == BALANCED:
                return balanced(sizes, min(k, int(sizes.sum())), _fitting(least, included, k))
            return above_floors(APPORTIONED[self.quotas], sizes, k, least)
        quotas = sizes.astype(np.int64)
        quotas[numbers_of(self.quotas, names, "quotas")] = _counts(self.quotas, "quota", k)
        return quotas

    def _floors(self, names: Sequence[Hashable], n_groups: int, k: int) -> Indices | None:
        """Return the least of each group."""
        if self.floors is None or isinstance(self.floors, np.ndarray):
            return self.floors
        if not isinstance(self.floors, Mapping):
            return np.full(n_groups, _count(self.floors, "floors", "floor", k), dtype=np.int64)
        floors = np.zeros(n_groups, dtype=np.int64)
        floors[numbers_of(self.floors, names, "floors")] = _counts(self.floors, "floor", k)
        return floors


@dataclass(frozen=True, eq=False)
class _Paid:
    """Limits under a budget: those in numbers of items, and the money that is kept for each group or is its most."""

    numbers: ConstraintSpec
    kept: Float64s | None = None
    most: Float64s | None = None


def _money(limits: Any, names: Sequence[Hashable], parameter: str, budget: float, other: float) -> Any:
    """Return limits without those that are shares, and the money that the shares are, or None where there are none."""
    if is_percent(limits):
        return None, np.full(len(names), share(limits, parameter) * budget)
    if not isinstance(limits, Mapping):
        return limits, None
    shares = {label: share(value, parameter) for label, value in limits.items() if is_percent(value)}
    if not shares:
        return limits, None
    money = np.full(len(names), other)
    money[numbers_of(shares, names, parameter)] = np.array(list(shares.values())) * budget
    counts = {label: value for label, value in limits.items() if label not in shares}
    return counts or None, money


def _fitting(floors: Indices, included: Indices, k: int) -> Indices:
    """Return floors that make room for included items; where k does not hold both, which is refused later, floors."""
    both = np.maximum(floors, included)
    return both if int(both.sum()) <= k else floors


def _check_floors(floors: Indices, limit: Indices, names: Sequence[Hashable], k: int) -> None:
    short = np.flatnonzero(floors > limit)
    if short.size:
        g = int(short[0])
        raise invalid(f"floor of {_shown(names[g])}", f"be at most the {limit[g]} items it may have", int(floors[g]))
    if int(floors.sum()) > k:
        raise invalid("floors", f"sum to at most k = {k}", int(floors.sum()), "Raise k or lower the floors.")


def _check_included(
    included: Indices, limit: Indices, floors: Indices | None, names: Sequence[Hashable], k: int
) -> None:
    over = np.flatnonzero(included > limit)
    if over.size:
        g = int(over[0])
        got = Verbatim(f"{included[g]} of {_shown(names[g])}, whose quota is {limit[g]}")
        raise invalid("include", "fit the quotas", got, "Raise the quota or include fewer.")
    if floors is None:
        return
    missing = int(np.maximum(floors - included, 0).sum())
    if missing > k - int(included.sum()):
        got = Verbatim(f"{included.sum()} of k = {k}, while floors lack {missing}")
        raise invalid("include", "leave enough of k for the floors", got, "Raise k or include fewer.")


def parse_quotas(texts: Sequence[str]) -> str | dict[Hashable, int | str] | None:
    """Return one of the words, a mapping from label to number, or None where nothing is said."""
    if not texts:
        return None
    if len(texts) == 1 and texts[0] in WORDS:
        return texts[0]
    return _mapping(texts, "quota", "balanced, proportional, equal, none, or LABEL=N or LABEL=N%, repeated")


def parse_floors(texts: Sequence[str], parameter: str = "floor") -> int | str | dict[Hashable, int | str] | None:
    """Return a number for every group, a mapping from label to number, or None where nothing is said."""
    must = "a whole number or share, or LABEL=N or LABEL=N%, repeated"
    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        return _number(texts[0], parameter, must)
    return _mapping(texts, parameter, must)


def parse_counts(texts: Sequence[str], parameter: str) -> int | dict[Hashable, int] | None:
    """Return what :func:`parse_floors` does, of numbers alone."""
    found = parse_floors(texts, parameter)
    shares = [found] if isinstance(found, str) else list(found.values()) if isinstance(found, dict) else []
    if any(isinstance(value, str) for value in shares):
        raise invalid(parameter, "be a whole number, or LABEL=N, repeated", " ".join(texts))
    return found  # type: ignore[return-value]


def _mapping(texts: Sequence[str], parameter: str, must: str) -> dict[Hashable, int | str]:
    found: dict[Hashable, int | str] = {}
    for text in texts:
        label, equals, number = text.rpartition("=")
        if not equals:
            raise invalid(parameter, f"be {must}", text)
        if label in found:
            raise invalid(parameter, "name a label once", f"{label} twice")
        found[label] = _number(number, parameter, must, text)
    return found


def _number(text: str, parameter: str, must: str, whole: str = "") -> int | str:
    """Return a number of items, or the text of a share."""
    if is_percent(text):
        share(text, parameter)
        return text
    number = number_of_text(text, whole=True)
    if number is None or number < 0:
        raise invalid(parameter, f"be {must}", whole or text)
    return int(number)


def _shown(name: Hashable) -> str:
    """Return how an error names a group."""
    if name == "":
        return "rows without a group"
    return f"group {name}" if as_number(name, whole=True) is not None else repr(name)


def _counts(numbers: Mapping[Hashable, Any], what: str, k: int) -> list[int]:
    """Return how many each label may, or must, have."""
    return [_count(number, f"{what} of {label!r}", what, k) for label, number in numbers.items()]


def _count(number: Any, parameter: str, what: str, k: int) -> int:
    """Return a number of items; of a share of k, what is whole for a floor, what covers it for a quota."""
    if is_percent(number):
        exact = share(number, parameter) * k
        return math.floor(exact + 1e-9) if what == "floor" else math.ceil(exact - 1e-9)
    return min(whole_number(number, parameter, COUNT, least=0), ENDLESS)  # more than any group holds is without end
