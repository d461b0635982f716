"""Embedding stores of given vectors, for tests of what reads them."""

import numpy as np

from ray_subsel.core.items import MULTIPLICITY, ItemBatch
from ray_subsel.storage.embedding_store import EmbeddingStore, write_shard


def batch(ids, vectors, multiplicity=None):
    """Return items, each of one row unless a multiplicity says otherwise."""
    ids = np.asarray(ids, dtype=np.int64)
    times = np.ones(len(ids), dtype=np.int64) if multiplicity is None else np.asarray(multiplicity, dtype=np.int64)
    return ItemBatch(ids, np.asarray(vectors, dtype=np.float32), {MULTIPLICITY: times})


def write_store(run, X, *, shards, partitions, seed=0, dtype="float32"):
    """Write item i of X into shard i modulo the number of shards, sorted by partitions."""
    ids = np.arange(len(X))
    metas = []
    for shard in range(shards):
        mine = ids[shard::shards]
        metas.append(
            write_shard(
                run,
                shard,
                batch(mine, X[mine]),
                [[int(i)] for i in mine],
                texts=len(mine),
                partitions=partitions,
                seed=seed,
                dtype=dtype,
            )
        )
    return EmbeddingStore(run, tuple(metas))
