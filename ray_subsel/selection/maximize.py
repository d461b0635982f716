"""Maximize what :func:`ray_subsel.select` is asked: the ground set, the function, the picks, what they are."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ray_subsel.config.recipe import PAPER_LAM
from ray_subsel.constraints.base import Constraints
from ray_subsel.constraints.spending import picks_expected, unspent
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Indices
from ray_subsel.objectives import GraphCut, Objective, find_objective
from ray_subsel.objectives.graph_cut import check_lam
from ray_subsel.objectives.registry import takers
from ray_subsel.optimizers import Greedy, GuaranteeWarning, Problem
from ray_subsel.optimizers.base import Picks, Progress
from ray_subsel.runtime.progress import Bar, bar
from ray_subsel.selection.arguments import Arguments
from ray_subsel.selection.bonuses import Aim, Bonuses, Quality, aim_at, check_aim, quality_of
from ray_subsel.selection.by_clusters import greedy_by_clusters
from ray_subsel.selection.explain import RowVectors
from ray_subsel.selection.ground_set import GroundSet, without_near_copies
from ray_subsel.selection.left_out import leave_out
from ray_subsel.selection.request import Request
from ray_subsel.selection.result import Selection
from ray_subsel.selection.weigh import weights_of

if TYPE_CHECKING:
    from ray_subsel.optimizers.speculative.upper_bound import Certificate

CALLER = 3
"""How far above a warning the caller of ``select`` is."""


class BudgetWarning(UserWarning):
    """More than a little of a budget is left."""


@dataclass(frozen=True, eq=False)
class Function:
    """The function that is maximized over a ground set.

    Attributes
    ----------
    objective : Objective
    cluster_items : int or None
        Size of the clusters by which it is maximized; None: as a whole.
    weights : int64 array or None
        How many items each row counts as.
    aim : Aim or None
    quality : Quality or None
    bonuses : Bonuses
        What is added for each chosen row.
    """

    objective: Objective[Any]
    cluster_items: int | None
    weights: Indices | None
    aim: Aim | None
    quality: Quality | None
    bonuses: Bonuses

    def stats(self, value: float, chosen: Indices) -> dict[str, float]:
        """Return what the chosen rows are to the target and in quality, and what each part of f comes to."""
        found: dict[str, float] = {}
        for one in (self.aim, self.quality):
            found |= {} if one is None else one.stats(chosen)
        if self.aim is not None or self.quality is not None:
            found |= self.bonuses.split(value, chosen)
        return found


def maximize(given: Arguments) -> Selection:
    """Return the selection that ``select`` returns for these arguments."""
    started = time.perf_counter()
    asked = Request.of(given)
    left, left_out = leave_out(asked.whole, given.against, asked.against, asked.doubts, asked.seed, asked.least)
    ground = _without_copies(asked, left)
    k = asked.size(ground)
    function = _function(asked, ground, k)
    constraints = asked.constraints(ground, k)
    with _progress(given.progress) as report:
        problem = Problem(
            ground.X, function.objective, k, constraints, asked.stop_when_gain, function.bonuses.utility,
            ground.counts, asked.seed, report, None if function.aim is None else function.aim.target,
        )  # fmt: skip
        for caveat in asked.optimizer.caveats(problem):
            warnings.warn(caveat, GuaranteeWarning, stacklevel=CALLER)
        if function.cluster_items is None:
            picks = asked.optimizer.maximize(problem)
        else:
            picks = greedy_by_clusters(problem, function.cluster_items, function.weights)
    if (unspent_part := _unspent(asked, ground, picks, k)) is not None:
        warnings.warn(unspent_part, BudgetWarning, stacklevel=CALLER)
    proof = _certify(problem, picks.indices) if asked.certificate else None
    value = math.fsum(picks.gains.tolist())
    stats = {**picks.stats, "seconds": time.perf_counter() - started}
    if ground.near_recall is not None:
        stats["near_recall"] = ground.near_recall
    stats |= function.stats(value, picks.indices)
    return Selection(
        ground.rows_of(picks.indices), picks.gains, value, function.objective.name, asked.optimizer.name, ground.items,
        proof, stats, asked.decisions, partial(_weigh, ground, picks.indices), left_out,
        full_groups=_full_groups(asked, constraints, picks.indices),
        stands_for=_stands_for(left, ground, asked.whole.n), vectors=RowVectors(given.X),
    )  # fmt: skip


def _without_copies(asked: Request, left: GroundSet) -> GroundSet:
    """Return what near copies are collapsed to, where they are."""
    best = left.part_of(asked.keep_best)
    if asked.near is None:
        return left
    return without_near_copies(left, asked.near, asked.seed, left.part_of(asked.near_within), best)


def _function(asked: Request, ground: GroundSet, k: int) -> Function:
    """Return the function over what is left to choose from."""
    given = asked.given
    weights = _weights(ground, asked.near_weights, asked.near)
    items = ground.items if weights is None else int(weights.sum())
    base = _objective(asked.objective, given.lam, items, k)
    cluster_items = base.cluster_items(ground.n) if isinstance(asked.optimizer, Greedy) else None
    f = base if cluster_items or weights is None else _weighted(base, ground.X, weights, asked.near_weights)
    aim = None
    if given.target is not None:
        check_aim(f, asked.optimizer.takes_target)
        aim = aim_at(given.target, asked.target_weight, ground.X, f.represented_items(items))
        f = f.with_target(ground.X, aim.target) if f.takes_target else f
    quality = None
    if ground.quality is not None:
        expected = picks_expected(k, asked.budget, ground.mean_cost)
        quality = quality_of(ground, f, items, expected, asked.quality_weight, asked.seed, aim)
    return Function(f, cluster_items, weights, aim, quality, Bonuses.of(ground.utility, f, aim, quality))


def _full_groups(asked: Request, constraints: Constraints, chosen: Indices) -> tuple[Hashable, ...]:
    """Return the groups that hold as many items as they may."""
    if constraints.quotas is None or constraints.groups is None:
        return ()
    counts = np.bincount(constraints.groups[chosen], minlength=len(asked.names))
    return tuple(asked.names[number] for number in np.flatnonzero(counts >= constraints.quotas).tolist())


def _unspent(asked: Request, ground: GroundSet, picks: Picks, k: int) -> str | None:
    """Return what is said of a budget of which more than a little is left, though there was more to choose."""
    if asked.budget is None or ground.costs is None or asked.stop_when_gain is not None or len(picks.indices) >= k:
        return None
    return unspent(asked.budget, math.fsum(ground.costs[picks.indices].tolist()))


def _stands_for(left: GroundSet, parts: GroundSet, n: int) -> Indices | None:
    """Return the row that stands for each row of the caller's X; None where no copies were collapsed."""
    if parts.stands_for is None:
        return None
    rows, found = left.rows_of(np.arange(left.n)), np.arange(n)
    found[rows] = rows[parts.stands_for]
    return found


def _weigh(parts: GroundSet, chosen: Indices) -> Indices:
    """Return how many items each chosen row stands for."""
    counts = parts.weights if parts.weights is not None else parts.counts
    return weights_of(parts.X, chosen, counts)


def _weights(parts: GroundSet, near_weights: bool, near: float | None) -> Indices | None:
    """Return how many items each row counts as; None where each is one."""
    if near_weights and near is None:
        raise invalid("near_weights", "go with near", Verbatim("near=None"), "Give a cosine, say near=0.9.")
    return parts.weights if near_weights else parts.counts


@contextmanager
def _progress(progress: Progress | bool) -> Iterator[Progress | None]:
    """Yield what an optimizer reports to."""
    if callable(progress):
        yield progress
        return
    if not isinstance(progress, bool):
        raise invalid("progress", "be True, False or a function", progress)
    if not progress:
        yield None
        return
    shown = 0
    with ExitStack() as stack:
        bars: list[Bar] = []

        def report(picked: int, k: int) -> None:
            nonlocal shown
            if not bars:
                bars.append(stack.enter_context(bar("select", k, "item")))
            bars[0].advance(picked - shown)
            shown = picked

        yield report


def _objective(
    objective: str | Objective[Any], lam: float | str | None, ground: int, k: int
) -> Objective[Any]:  # fmt: skip
    named = find_objective(objective) if isinstance(objective, str) else None
    given = lam is not None
    lam = PAPER_LAM if lam is None else lam
    if not (isinstance(lam, str) and lam == "auto"):
        lam = check_lam(lam)
    if given and (named is None or "lam" not in named.options):
        way = "Give it to the objective itself: GraphCut(lam=...)."
        raise invalid("lam", f"be left out unless objective is {takers('lam')!r} by name", lam, way)
    if named is not None:
        return named.of_options({"lam": lam}, n=ground, k=k)
    assert isinstance(objective, Objective)
    return objective


def _weighted(f: Objective[Any], X: Any, weights: Indices, near_weights: bool) -> Objective[Any]:
    weighted = f.weighted(X, weights)
    if weighted is None:
        parameter = "near_weights" if near_weights else "multiplicity"
        raise invalid(parameter, "go with an objective that weighs items", f.name, "Expand X with numpy.repeat.")
    return weighted


def _certify(problem: Problem, indices: Indices) -> Certificate:
    if not isinstance(problem.objective, GraphCut):
        raise invalid("certificate", "go with the graph_cut objective", problem.objective.name)
    from ray_subsel.optimizers.speculative.upper_bound import certify

    return certify(problem, indices)
