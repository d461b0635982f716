"""Find the chosen item that each embedded item is nearest to: a task a shard, and what each chosen one stands for.

``nearest/part-*.parquet`` has a row for each item of ``embeddings/``, near copies included: ``id``, ``nearest`` (the
row that the chosen item is published as) and ``cosine`` to it. Parts that a run which was killed has left are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ray_subsel.core.items import MULTIPLICITY
from ray_subsel.core.places import is_in, places_among
from ray_subsel.core.types import NO_ITEMS, Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.partitioned.nearest_chosen import NearestChosen
from ray_subsel.runtime.progress import bar
from ray_subsel.runtime.tasks import TaskSpec, run_tasks
from ray_subsel.storage.embedding_store import EmbeddingStore, part_name, vectors_of

FOLDER = "nearest"
HINT = "Free some memory"


@dataclass(frozen=True)
class Represented:
    """What the chosen items stand for.

    Attributes
    ----------
    rows : int64 array of shape (k,)
        Rows whose nearest chosen item each one is, by rank; they sum to all rows that were not left out.
    is_exact : bool
        Whether every chosen item was looked at for every item.
    """

    rows: Indices
    is_exact: bool


def find_nearest(
    items: EmbeddingStore,
    store: EmbeddingStore,
    ids: Indices,
    published: Indices,
    left_out: Indices = NO_ITEMS,
    *,
    in_process: bool,
    at_a_time: int | None = None,
) -> Represented:
    """Write ``nearest/`` and return what each chosen item stands for.

    Parameters
    ----------
    items : EmbeddingStore
        Every embedded item.
    store : EmbeddingStore
        That the chosen ones were chosen from.
    ids : int64 array of shape (k,)
        The chosen items in rank order, at least one.
    published : int64 array of shape (k,)
        The row that each is published as.
    left_out : int64 array
        Rows, ascending, that were left out before anything was chosen: they are told what they are nearest to, and
        count for nobody.
    in_process : bool
    at_a_time : int, optional
        Tasks at the same time.
    """
    chosen = NearestChosen.of(unit_rows(store.vectors(ids)), n=items.n)
    tasks = [
        (
            shard,
            TaskSpec(
                part_name(shard, FOLDER),
                f"find nearest chosen of part {shard}",
                f"part {shard} could not be compared with the chosen items",
                HINT,
            ),
        )
        for shard in items.numbers
    ]
    rows = np.zeros(ids.size, dtype=np.int64)
    with bar("nearest chosen", len(tasks), "part") as progress:
        shared = (items, chosen, published, left_out)
        for _, found, _ in run_tasks(_write_part, shared, tasks, items.run, in_process=in_process, at_a_time=at_a_time):
            rows += found
            progress.advance()
    return Represented(rows, chosen.is_exact)


def _write_part(
    items: EmbeddingStore, chosen: NearestChosen, published: Indices, left_out: Indices, shard: int
) -> Indices:
    """Write the part of one shard, unless it is there, and return the rows that each chosen item stands for in it."""
    rows = np.zeros(published.size, dtype=np.int64)
    if items.run.exists(part_name(shard, FOLDER)):
        ranks = _ranks_of_part(items, published, shard)
        if ranks is not None:
            for table in items.row_groups(shard, ["id", MULTIPLICITY]):
                rows += _rows_of(ranks[: table.num_rows], table, left_out, published.size)
                ranks = ranks[table.num_rows :]
            return rows
    parts = []
    for table in items.row_groups(shard, ["id", "vector", MULTIPLICITY]):
        ranks, cosines = chosen.find(unit_rows(vectors_of(table["vector"])))
        rows += _rows_of(ranks, table, left_out, published.size)
        columns = {"nearest": pa.array(published[ranks]), "cosine": pa.array(cosines.astype(np.float32))}
        parts.append(pa.table({"id": table["id"], **columns}))
    schema = pa.schema({"id": pa.int64(), "nearest": pa.int64(), "cosine": pa.float32()})
    items.run.write_table(part_name(shard, FOLDER), pa.concat_tables(parts) if parts else schema.empty_table())
    return rows


def _ranks_of_part(items: EmbeddingStore, published: Indices, shard: int) -> Indices | None:
    """Return the rank of the chosen item nearest to each item, of a part that is there; None where it is of others."""
    part = items.run.read_table(part_name(shard, FOLDER), ["id", "nearest"])
    ids = [table["id"].to_numpy() for table in items.row_groups(shard, ["id"])]
    nearest = part["nearest"].to_numpy()
    ranks = places_among(nearest, published)
    fits = (
        np.array_equal(part["id"].to_numpy(), np.concatenate([*ids, NO_ITEMS])) and (published[ranks] == nearest).all()
    )
    return ranks if fits else None


def _rows_of(ranks: Indices, table: pa.Table, left_out: Indices, k: int) -> Indices:
    """Return the rows that each chosen item stands for, of items and the rank of the chosen one nearest to each."""
    counts = np.where(is_in(table["id"].to_numpy(), left_out), 0, table[MULTIPLICITY].to_numpy())
    return np.bincount(ranks, weights=counts, minlength=k).astype(np.int64)
