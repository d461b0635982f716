"""List the objectives by name, and find those from outside the package.

A new one is its own file and a line here. One of another package is named as ``MODULE:CLASS``, or registered as an
entry point of the group ``ray_subsel.objectives``.
"""

from __future__ import annotations

from typing import Any

from ray_subsel.core.plugins import find_class
from ray_subsel.objectives.base import Objective
from ray_subsel.objectives.facility_location import FacilityLocation
from ray_subsel.objectives.feature_based import FeatureBased
from ray_subsel.objectives.graph_cut import GraphCut
from ray_subsel.objectives.log_determinant import LogDeterminant
from ray_subsel.objectives.saturated_coverage import SaturatedCoverage

OBJECTIVES: dict[str, type[Objective[Any]]] = {
    objective.name: objective
    for objective in (GraphCut, FacilityLocation, SaturatedCoverage, FeatureBased, LogDeterminant)
}
GROUP = "ray_subsel.objectives"


def find_objective(name: str) -> type[Objective[Any]]:
    """Return the class of the objective that a name stands for: one of the table, ``MODULE:CLASS``, an entry point.

    Raises
    ------
    InputError
        When there is none, or it cannot be imported or used.
    """
    return find_class("objective", name, OBJECTIVES, GROUP, Objective)


def takers(option: str) -> str:
    """Return the names of the package's objectives that have an option, for a sentence."""
    return " and ".join(name for name, objective in OBJECTIVES.items() if option in objective.options)


def representing() -> str:
    """Return the names of the package's objectives that represent items, for a sentence."""
    return " or ".join(name for name, objective in OBJECTIVES.items() if objective.needs_reference)
