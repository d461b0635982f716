"""Group equal rows of one shard, where all copies of a text meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True)
class EqualGroups:
    """The rows of a shard, grouped by equal key; groups in order of their lead.

    Attributes
    ----------
    leads : int64 array of shape (g,)
        Each group's lowest row id, ascending.
    multiplicity : int64 array of shape (g,)
        Rows of each group.
    members : list of g int64 arrays
        The row ids of each group, ascending; ``members[j][0] == leads[j]``.
    first : int64 array of shape (g,)
        The position of each lead in the table.
    group_of : int64 array of shape (rows,)
        The group of each row of the table.
    """

    leads: NDArray[np.int64]
    multiplicity: NDArray[np.int64]
    members: list[NDArray[np.int64]]
    first: NDArray[np.int64]
    group_of: NDArray[np.int64]


def group_equal(table: pa.Table) -> EqualGroups:
    """Group the rows of one shard by ``key``; the lowest row id leads.

    Parameters
    ----------
    table : pa.Table
        With ``id`` and ``key``, in any order of rows.
    """
    ids = table["id"].to_numpy().astype(np.int64, copy=False)
    if not len(ids):
        none = np.zeros(0, dtype=np.int64)
        return EqualGroups(none, none, [], none, none)
    keys = np.array(table["key"].to_pylist(), dtype=object)
    # Numbering keys by first sight in order of id makes the groups come out in order of their leads.
    by_id = np.argsort(ids, kind="stable")
    seen: dict[bytes, int] = {}
    group_of = np.empty(len(ids), dtype=np.int64)
    group_of[by_id] = [seen.setdefault(key, len(seen)) for key in keys[by_id]]
    grouped = by_id[np.argsort(group_of[by_id], kind="stable")]
    multiplicity = np.bincount(group_of, minlength=len(seen)).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(multiplicity)[:-1]])
    first = grouped[starts]
    members = np.split(ids[grouped], starts[1:])
    return EqualGroups(ids[first], multiplicity, members, first, group_of)
