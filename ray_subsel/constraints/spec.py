"""Resolve quotas, floors and a budget as a user states them into the numbers of :class:`Constraints`.

``select()`` and runs state limits by label ("proportional", "equal", ``{"a": 3}``), on the command line by text
(``proportional``, ``a=3``); both are resolved here against the sizes of the groups.

Letters: k to choose, G groups.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.constraints.apportion import above_floors, balanced, equal, proportional
from ray_subsel.constraints.base import Constraints
from ray_subsel.constraints.labels import numbers_of
from ray_subsel.constraints.spending import Number
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import as_number, number_of_text, whole_number
from ray_subsel.core.types import Indices

ENDLESS = 1 << 62
COUNT = "be a whole number >= 0"
APPORTIONED = {"proportional": proportional, "equal": equal}
"""The words that stand for k apportioned to the groups."""

BALANCED = "balanced"
WORDS = (BALANCED, *APPORTIONED)
"""All words that stand for quotas."""

Quotas = str | Mapping[Hashable, int] | NDArray[np.int64]
Floors = int | Mapping[Hashable, int] | NDArray[np.int64]


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
    budget : int, float or None
        What the chosen items may cost together.
    """

    quotas: Quotas | None = None
    floors: Floors | None = None
    budget: Number | None = None

    @staticmethod
    def parse(quotas: Sequence[str] = (), floors: Sequence[str] = (), budget: float | None = None) -> ConstraintSpec:
        """Return what the texts of the command line say.

        Raises
        ------
        InputError
            For a quota that is neither one of the two words nor ``LABEL=N`` once a label, and the like for floors.
        """
        return ConstraintSpec(parse_quotas(quotas), parse_floors(floors), budget)

    @property
    def grouped(self) -> bool:
        """Whether groups matter."""
        return self.quotas is not None or self.floors is not None

    def resolve(
        self, k: int, names: Sequence[Hashable] = (), sizes: Indices | None = None, included: Indices | None = None
    ) -> Constraints:
        """Return the limits as numbers, without the items' columns.

        Parameters
        ----------
        k : int
            Items to choose, included ones counted.
        names : sequence
            The labels of the groups, in the order of their numbers.
        sizes, included : int64 arrays of shape (G,)
            Items of each group that may be chosen, included ones counted, and the latter alone.

        Raises
        ------
        InputError
            Where no k items can keep all limits; it names the label.
        """
        if not self.grouped:
            return Constraints(budget=self.budget)
        assert sizes is not None
        taken = np.zeros_like(sizes) if included is None else included
        floors = self._floors(names, sizes.size)
        if floors is not None:
            _check_floors(floors, sizes, names, k)
        quotas = self._quotas(k, names, sizes, floors, taken)
        limit = sizes if quotas is None else np.minimum(quotas, sizes)
        if floors is not None:
            _check_floors(floors, limit, names, k)
        reach = int(limit.sum())
        if reach < k and self.budget is None:  # a budget may end the choice before k
            raise invalid("quotas", f"allow k = {k} items", Verbatim(f"{reach} at most"), "Raise quotas or lower k.")
        _check_included(taken, limit, floors, names, k)
        return Constraints(quotas=quotas, floors=floors, budget=self.budget)

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
        quotas[numbers_of(self.quotas, names, "quotas")] = _counts(self.quotas, "quota")
        return quotas

    def _floors(self, names: Sequence[Hashable], n_groups: int) -> Indices | None:
        """Return the least of each group."""
        if self.floors is None or isinstance(self.floors, np.ndarray):
            return self.floors
        if not isinstance(self.floors, Mapping):
            least = min(whole_number(self.floors, "floors", COUNT, least=0), ENDLESS)
            return np.full(n_groups, least, dtype=np.int64)
        floors = np.zeros(n_groups, dtype=np.int64)
        floors[numbers_of(self.floors, names, "floors")] = _counts(self.floors, "floor")
        return floors


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


def parse_quotas(texts: Sequence[str]) -> str | dict[Hashable, int] | None:
    """Return one of the words, a mapping from label to number, or None where nothing is said."""
    if not texts:
        return None
    if len(texts) == 1 and texts[0] in WORDS:
        return texts[0]
    return _mapping(texts, "quota", "balanced, proportional, equal, none, or LABEL=N, repeated")


def parse_floors(texts: Sequence[str], parameter: str = "floor") -> int | dict[Hashable, int] | None:
    """Return a number for every group, a mapping from label to number, or None where nothing is said."""
    if not texts:
        return None
    if len(texts) == 1 and (least := _count(texts[0])) is not None:
        return least
    return _mapping(texts, parameter, "a whole number, or LABEL=N, repeated")


def _mapping(texts: Sequence[str], parameter: str, must: str) -> dict[Hashable, int]:
    found: dict[Hashable, int] = {}
    for text in texts:
        label, equals, number = text.rpartition("=")
        count = _count(number)
        if not equals or count is None:
            raise invalid(parameter, f"be {must}", text)
        if label in found:
            raise invalid(parameter, "name a label once", f"{label} twice")
        found[label] = count
    return found


def _count(text: str) -> int | None:
    number = number_of_text(text, whole=True)
    return None if number is None or number < 0 else int(number)


def _shown(name: Hashable) -> str:
    """Return how an error names a group."""
    if name == "":
        return "rows without a group"
    return f"group {name}" if as_number(name, whole=True) is not None else repr(name)


def _counts(numbers: Mapping[Hashable, int], what: str) -> list[int]:
    """Return how many each label may, or must, have; more than any group holds is as good as without end."""
    counts = {label: whole_number(number, f"{what} of {label!r}", COUNT, least=0) for label, number in numbers.items()}
    return [min(count, ENDLESS) for count in counts.values()]
