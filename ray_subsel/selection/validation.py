"""Check what :func:`ray_subsel.select` is called with. Each function returns the argument as it is computed with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ray_subsel.constraints.labels import Groups
from ray_subsel.constraints.mix import is_percent
from ray_subsel.constraints.spec import COUNT, ConstraintSpec
from ray_subsel.constraints.spending import Costs, Number
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import array_of, as_number, finite_number, whole_number
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.core.unit_rows import check_matrix
from ray_subsel.objectives import OBJECTIVES, Objective
from ray_subsel.objectives.quality import WEIGHT, weight_of
from ray_subsel.objectives.target import WEIGHT as TARGET_WEIGHT
from ray_subsel.objectives.target import share_of


def row_numbers(rows: ArrayLike, parameter: str, n: int, counts: Indices | None) -> Indices:
    """Return row numbers that exist, none more often than it counts."""
    given = array_of(rows, parameter, "be a sequence of row numbers")
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
    given = array_of(multiplicity, "multiplicity", f"be {n} integers")
    if given.shape != (n,) or given.dtype.kind not in "iu":
        raise invalid("multiplicity", f"be {n} integers", Verbatim(f"{given.dtype} of shape {given.shape}"))
    if given.min() < 1:
        raise invalid("multiplicity", "be at least 1", given.min(), "Drop rows that stand for no item.")
    return given.astype(np.int64)


def checked_numbers(values: ArrayLike, parameter: str, n: int) -> Costs:
    """Return n finite numbers: whole ones as int64, else as float64."""
    given = array_of(values, parameter, f"be {n} numbers")
    if given.shape != (n,) or given.dtype.kind not in "iuf":
        raise invalid(parameter, f"be {n} numbers", Verbatim(f"{given.dtype} of shape {given.shape}"))
    if not np.isfinite(given).all():
        raise invalid(
            parameter, "be finite", Verbatim(f"NaN or infinity at row {np.flatnonzero(~np.isfinite(given))[0]}")
        )
    if given.dtype.kind == "u" and given.max() > np.iinfo(np.int64).max:
        raise invalid(parameter, "be below 2^63", given.max())
    return given.astype(np.float64) if given.dtype.kind == "f" else given.astype(np.int64)


def utilities(utility: ArrayLike | None, n: int) -> Float64s | None:
    """Return utilities in float64."""
    return None if utility is None else checked_numbers(utility, "utility", n).astype(np.float64)


def qualities(quality: ArrayLike | None, weight: Any, multiplicity: Any, n: int) -> tuple[Float64s | None, float]:
    """Return qualities in float64, NaN where there is none, and their weight."""
    if quality is None:
        if weight is not None:
            raise invalid("quality_weight", "go with quality", Verbatim("quality=None"))
        return None, WEIGHT
    if multiplicity is not None:
        raise invalid("quality", "be given without multiplicity", Verbatim("both"), "Expand X with numpy.repeat.")
    given = array_of(quality, "quality", f"be {n} numbers")
    if given.shape != (n,) or given.dtype.kind not in "iuf":
        raise invalid("quality", f"be {n} numbers", Verbatim(f"{given.dtype} of shape {given.shape}"))
    return given.astype(np.float64), WEIGHT if weight is None else weight_of(weight)


def target_share(target: Any, weight: Any) -> float:
    """Return a, the target's weight."""
    if target is None and weight is not None:
        raise invalid("target_weight", "go with target", Verbatim("target=None"))
    return TARGET_WEIGHT if weight is None else share_of(weight)


def limits(
    groups: ArrayLike | None, quotas: Any, floors: Any, budget: Number | None, n: int, mix: Any = None
) -> tuple[ConstraintSpec, Groups | None]:
    """Return quotas, floors and the budget as they are resolved, and the groups; None where those do not matter.

    Labels, words and mappings are kept for :meth:`ConstraintSpec.resolve`; numbered groups come with arrays.
    """
    if quotas is None and floors is None and mix is None:
        if groups is not None:
            raise invalid("groups", "be given with quotas, floors or a mix", Verbatim("none of them"))
        return ConstraintSpec(budget=budget), None
    if groups is None:
        raise invalid("groups", "be given with quotas, floors and a mix", Verbatim("none"), "Give each row's group.")
    if mix is not None:
        return ConstraintSpec(quotas, floors, budget, mix).checked(), Groups.of(groups, n)
    if any(limit is not None and not _is_array(limit) for limit in (quotas, floors)):
        return ConstraintSpec(_by_label(quotas, "quotas"), _by_label(floors, "floors"), budget), Groups.of(groups, n)
    given = array_of(groups, "groups", f"be {n} group numbers")
    if given.dtype.kind not in "iu":
        return ConstraintSpec(_by_label(quotas, "quotas"), _by_label(floors, "floors"), budget), Groups.of(groups, n)
    if given.shape != (n,):
        raise invalid("groups", f"be {n} group numbers", Verbatim(f"{given.dtype} of shape {given.shape}"))
    spec = ConstraintSpec(_per_group(quotas, "quotas", given), _per_group(floors, "floors", given), budget)
    sizes = {int(array.size) for array in (spec.quotas, spec.floors) if isinstance(array, np.ndarray)}
    if len(sizes) > 1:
        raise invalid("floors", "be as many as the quotas", Verbatim(" and ".join(map(str, sorted(sizes)))))
    return spec, Groups(tuple(range(sizes.pop())), given.astype(np.int64))


def _is_array(limit: Any) -> bool:
    """Tell numbers by group from a word, a mapping and one number for all groups."""
    return not isinstance(limit, str | Mapping) and np.ndim(limit) > 0


def _by_label(wanted: Any, parameter: str) -> Any:
    """Return quotas or floors that go with labels: a word, a number or a mapping."""
    if wanted is None or isinstance(wanted, Mapping) or (isinstance(wanted, str) and parameter == "quotas"):
        return wanted
    if is_percent(wanted):
        return wanted
    if not _is_array(wanted):
        if parameter == "quotas":
            must = "be 'balanced', 'proportional', 'equal', a mapping from label to number or an array of numbers"
            raise invalid(parameter, must, wanted)
        return whole_number(wanted, parameter, COUNT, least=0)
    raise invalid(parameter, "be a mapping from label to number where groups are labels", wanted)


def _per_group(numbers: Any, parameter: str, group_of: Indices) -> Indices | None:
    if numbers is None:
        return None
    given = array_of(numbers, parameter, "be one whole number >= 0 per group")
    if given.ndim != 1 or given.dtype.kind not in "iu" or (given < 0).any():
        raise invalid(parameter, "be one whole number >= 0 per group", numbers)
    if group_of.min() < 0 or group_of.max() >= given.size:
        span = Verbatim(f"[{group_of.min()}, {group_of.max()}]")
        raise invalid("groups", f"lie in [0, {given.size}), one for each of the {parameter}", span)
    return given.astype(np.int64)


def near_labels(near_within: ArrayLike | None, near: float | None, n: int) -> Indices | None:
    """Return a number for the label of each row, within which near copies join."""
    if near_within is None:
        return None
    if near is None:
        raise invalid("near_within", "go with near", Verbatim("near=None"), "Give a cosine, say near=0.9.")
    return Groups.of(near_within, n, "near_within").numbers


def best_first(keep_best: ArrayLike | None, near: float | None, n: int) -> Float64s | None:
    """Return the values by which one of near copies is kept."""
    if keep_best is None:
        return None
    if near is None:
        raise invalid("keep_best", "go with near", Verbatim("near=None"), "Give a cosine, say near=0.9.")
    return checked_numbers(keep_best, "keep_best", n).astype(np.float64)


def stop_level(stop_when_gain: float | None) -> float | None:
    """Return the gain at which to stop, or None; infinite ones are as good as any."""
    if stop_when_gain is None:
        return None
    level = as_number(stop_when_gain)
    if level is None or level != level:
        raise invalid("stop_when_gain", "be a number", stop_when_gain)
    return float(level)


def seed_number(seed: int) -> int:
    """Return the seed, a whole number >= 0."""
    return whole_number(seed, "seed", "be a whole number >= 0", least=0)


def flag(value: Any, parameter: str) -> bool:
    """Return True or False, which nothing else stands for."""
    if not isinstance(value, bool | np.bool_):
        raise invalid(parameter, "be True or False", value)
    return bool(value)


def check_rows(X: Any, objective: type[Objective[Any]] | Objective[Any]) -> None:
    """Raise InputError unless X is a matrix that the objective can take."""
    if not hasattr(X, "tocsr"):
        check_matrix(X, "X")
        return
    shown = Verbatim(f"{type(X).__name__} of shape {X.shape}")
    if not objective.takes_sparse:
        takers = " or ".join(repr(name) for name, kind in OBJECTIVES.items() if kind.takes_sparse)
        way = f"Pass X.toarray(), or use objective={takers}."
        raise invalid("X", f"be dense for objective {objective.name!r}", shown, way)
    if len(X.shape) != 2 or 0 in X.shape:
        raise invalid("X", "have shape (n, d) with n, d >= 1", shown, "One row is one item.")
    if X.dtype.kind not in "iuf":
        raise invalid("X", "hold numbers", X.dtype)


def check_disjoint(include: Indices, exclude: Indices, barred: Indices) -> None:
    """Raise InputError where a row is both included and excluded, or a copy of one that is (``barred``)."""
    both = np.intersect1d(include, exclude)
    if both.size:
        raise invalid("exclude", "share no row with include", Verbatim(f"row {both[0]} in both"))
    copies = np.intersect1d(include, barred)
    if copies.size:
        raise invalid("exclude", "share no row with include", Verbatim(f"row {copies[0]}, or a copy of it, in both"))


def priced(costs: ArrayLike | None, budget: Number | None, n: int) -> tuple[Costs | None, Number | None]:
    """Return positive costs and a budget; whole numbers stay whole."""
    if costs is None and budget is None:
        return None, None
    if costs is None or budget is None:
        raise invalid("costs and budget", "be given together", Verbatim("one of them"))
    cost_of = checked_numbers(costs, "costs", n)
    if (cost_of <= 0).any():
        raise invalid(
            "costs", "be positive", Verbatim(f"{cost_of[cost_of <= 0][0]} at row {np.flatnonzero(cost_of <= 0)[0]}")
        )
    return cost_of, finite_number(budget, "budget", "be a finite number > 0", above=0.0)
