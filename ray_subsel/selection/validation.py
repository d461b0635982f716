"""Checks of what :func:`ray_subsel.select` is called with. Each returns the argument as it is computed with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Float64s, Indices, is_number
from ray_subsel.optimizers.base import NONE


def size(k: int | None, fraction: float | None, items: int, ground: int, free: int, has_budget: bool) -> int:
    """Return k as a whole number between 1 and the items to choose from.

    Parameters
    ----------
    k, fraction : what the caller gave
    items, ground, free : int
        Items before and after near copies are collapsed, and those of the latter that are not excluded.
    has_budget : bool
        A knapsack needs no k.
    """
    if k is not None and fraction is not None:
        raise invalid("k", "be given without fraction", Verbatim(f"k={k} and fraction={fraction}"), "Give one of them.")
    if fraction is not None:
        if not (is_number(fraction) and 0 < fraction <= 1):
            raise invalid("fraction", "lie in (0, 1]", fraction, "Use k for a number of items.")
        k = max(1, math.floor(fraction * items + 1e-9))
    elif k is None:
        if not has_budget:
            raise invalid("k", "be given, or fraction, or costs and budget", Verbatim("none of them"))
        return free
    if not is_number(k, whole=True):
        raise invalid("k", "be a whole number of items", k, "Use fraction for a share.")
    if not 1 <= k <= free:
        collapsed = f", {ground} of {items} are left after near copies are collapsed" if ground < items else ""
        excluded = f", {ground - free} are excluded" if free < ground else ""
        raise invalid("k", f"lie between 1 and {free}, the items to choose from{collapsed}{excluded}", k)
    return int(k)


def row_numbers(rows: ArrayLike, parameter: str, n: int, counts: Indices | None) -> Indices:
    """Return row numbers that exist, none more often than it counts."""
    given = np.asarray(rows)
    if given.size == 0:
        return NONE
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


def group_limits(
    groups: ArrayLike | None, quotas: Any, floors: Any, n: int
) -> tuple[Indices | None, Indices | None, Indices | None]:
    """Return the group of each item, and the most and the least that each group may get."""
    if quotas is None and floors is None:
        if groups is not None:
            raise invalid("groups", "be given with quotas or floors", Verbatim("neither of them"))
        return None, None, None
    if groups is None:
        raise invalid("groups", "be given with quotas and floors", Verbatim("none"), "Number each row's group from 0.")
    group_of = np.asarray(groups)
    if group_of.shape != (n,) or group_of.dtype.kind not in "iu":
        raise invalid("groups", f"be {n} group numbers", Verbatim(f"{group_of.dtype} of shape {group_of.shape}"))
    return group_of.astype(np.int64), _per_group(quotas, "quotas", group_of), _per_group(floors, "floors", group_of)


def labels(groups: ArrayLike | None, n: int) -> NDArray[Any]:
    """Return the label of each row's group, for quotas that name labels."""
    if groups is None:
        raise invalid("groups", "be given with quotas and floors", Verbatim("none"), "Give each row's label.")
    given = np.asarray(groups)
    if given.shape != (n,):
        raise invalid("groups", f"be {n} labels", Verbatim(f"{given.dtype} of shape {given.shape}"))
    return given


def _per_group(limits: Any, parameter: str, group_of: Indices) -> Indices | None:
    if limits is None:
        return None
    given = np.asarray(limits)
    if given.ndim != 1 or given.dtype.kind not in "iu" or (given < 0).any():
        raise invalid(parameter, "be one whole number >= 0 per group", limits)
    if group_of.min() < 0 or group_of.max() >= given.size:
        span = Verbatim(f"[{group_of.min()}, {group_of.max()}]")
        raise invalid("groups", f"lie in [0, {given.size}), one for each of the {parameter}", span)
    return given.astype(np.int64)


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
