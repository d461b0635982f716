"""Embed another set of rows by the embedder of the run, and read its vectors a part at a time.

``vectors/part-*.parquet``, in the folder of the other set's rows, has ``id`` (the lowest row of each distinct text) and
``vector``. Sets with ready vectors have theirs in their rows. A run that was killed embeds the missing parts only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import UnitRows, unit_rows
from ray_subsel.corpus.rows import RowStore, group_equal
from ray_subsel.embedders import Embedder
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.tasks import TaskSpec, run_pool
from ray_subsel.stages.base import RunContext
from ray_subsel.stages.embed import HINT, EmbedTask, cache_for, embedding_of, embedding_pool, open_embedder
from ray_subsel.storage.embedding_store import part_name, vector_column, vectors_of

FOLDER = "vectors"


def embed_others(context: RunContext, rows: RowStore, others: RowStore, d: int, peak: PeakMemory) -> None:
    """Embed the distinct texts of another set that has no ready vectors.

    Parameters
    ----------
    rows : RowStore
        The corpus, for which the embedder was fitted where it is one that learns.
    others : RowStore
        The other set, in a folder of its own.
    d : int
        Dimension of the embeddings.
    """
    run = others.run
    missing = [shard for shard in range(others.shards) if not run.exists(part_name(shard, FOLDER))]
    if not missing:
        return
    plan = embedding_of(context, others, d)
    context.in_process(plan.in_process)
    task, pool = embedding_pool(context, rows, plan, cache_for(context, others, d), run.path(FOLDER))
    tasks = [
        (shard, TaskSpec(part_name(shard, FOLDER), f"part {shard} of {run.path()} could not be embedded", HINT))
        for shard in missing
    ]
    shared = (task, context.config.embed.embedder_class, others)
    for _, _, used in run_pool(_worker, shared, tasks, run, in_process=plan.in_process, pool=pool):
        peak.add(used)


def _worker(task: EmbedTask, kind: type[Embedder], others: RowStore) -> Callable[[int], int]:
    embedder = open_embedder(task, kind)
    assert embedder is not None

    def embed(shard: int) -> int:
        table = others.shard(shard, ["id", "key", "text"])
        groups = group_equal(table)
        texts = table["text"].take(pa.array(groups.first)).to_pylist()
        vectors = embedder.embed(texts) if texts else np.zeros((0, embedder.dimension), dtype=np.float32)
        found = pa.table({"id": groups.leads, "vector": vector_column(vectors, "float32")})
        others.run.write_table(part_name(shard, FOLDER), found)
        return len(texts)

    return embed


def vectors_of_others(others: RowStore) -> Iterator[tuple[Indices, UnitRows]]:
    """Yield the rows and unit vectors of another set, a part at a time; of equal texts that were embedded the first."""
    for shard in range(others.shards):
        if others.dimension is not None:
            table = others.shard(shard, ["id", "vector"])
        else:
            table = others.run.read_table(part_name(shard, FOLDER))
        if table.num_rows:
            ids = table["id"].to_numpy().astype(np.int64)
            yield ids, unit_rows(vectors_of(table["vector"]), parameter="vectors", numbers=ids)
