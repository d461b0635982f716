"""Write the ground set without some items, or under other ids: a task a shard, of those that are missing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ray_subsel.core.items import MULTIPLICITY, ItemBatch
from ray_subsel.core.types import Indices, Mask
from ray_subsel.runtime.tasks import TaskSpec, map_tasks
from ray_subsel.storage.embedding_store import EmbeddingStore, part_name, vectors_of, write_shard

HINT = "Free some disk or memory"


def without_items(store: EmbeddingStore, ids: Indices, folder: str, *, in_process: bool) -> EmbeddingStore:
    """Return the ground set without some items, in a folder of its own; where there are none, the store itself."""
    if not ids.size:
        return store
    tasks = [
        (
            shard,
            TaskSpec(
                part_name(shard, folder),
                f"write part {shard} of {folder}",
                f"part {shard} of {folder} could not be written",
                HINT,
            ),
        )
        for shard in store.numbers
        if not store.run.exists(part_name(shard, folder))
    ]
    map_tasks(_without, (store, np.sort(ids), folder), tasks, store.run, in_process=in_process)
    return EmbeddingStore.open(store.run, store.numbers, folder)


def smaller_store(store: EmbeddingStore, items: int, rows: int, folder: str) -> EmbeddingStore | None:
    """Return what :func:`without_items` wrote, where it lacks so many items and rows of the store, else None."""
    return there(store, folder, store.n - items, store.rows - rows) if items else store


def there(store: EmbeddingStore, folder: str, items: int, rows: int) -> EmbeddingStore | None:
    """Return what lies in a folder for the shards of a store, where it is so many items and rows, else None."""
    if any(not store.run.exists(part_name(shard, folder)) for shard in store.numbers):
        return None
    found = EmbeddingStore.open(store.run, store.numbers, folder)
    return found if (found.n, found.rows) == (items, rows) else None


def rewrite_shard(
    store: EmbeddingStore, shard: int, folder: str, *, left: Mask | None = None, ids: Indices | None = None
) -> None:
    """Write a shard of a store into another folder.

    Parameters
    ----------
    left : bool array, optional
        Which of its items to write; by default all.
    ids : int64 array, optional
        Other ids of its items.
    """
    meta, table = store.meta(shard), store.read_shard(shard)
    if ids is not None:
        table = table.set_column(table.schema.get_field_index("id"), "id", pa.array(ids))
    if left is not None:
        table = table.filter(pa.array(left))
    counts = table[MULTIPLICITY].to_numpy().astype(np.int64)
    vectors = vectors_of(table["vector"]) if table.num_rows else np.zeros((0, store.d), dtype=np.float32)
    items = ItemBatch(table["id"].to_numpy().astype(np.int64), vectors, {MULTIPLICITY: counts})
    write_shard(
        store.run, shard, items, table["rows"].to_pylist(),
        texts=min(meta.texts, table.num_rows), partitions=store.partitions, seed=store.seed, folder=folder,
        dtype=meta.dtype,
    )  # fmt: skip


def _without(store: EmbeddingStore, ids: Indices, folder: str, shard: int) -> None:
    own = store.read_shard(shard, ["id"])["id"].to_numpy()
    rewrite_shard(store, shard, folder, left=~np.isin(own, ids))
