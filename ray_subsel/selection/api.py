"""Choose a subset of vectors in memory: S = argmax f(S) over feasible S, in one call."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Hashable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ray_subsel.baselines import BASELINES
from ray_subsel.config.recipe import NOTHING, PAPER_LAM, RECIPES, Asked, Facts, decide, objective_of, values_of
from ray_subsel.constraints.base import Constraints
from ray_subsel.constraints.group_budget import cheapest, totals_of
from ray_subsel.constraints.labels import Groups
from ray_subsel.constraints.mix import Mix
from ray_subsel.constraints.size import resolve_k
from ray_subsel.constraints.spec import ConstraintSpec, GroupFacts
from ray_subsel.constraints.spending import unspent
from ray_subsel.core.errors import Verbatim, invalid, unknown
from ray_subsel.core.types import Indices
from ray_subsel.objectives import OBJECTIVES, GraphCut, Objective, find_objective
from ray_subsel.objectives.graph_cut import check_lam
from ray_subsel.objectives.registry import takers
from ray_subsel.optimizers import OPTIMIZERS, Greedy, GuaranteeWarning, Optimizer, Problem
from ray_subsel.optimizers.base import Progress
from ray_subsel.runtime.progress import Bar, bar
from ray_subsel.selection import validation
from ray_subsel.selection.bonuses import Bonuses, aim_at, check_aim, picks_expected, quality_of
from ray_subsel.selection.by_clusters import greedy_by_clusters
from ray_subsel.selection.explain import RowVectors
from ray_subsel.selection.ground_set import GroundSet, with_equal_rows, without_near_copies
from ray_subsel.selection.left_out import Doubts, check_against, leave_out
from ray_subsel.selection.per_group import select_per_group
from ray_subsel.selection.result import Selection
from ray_subsel.selection.weigh import weights_of

if TYPE_CHECKING:
    from ray_subsel.optimizers.speculative.upper_bound import Certificate


class BudgetWarning(UserWarning):
    """More than a little of a budget is left."""


def select(
    X: Any,
    k: int | None = None,
    *,
    fraction: float | None = None,
    recipe: Literal["auto", "paper", "none"] = "auto",
    labels: ArrayLike | None = None,
    objective: str | Objective[Any] | None = None,
    lam: float | Literal["auto"] | None = None,
    optimizer: str | Optimizer = "greedy",
    include: ArrayLike = (),
    exclude: ArrayLike = (),
    stop_when_gain: float | None = None,
    utility: ArrayLike | None = None,
    multiplicity: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    quotas: str | Mapping[Hashable, Any] | ArrayLike | None = None,
    floors: int | str | Mapping[Hashable, Any] | ArrayLike | None = None,
    mix: Mix | None = None,
    costs: ArrayLike | None = None,
    budget: float | None = None,
    near: float | Literal["none"] | None = None,
    near_within: ArrayLike | None = None,
    near_weights: bool = False,
    against: Any = None,
    against_near: float | None = None,
    target: Any = None,
    target_weight: float | None = None,
    quality: ArrayLike | None = None,
    quality_weight: float | None = None,
    per: ArrayLike | None = None,
    keep_best: ArrayLike | None = None,
    drop_label_noise: float | None = None,
    drop_outliers: float | None = None,
    seed: int = 0,
    certificate: bool = False,
    progress: Progress | bool = False,
) -> Selection:
    """Choose a small subset of the rows of X that maximizes a set function.

    Parameters
    ----------
    X : numpy array (a ``np.memmap`` too), torch tensor or scipy sparse matrix of shape (n, d)
        One vector per item, float16, float32 or float64, or a bfloat16 tensor. For graph cut rows need not have norm
        1, since their cosine is taken; X is neither copied nor changed. Sparse for feature-based functions only.
    k : int, optional
        How many items, 1 <= k <= n. Give one of ``k``, ``fraction`` and ``budget``.
    fraction : float, optional
        Share of the ground set in (0, 1]; k is fraction * n rounded down, at least 1.
    recipe : "auto", "paper" or "none", default="auto"
        Decides what is left open; ``Selection.decisions`` tells what and why. "auto": facility location, or graph cut
        where ``lam`` or another of its settings is given; classes balanced where ``labels`` are given. Near copies stay
        unless ``near`` is given, since of vectors alone it is not known from which cosine they are copies. "paper": the
        setting of the report, graph cut with lambda = 10. "none": graph cut, and nothing else.
    labels : array of shape (n,), optional
        The class of each row. They are the groups of ``quotas`` and ``floors`` where ``groups`` are not given.
    objective : str or Objective, optional
        By default as the recipe decides. A name in ``ray_subsel.objectives.OBJECTIVES``, ``MODULE:CLASS`` or an entry
        point's name, with that objective's defaults; or an instance.
    lam : float or "auto", optional
        Penalty of graph cut when it is given by name or left open, 10 by default; others do not have it. "auto" is
        max(0, n / k - 2): the subset whose mean represents the corpus mean.
    optimizer : str or Optimizer, default="greedy"
        A name in ``ray_subsel.optimizers.OPTIMIZERS`` or ``ray_subsel.baselines.BASELINES``, or an instance.
    include, exclude : sequences of int
        Rows that must be in the subset (they come first, in this order, and count toward k), and that must not. An
        excluded row bars its copies too: equal rows always, near copies where ``near`` is given. Of several included
        rows that are one item after near copies are collapsed the first counts.
    stop_when_gain : float, optional
        Stop before the first item whose gain is at or below this, so fewer than k may come back.
    utility : float array of shape (n,), optional
        Added to f for each chosen item.
    multiplicity : int array of shape (n,), optional
        Row i stands for this many equal items, each of which may be chosen and counts among the items that chosen ones
        stand for: the result is that of the expanded array, so a row may come back as often as it counts. Graph cut,
        facility location and saturated coverage. With ``near`` it is a weight alone: a row comes back once.
    groups : array of shape (n,), optional
        The group of each row: labels, or numbers from 0. Labels keep their values: None, nan, 1, "1" and True are five
        groups.
    quotas : "balanced", "proportional", "equal", "none", mapping or int array of shape (n_groups,), optional
        At most so many items of each group: k apportioned to the groups' sizes, or equally, floors coming first;
        "balanced": equally, yet no group less than half of its share of the rows; by label, groups not named being
        unlimited; or by number. "none" limits nothing, whatever the recipe.
    floors : int, mapping or int array of shape (n_groups,), optional
        At least so many items of each group. By label a quota or floor may be a share of k, or of a budget that
        alone decides: ``{"a": "20%"}``.
    mix : "uniform", "input" or mapping, optional
        The share of each group, of k or of a budget that alone decides, met to within one item: equal, as the rows of
        X have it, or by label (``{"a": 0.3}``), other labels dividing the rest as X does. In the place of quotas and
        floors.
    costs, budget : array of shape (n,) and number, optional
        The chosen items' costs may not exceed the budget. They are summed exactly
        (:mod:`ray_subsel.constraints.spending`).
    near : float or "none", optional
        Collapse near copies first: of rows whose cosine is at least this, one is left to choose, the lowest or the one
        that ``include`` names (:mod:`ray_subsel.dedup.in_memory` says what that guarantees). What is left is the ground
        set, so k is at most its size; ``fraction`` is still a share of the rows of X. Above some 100,000 rows
        ``stats["near_recall"]`` tells the share of near copies that was found, on a sample.
    near_within : array of shape (n,), optional
        With ``near``, a label of each row: near copies, equal rows included, join within a label only.
    near_weights : bool, default=False
        With ``near`` and graph cut, let a row that is left weigh as much as its group in the corpus sum t.
    against : array of shape (m, d), optional
        Vectors of another set, such as the one that a model will be tested on: rows of X whose cosine to one of them
        reaches ``against_near`` are left out of the ground set (``Selection.left_out`` tells which).
    against_near : float, optional
        Cosine in (0, 1]. By default that of ``near``, else 0.9.
    target : float array or tensor of shape (Q, d), optional
        Vectors of queries that the chosen rows shall resemble, of the same encoder as X
        (:mod:`ray_subsel.objectives.target` has the formulas). For facility location, graph cut and the optimizers
        ``round_robin`` and ``most_similar``. ``stats`` tells the similarities of the chosen and of all rows.
    target_weight : float, default=1.0
        a in (0, 1]: how much the target counts beside the coverage of X; 1 is the target alone.
    quality : float array of shape (n,), optional
        A score of each row, in any unit; higher is better, nan is none. Its rank in [0, 1] is added to f for each
        chosen row, times w' = ``quality_weight`` times what a pick adds on average
        (:mod:`ray_subsel.objectives.quality`). ``stats`` splits the value: ``value_coverage``, ``value_quality``.
    quality_weight : float, default=0.3
        w > 0.
    per : array of shape (n,), optional
        Choose in each group of rows on its own, all else holding within a group: k, or the fraction, of each, at most
        what it has. ``Selection.groups`` and ``ranks`` tell the group of each chosen row and its rank there;
        ``stats`` how many groups had less than was asked for (:mod:`ray_subsel.selection.per_group`).
    keep_best : float array of shape (n,), optional
        With ``near``: of near copies the row of highest value is left, ties to the lowest row. Rows are gone through in
        that order, so still no two that are left reach ``near``, and each other row has one left that is as good.
    drop_label_noise : float in (0, 1], optional
        Share of the rows to drop whose ``labels`` their nearest neighbours contradict most
        (:mod:`ray_subsel.filters.neighbours`). A label (or with ``floors`` a group) keeps its last rows, and rows that
        are included or excluded stay; ``None``, NaN and "" are no labels.
    drop_outliers : float in (0, 1], optional
        Share of the rows to drop that have the lowest mean cosine to their ten nearest neighbours, of those left.
    seed : int, default=0
        Of whatever draws.
    certificate : bool, default=False
        Also bound, for graph cut, how far the value is from the best possible one.
    progress : bool or callable, default=False
        True shows a bar with items/s and time left on standard error; a callable is called as ``progress(picked, k)``
        and may raise KeyboardInterrupt to end the run.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        One line that names the parameter, what it must be, what arrived and the way out.

    Notes
    -----
    The same input and seed give the same rows, for any number of threads. Ties go to the lowest row.

    Facility location of more items than those whose similarities are kept (16,384) is maximized by clusters of some
    4,096 items, as over partitions (:mod:`ray_subsel.partitioned.by_clusters`); ``optimizer="lazy"`` takes the whole
    function at any size.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9], [1.0, 1.0]])
    >>> select(X, 2).indices.tolist()
    [4, 0]
    >>> select(X, 2, lam=1.0).indices.tolist()
    [4, 1]
    """
    arguments = dict(locals())
    if per is not None:
        return select_per_group(select, arguments.pop("X"), arguments)
    started = time.perf_counter()
    algorithm = _optimizer(optimizer)
    said = Asked(
        objective=None if objective is None else "given",
        near=near,
        copies="keep",  # rows are items
        graph_cut=_graph_cut_only(lam, certificate, algorithm),
        limits=quotas is not None or floors is not None or mix is not None,
        counted=budget is None or k is not None or fraction is not None,
        exact=algorithm.graph_cut_only,
        target=target is not None,
    )
    if recipe not in RECIPES:
        raise invalid("recipe", f"be one of {', '.join(RECIPES)}", recipe)
    objective = objective_of(recipe, said) if objective is None else objective
    validation.check_rows(X, _kind(objective))
    n = int(X.shape[0])
    decisions = decide(recipe, said, Facts("vectors", None, None if labels is None else "labels", groups is not None))
    decided = values_of(decisions)
    threshold: Any = None if isinstance(near, str) and near == NOTHING else near
    quotas = decided.get("quota", quotas)
    quotas = None if isinstance(quotas, str) and quotas == NOTHING else quotas
    groups = _groups(groups, labels, (quotas, floors, mix), n)
    counts = validation.unit_counts(multiplicity, n)
    forced = validation.row_numbers(include, "include", n, counts)
    named_out = validation.row_numbers(exclude, "exclude", n, None)
    barred = with_equal_rows(X, named_out)
    validation.check_disjoint(forced, named_out, barred)
    stop_when_gain = validation.stop_level(stop_when_gain)
    seed = validation.seed_number(seed)
    near_weights = validation.flag(near_weights, "near_weights")
    certificate = validation.flag(certificate, "certificate")
    cost_of, budget = validation.priced(costs, budget, n)
    spec, named = validation.limits(groups, quotas, floors, budget, n, mix)
    utilities = validation.utilities(utility, n)
    scores, quality_weight = validation.qualities(quality, quality_weight, multiplicity, n)
    share = validation.target_share(target, target_weight)
    whole = GroundSet(
        X, None, forced, barred, counts, utilities, None if named is None else named.numbers, cost_of, quality=scores
    )  # fmt: skip
    within = validation.near_labels(near_within, threshold, n)
    repeats = check_against(against, against_near, threshold)
    doubts = Doubts.of(drop_label_noise, drop_outliers, labels, n)
    least = partial(_floors, spec, () if named is None else named.names, whole, k, fraction)
    left, left_out = leave_out(whole, against, repeats, doubts, seed, least)
    best = left.part_of(validation.best_first(keep_best, threshold, n))
    parts = left if threshold is None else without_near_copies(left, threshold, seed, left.part_of(within), best)
    k = _size(k, fraction, whole, parts, no_limit=budget is not None)
    weights = _weights(parts, near_weights, threshold)
    ground = parts.items if weights is None else int(weights.sum())
    base = _objective(objective, lam, ground, k)
    cluster_items = base.cluster_items(parts.n) if isinstance(algorithm, Greedy) else None
    f = base if cluster_items or weights is None else _weighted(base, parts.X, weights, near_weights)
    aim = None
    if target is not None:
        check_aim(f, algorithm.takes_target)
        aim = aim_at(target, share, parts.X, f.represented_items(ground))
        f = f.with_target(parts.X, aim.target) if f.takes_target else f
    ranked = None
    if parts.quality is not None:
        expected = picks_expected(k, parts.costs, budget)
        ranked = quality_of(parts, f, ground, expected, quality_weight, seed, aim)
    bonuses = Bonuses.of(parts.utility, f, aim, ranked)
    constraints = _constraints(spec, () if named is None else named.names, whole, parts, k, counted=said.counted)
    with _progress(progress) as report:
        problem = Problem(
            parts.X, f, k, constraints, stop_when_gain, bonuses.utility, parts.counts, seed, report,
            None if aim is None else aim.target,
        )  # fmt: skip
        for caveat in algorithm.caveats(problem):
            warnings.warn(caveat, GuaranteeWarning, stacklevel=2)
        if cluster_items is None:
            picks = algorithm.maximize(problem)
        else:
            picks = greedy_by_clusters(problem, cluster_items, weights)
    if budget is not None and parts.costs is not None and stop_when_gain is None and len(picks.indices) < k:
        said_of_it = unspent(budget, math.fsum(parts.costs[picks.indices].tolist()))
        if said_of_it is not None:
            warnings.warn(said_of_it, BudgetWarning, stacklevel=2)
    proof = _certify(problem, picks.indices) if certificate else None
    rows = parts.rows_of(picks.indices)
    stats = {**picks.stats, "seconds": time.perf_counter() - started}
    if parts.near_recall is not None:
        stats["near_recall"] = parts.near_recall
    value = math.fsum(picks.gains.tolist())
    for one in (aim, ranked):
        stats |= {} if one is None else one.stats(picks.indices)
    stats |= bonuses.split(value, picks.indices) if aim is not None or ranked is not None else {}
    return Selection(
        rows, picks.gains, value, f.name, algorithm.name, parts.items, proof, stats, decisions,
        partial(_weigh, parts, picks.indices), left_out, stands_for=_stands_for(left, parts, n),
        vectors=RowVectors(X),
    )  # fmt: skip


def _floors(
    spec: ConstraintSpec, names: tuple[Hashable, ...], whole: GroundSet, k: int | None, fraction: float | None,
    ground: GroundSet,
) -> Indices | None:  # fmt: skip
    """Return the least of each group among what is left so far; None without floors."""
    if ground.groups is None or spec.floors is None:
        return None
    return spec.least(_size(k, fraction, whole, ground, no_limit=spec.budget is not None), names, ground.groups)


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


def _size(k: int | None, fraction: float | None, whole: GroundSet, parts: GroundSet, *, no_limit: bool) -> int:
    """Return k, checked against what may be chosen."""
    excluded = parts.items - parts.available
    found, short = resolve_k(k, fraction, rows=whole.items, items=parts.items, excluded=excluded, no_limit=no_limit)
    if short is not None:
        raise invalid("fraction", f"ask for at most {found} items", fraction, short)
    if parts.include.size > found:
        raise invalid("include", f"name at most k = {found} rows", Verbatim(f"{parts.include.size} rows"), "Raise k.")
    return found


def _weights(parts: GroundSet, near_weights: bool, near: float | None) -> Indices | None:
    """Return how many items each row counts as; None where each is one."""
    if near_weights and near is None:
        raise invalid("near_weights", "go with near", Verbatim("near=None"), "Give a cosine, say near=0.9.")
    return parts.weights if near_weights else parts.counts


def _constraints(
    spec: ConstraintSpec, names: tuple[Hashable, ...], whole: GroundSet, parts: GroundSet, k: int, *, counted: bool
) -> Constraints:
    """Return the constraints on the rows that are left when near copies are collapsed."""
    groups, free = parts.groups, parts.available_copies()
    if groups is None:
        limits = spec.resolve(k, counted=counted)
    else:
        assert whole.groups is not None
        sizes = np.bincount(groups, weights=free, minlength=len(names)).astype(np.int64)
        included = np.bincount(groups[parts.include], minlength=len(names))
        rows = np.bincount(whole.groups, weights=whole.counts, minlength=len(names))
        costs = None if parts.costs is None else totals_of(parts.costs, groups, len(names), free)
        limits = spec.resolve(k, GroupFacts(names, sizes, included, rows, costs), counted=counted)
        if limits.floors is not None and parts.costs is not None:
            free[parts.include] = 0
            where = np.repeat(np.arange(parts.n), free)
            missing = np.maximum(limits.floors - included, 0)
            limits = dataclasses.replace(limits, cheapest=cheapest(parts.costs[where], groups[where], missing))
    return dataclasses.replace(limits, include=parts.include, exclude=parts.exclude, groups=groups, costs=parts.costs)


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
