"""Choose a subset of vectors in memory: S = argmax f(S) over feasible S, in one call."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Literal

from numpy.typing import ArrayLike

from ray_subsel.constraints.mix import Mix
from ray_subsel.core.device import computing_beside
from ray_subsel.objectives import Objective
from ray_subsel.optimizers import Optimizer
from ray_subsel.optimizers.base import Progress
from ray_subsel.selection.arguments import Arguments
from ray_subsel.selection.maximize import BudgetWarning, maximize
from ray_subsel.selection.per_group import select_per_group
from ray_subsel.selection.result import Selection

__all__ = ["BudgetWarning", "select"]


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
        1, since their cosine is taken; X is neither copied nor changed. Sparse for feature-based functions only. Of a
        tensor on a GPU (CUDA) products are computed there, in float32, and the vectors copied once to the CPU, where
        the picks are decided: the rows are the same.
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
    with computing_beside(X) as array:
        given = Arguments(
            array, k,
            fraction=fraction, recipe=recipe, labels=labels, objective=objective, lam=lam,
            optimizer=optimizer, include=include, exclude=exclude, stop_when_gain=stop_when_gain,
            utility=utility, multiplicity=multiplicity, groups=groups, quotas=quotas, floors=floors, mix=mix,
            costs=costs, budget=budget, near=near, near_within=near_within, near_weights=near_weights,
            against=against, against_near=against_near, target=target, target_weight=target_weight,
            quality=quality, quality_weight=quality_weight, per=per, keep_best=keep_best,
            drop_label_noise=drop_label_noise, drop_outliers=drop_outliers, seed=seed,
            certificate=certificate, progress=progress,
        )  # fmt: skip
        return maximize(given) if per is None else select_per_group(select, array, given.by_name())
