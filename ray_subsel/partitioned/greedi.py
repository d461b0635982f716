"""Run GreeDi: partitions choose candidates, a reducer chooses among them.

Pure functions; :mod:`ray_subsel.stages.select_greedi` runs them on Ray.

Letters: n ground set, d dimension, k to choose, m partitions, c candidates per pick that is sought.

Round 1. Each of m random partitions picks ceil(c k / m) items by exact greedy. It sees the problem at its own scale
    (:mod:`ray_subsel.objectives.scaled`): with t the sum over the whole ground set, a partition that chooses its share
    of k uses t / m; with the whole of t it would believe that all of k is still to come and return central items only.
    Under quotas, floors or a budget it keeps to its share of them (:mod:`ray_subsel.partitioned.constraint_shares`).
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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ray_subsel.constraints.base import UNLIMITED, Constraints
from ray_subsel.core.items import COST, GROUP, UTILITY, ItemBatch
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.objectives import Objective
from ray_subsel.objectives.scaled import ScaledObjective
from ray_subsel.optimizers.base import Picks, Problem
from ray_subsel.optimizers.greedy import Greedy


@dataclass(frozen=True, eq=False)
class LocalSolution:
    """What one partition hands to the reducer.

    Attributes
    ----------
    partition : int
    chosen : ItemBatch
        In the order of their picks.
    items : int
        The size of the partition.
    """

    partition: int
    chosen: ItemBatch
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
    items: ItemBatch,
    *,
    partition: int,
    objective: ScaledObjective,
    m: int,
    n_candidates: int,
    constraints: Constraints = UNLIMITED,
    cheapest: Indices | None = None,
    given: ItemBatch | None = None,
) -> LocalSolution:
    """Run round 1 on one partition.

    Parameters
    ----------
    items : ItemBatch
        In ascending order of id, so that ties go to the lowest. Without given items.
    partition, m : int
        Which of how many.
    objective : ScaledObjective
        What is maximized over the whole ground set.
    n_candidates : int
        Candidates to hand over (:func:`ray_subsel.partitioned.reduction_tree.candidates_per_partition`); at most all.
    constraints : Constraints
        The partition's share of the quotas, floors and budget.
    cheapest : int64 array of shape (G,), optional
        How many of the cheapest items of each group to hand over besides.
    given : ItemBatch, optional
        Items that are in the answer already.
    """
    given = ItemBatch.none(items.vectors.shape[1]) if given is None else given
    local = objective.for_partition(1.0 / m, given.vectors)
    first = _to_take_first(objective, given)
    scaled = _at_scale(items, objective.utility_share(1.0 / m))
    picked = _choose_more(scaled, min(n_candidates, len(items)), local, constraints, first)
    if cheapest is not None:
        picked = np.concatenate([picked, np.setdiff1d(_cheapest(items, cheapest), picked)])
    return LocalSolution(partition, items.take(picked), len(items))


def _cheapest(items: ItemBatch, floors: Indices) -> Indices:
    """Return the places of the cheapest items of each group, ties to the lowest id."""
    order = np.argsort(items.columns[COST], kind="stable")
    group = items.columns[GROUP][order]
    return np.concatenate([NO_ITEMS, *[order[group == g][:floor] for g, floor in enumerate(floors.tolist())]])


def merge_solutions(
    solutions: Sequence[LocalSolution],
    *,
    node: int,
    objective: ScaledObjective,
    share: float,
    n_candidates: int,
    given: ItemBatch | None = None,
) -> LocalSolution:
    """Choose ``n_candidates`` items from what some partitions handed over, for a reducer of a tree.

    Parameters
    ----------
    node : int
        The number by which the next reducer knows what is returned.
    objective : ScaledObjective
    share : float
        The share of the ground set that the partitions are: these items are chosen at its scale.
    n_candidates : int
    given : ItemBatch, optional
    """
    items = ItemBatch.concatenate([solution.chosen for solution in solutions])
    given = ItemBatch.none(items.vectors.shape[1]) if given is None else given
    local = objective.scaled(share, given.vectors)
    scaled = _at_scale(items, objective.utility_share(share))
    picked = _choose_more(scaled, n_candidates, local, UNLIMITED, _to_take_first(objective, given))
    return LocalSolution(node, items.take(picked), sum(solution.items for solution in solutions))


def _to_take_first(objective: ScaledObjective, given: ItemBatch) -> ItemBatch:
    """Return the given items that the objective does not account for itself."""
    return ItemBatch.none(given.vectors.shape[1]) if objective.conditions_on_given else given


def _at_scale(items: ItemBatch, share: float) -> ItemBatch:
    """Return the items with their utilities at the scale of a share of the ground set."""
    if UTILITY not in items.columns or share == 1.0:
        return items
    return replace(items, columns={**items.columns, UTILITY: share * items.columns[UTILITY]})


def _choose_more(
    items: ItemBatch, k: int, objective: Objective[Any], constraints: Constraints, first: ItemBatch
) -> Indices:
    """Return the places of k more items that go best with the first ones, which are chosen already."""
    if k == 0:
        return np.zeros(0, dtype=np.int64)
    q = len(first)
    if q == 0:
        return best_of(items, k, objective, constraints).indices
    both = np.concatenate((first.vectors, items.vectors))
    limits = constraints.for_items(items.columns).after(first.columns, q)
    utility = items.columns.get(UTILITY)
    utility = None if utility is None else np.concatenate((np.zeros(q), utility))
    return Greedy().maximize(Problem(both, objective, k + q, limits, utility=utility)).indices[q:] - q


def best_of(
    items: ItemBatch,
    k: int,
    objective: Objective[Any],
    constraints: Constraints = UNLIMITED,
    include: Indices = NO_ITEMS,
) -> Picks:
    """Run the greedy on items under constraints; ``include`` are places of items that are chosen first."""
    limits = constraints.for_items(items.columns, include)
    return Greedy().maximize(Problem(items.vectors, objective, k, limits, utility=items.columns.get(UTILITY)))


def reduce_solutions(
    solutions: Sequence[LocalSolution],
    *,
    objective: ScaledObjective,
    k: int,
    constraints: Constraints = UNLIMITED,
    given: ItemBatch | None = None,
) -> GreediResult:
    """Run round 2. The order in which the solutions arrive does not matter.

    Parameters
    ----------
    solutions : sequence of LocalSolution
        One alone, of the only partition, is the answer: that partition has chosen under all constraints.
    objective : ScaledObjective
    k : int
    constraints : Constraints
        Those of the whole problem.
    given : ItemBatch, optional
        Items that must be chosen, in the order of their ranks; in no solution, unless that is the only one.
    """
    if len(solutions) == 1:
        return _only(solutions[0], objective)
    pieces = [solution.chosen for solution in solutions] + ([] if given is None else [given])
    items = ItemBatch.concatenate(pieces)
    assert constraints.budget is not None or len(items) >= k, (
        "partitions hand over ceil(c k / m) each, or all they have"
    )
    include = np.zeros(0, np.int64) if given is None else np.searchsorted(items.ids, given.ids)
    union = best_of(items, min(k, len(items)), objective.full(), constraints, include)
    picked, gains, value, winner = union.indices, union.gains, math.fsum(union.gains), "union"
    best_local_value: float | None = None
    if include.size == 0 and not constraints.limited:
        for solution in sorted(solutions, key=lambda s: s.partition):
            if len(solution.chosen) < k:
                continue
            local = np.searchsorted(items.ids, solution.chosen.ids[:k])
            local_gains = gains_along(items.take(local), objective.full())
            local_value = math.fsum(local_gains)
            if best_local_value is None or local_value > best_local_value:
                best_local_value = local_value
            if local_value > value:
                picked, gains, value, winner = local, local_gains, local_value, "local"
    numbers = [*(solution.partition for solution in solutions), -1]
    owners = np.concatenate([np.full(len(piece), q) for q, piece in zip(numbers, pieces, strict=False)])
    partitions = owners[np.argsort(np.concatenate([piece.ids for piece in pieces]), kind="stable")][picked]
    return GreediResult(items.ids[picked], partitions, gains, value, len(items), best_local_value, winner)


def _only(solution: LocalSolution, objective: ScaledObjective) -> GreediResult:
    # One partition saw the whole problem: greedy on greedy's own picks would return them in the same order.
    k = len(solution.chosen)
    gains = gains_along(solution.chosen, objective.full())
    value = math.fsum(gains)
    return GreediResult(solution.chosen.ids, np.zeros(k, dtype=np.int64), gains, value, k, value, "union")


def gains_along(items: ItemBatch, objective: Objective[Any]) -> Float64s:
    """Return the marginal gain, utility included, of each item when they are picked in this order, shape (k,).

    The objective must not depend on the items that it is given but through those that are picked.
    """
    state = objective.init(items.vectors)
    gains = np.empty(len(items))
    for rank in range(len(items)):
        gains[rank] = objective.gains(state, np.array([rank], dtype=np.int64))[0]
        state = objective.add(state, rank)
    return gains + items.columns[UTILITY] if UTILITY in items.columns else gains
