"""GreeDi: partitions choose candidates, a reducer chooses among them.

Pure functions; :mod:`ray_subsel.stages.select_greedi` runs them on Ray.

Letters: n ground set, d dimension, k to choose, m partitions, c candidates per pick that is sought.

Round 1. Each of m random partitions picks ceil(c k / m) items by exact greedy. It sees the problem at its own scale
    (:mod:`ray_subsel.objectives.scaled`): with t the sum over the whole ground set, a partition that chooses its share
    of k uses
    t / m; with the whole of t it would believe that all of k is still to come and return central items only. Under
    quotas, floors or a budget it keeps to its share of them (:mod:`ray_subsel.partitioned.constraint_shares`).
Round 2. The reducer runs the exact greedy on the union of the candidates against the whole function, so that its gains
    are the true global ones, and returns the better of that and the best local solution of size k, where there is one
    and nothing but k limits the answer.

Items that must be chosen are given to every node: they count as chosen before its first pick, and the reducer ranks
them first. With one partition the answer is the exact centralized greedy's.

Sources: Mirzasoleiman, Karbasi, Sarkar, Krause, "Distributed submodular maximization", JMLR 2016; random partitions:
Barbosa, Ene, Nguyen, Ward, "The power of randomization", ICML 2015.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.constraints.base import FREE, Constraints
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives import Objective
from ray_subsel.objectives.scaled import ScaledObjective
from ray_subsel.optimizers.guarantees import GuaranteeWarning
from ray_subsel.selection.api import select
from ray_subsel.selection.result import Selection

Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ItemBatch:
    """Some items, with what is known of each.

    Attributes
    ----------
    ids : int64 array of shape (p,)
    vectors : float32 array of shape (p, d)
        Unit rows.
    groups : int64 array of shape (p,) or None
        Where quotas or floors count.
    costs : float64 array of shape (p,) or None
        Where a budget does.
    """

    ids: Indices
    vectors: Vectors
    groups: Indices | None = None
    costs: Float64s | None = None

    @staticmethod
    def none(d: int) -> ItemBatch:
        """Return no rows."""
        return ItemBatch(np.zeros(0, np.int64), np.zeros((0, d), np.float32), np.zeros(0, np.int64), np.zeros(0))

    def take(self, places: Indices | NDArray[np.bool_]) -> ItemBatch:
        """Return some rows."""
        groups = None if self.groups is None else self.groups[places]
        costs = None if self.costs is None else self.costs[places]
        return ItemBatch(self.ids[places], self.vectors[places], groups, costs)


def joined(pieces: Sequence[ItemBatch]) -> ItemBatch:
    """Return all rows of some pieces, in ascending order of id; what one piece does not know, none does."""
    order = np.argsort(np.concatenate([piece.ids for piece in pieces]), kind="stable")

    def column(name: str) -> Any:
        values = [getattr(piece, name) for piece in pieces]
        return None if any(value is None for value in values) else np.concatenate(values)[order]

    return ItemBatch(column("ids"), column("vectors"), column("groups"), column("costs"))


@dataclass(frozen=True, eq=False)
class LocalSolution:
    """What one partition hands to the reducer.

    Attributes
    ----------
    partition : int
    rows : ItemBatch
        Chosen items in the order of their picks.
    items : int
        The size of the partition.
    """

    partition: int
    rows: ItemBatch
    items: int


@dataclass(frozen=True)
class GreediResult:
    """The answer of round 2.

    Attributes
    ----------
    ids, partitions : int64 arrays of shape (k,)
        Chosen items in rank order, and the partition each came from; -1 for given items.
    gains : float64 array of shape (k,)
        Marginal gain of each pick at its turn, against the whole ground set.
    value : float
        f of the chosen set.
    candidates : int
        The size of the union of the local solutions.
    best_local_value : float or None
        f of the best local solution of size k; None where no partition picked so many.
    winner : str
        ``"union"``, ``"local"``, or ``"exact"`` where no partition decided anything.
    """

    ids: Indices
    partitions: Indices
    gains: Float64s
    value: float
    candidates: int
    best_local_value: float | None
    winner: str


def solve_partition(
    rows: ItemBatch,
    *,
    partition: int,
    goal: ScaledObjective,
    m: int,
    n_candidates: int,
    bounds: Constraints = FREE,
    given: ItemBatch | None = None,
) -> LocalSolution:
    """Run round 1 on one partition.

    Parameters
    ----------
    rows : ItemBatch
        In ascending order of id, so that ties go to the lowest. Without given items.
    partition, m : int
        Which of how many.
    goal : ScaledObjective
        What is maximized over the whole ground set.
    n_candidates : int
        Candidates to hand over (:func:`ray_subsel.partitioned.reduction_tree.candidates_per_partition`); at most all.
    bounds : Constraints
        The partition's share of the limits.
    given : ItemBatch, optional
        Items that are in the answer already.
    """
    given = ItemBatch.none(rows.vectors.shape[1]) if given is None else given
    objective = goal.for_partition(1.0 / m, given.vectors)
    picked = _more(rows, min(n_candidates, len(rows.ids)), objective, bounds, given, goal.conditions_on_given)
    return LocalSolution(partition, rows.take(picked), len(rows.ids))


def merge_solutions(
    solutions: Sequence[LocalSolution],
    *,
    node: int,
    goal: ScaledObjective,
    share: float,
    n_candidates: int,
    given: ItemBatch | None = None,
) -> LocalSolution:
    """Choose ``n_candidates`` items from what some partitions handed over, for a reducer of a tree.

    Parameters
    ----------
    node : int
        The number by which the next reducer knows what is returned.
    goal : ScaledObjective
    share : float
        The share of the ground set that the partitions are: these items are chosen at its scale.
    n_candidates : int
    given : ItemBatch, optional
    """
    rows = joined([solution.rows for solution in solutions])
    given = ItemBatch.none(rows.vectors.shape[1]) if given is None else given
    picked = _more(rows, n_candidates, goal.scaled(share, given.vectors), FREE, given, goal.conditions_on_given)
    return LocalSolution(node, rows.take(picked), sum(solution.items for solution in solutions))


def _more(
    rows: ItemBatch, k: int, objective: Objective[Any], bounds: Constraints, given: ItemBatch, absorbed: bool
) -> Indices:
    """Return the places of k more rows that go best with the given ones."""
    if k == 0:
        return np.zeros(0, dtype=np.int64)
    first = ItemBatch.none(rows.vectors.shape[1]) if absorbed else given
    q = len(first.ids)
    if q == 0:
        return best_of(rows, k, objective, bounds).indices
    groups = costs = None
    if bounds.grouped:  # the given ones are a group of their own, with room for just them
        assert rows.groups is not None
        count = _group_count(bounds)
        groups = np.concatenate((np.full(q, count), rows.groups))
        most = None if bounds.quotas is None else np.append(bounds.quotas, q)
        least = None if bounds.floors is None else np.append(bounds.floors, 0)
        bounds = Constraints(most, least, bounds.budget)
    if bounds.budget is not None:
        assert rows.costs is not None
        assert first.costs is not None
        costs = np.concatenate((first.costs, rows.costs))
        bounds = replace(bounds, budget=bounds.budget + float(first.costs.sum()))
    both = ItemBatch(
        np.concatenate((first.ids, rows.ids)), np.concatenate((first.vectors, rows.vectors)), groups, costs
    )
    return best_of(both, k + q, objective, bounds, include=np.arange(q)).indices[q:] - q


def _group_count(bounds: Constraints) -> int:
    limits = bounds.quotas if bounds.quotas is not None else bounds.floors
    assert limits is not None
    return int(limits.size)


def best_of(
    rows: ItemBatch, k: int, objective: Objective[Any], bounds: Constraints = FREE, include: Indices | tuple[()] = ()
) -> Selection:
    """Run the greedy on rows under limits; ``include`` are places of rows that come first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GuaranteeWarning)  # the report says what is maximized, and under what
        return select(
            rows.vectors,
            k,
            objective=objective,
            include=include,
            groups=rows.groups if bounds.grouped else None,
            quotas=bounds.quotas,
            floors=bounds.floors,
            costs=rows.costs if bounds.budget is not None else None,
            budget=bounds.budget,
        )


def reduce_solutions(
    solutions: Sequence[LocalSolution],
    *,
    goal: ScaledObjective,
    k: int,
    bounds: Constraints = FREE,
    given: ItemBatch | None = None,
) -> GreediResult:
    """Run round 2. The order in which the solutions arrive does not matter.

    Parameters
    ----------
    solutions : sequence of LocalSolution
        One alone, of the only partition, is the answer: that partition has chosen under all limits.
    goal : ScaledObjective
    k : int
    bounds : Constraints
        The limits of the whole problem.
    given : ItemBatch, optional
        Items that must be chosen, in the order of their ranks; in no solution, unless that is the only one.
    """
    if len(solutions) == 1:
        return _only(solutions[0], goal)
    pieces = [solution.rows for solution in solutions] + ([] if given is None else [given])
    rows = joined(pieces)
    assert bounds.budget is not None or len(rows.ids) >= k, "partitions hand over ceil(c k / m) each, or all they have"
    include = np.zeros(0, np.int64) if given is None else np.searchsorted(rows.ids, given.ids)
    union = best_of(rows, min(k, len(rows.ids)), goal.full(), bounds, include)
    picked, gains, value, winner = union.indices, union.gains, union.value, "union"
    best_local_value: float | None = None
    if include.size == 0 and not bounds.grouped and bounds.budget is None:
        for solution in sorted(solutions, key=lambda s: s.partition):
            if len(solution.rows.ids) < k:
                continue
            local = np.searchsorted(rows.ids, solution.rows.ids[:k])
            local_gains = gains_along(rows.vectors[local], goal.full())
            local_value = math.fsum(local_gains)
            if best_local_value is None or local_value > best_local_value:
                best_local_value = local_value
            if local_value > value:
                picked, gains, value, winner = local, local_gains, local_value, "local"
    numbers = [*(solution.partition for solution in solutions), -1]
    owners = np.concatenate([np.full(len(piece.ids), q) for q, piece in zip(numbers, pieces, strict=False)])
    partitions = owners[np.argsort(np.concatenate([piece.ids for piece in pieces]), kind="stable")][picked]
    return GreediResult(rows.ids[picked], partitions, gains, value, len(rows.ids), best_local_value, winner)


def _only(solution: LocalSolution, goal: ScaledObjective) -> GreediResult:
    # One partition saw the whole problem: greedy on greedy's own picks would return them in the same order.
    k = len(solution.rows.ids)
    gains = gains_along(solution.rows.vectors, goal.full())
    value = math.fsum(gains)
    return GreediResult(solution.rows.ids, np.zeros(k, dtype=np.int64), gains, value, k, value, "union")


def gains_along(vectors: Vectors, objective: Objective[Any]) -> Float64s:
    """Return the marginal gain of each row when the rows are picked in this order, shape (k,).

    The objective must not depend on the rows that it is given but through those that are picked.
    """
    state = objective.init(vectors)
    gains = np.empty(len(vectors))
    for rank in range(len(vectors)):
        gains[rank] = objective.gains(state, np.array([rank], dtype=np.int64))[0]
        state = objective.add(state, rank)
    return gains
