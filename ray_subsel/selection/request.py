"""Check what :func:`ray_subsel.select` is asked, and decide what is left open: all before any work."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ray_subsel.baselines import BASELINES
from ray_subsel.config.recipe import NOTHING, RECIPES, Asked, Decision, Facts, decide, objective_of, values_of
from ray_subsel.constraints.base import Constraints
from ray_subsel.constraints.group_budget import cheapest, totals_of
from ray_subsel.constraints.labels import Groups
from ray_subsel.constraints.size import resolve_k
from ray_subsel.constraints.spec import ConstraintSpec, GroupFacts
from ray_subsel.constraints.spending import cheapest_paid
from ray_subsel.core.errors import Verbatim, invalid, unknown
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives import OBJECTIVES, Objective, find_objective
from ray_subsel.optimizers import OPTIMIZERS, Optimizer
from ray_subsel.selection import validation
from ray_subsel.selection.arguments import Arguments
from ray_subsel.selection.ground_set import GroundSet, with_equal_rows
from ray_subsel.selection.left_out import Doubts, check_against


@dataclass(frozen=True, eq=False)
class Request:
    """What was asked, checked, and with what the recipe decided.

    Attributes
    ----------
    given : Arguments
    optimizer : Optimizer
    objective : str or Objective
    decisions : tuple of Decision
    counted : bool
        Whether k or a fraction limits the number of the chosen, and not a budget alone.
    whole : GroundSet
        All rows.
    spec : ConstraintSpec
    names : tuple
        Of the groups, by number.
    stop_when_gain : float or None
    seed : int
    near : float or None
        The cosine from which rows are near copies.
    near_within : int64 array or None
        The labels within which near copies join.
    near_weights, certificate : bool
    keep_best : float64 array or None
        Of near copies the row of the highest value is left.
    against : float or None
        The cosine from which a row repeats one of another set.
    doubts : Doubts or None
        Which doubtful rows to drop.
    quality_weight, target_weight : float
    """

    given: Arguments
    optimizer: Optimizer
    objective: str | Objective[Any]
    decisions: tuple[Decision, ...]
    counted: bool
    whole: GroundSet
    spec: ConstraintSpec
    names: tuple[Hashable, ...]
    stop_when_gain: float | None
    seed: int
    near: float | None
    near_within: Indices | None
    near_weights: bool
    certificate: bool
    keep_best: Float64s | None
    against: float | None
    doubts: Doubts | None
    quality_weight: float
    target_weight: float

    @staticmethod
    def of(given: Arguments) -> Request:
        """Check the arguments.

        Raises
        ------
        InputError
            For the first that cannot be used.
        """
        X, optimizer = given.X, _optimizer(given.optimizer)
        said = Asked(
            objective=None if given.objective is None else "given",
            near=given.near,
            copies="keep",  # rows are items
            graph_cut=_graph_cut_only(given.lam, given.certificate, optimizer),
            limits=any(limit is not None for limit in (given.quotas, given.floors, given.mix)),
            counted=given.budget is None or given.k is not None or given.fraction is not None,
            exact=optimizer.graph_cut_only,
            target=given.target is not None,
        )
        if given.recipe not in RECIPES:
            raise invalid("recipe", f"be one of {', '.join(RECIPES)}", given.recipe)
        objective = objective_of(given.recipe, said) if given.objective is None else given.objective
        validation.check_rows(X, _kind(objective))
        n = int(X.shape[0])
        facts = Facts("vectors", None, None if given.labels is None else "labels", given.groups is not None)
        decisions = decide(given.recipe, said, facts)
        quotas = _unless_none(values_of(decisions).get("quota", given.quotas))
        near = _unless_none(given.near)
        groups = _groups(given.groups, given.labels, (quotas, given.floors, given.mix), n)
        counts = validation.unit_counts(given.multiplicity, n)
        forced = validation.row_numbers(given.include, "include", n, counts)
        named_out = validation.row_numbers(given.exclude, "exclude", n, None)
        barred = with_equal_rows(X, named_out)
        validation.check_disjoint(forced, named_out, barred)
        stop_when_gain = validation.stop_level(given.stop_when_gain)
        seed = validation.seed_number(given.seed)
        near_weights = validation.flag(given.near_weights, "near_weights")
        certificate = validation.flag(given.certificate, "certificate")
        costs, budget = validation.priced(given.costs, given.budget, n)
        spec, named = validation.limits(groups, quotas, given.floors, budget, n, given.mix)
        utilities = validation.utilities(given.utility, n)
        scores, quality_weight = validation.qualities(given.quality, given.quality_weight, given.multiplicity, n)
        target_weight = validation.target_share(given.target, given.target_weight)
        numbers = None if named is None else named.numbers
        return Request(
            given,
            optimizer,
            objective,
            decisions,
            said.counted,
            GroundSet(X, None, forced, barred, counts, utilities, numbers, costs, quality=scores),
            spec,
            () if named is None else named.names,
            stop_when_gain,
            seed,
            near,
            validation.near_labels(given.near_within, near, n),
            near_weights,
            certificate,
            validation.best_first(given.keep_best, near, n),
            check_against(given.against, given.against_near, near),
            Doubts.of(given.drop_label_noise, given.drop_outliers, given.labels, n),
            quality_weight,
            target_weight,
        )

    @property
    def budget(self) -> Any:
        """What the chosen may cost; None: anything."""
        return self.spec.budget

    def size(self, ground: GroundSet) -> int:
        """Return k, checked against what may be chosen of a ground set."""
        given, excluded = self.given, ground.items - ground.available
        found, short = resolve_k(
            given.k,
            given.fraction,
            rows=self.whole.items,
            items=ground.items,
            excluded=excluded,
            no_limit=self.budget is not None,
        )
        if short is not None:
            raise invalid("fraction", f"ask for at most {found} items", given.fraction, short)
        if ground.include.size > found:
            rows = Verbatim(f"{ground.include.size} rows")
            raise invalid("include", f"name at most k = {found} rows", rows, "Raise k.")
        return found

    def least(self, ground: GroundSet) -> Indices | None:
        """Return the least of each group among what is left so far; None without floors."""
        if ground.groups is None or self.spec.floors is None:
            return None
        return self.spec.least(self.size(ground), self.names, ground.groups)

    def constraints(self, ground: GroundSet, k: int) -> Constraints:
        """Return the constraints on the rows that are left when near copies are collapsed."""
        groups, free, total = ground.groups, ground.available_copies(), len(self.names)
        if groups is None:
            limits = self.spec.resolve(k, counted=self.counted)
        else:
            assert self.whole.groups is not None
            sizes = np.bincount(groups, weights=free, minlength=total).astype(np.int64)
            included = np.bincount(groups[ground.include], minlength=total)
            rows = np.bincount(self.whole.groups, weights=self.whole.counts, minlength=total)
            costs = None if ground.costs is None else totals_of(ground.costs, groups, total, free)
            facts = GroupFacts(self.names, sizes, included, rows, costs)
            limits = self.spec.resolve(k, facts, counted=self.counted)
            if limits.floors is not None and ground.costs is not None:
                free[ground.include] = 0
                where = np.repeat(np.arange(ground.n), free)
                missing = np.maximum(limits.floors - included, 0)
                least = cheapest(ground.costs[where], groups[where], missing)
                limits = dataclasses.replace(limits, cheapest=least)
        if ground.costs is not None and self.budget is not None:
            free = ground.available_copies()
            free[ground.include] = 0
            possible = ground.costs[free > 0]
            least_cost = possible.min().item() if possible.size else None
            paid = int(cheapest_paid(possible, self.budget).size)
            limits = dataclasses.replace(limits, least_cost=least_cost, most_paid=paid)
        return dataclasses.replace(
            limits, include=ground.include, exclude=ground.exclude, groups=groups, costs=ground.costs
        )


def _unless_none(value: Any) -> Any:
    """Return None for the word that stands for it."""
    return None if isinstance(value, str) and value == NOTHING else value


def _graph_cut_only(lam: Any, certificate: Any, optimizer: Optimizer) -> str:
    """Return the name of an argument that was given and goes with graph cut alone; empty: none was."""
    if lam is not None:
        return "lam"
    if certificate is True:
        return "certificate"
    return f"optimizer {optimizer.name}" if optimizer.graph_cut_only else ""


def _groups(groups: Any, labels: ArrayLike | None, limits: tuple[Any, ...], n: int) -> Any:
    """Return the groups of quotas and floors: those given, else the labels where they matter."""
    if labels is not None:
        Groups.of(labels, n, "labels")
    return labels if groups is None and any(limit is not None for limit in limits) else groups


def _kind(objective: Any) -> type[Objective[Any]] | Objective[Any]:
    """Return the class that an objective's name stands for, or the objective given, once that can be used."""
    if isinstance(objective, str):
        return find_objective(objective)
    if not isinstance(objective, Objective):
        way = "Give an instance: Objective(), not the class." if isinstance(objective, type) else ""
        raise unknown("objective", objective, OBJECTIVES, also=" or an Objective", hint=way)
    _check_named(objective, "objective")
    return objective


def _check_named(given: Any, parameter: str) -> None:
    """Raise InputError for an instance of a class of the user's that has no name."""
    if not isinstance(getattr(given, "name", None), str):
        shown = Verbatim(f"{type(given).__name__} without one")
        raise invalid(parameter, "have a name", shown, 'Add name = "..." to the class.')


def _optimizer(optimizer: Any) -> Optimizer:
    if isinstance(optimizer, Optimizer):
        _check_named(optimizer, "optimizer")
        return optimizer
    by_name = OPTIMIZERS | BASELINES
    if not isinstance(optimizer, str) or optimizer not in by_name:
        raise unknown("optimizer", optimizer, by_name, also=" or an Optimizer")
    return by_name[optimizer]()
