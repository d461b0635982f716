"""Add a target and a quality to a selection in memory: an objective that represents queries, and a utility an item.

f(S) + sum of utilities. An item's utility is w' u_i of its quality (:mod:`ray_subsel.objectives.quality`) and, with
facility location, eta a (n / C) r_i of its relevance (:mod:`ray_subsel.objectives.target`).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.objectives import Objective
from ray_subsel.objectives.quality import (
    RANDOM_STREAM,
    REFERENCE,
    REFERENCE_STREAM,
    Ranks,
    drawn_by_hash,
    gain_unit,
    random_items,
    rank_transform,
    unit_function,
)
from ray_subsel.objectives.target import Relevance, Target, query_vectors, relevance
from ray_subsel.selection.ground_set import GroundSet


@dataclass(frozen=True, eq=False)
class Aim:
    """A target, and how the items compare with it.

    Attributes
    ----------
    target : Target
    found : Relevance
    """

    target: Target
    found: Relevance

    def stats(self, items: Indices) -> dict[str, float]:
        """Return how similar the chosen are to the target, and how similar all items are on average."""
        chosen = {"mean": self.found.mean[items], "greatest": self.found.greatest[items]}
        every = {"mean": self.found.mean, "greatest": self.found.greatest}
        return {
            f"target_{name}_similarity{end}": float(np.mean(values[name])) if values[name].size else 0.0
            for values, end in ((chosen, ""), (every, "_of_all"))
            for name in values
        }


def aim_at(target: Any, share: float, X: Any, n: float) -> Aim:
    """Compare the rows of X with a target.

    Parameters
    ----------
    target : float array of shape (Q, d)
    share : float
        a.
    X : array of shape (n, d)
    n : float
        What is represented, as often as each item counts.
    """
    rows = unit_rows(X)
    goal = Target.of(query_vectors(target, rows.d), share, n)
    found = relevance(rows, goal)
    return Aim(replace(goal, nearest=found.nearest), found)


@dataclass(frozen=True, eq=False)
class Quality:
    """The quality of the items.

    Attributes
    ----------
    ranks : Ranks
    unit : float
        g.
    weight : float
        w.
    """

    ranks: Ranks
    unit: float
    weight: float

    def stats(self, items: Indices) -> dict[str, float]:
        """Return the unit, and the ranks of the chosen."""
        mean = float(np.mean(self.ranks.u[items])) if items.size else 0.0
        return {"quality_unit": self.unit, "quality_mean": mean, "quality_missing": float(self.ranks.missing)}


def quality_of(
    parts: GroundSet, objective: Objective[Any], n: float, k: int, weight: float, seed: int, aim: Aim | None = None
) -> Quality:
    """Rank the qualities of a ground set and measure their unit; it warns of items without one.

    Parameters
    ----------
    parts : GroundSet
    objective : Objective
        Of the ground set, with its target.
    n : float
        What is represented, as often as each item counts.
    k : int
    weight : float
    seed : int
    aim : Aim, optional
    """
    assert parts.quality is not None
    ranks = rank_transform(parts.quality)
    if ranks.missing:
        warnings.warn(
            f"{ranks.missing:,} of {parts.n:,} items have no quality; they count as the middle (0.5).", stacklevel=3
        )
    ids = parts.rows_of(np.arange(parts.n))

    def reference() -> Any:
        return parts.X[drawn_by_hash(ids, REFERENCE, seed + REFERENCE_STREAM)]

    drawn = drawn_by_hash(ids, random_items(objective, parts.n, k), seed + RANDOM_STREAM)
    relevant = 0.0 if aim is None else math.fsum(aim.found.greatest.tolist()) / parts.n
    return Quality(ranks, gain_unit(unit_function(objective, n, reference), parts.X, drawn, k, relevant), weight)


@dataclass(frozen=True, eq=False)
class Bonuses:
    """What is added to f, by what it comes of.

    Attributes
    ----------
    parts : dict of str to float64 arrays of shape (n,)
    """

    parts: dict[str, Float64s]

    @staticmethod
    def of(given: Float64s | None, objective: Objective[Any], aim: Aim | None, quality: Quality | None) -> Bonuses:
        """Return the utilities of the caller, of relevance and of quality, as far as there are any."""
        parts = {}
        if given is not None:
            parts["utility"] = given
        if aim is not None and objective.relevance_weight > 0:
            parts["relevance"] = objective.relevance_weight * aim.found.greatest
        if quality is not None:
            parts["quality"] = quality.weight * quality.unit * quality.ranks.u
        return Bonuses(parts)

    @property
    def utility(self) -> Float64s | None:
        """Their sum."""
        found = list(self.parts.values())
        return None if not found else np.asarray(sum(found[1:], found[0]))

    def split(self, value: float, items: Indices) -> dict[str, float]:
        """Return the value of the chosen items by what it comes of: ``value_coverage`` is f's own."""
        found = {f"value_{name}": math.fsum(part[items].tolist()) for name, part in self.parts.items()}
        return {"value_coverage": value - math.fsum(found.values()), **found} if found else {}


def check_aim(objective: Objective[Any], optimizer_takes: bool) -> None:
    """Raise InputError where neither the objective nor the optimizer looks at a target."""
    if not (objective.takes_target or optimizer_takes):
        must = "go with objective facility_location or graph_cut, or with optimizer round_robin or most_similar"
        raise invalid("target", must, Verbatim(f"objective {objective.name!r}"))
