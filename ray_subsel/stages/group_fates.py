"""Tell what became of the items of groups that were chosen from on their own, and what the groups came to.

``nearest/part-*.parquet`` has a row for each item of each group, a file a pack: ``id`` (the item's lowest row in the
group), ``rows``, ``group`` (a number), ``nearest`` (the row that the nearest chosen item of the group is published as)
and ``cosine`` to it, ``leader`` (the item that it joined as a near copy, else itself) and ``leader_cosine``, and
``full`` (whether its label holds as many as it may).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import row_dots, unit_rows
from ray_subsel.decisions.profile import quartiles
from ray_subsel.selection.per_group import GroupPicks
from ray_subsel.selection.weigh import nearest_of
from ray_subsel.stages.nearest import FOLDER as NEAREST
from ray_subsel.storage.run_directory import RunDir

SHOWN_LARGEST, SHOWN_FURTHEST = 20, 10
"""Groups that the report shows."""


def fates_of(
    picks: GroupPicks,
    vectors: NDArray[Any],
    published: Indices,
    ids: Indices,
    labels: NDArray[Any] | None,
) -> pa.Table:
    """Return what became of each item of a group.

    Those columns of the file that a group's own vectors tell; ``nearest`` is -1 where nothing is chosen.

    Parameters
    ----------
    published : int64 array
        The row that each item is published as where it is chosen.
    ids : int64 array
        Its lowest row in the group.
    labels : array or None
        Of each, where labels limit the choice.
    """
    n = ids.size
    nearest, cosines = np.full(n, -1), np.zeros(n)
    if picks.rows.size:
        ranks, cosines = nearest_of(vectors, picks.rows)
        nearest = published[picks.rows][ranks]
    leaders = np.arange(n) if picks.leaders is None else picks.leaders
    joined, to_leader = np.flatnonzero(leaders != np.arange(n)), np.ones(n)
    if joined.size:
        unit = unit_rows(vectors)
        to_leader[joined] = row_dots(unit.take(joined), unit.take(leaders[joined]))
    full_labels = () if picks.made is None else picks.made.full_groups
    full = np.zeros(n, dtype=np.bool_)
    if labels is not None and full_labels:
        full = np.isin(labels.astype(str), [str(label) for label in full_labels])
    return pa.table(
        {
            "id": ids,
            "nearest": pa.array(nearest, pa.int64()),
            "cosine": pa.array(cosines.astype(np.float32)),
            "leader": ids[leaders],
            "leader_cosine": pa.array(to_leader.astype(np.float32)),
            "full": full,
        }
    )


def about_groups(run: RunDir, names: tuple[str, ...], chosen: Indices) -> dict[str, Any]:
    """Return what the report says of groups: the largest, and those whose rows are furthest from their chosen ones."""
    items, rows, copies = (np.zeros(len(names), dtype=np.int64) for _ in range(3))
    cosines = np.zeros(len(names))
    for name in run.names(NEAREST, ".parquet"):
        table = run.read_table(name, ["id", "group", "rows", "leader", "cosine"])
        group, counts = table["group"].to_numpy(), pc.list_value_length(table["rows"]).to_numpy().astype(np.int64)
        items += np.bincount(group, minlength=len(names))
        np.add.at(rows, group, counts)
        np.add.at(copies, group, (table["leader"].to_numpy() != table["id"].to_numpy()).astype(np.int64))
        cosines += np.bincount(group, weights=counts * table["cosine"].to_numpy(), minlength=len(names))
    mean = cosines / np.maximum(rows, 1)

    def lines(order: Indices) -> list[dict[str, Any]]:
        return [
            {
                "group": names[g], "rows": int(rows[g]), "items": int(items[g]), "near_copies": int(copies[g]),
                "chosen": int(chosen[g]), "cosine": round(float(mean[g]), 4) if chosen[g] else None,
            }
            for g in order.tolist()
        ]  # fmt: skip

    place, some = np.arange(len(names)), np.flatnonzero(chosen)
    return {
        "largest": lines(np.lexsort((place, -rows))[:SHOWN_LARGEST]),
        "furthest": lines(some[np.lexsort((some, mean[some]))[:SHOWN_FURTHEST]]),
        "chosen": quartiles(chosen),
        "rows": quartiles(rows),
        "cosine": quartiles(mean[some]),
    }
