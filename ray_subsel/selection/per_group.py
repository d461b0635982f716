"""Choose in each group of rows on its own: S = union over groups g of argmax f_g(S_g), f_g being f on the rows of g.

Each group is what :func:`ray_subsel.select` gives of its rows alone. What a group cannot give it is not asked for: k is
at most the rows that may be chosen, a floor at most the rows of its label, and a group from which nothing may be
chosen, or nothing can be paid for, gives nothing; :class:`GroupCounts` tells of how many groups that is so.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.config.recipe import PAPER_OBJECTIVE
from ray_subsel.constraints.labels import Groups, key_of
from ray_subsel.core.errors import InputError, Verbatim, invalid
from ray_subsel.core.numeric import array_of
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.objectives import Objective, find_objective
from ray_subsel.selection import validation
from ray_subsel.selection.explain import RowVectors
from ray_subsel.selection.ground_set import GroundSet, with_equal_rows, without_near_copies
from ray_subsel.selection.result import Selection
from ray_subsel.selection.weigh import weights_of

BY_ROW = ("labels", "groups", "utility", "multiplicity", "costs", "near_within", "quality")
"""The arguments of ``select`` that have a value for each row."""
WHOLE = (
    *("certificate", "near_weights", "progress", "against", "against_near"),
    *("keep_best", "drop_label_noise", "drop_outliers"),
)
"""Those that a selection in groups does not take."""
Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class GroupPicks:
    """What was chosen of one group.

    Attributes
    ----------
    rows : int64 array of shape (k_g,)
        Of the group's rows, in rank order.
    gains : float64 array of shape (k_g,)
    made : Selection or None
        What ``select`` returned; None where nothing could be chosen.
    items : int
        What there was to choose from, near copies collapsed, excluded rows left out.
    collapsed : int
        Near copies that left.
    short : bool
        Whether the group had fewer items than were asked for.
    lowered : bool
        Whether a floor was lowered to what its label has.
    weigh : callable or None
        Computes how many items of the group, near copies counted, each chosen one is the nearest chosen one of.
    leaders : int64 array of shape (n_g,) or None
        The row that each row joined as a near copy, else itself. None: no near copies were collapsed.
    """

    rows: Indices
    gains: Float64s
    made: Selection | None
    items: int
    collapsed: int = 0
    short: bool = False
    lowered: bool = False
    weigh: Callable[[], Indices] | None = None
    leaders: Indices | None = None


@dataclass(frozen=True)
class PerGroup:
    """How to choose in each group.

    Attributes
    ----------
    choose : callable
        :func:`ray_subsel.select`.
    k, fraction : int or None, float or None
        Of each group; the fraction is of its rows.
    near : float or None
        Near copies are collapsed within a group.
    seed : int
    quotas, floors, budget
        Within each group, as ``select`` has them.
    options : mapping
        What else ``select`` is told.
    """

    choose: Callable[..., Selection]
    k: int | None = None
    fraction: float | None = None
    near: float | None = None
    seed: int = 0
    quotas: Any = None
    floors: Any = None
    budget: Any = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def of_group(
        self, name: Hashable, X: Any, columns: Columns, include: Indices = NO_ITEMS, exclude: Indices = NO_ITEMS,
        copies: Indices | None = None,
    ) -> GroupPicks:  # fmt: skip
        """Return what is chosen of one group.

        Parameters
        ----------
        name : hashable
            The group, for errors.
        X : array of shape (n_g, d)
        columns : mapping
            Arguments of ``select`` by row.
        include, exclude : int64 arrays
            Rows of X.
        copies : int64 array of shape (n_g,), optional
            Rows that each item stands for: a fraction is a share of them, and a weight counts them; default: 1 each.

        Raises
        ------
        InputError
            As ``select``, with the group named.
        """
        try:
            return self._of_group(X, columns, include, exclude, copies)
        except InputError as error:
            raise InputError(f"group {name!r}: {error}") from error

    def _of_group(
        self, X: Any, columns: Columns, include: Indices, exclude: Indices, copies: Indices | None
    ) -> GroupPicks:
        n = int(X.shape[0])
        rows = n if copies is None else int(copies.sum())
        barred = with_equal_rows(X, exclude)
        validation.check_disjoint(include, exclude, barred)
        ground = GroundSet(X, None, include, barred, None, None, None, None)
        if self.near is not None:
            within = columns.get("near_within")
            labels = None if within is None else validation.near_labels(within, self.near, n)
            ground = without_near_copies(dataclasses.replace(ground, counts=copies), self.near, self.seed, labels)
        collapsed, available = n - ground.n, ground.available
        kept = ground.kept
        mine = {name: column if kept is None else column[kept] for name, column in columns.items()}
        mine.pop("near_within", None)
        asked = self.k
        if asked is None and self.fraction is not None:
            asked = max(1, math.floor(self.fraction * rows + 1e-9))
        open_to = np.setdiff1d(np.arange(ground.n), ground.exclude)
        if not available or not self._affordable(mine.get("costs"), open_to):
            return GroupPicks(
                NO_ITEMS, np.zeros(0), None, available, collapsed, short=asked is not None, leaders=ground.stands_for
            )
        quotas, floors, reach, lowered = self._limits(mine, open_to)
        k = None if asked is None else min(asked, reach)
        limits = {"quotas": quotas, "floors": floors, "budget": self.budget}
        limits = {name: value for name, value in limits.items() if value is not None}
        found = self.choose(
            ground.X, k, include=ground.include, exclude=ground.exclude, near="none", seed=self.seed,
            **limits, **mine, **self.options,
        )  # fmt: skip
        short = asked is not None and k != asked
        weigh = partial(weights_of, ground.X, found.indices, copies if ground.weights is None else ground.weights)
        rows_chosen = ground.rows_of(found.indices)
        return GroupPicks(
            rows_chosen, found.gains, found, available, collapsed, short, lowered, weigh, ground.stands_for
        )

    def _affordable(self, costs: NDArray[Any] | None, places: Indices) -> bool:
        return self.budget is None or costs is None or bool(costs[places].min() <= self.budget)

    def _limits(self, columns: Columns, places: Indices) -> tuple[Any, Any, int, bool]:
        """Return quotas and floors for the labels that the group has, how many they let it choose, what was lowered."""
        labels = columns.get("groups", columns.get("labels"))
        if labels is None or (self.quotas is None and self.floors is None):
            return self.quotas, self.floors, places.size, False
        named = Groups.of(labels, labels.size)
        sizes = dict(zip(named.names, np.bincount(named.numbers[places], minlength=len(named.names)), strict=True))
        there = {key_of(label): label for label in named.names}
        quotas, floors, reach = self.quotas, self.floors, places.size
        if isinstance(quotas, Mapping):
            quotas = {there[key_of(label)]: most for label, most in quotas.items() if key_of(label) in there}
            reach = sum(int(min(size, quotas.get(label, size))) for label, size in sizes.items())
        if floors is None:
            return quotas, None, reach, False
        wanted = floors if isinstance(floors, Mapping) else dict.fromkeys(named.names, floors)
        floors = {}
        for label, least in wanted.items():
            if (own := there.get(key_of(label))) is not None:
                floors[own] = min(int(least), int(sizes[own]))
        return quotas, floors, reach, any(floors.get(there.get(key_of(label)), 0) < n for label, n in wanted.items())


@dataclass(frozen=True)
class GroupCounts:
    """What groups could not give.

    Attributes
    ----------
    groups : int
    short : int
        Groups that had fewer items than were asked for.
    lowered : int
        Groups whose floors were lowered.
    empty : int
        Groups of which nothing was chosen.
    items, collapsed : int
        Items to choose from, near copies that left.
    """

    groups: int = 0
    short: int = 0
    lowered: int = 0
    empty: int = 0
    items: int = 0
    collapsed: int = 0

    def __add__(self, other: GroupCounts) -> GroupCounts:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return GroupCounts(*(one + two for one, two in pairs))

    @staticmethod
    def of(picks: GroupPicks) -> GroupCounts:
        """Return the counts of one group."""
        return GroupCounts(
            1, int(picks.short), int(picks.lowered), int(not picks.rows.size), picks.items, picks.collapsed
        )

    def sentences(self, asked: str) -> list[str]:
        """Return what is to be told; ``asked`` says what each group was asked for."""
        told = []
        if self.short:
            told.append(
                f"{self.short:,} of {self.groups:,} groups have fewer items than {asked}: they give what they have."
            )
        if self.lowered:
            told.append(f"In {self.lowered:,} of {self.groups:,} groups a floor was lowered to what its label has.")
        if self.empty:
            told.append(
                f"Of {self.empty:,} of {self.groups:,} groups nothing is chosen: nothing there may be, is paid for, or "
                "adds to f."
            )
        return told


def groups_in_order(numbers: Indices) -> list[Indices]:
    """Return the places of each group, ascending, in the order of their numbers 0, 1, ..., all of which occur."""
    order = np.argsort(numbers, kind="stable")
    counts = np.bincount(numbers)
    return np.split(order, np.cumsum(counts)[:-1])


def select_per_group(choose: Callable[..., Selection], X: Any, arguments: Mapping[str, Any]) -> Selection:
    """Return the selection in groups that ``select(X, ..., per=...)`` asks for.

    Parameters
    ----------
    choose : callable
        :func:`ray_subsel.select`.
    X : array of shape (n, d)
    arguments : mapping
        All other arguments of ``select``, by name.
    """
    given = dict(arguments)
    for name in WHOLE:
        value = given.pop(name, None)
        if value is not None and value is not False:
            raise invalid(name, "be left out with per", Verbatim("both"), "Choose in the groups one by one.")
    objective = given.get("objective")
    known = objective if isinstance(objective, Objective) else find_objective(objective or PAPER_OBJECTIVE)
    validation.check_rows(X, known)
    n = int(X.shape[0])
    groups = Groups.of(given.pop("per"), n, "per")
    forced = validation.row_numbers(given.pop("include"), "include", n, None)
    barred = validation.row_numbers(given.pop("exclude"), "exclude", n, None)
    columns = {name: _column(given.pop(name, None), name, n) for name in BY_ROW}
    near = given.pop("near")
    plan = PerGroup(
        choose,
        **{name: given.pop(name) for name in ("k", "fraction", "seed", "quotas", "floors", "budget")},
        near=None if isinstance(near, str) and near == "none" else near,
        options=given,
    )
    _check_labels_occur(plan, columns)
    found: list[tuple[Indices, GroupPicks]] = []
    by_row = {name: column for name, column in columns.items() if column is not None}
    for label, places in zip(groups.names, groups_in_order(groups.numbers), strict=True):
        mine = {what: column[places] for what, column in by_row.items()}
        include, exclude = _places(places, forced), _places(places, barred)
        found.append((places, plan.of_group(label, X[places], mine, include, exclude)))
    counts = sum((GroupCounts.of(picks) for _, picks in found), GroupCounts())
    made = next((picks.made for _, picks in found if picks.made is not None), None)
    if made is None:
        raise invalid("per", "leave something to choose", Verbatim(f"nothing in {len(found)} groups"))
    gains = np.concatenate([picks.gains for _, picks in found])
    sizes = np.array([picks.rows.size for _, picks in found])
    return dataclasses.replace(
        made,
        indices=np.concatenate([places[picks.rows] for places, picks in found]).astype(np.int64),
        gains=gains,
        value=math.fsum(gains.tolist()),
        n=counts.items,
        stats={name: float(value) for name, value in dataclasses.asdict(counts).items()},
        groups=tuple(name for name, size in zip(groups.names, sizes.tolist(), strict=True) for _ in range(size)),
        ranks=np.concatenate([np.arange(size) for size in sizes]).astype(np.int64),
        weigh=partial(_weights, [picks.weigh for _, picks in found if picks.weigh is not None]),
        stands_for=None,
        vectors=RowVectors(X),
    )


def _weights(weigh: list[Callable[[], Indices]]) -> Indices:
    """Return how many items of its group each chosen one stands for."""
    return np.concatenate([one() for one in weigh]).astype(np.int64)


def _column(values: Any, name: str, n: int) -> NDArray[Any] | None:
    if values is None:
        return None
    if name in ("labels", "groups", "near_within"):
        named = Groups.of(values, n, name)  # labels keep their values, and are cut like any array
        return np.fromiter((named.names[at] for at in named.numbers), dtype=object, count=n)
    column = array_of(values, name, f"be {n} values")
    if column.shape != (n,):
        raise invalid(name, f"be {n} values", Verbatim(f"{column.dtype} of shape {column.shape}"))
    return column


def _places(rows: Indices, named: Indices) -> Indices:
    """Return the places in ``rows``, which ascend, of the named rows that are there, in the order of the names."""
    at = np.searchsorted(rows, named)
    there = at < rows.size
    there[there] = rows[at[there]] == named[there]
    return at[there].astype(np.int64)


def _check_labels_occur(plan: PerGroup, columns: Mapping[str, NDArray[Any] | None]) -> None:
    """Refuse limits by number, and a label that no group has; one that only some have limits those."""
    labels = columns["groups"] if columns["groups"] is not None else columns["labels"]
    for what, limits in (("quotas", plan.quotas), ("floors", plan.floors)):
        if limits is not None and not isinstance(limits, str | Mapping) and np.ndim(limits) > 0:
            raise invalid(
                what, "be given by label with per", Verbatim("an array"), "Use a mapping from label to number."
            )
        if isinstance(limits, Mapping) and labels is not None:
            there = {key_of(label) for label in Groups.of(labels, labels.size).names}
            unknown = [label for label in limits if key_of(label) not in there]
            if unknown:
                raise invalid(what, "name labels that occur", unknown[0])
