"""Set functions, each with its formula and source; :mod:`ray_subsel.objectives.registry` lists them by name."""

from __future__ import annotations

from ray_subsel.objectives.base import GroundSummary, Objective, ProblemSize
from ray_subsel.objectives.facility_location import FacilityLocation
from ray_subsel.objectives.feature_based import FeatureBased
from ray_subsel.objectives.graph_cut import GraphCut
from ray_subsel.objectives.log_determinant import LogDeterminant
from ray_subsel.objectives.registry import OBJECTIVES, find_objective
from ray_subsel.objectives.saturated_coverage import SaturatedCoverage
from ray_subsel.objectives.scaled import ScaledObjective

__all__ = [
    "OBJECTIVES",
    "FacilityLocation",
    "FeatureBased",
    "GraphCut",
    "GroundSummary",
    "LogDeterminant",
    "Objective",
    "ProblemSize",
    "SaturatedCoverage",
    "ScaledObjective",
    "find_objective",
]
