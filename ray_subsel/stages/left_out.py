"""Tell which rows a run has left out before anything was chosen."""

from __future__ import annotations

import numpy as np

from ray_subsel.core.types import NO_ITEMS, Indices
from ray_subsel.corpus.rows import RowStore
from ray_subsel.stages.drop_doubtful import DROPPED
from ray_subsel.stages.exclude_contaminated import CONTAMINATED


def contaminated_rows(rows: RowStore) -> Indices:
    """Return the rows that were left out because they repeat another set, ascending."""
    return _ids(rows, CONTAMINATED)


def left_out_rows(rows: RowStore) -> Indices:
    """Return the rows that were left out, ascending: those that repeat another set, and doubtful ones."""
    return np.union1d(contaminated_rows(rows), _ids(rows, DROPPED))


def _ids(rows: RowStore, table: str) -> Indices:
    if not rows.run.exists(table):
        return NO_ITEMS
    return np.sort(rows.run.read_table(table, ["id"])["id"].to_numpy().astype(np.int64))
