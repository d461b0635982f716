"""Decide what the user leaves open: the objective, which copies leave first, how classes share k.

``auto`` reads what the data has. What was measured stands behind each rule (docs/recipes.md): facility location is
level with or above graph cut wherever classes are many, near copies only take places, and classes that share k equally
teach a classifier more than classes in proportion. ``paper`` is the setting of the report that this package follows.
``none`` decides nothing: what flags leave open is graph cut with lambda = 10, all near copies, no limits.

A flag that is given wins, and the others are decided as if it had been so from the start. Pure: ``select()``, runs and
plans ask the same function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RECIPES = ("auto", "paper", "none")
NOTHING = "none"
"""The word that stands for no near copies collapsed and for no quotas."""

PAPER_OBJECTIVE, PAPER_LAM = "graph_cut", 10.0


@dataclass(frozen=True)
class Decision:
    """What a recipe decided.

    Attributes
    ----------
    flag : str
        The flag, or parameter, that overrules it.
    value : str or float
    reason : str
    """

    flag: str
    value: str | float
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {"flag": self.flag, "value": self.value, "reason": self.reason}

    def line(self) -> str:
        """Return it as the terminal shows it."""
        return f"--{self.flag} {self.value}: {self.reason}"


@dataclass(frozen=True)
class Asked:
    """What the user said; what is None, empty or False was not said.

    Attributes
    ----------
    objective : str or None
    near : float, "none" or None
    copies : str or None
    graph_cut : str
        What was given that only graph cut has, such as ``lam``.
    limits : bool
        Whether quotas, floors or a mix were given.
    counted : bool
        Whether k or a fraction was given, and not a budget alone.
    exact : bool
        Whether what chooses takes no quotas, such as the exact greedy over partitions.
    target : bool
        Whether there is a target.
    """

    objective: str | None = None
    near: float | str | None = None
    copies: str | None = None
    graph_cut: str = ""
    limits: bool = False
    counted: bool = True
    exact: bool = False
    target: bool = False


@dataclass(frozen=True)
class Facts:
    """What is known of the data.

    Attributes
    ----------
    encoder : str
        Whose vectors they are.
    near : float or None
        The cosine from which two texts are near copies in its vectors; None: unknown.
    classes : str or None
        What tells the class of each item, as a reason names it.
    grouped : bool
        Whether a column of groups is named, which quotas would be about.
    """

    encoder: str
    near: float | None = None
    classes: str | None = None
    grouped: bool = False


def decide(recipe: str, asked: Asked, facts: Facts) -> tuple[Decision, ...]:
    """Return what a recipe decides of what was not asked for, in the order in which it is told."""
    if recipe == "none":
        return ()
    found = [_objective(recipe, asked)] if asked.objective is None else []
    if recipe == "paper":
        if asked.near is None:
            found.append(Decision("near", NOTHING, "the paper keeps near copies"))
        if asked.copies is None:
            found.append(Decision("copies", "keep", "the paper keeps equal texts"))
        if facts.classes is not None and not asked.limits:
            found.append(Decision("quota", NOTHING, "the paper balances nothing"))
        return tuple(found)
    if asked.near is None:
        found.append(_near(facts))
    if not asked.limits and (quota := _quota(asked, facts)) is not None:
        found.append(quota)
    return tuple(found)


def objective_of(recipe: str, asked: Asked) -> str:
    """Return the name of the objective: the one asked for, or what the recipe decides."""
    if asked.objective is not None:
        return asked.objective
    return PAPER_OBJECTIVE if recipe == "none" else str(_objective(recipe, asked).value)


def _objective(recipe: str, asked: Asked) -> Decision:
    if recipe == "paper":
        return Decision("objective", PAPER_OBJECTIVE, "the paper's objective")
    if asked.graph_cut:
        return Decision("objective", "graph_cut", f"{asked.graph_cut} is given, which goes with it")
    why = "each item counts by its nearest chosen one, so no part of the corpus is left out"
    return Decision("objective", "facility_location", why)


def _near(facts: Facts) -> Decision:
    if facts.near is None:
        why = f"from which cosine {facts.encoder} are near copies is not known; say it"
        return Decision("near", NOTHING, why)
    return Decision("near", facts.near, f"near copies only take places; in vectors of {facts.encoder} they reach it")


def _quota(asked: Asked, facts: Facts) -> Decision | None:
    if facts.classes is None:
        return None
    if facts.grouped:
        return Decision("quota", NOTHING, "groups are named, and what they are to share is not said")
    if asked.target:
        return Decision("quota", NOTHING, "the target says what is wanted")
    if asked.exact:
        return Decision("quota", NOTHING, "what chooses takes no quotas")
    of = "" if asked.counted else " of the budget"
    why = f"{facts.classes} tells classes; equal shares{of}, none below half of its share of the input"
    return Decision("quota", "balanced", why)


def values_of(decisions: tuple[Decision, ...]) -> Mapping[str, str | float]:
    """Return what was decided, by flag."""
    return {decision.flag: decision.value for decision in decisions}
