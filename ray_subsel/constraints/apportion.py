"""Apportion k to groups: proportional, equal, by label; and floors."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Indices

Quotas = Literal["proportional", "equal"] | Mapping[Hashable, int]


Floors = int | Mapping[Hashable, int]


def group_limits(
    labels: ArrayLike,
    k: int,
    quotas: Quotas | None,
    floors: Floors | None = None,
    available: Indices | None = None,
) -> tuple[Indices, Indices | None, Indices | None]:
    """Translate labels and wishes into what a :class:`~ray_subsel.optimizers.base.Problem` takes.

    Parameters
    ----------
    labels : array of shape (n,)
        The group of each item: strings or integers.
    k : int
    quotas : "proportional", "equal", mapping or None
        "proportional": k apportioned to the groups' sizes (largest remainders, ties to the earlier label). "equal": k
        apportioned equally, as far as groups reach. A mapping from label to the most that the group may have; groups
        it does not name are not limited.
    floors : int, mapping or None
        The least that each group, or each named group, must have.
    available : int64 array of shape (n,) or None
        How many items each row may give: 0 where it is excluded. None: 1 each.

    Returns
    -------
    groups : int64 array of shape (n,)
        Numbers of the sorted labels.
    quotas, floors : int64 arrays of shape (n_groups,) or None
    """
    given = np.asarray(labels)
    if given.ndim != 1:
        raise invalid("groups", "be one label an item", Verbatim(f"shape {given.shape}"))
    if given.dtype == object:
        given = given.astype(str)
    names, groups = np.unique(given, return_inverse=True)
    sizes = np.bincount(groups, weights=available, minlength=names.size).astype(np.int64)
    known = {name: place for place, name in enumerate(names.tolist())}
    most: Indices | None = None
    if isinstance(quotas, str):
        if quotas not in ("proportional", "equal"):
            raise invalid("quotas", "be 'proportional', 'equal' or a mapping from label to number", quotas)
        most = proportional(sizes, k) if quotas == "proportional" else equal(sizes, k)
    elif quotas is not None:
        most = sizes.astype(np.int64)
        for label, number in quotas.items():
            most[_place(known, label, "quotas")] = _count(number, f"quota of {label!r}")
    least: Indices | None = None
    if isinstance(floors, Mapping):
        least = np.zeros(sizes.size, dtype=np.int64)
        for label, number in floors.items():
            least[_place(known, label, "floors")] = _count(number, f"floor of {label!r}")
    elif floors is not None:
        least = np.full(sizes.size, _count(floors, "floors"), dtype=np.int64)
    if most is not None and int(np.minimum(most, sizes).sum()) < k:
        reach = int(np.minimum(most, sizes).sum())
        raise invalid(
            "quotas", f"leave room for k = {k} items", Verbatim(f"room for {reach}"), "Raise quotas or lower k."
        )
    return groups.astype(np.int64), most, least


def proportional(sizes: Indices, k: int) -> Indices:
    """Apportion k in proportion to sizes by largest remainders; the sum is k, no group gets more than its size.

    Examples
    --------
    >>> proportional(np.array([50, 30, 20]), 5).tolist()
    [3, 1, 1]
    """
    sizes = np.asarray(sizes, dtype=np.int64)
    total = int(sizes.sum())
    shares, remainders = np.divmod(sizes * k, total)
    short = k - int(shares.sum())
    largest = np.argsort(-remainders, kind="stable")[:short]
    shares[largest] += 1
    return np.asarray(shares, dtype=np.int64)


def equal(sizes: Indices, k: int) -> Indices:
    """Apportion k equally; what small groups cannot use goes to the others, odd items to the earlier groups.

    Examples
    --------
    >>> equal(np.array([50, 1, 20]), 6).tolist()
    [3, 1, 2]
    """
    sizes = np.asarray(sizes, dtype=np.int64)
    shares = np.zeros_like(sizes)
    left = min(k, int(sizes.sum()))
    while left:
        hungry = np.flatnonzero(shares < sizes)
        each = left // hungry.size
        if each == 0:
            shares[hungry[:left]] += 1
            break
        gift = np.minimum(sizes[hungry] - shares[hungry], each)
        shares[hungry] += gift
        left -= int(gift.sum())
    return shares


def are_wishes(labels: ArrayLike | None, quotas: object, floors: object) -> bool:
    """Tell labels, words and mappings, which :func:`group_limits` translates, from numbers for numbered groups."""
    named = labels is not None and np.asarray(labels).dtype.kind not in "iu"
    return named or isinstance(quotas, str | Mapping) or isinstance(floors, int | np.integer | Mapping)


def _place(known: dict[Hashable, int], label: Hashable, parameter: str) -> int:
    if label not in known:
        shown = ", ".join(repr(name) for name in list(known)[:5])
        raise invalid(parameter, f"name labels that occur ({shown}{', ...' if len(known) > 5 else ''})", label)
    return known[label]


def _count(number: object, parameter: str) -> int:
    if not isinstance(number, int | np.integer) or isinstance(number, bool) or number < 0:
        raise invalid(parameter, "be a whole number >= 0", number)
    return int(number)
