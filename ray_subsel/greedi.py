"""GreeDi: partitions choose candidates, a reducer chooses among them.

Pure functions; :mod:`ray_subsel.choosing` runs them on Ray.

Letters: n ground set, d dimension, k budget, m partitions, c candidates per pick that is sought.

Round 1. Each of m random partitions picks ceil(c k / m) items by exact greedy. It sees the problem at its own scale:
    with t the sum over the whole ground set, a partition that chooses its share of k uses t / m; with the whole of t it
    would believe that all of k is still to come and return central items only.
Round 2. The reducer runs the exact greedy on the union of the candidates against the whole t, so that its gains are
    the true global ones, and returns the better of that and the best local solution of size k, where there is one.

With one partition the answer is the exact centralized greedy's.

Sources: Mirzasoleiman, Karbasi, Sarkar, Krause, "Distributed submodular maximization", JMLR 2016; random partitions:
Barbosa, Ene, Nguyen, Ward, "The power of randomization", ICML 2015.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.objectives.base import Float64s, Indices
from ray_subsel.objectives.graph_cut import GraphCut
from ray_subsel.select import select

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class LocalSolution:
    """What one partition hands to the reducer.

    Attributes
    ----------
    partition : int
    ids : int64 array of shape (b,)
        Chosen items in the order of their picks.
    vectors : float32 array of shape (b, d)
        Their unit vectors, in the same order.
    items : int
        The size of the partition.
    """

    partition: int
    ids: Indices
    vectors: Vectors
    items: int


@dataclass(frozen=True)
class Reduced:
    """The answer of round 2.

    Attributes
    ----------
    ids, partitions : int64 arrays of shape (k,)
        Chosen items in rank order, and the partition each came from.
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


def resolve_lam(lam: float | str, n: int, k: int) -> float:
    """Return lambda as a number: ``"auto"`` is n/k - 2 (at least 0), where the subset's mean meets the corpus mean."""
    return max(0.0, n / k - 2.0) if isinstance(lam, str) else float(lam)


def solve_partition(
    ids: Indices, vectors: Vectors, *, partition: int, total: Float64s, m: int, budget: int, lam: float
) -> LocalSolution:
    """Run round 1 on one partition.

    Parameters
    ----------
    ids : int64 array of shape (p,)
        Ascending, so that ties go to the lowest id.
    vectors : float32 array of shape (p, d)
    partition, m : int
        Which of how many.
    total : float64 array of shape (d,)
        t, the sum of the unit vectors of the whole ground set.
    budget : int
        Candidates to hand over, see :func:`ray_subsel.tree.level_budget`; at most all items are.
    lam : float
    """
    budget = min(budget, len(ids))
    if budget == 0:
        return LocalSolution(partition, ids[:0], vectors[:0], len(ids))
    picked = select(vectors, budget, objective=GraphCut(lam=lam, total=total / m)).indices
    return LocalSolution(partition, ids[picked], vectors[picked], len(ids))


def merge_solutions(
    solutions: Sequence[LocalSolution], *, node: int, total: Float64s, share: float, budget: int, lam: float
) -> LocalSolution:
    """Choose ``budget`` items from what some partitions handed over, for a reducer of a tree (:mod:`ray_subsel.tree`).

    Parameters
    ----------
    node : int
        The number by which the next reducer knows what is returned.
    total : float64 array of shape (d,)
        t of the whole ground set.
    share : float
        The share of the ground set that the partitions are: these items are chosen against as much of t.
    budget : int
    lam : float
    """
    ids = np.concatenate([solution.ids for solution in solutions])
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    vectors = np.concatenate([solution.vectors for solution in solutions])[order]
    items = sum(solution.items for solution in solutions)
    if budget == 0:
        return LocalSolution(node, ids[:0], vectors[:0], items)
    picked = select(vectors, budget, objective=GraphCut(lam=lam, total=total * share)).indices
    return LocalSolution(node, ids[picked], vectors[picked], items)


def reduce_solutions(solutions: Sequence[LocalSolution], *, total: Float64s, k: int, lam: float) -> Reduced:
    """Run round 2. The order in which the solutions arrive does not matter."""
    if len(solutions) == 1:
        return _only(solutions[0], total=total, k=k, lam=lam)
    objective = GraphCut(lam=lam, total=total)
    ids = np.concatenate([solution.ids for solution in solutions])
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    partitions = np.concatenate([np.full(len(s.ids), s.partition, dtype=np.int64) for s in solutions])[order]
    vectors = np.concatenate([solution.vectors for solution in solutions])[order]
    assert len(ids) >= k, "partitions hand over ceil(c k / m) each, or all they have"
    union = select(vectors, k, objective=objective)
    picked, gains, value, winner = union.indices, union.gains, union.value, "union"
    best_local_value: float | None = None
    for solution in sorted(solutions, key=lambda s: s.partition):
        if len(solution.ids) < k:
            continue
        local = np.searchsorted(ids, solution.ids[:k])
        local_gains = gains_along(vectors[local], total=total, lam=lam)
        local_value = math.fsum(local_gains)
        if best_local_value is None or local_value > best_local_value:
            best_local_value = local_value
        if local_value > value:
            picked, gains, value, winner = local, local_gains, local_value, "local"
    return Reduced(ids[picked], partitions[picked], gains, value, len(ids), best_local_value, winner)


def _only(solution: LocalSolution, *, total: Float64s, k: int, lam: float) -> Reduced:
    # One partition saw the whole problem: greedy on greedy's own picks would return them in the same order.
    assert len(solution.ids) == k
    gains = gains_along(solution.vectors, total=total, lam=lam)
    value = math.fsum(gains)
    return Reduced(solution.ids, np.zeros(k, dtype=np.int64), gains, value, k, value, "union")


def gains_along(vectors: Vectors, *, total: Float64s, lam: float) -> Float64s:
    """Return the marginal gain of each row when the rows are picked in this order, shape (k,)."""
    objective = GraphCut(lam=lam, total=total)
    state = objective.init(vectors)
    gains = np.empty(len(vectors))
    for rank in range(len(vectors)):
        gains[rank] = objective.gains(state, np.array([rank], dtype=np.int64))[0]
        state = objective.add(state, rank)
    return gains
