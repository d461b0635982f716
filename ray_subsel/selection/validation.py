"""Check what :func:`ray_subsel.select` is called with. Each function returns the argument as it is computed with."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ray_subsel.constraints.spec import ConstraintSpec
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices, is_number


def row_numbers(rows: ArrayLike, parameter: str, n: int, counts: Indices | None) -> Indices:
    """Return row numbers that exist, none more often than it counts."""
    given = np.asarray(rows)
    if given.size == 0:
        return NO_ITEMS
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise invalid(parameter, "be a sequence of row numbers", Verbatim(f"{given.dtype} of shape {given.shape}"))
    given = given.astype(np.int64)
    outside = given[(given < 0) | (given >= n)]
    if outside.size:
        raise invalid(parameter, f"name rows in [0, {n})", int(outside[0]))
    unique, times = np.unique(given, return_counts=True)
    limit = np.ones(unique.size, dtype=np.int64) if counts is None else counts[unique]
    if (times > limit).any():
        raise invalid(parameter, "name a row once", Verbatim(f"row {unique[times > limit][0]} more than once"))
    return given


def unit_counts(multiplicity: ArrayLike | None, n: int) -> Indices | None:
    """Return multiplicities, all at least 1."""
    if multiplicity is None:
        return None
    given = np.asarray(multiplicity)
    if given.shape != (n,) or given.dtype.kind not in "iu":
        raise invalid("multiplicity", f"be {n} integers", Verbatim(f"{given.dtype} of shape {given.shape}"))
    if given.min() < 1:
        raise invalid("multiplicity", "be at least 1", given.min(), "Drop rows that stand for no item.")
    return given.astype(np.int64)


def checked_numbers(values: ArrayLike | None, parameter: str, n: int) -> Float64s | None:
    """Return n finite numbers as float64."""
    if values is None:
        return None
    given = np.asarray(values)
    if given.shape != (n,) or given.dtype.kind not in "iuf":
        raise invalid(parameter, f"be {n} numbers", Verbatim(f"{given.dtype} of shape {given.shape}"))
    if not np.isfinite(given).all():
        raise invalid(
            parameter, "be finite", Verbatim(f"NaN or infinity at row {np.flatnonzero(~np.isfinite(given))[0]}")
        )
    return given.astype(np.float64)


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of the rows of X.

    Attributes
    ----------
    names : tuple
        The labels, in the order of their numbers; sorted, if the caller did not number the groups.
    numbers : int64 array of shape (n,)
    """

    names: tuple[Hashable, ...]
    numbers: Indices


def limits(
    groups: ArrayLike | None, quotas: Any, floors: Any, budget: float | None, n: int
) -> tuple[ConstraintSpec, Groups | None]:
    """Return quotas, floors and the budget as they are resolved, and the groups; None where those do not matter.

    Labels, words and mappings are kept for :meth:`ConstraintSpec.resolve`; numbered groups come with arrays.
    """
    if quotas is None and floors is None:
        if groups is not None:
            raise invalid("groups", "be given with quotas or floors", Verbatim("neither of them"))
        return ConstraintSpec(budget=budget), None
    if groups is None:
        raise invalid("groups", "be given with quotas and floors", Verbatim("none"), "Give each row's group.")
    given = np.asarray(groups)
    by_label = isinstance(quotas, str | Mapping) or isinstance(floors, int | np.integer | Mapping)
    if by_label or given.dtype.kind not in "iu":
        return ConstraintSpec(_by_label(quotas, "quotas"), _by_label(floors, "floors"), budget), _labelled(given, n)
    if given.shape != (n,):
        raise invalid("groups", f"be {n} group numbers", Verbatim(f"{given.dtype} of shape {given.shape}"))
    spec = ConstraintSpec(_per_group(quotas, "quotas", given), _per_group(floors, "floors", given), budget)
    sizes = {int(array.size) for array in (spec.quotas, spec.floors) if isinstance(array, np.ndarray)}
    if len(sizes) > 1:
        raise invalid("floors", "be as many as the quotas", Verbatim(" and ".join(map(str, sorted(sizes)))))
    return spec, Groups(tuple(range(sizes.pop())), given.astype(np.int64))


def _labelled(given: NDArray[Any], n: int) -> Groups:
    """Return the groups of rows that come with labels."""
    if given.shape != (n,):
        raise invalid("groups", f"be {n} labels", Verbatim(f"{given.dtype} of shape {given.shape}"))
    names, numbers = np.unique(given.astype(str) if given.dtype == object else given, return_inverse=True)
    return Groups(tuple(names.tolist()), numbers.astype(np.int64))


def _by_label(wanted: Any, parameter: str) -> Any:
    """Return quotas or floors that go with labels: a word, a number or a mapping."""
    if wanted is None or isinstance(wanted, str | int | np.integer | Mapping):
        return wanted
    if np.ndim(wanted) == 0:
        raise invalid(parameter, "be a whole number >= 0", wanted)
    raise invalid(parameter, "be a mapping from label to number where groups are labels", wanted)


def _per_group(numbers: Any, parameter: str, group_of: Indices) -> Indices | None:
    if numbers is None:
        return None
    given = np.asarray(numbers)
    if given.ndim != 1 or given.dtype.kind not in "iu" or (given < 0).any():
        raise invalid(parameter, "be one whole number >= 0 per group", numbers)
    if group_of.min() < 0 or group_of.max() >= given.size:
        span = Verbatim(f"[{group_of.min()}, {group_of.max()}]")
        raise invalid("groups", f"lie in [0, {given.size}), one for each of the {parameter}", span)
    return given.astype(np.int64)


def check_stop(stop_when_gain: float | None) -> None:
    """Raise InputError unless a gain is given at which to stop, or None."""
    if stop_when_gain is not None and not (is_number(stop_when_gain) and not math.isnan(stop_when_gain)):
        raise invalid("stop_when_gain", "be a number", stop_when_gain)


def check_seed(seed: int) -> None:
    """Raise InputError unless the seed is a whole number >= 0."""
    if not is_number(seed, whole=True) or seed < 0:
        raise invalid("seed", "be a whole number >= 0", seed)


def check_disjoint(include: Indices, exclude: Indices, barred: Indices) -> None:
    """Raise InputError where a row is both included and excluded, or a copy of one that is (``barred``)."""
    both = np.intersect1d(include, exclude)
    if both.size:
        raise invalid("exclude", "share no row with include", Verbatim(f"row {both[0]} in both"))
    copies = np.intersect1d(include, barred)
    if copies.size:
        raise invalid("exclude", "share no row with include", Verbatim(f"row {copies[0]}, or a copy of it, in both"))


def item_costs(costs: ArrayLike | None, budget: float | None, n: int) -> Float64s | None:
    """Return positive costs."""
    if costs is None and budget is None:
        return None
    if costs is None or budget is None:
        raise invalid("costs and budget", "be given together", Verbatim("one of them"))
    cost_of = checked_numbers(costs, "costs", n)
    assert cost_of is not None
    if (cost_of <= 0).any():
        raise invalid(
            "costs", "be positive", Verbatim(f"{cost_of[cost_of <= 0][0]} at row {np.flatnonzero(cost_of <= 0)[0]}")
        )
    if not (math.isfinite(budget) and budget > 0):
        raise invalid("budget", "be a finite number > 0", budget)
    return cost_of
