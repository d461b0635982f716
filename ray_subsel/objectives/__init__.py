"""Set functions by name. A new one is one file here and one line in the table."""

from __future__ import annotations

from typing import Any

from ray_subsel.objectives.base import Objective
from ray_subsel.objectives.facility_location import FacilityLocation
from ray_subsel.objectives.feature_based import FeatureBased
from ray_subsel.objectives.graph_cut import GraphCut
from ray_subsel.objectives.log_determinant import LogDeterminant
from ray_subsel.objectives.saturated_coverage import SaturatedCoverage

OBJECTIVES: dict[str, type[Objective[Any]]] = {
    GraphCut.name: GraphCut,
    FacilityLocation.name: FacilityLocation,
    SaturatedCoverage.name: SaturatedCoverage,
    FeatureBased.name: FeatureBased,
    LogDeterminant.name: LogDeterminant,
}

__all__ = [
    "OBJECTIVES",
    "FacilityLocation",
    "FeatureBased",
    "GraphCut",
    "LogDeterminant",
    "Objective",
    "SaturatedCoverage",
]
