"""Say what left a selection and what came with an update, and why."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ray_subsel.core.types import Indices
from ray_subsel.selection.renew import Renewed

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("what", pa.string()),
        ("instead_of", pa.int64()),
        ("rise", pa.float64()),
        ("why", pa.string()),
    ]
)


def changes_of(ids: Indices, renewed: Renewed, k: int, *, before: Indices, withdrawn: Indices) -> pa.Table:
    """Return what left and what came, by id, with the reasons.

    Parameters
    ----------
    ids : int64 array of shape (n,)
        Of the items that there are now.
    renewed : Renewed
    k : int
    before : int64 array
        What was chosen before.
    withdrawn : int64 array
        Those of it that were withdrawn.
    """
    lines: list[dict[str, Any]] = []
    value = abs(renewed.value) or 1.0

    def tell(item: int, what: str, why: str, other: int | None, rise: float | None) -> None:
        lines.append({"id": item, "what": what, "instead_of": other, "rise": rise, "why": why})

    for item in withdrawn.tolist():
        tell(item, "left", "withdrawn", None, None)
    places = withdrawn.tolist()
    for change in renewed.changes:
        assert change.into is not None
        into, by = int(ids[change.into]), f"f rose by {100 * change.rise / value:.3g} %"
        if change.out is not None:
            out = int(ids[change.out])
            tell(out, "left", f"row {into} took its place: {by}", into, change.rise)
            tell(into, "came", f"took the place of row {out}: {by}", out, change.rise)
        elif places:
            out = places.pop(0)
            tell(into, "came", f"fills the place of row {out}, which was withdrawn", out, change.rise)
        else:
            tell(into, "came", f"k is {k:,}, {before.size:,} rows were chosen", None, change.rise)
    return pa.Table.from_pylist(lines, SCHEMA).sort_by([("what", "descending"), ("id", "ascending")])
