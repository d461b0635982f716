"""Quotas, floors, a budget and given items over partitions: limits that hold after the reduce, and leave it room.

A partition chooses candidates under its share of the limits. The shares are such that whatever partitions choose, their
union holds k items that keep all limits, if the ground set does (``share_out`` says why). Pure functions;
:mod:`ray_subsel.stages.constraint_table` brings the numbers.

Letters: m partitions, G groups, k budget, c candidates per pick that is sought.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ray_subsel.constraints.apportion import group_limits
from ray_subsel.constraints.base import Constraints
from ray_subsel.constraints.spec import parse_floors, parse_quotas
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.partitioned.reduction_tree import candidates_per_partition


@dataclass(frozen=True, eq=False)
class ResolvedConstraints:
    """Limits of the whole problem.

    Attributes
    ----------
    k : int
        Items to choose, given ones included; where only a budget limits them, all that may be chosen.
    bounds : Constraints
    names : tuple of str
        The G groups; empty where they do not matter.
    """

    k: int
    bounds: Constraints
    names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PartitionQuota:
    """What one partition is to hand over: k items within bounds."""

    k: int
    bounds: Constraints


def resolve_constraints(
    k: int,
    *,
    names: Sequence[str] = (),
    sizes: Indices | None = None,
    given: Indices | None = None,
    quotas: Sequence[str] = (),
    floors: Sequence[str] = (),
    budget: float | None = None,
) -> ResolvedConstraints:
    """Turn wishes into numbers, against what there is.

    Parameters
    ----------
    k : int
    names : sequence of str
        The groups, sorted.
    sizes, given : int64 arrays of shape (G,)
        Items of each group that may be chosen, given ones included, and the latter alone.
    quotas, floors : sequences of str
        As on the command line.
    budget : float, optional

    Raises
    ------
    InputError
        Where no k items can keep all limits.
    """
    if not names:
        return ResolvedConstraints(k, Constraints(budget=budget))
    assert sizes is not None
    assert given is not None
    wishes: Any = parse_quotas(quotas)
    needed = 0 if budget is not None and not isinstance(wishes, str) else k  # a budget may end before k
    lowest: Any = parse_floors(floors)
    _, most, least = group_limits(np.array(names), needed, wishes, lowest, sizes)
    limit = sizes if most is None else np.minimum(most, sizes)
    if least is not None:
        short = np.flatnonzero(least > limit)
        if short.size:
            g = int(short[0])
            raise invalid(f"floor of {_shown(names[g])}", f"be at most the {limit[g]} items it may have", int(least[g]))
        if int(least.sum()) > k:
            raise invalid("floor", f"sum to at most k = {k}", int(least.sum()), "Raise k or lower the floors.")
    over = np.flatnonzero(given > limit)
    if over.size:
        g = int(over[0])
        said = Verbatim(f"{given[g]} of {_shown(names[g])}, whose quota is {limit[g]}")
        raise invalid("include", "fit the quotas", said, "Raise the quota or include fewer.")
    if least is not None:
        missing = int(np.maximum(least - given, 0).sum())
        if missing > k - int(given.sum()):
            raise invalid(
                "include", "leave room for the floors", Verbatim(f"{given.sum()} of k = {k}, floors lack {missing}")
            )
    return ResolvedConstraints(k, Constraints(most, least, budget), tuple(names))


def _shown(name: str) -> str:
    return repr(name) if name else "rows without a group"


def shares_of(
    rules: ResolvedConstraints,
    counts: Indices,
    given: Indices,
    *,
    c: float,
    costs: Iterable[Float64s] | None = None,
    spent: float = 0.0,
) -> list[PartitionQuota] | None:
    """Return what each partition is to hand over, or None where nothing but k limits it.

    Parameters
    ----------
    rules : ResolvedConstraints
    counts : int64 array of shape (m, G)
        Items of each partition and group that may be chosen, without given ones; one group where they do not matter.
    given : int64 array of shape (G,)
        Given items of each group.
    c : float
        At least 1.
    costs : iterable of m float64 arrays, optional
        With a budget: the costs of each partition's items that may be chosen.
    spent : float
        What given items cost.

    Notes
    -----
    Under a budget a partition may spend about c / m of what is left, or what its dearest affordable item costs if that
    is more, so that no item is out of reach because of the number of partitions. It hands over no more items than that
    pays for.
    """
    bounds = rules.bounds
    shares = share_out(rules, counts, given, c=c) if bounds.grouped else None
    if bounds.budget is None:
        return shares
    assert costs is not None
    left = bounds.budget - spent
    each = c * left / len(counts)
    found = []
    for partition, own in enumerate(costs):
        budget = min(left, max(each, float(np.max(own[own <= left], initial=0.0))))
        paid = int(np.searchsorted(np.cumsum(np.sort(own)), budget * (1 + 1e-9), side="right"))
        quotas = None if shares is None else shares[partition].bounds.quotas
        found.append(PartitionQuota(min(paid, rules.k), Constraints(quotas, None, budget)))
    return found


def share_out(rules: ResolvedConstraints, counts: Indices, given: Indices, *, c: float) -> list[PartitionQuota]:
    """Return what each partition is to hand over under quotas and floors.

    Parameters
    ----------
    rules : ResolvedConstraints
        With groups.
    counts : int64 array of shape (m, G)
        Items of each partition and group that may be chosen, without given ones.
    given : int64 array of shape (G,)
        Given items of each group.
    c : float
        At least 1.

    Notes
    -----
    With Q_g and L_g what quotas and floors leave after the given items, the union must hold (a) L_g of each group and
    (b) k items of which no more than Q_g of each group count. A group's floor in a partition is the least number at
    which all partitions together reach L_g: (a). Its quota is about c Q_g / m, and no less than needed for all
    partitions together to reach Q_g. Partitions may hand over up to W = sum_g max(0, sum_q quota - Q_g) items that do
    not count, so they are asked for k + W together, or c k if that is more, or all that their quotas let through; in
    the last case each group is there with Q_g or all of its items: (b).
    """
    m, groups = counts.shape
    k = rules.k - int(given.sum())
    bounds = rules.bounds
    sizes = counts.sum(axis=0)
    most = sizes if bounds.quotas is None else np.minimum(bounds.quotas - given, sizes)
    ones = [1] * m
    quota = np.empty(groups, dtype=np.int64)
    floor = np.zeros(groups, dtype=np.int64)
    for g in range(groups):
        column = counts[:, g].tolist()
        limited = most[g] < sizes[g]
        quota[g] = (
            candidates_per_partition(ones, column, k=int(most[g]), candidates=c * int(most[g]), m=m)
            if limited
            else max(column)
        )
        if bounds.floors is not None:
            least = max(0, int(bounds.floors[g] - given[g]))
            floor[g] = candidates_per_partition(ones, column, k=least, candidates=least, m=m)
    through = np.minimum(counts, quota)
    waste = int(np.maximum(through.sum(axis=0) - most, 0).sum())
    room = through.sum(axis=1)
    wanted = min(int(room.sum()), k + waste)
    each = candidates_per_partition(ones, room.tolist(), k=wanted, candidates=c * k, m=m)
    shares = []
    for partition in range(m):
        least_here = np.minimum(counts[partition], floor)
        number = max(min(each, int(room[partition])), int(least_here.sum()))
        floors = least_here if bounds.floors is not None else None
        shares.append(PartitionQuota(number, Constraints(quota.copy(), floors, None)))
    return shares
