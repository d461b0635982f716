"""Leave rows out of the ground set before anything is chosen: those near a row of another set."""

from __future__ import annotations

from typing import Any

import numpy as np

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import finite_number
from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.filters.nearest import nearest_reaching
from ray_subsel.selection.ground_set import GroundSet
from ray_subsel.selection.result import LeftOut

NEAR = "near"
USUAL = 0.9


def check_against(against: Any, against_near: float | None, near: float | None) -> float | None:
    """Return the cosine from which a row repeats one of another set; None where there is no other set."""
    if against is None:
        if against_near is not None:
            raise invalid("against_near", "go with against", Verbatim("against=None"), "Give the other set's vectors.")
        return None
    given = near if against_near is None else against_near
    way = "It is a cosine; 0.9 serves sentence embeddings."
    return finite_number(USUAL if given is None else given, "against_near", "lie in (0, 1]", way, above=0.0, most=1.0)


def without_repeats(ground: GroundSet, against: Any, threshold: float) -> tuple[GroundSet, LeftOut]:
    """Return the ground set without the rows that come near a row of another set, and these.

    Raises
    ------
    InputError
        Where a row that must be chosen is among them, or nothing would be left.
    """
    others = unit_rows(against, parameter="against")
    found = nearest_reaching(unit_rows(ground.X), others, np.arange(others.n), threshold)
    rows: Indices = ground.rows_of(found.places)
    both = np.intersect1d(ground.include, found.places)
    if both.size:
        shown = Verbatim(f"row {ground.rows_of(both)[0]}, which does")
        raise invalid("include", "name no row that comes near one of against", shown)
    if rows.size == ground.n:
        raise invalid("against", "leave rows to choose from", Verbatim(f"all {ground.n} rows near one of it"))
    kind = np.full(rows.size, NEAR, dtype="<U16")
    return ground.without(found.places), LeftOut(rows, kind, found.cosine, found.numbers)
