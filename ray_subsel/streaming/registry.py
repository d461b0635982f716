"""Tell which objectives a stream can follow, and how."""

from __future__ import annotations

from typing import Any

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.objectives import FacilityLocation, GraphCut, LogDeterminant, Objective
from ray_subsel.objectives.kernels import kernel_of
from ray_subsel.streaming.facility_location import FacilityLocationStream
from ray_subsel.streaming.functions import StreamFunction
from ray_subsel.streaming.graph_cut import GraphCutStream
from ray_subsel.streaming.log_determinant import LogDeterminantStream

STREAMED: dict[str, type[Objective[Any]]] = {one.name: one for one in (FacilityLocation, GraphCut, LogDeterminant)}
LEAST_RIDGE = 1e-4
"""Of a matrix that thousands of exchanges update."""


def streamable(objective: str | Objective[Any]) -> Objective[Any]:
    """Return the objective that a stream shall follow, once it can.

    Raises
    ------
    InputError
    """
    known = ", ".join(STREAMED)
    if isinstance(objective, str):
        if objective not in STREAMED:
            raise invalid("objective", f"be one of {known}, which a stream can follow", objective)
        return STREAMED[objective]()
    if not isinstance(objective, tuple(STREAMED.values())):
        shown = getattr(objective, "name", None) or type(objective).__name__
        raise invalid("objective", f"be one of {known}, which a stream can follow", shown)
    if isinstance(objective, GraphCut):
        if objective.total is not None:
            raise invalid("total", "be None", Verbatim("an array"), "A stream adds it up itself.")
        return objective
    if kernel_of(objective.kernel).name != "cosine":  # type: ignore[attr-defined]
        raise invalid("kernel", "be 'cosine' in a stream", kernel_of(objective.kernel).name)  # type: ignore[attr-defined]
    if isinstance(objective, FacilityLocation) and objective.weights is not None:
        raise invalid("weights", "be None in a stream", Verbatim("an array"), "Repeat rows of represented instead.")
    if isinstance(objective, LogDeterminant) and objective.ridge < LEAST_RIDGE:
        raise invalid("ridge", f"be at least {LEAST_RIDGE:g} in a stream", objective.ridge)
    return objective


def stream_function(objective: Objective[Any], d: int, sample: int, seed: int) -> StreamFunction:
    """Return what follows an objective over vectors of dimension d."""
    if isinstance(objective, FacilityLocation):
        return FacilityLocationStream(objective, d, sample, seed)
    if isinstance(objective, LogDeterminant):
        return LogDeterminantStream(objective, d)
    assert isinstance(objective, GraphCut)
    return GraphCutStream(objective, d)
