"""Write the embedded ground set without some items, a task a shard; a run that was killed writes the missing shards."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ray_subsel.core.items import MULTIPLICITY, ItemBatch
from ray_subsel.core.types import Indices
from ray_subsel.runtime.tasks import TaskSpec, map_tasks
from ray_subsel.storage.embedding_store import EmbeddingStore, part_name, vectors_of, write_shard

HINT = "Free some disk or memory"


def without_items(store: EmbeddingStore, ids: Indices, folder: str, *, in_process: bool) -> EmbeddingStore:
    """Return the ground set without some items, in a folder of its own; where there are none, the store itself."""
    if not ids.size:
        return store
    tasks = [
        (shard, TaskSpec(part_name(shard, folder), f"part {shard} of {folder} could not be written", HINT))
        for shard in store.numbers
        if not store.run.exists(part_name(shard, folder))
    ]
    map_tasks(_without, (store, np.sort(ids), folder), tasks, store.run, in_process=in_process)
    return EmbeddingStore.open(store.run, store.numbers, folder)


def smaller_store(store: EmbeddingStore, items: int, rows: int, folder: str) -> EmbeddingStore | None:
    """Return what :func:`without_items` wrote, where it lacks so many items and rows of the store, else None."""
    if not items:
        return store
    if any(not store.run.exists(part_name(shard, folder)) for shard in store.numbers):
        return None
    found = EmbeddingStore.open(store.run, store.numbers, folder)
    return found if (found.n, found.rows) == (store.n - items, store.rows - rows) else None


def _without(store: EmbeddingStore, ids: Indices, folder: str, shard: int) -> None:
    meta, table = store.meta(shard), store.read_shard(shard)
    table = table.filter(pa.array(~np.isin(table["id"].to_numpy(), ids)))
    counts = table[MULTIPLICITY].to_numpy().astype(np.int64)
    vectors = vectors_of(table["vector"]) if table.num_rows else np.zeros((0, store.d), dtype=np.float32)
    items = ItemBatch(table["id"].to_numpy().astype(np.int64), vectors, {MULTIPLICITY: counts})
    write_shard(
        store.run, shard, items, table["rows"].to_pylist(),
        texts=min(meta.texts, table.num_rows), partitions=store.partitions, seed=store.seed, folder=folder,
        dtype=meta.dtype,
    )  # fmt: skip
