"""Share quotas, floors, a budget and given items out over partitions, so that the reducer can keep all of them.

A partition chooses candidates under its share of the constraints. The shares are such that whatever partitions choose,
their union has k items that satisfy the constraints, if the ground set does (``share_out`` says why). Pure functions;
:mod:`ray_subsel.stages.resolve_constraints` brings the numbers.

Letters: m partitions, G groups, k to choose, c candidates per pick that is sought.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ray_subsel.constraints.base import Constraints
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.partitioned.reduction_tree import candidates_per_partition


@dataclass(frozen=True, eq=False)
class PartitionQuota:
    """What one partition is to hand over: k items under constraints of its own, and ``cheapest[g]`` of each group."""

    k: int
    constraints: Constraints
    cheapest: Indices | None = None


def shares_of(
    k: int,
    constraints: Constraints,
    counts: Indices,
    given: Indices,
    *,
    c: float,
    costs: Iterable[tuple[Float64s, Indices]] | None = None,
) -> list[PartitionQuota] | None:
    """Return what each partition is to hand over, or None where nothing but k limits it.

    Parameters
    ----------
    k : int
        Items to choose, given ones included; where only a budget limits them, all that may be chosen.
    constraints : Constraints
        Those of the whole problem, as numbers; what given items cost is spent.
    counts : int64 array of shape (m, G)
        Items of each partition and group that may be chosen, without given ones; one group where they do not matter.
    given : int64 array of shape (G,)
        Given items of each group.
    c : float
        At least 1.
    costs : iterable of m pairs of arrays, optional
        With a budget: the costs and the groups of each partition's items that may be chosen.

    Notes
    -----
    Under a budget a partition may spend about c / m of what is left, or what its dearest affordable item costs if that
    is more, so that no item is out of reach because of the number of partitions. It hands over no more items than that
    pays for. The same holds of the money that is kept for a group, or is its most. Floors are left to the reducer:
    every partition hands over as many of its cheapest items of a group as its floor needs, so that the cheapest of all,
    by which floors can be paid, are among them.
    """
    counted = constraints.quotas is not None or constraints.floors is not None
    shares = share_out(k, constraints, counts, given, c=c) if counted else None
    if constraints.budget is None:
        return shares
    assert costs is not None
    spending = constraints.spending
    assert spending is not None
    left = float(Fraction(constraints.budget) - spending.exact)
    missing = None if constraints.floors is None else np.maximum(constraints.floors - given, 0)
    found = []
    for partition, (own, group) in enumerate(costs):
        share = max(c * left / len(counts), float(np.max(own[spending.pays(own)], initial=0.0)))
        kept = _money(constraints.kept, own, group, c / len(counts))
        most = _money(constraints.most, own, group, c / len(counts))
        if kept is not None:
            share = min(left, max(share, float(kept.sum())))
        paid = int(np.searchsorted(np.cumsum(np.sort(own)), min(left, share) * (1 + 1e-9), side="right"))
        limits = Constraints() if shares is None else shares[partition].constraints
        whole = share >= left  # then it is what the whole budget leaves, exactly
        limits = replace(
            limits,
            floors=None,
            budget=constraints.budget if whole else share,
            spent=constraints.spent if whole else (),
            kept=kept,
            most=most,
        )
        found.append(PartitionQuota(min(paid, k), limits, missing))
    return found


def _money(whole: Float64s | None, costs: Float64s, groups: Indices, part: float) -> Float64s | None:
    """Return a partition's part of what groups may spend, no less than their dearest item that may be bought at all."""
    if whole is None:
        return None
    found = np.empty(whole.size)
    for group, money in enumerate(whole.tolist()):
        own = costs[groups == group]
        found[group] = min(money, max(part * money, float(np.max(own[own <= money], initial=0.0))))
    return found


def share_out(k: int, constraints: Constraints, counts: Indices, given: Indices, *, c: float) -> list[PartitionQuota]:
    """Return what each partition is to hand over under quotas and floors.

    Parameters
    ----------
    k : int
        Items to choose, given ones included.
    constraints : Constraints
        Those of the whole problem, with quotas or floors.
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
    m = len(counts)
    missing = k - int(given.sum())
    sizes = counts.sum(axis=0)
    most = sizes if constraints.quotas is None else np.minimum(constraints.quotas - given, sizes)
    least = None if constraints.floors is None else np.maximum(constraints.floors - given, 0)
    quota, floor = _per_partition(counts, most, least, c=c)
    through = np.minimum(counts, quota)
    waste = int(np.maximum(through.sum(axis=0) - most, 0).sum())
    offered = through.sum(axis=1)
    wanted = min(int(offered.sum()), missing + waste)
    each = candidates_per_partition([1] * m, offered.tolist(), k=wanted, candidates=c * missing, m=m)
    shares = []
    for partition in range(m):
        floors = np.minimum(counts[partition], floor)
        number = max(min(each, int(offered[partition])), int(floors.sum()))
        limits = Constraints(quotas=quota.copy(), floors=None if least is None else floors)
        shares.append(PartitionQuota(number, limits))
    return shares


def _per_partition(counts: Indices, most: Indices, least: Indices | None, *, c: float) -> tuple[Indices, Indices]:
    """Return the most and the least that any partition hands over of each group, shape (G,).

    Parameters
    ----------
    counts : int64 array of shape (m, G)
    most, least : int64 arrays of shape (G,)
        What is to be chosen of each group beside the given items: at most, and at least.
    c : float
    """
    m, groups = counts.shape
    ones = [1] * m
    quota, floor = np.empty(groups, dtype=np.int64), np.zeros(groups, dtype=np.int64)
    for g in range(groups):
        column, limit = counts[:, g].tolist(), int(most[g])
        limited = limit < int(counts[:, g].sum())
        quota[g] = (
            candidates_per_partition(ones, column, k=limit, candidates=c * limit, m=m) if limited else max(column)
        )
        if least is not None:
            needed = int(least[g])
            floor[g] = candidates_per_partition(ones, column, k=needed, candidates=needed, m=m)
    return quota, floor
