"""Write the groups and the leaders, a task a bucket, and account for both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from ray_subsel.core.items import MULTIPLICITY, ItemBatch
from ray_subsel.core.places import is_in
from ray_subsel.core.types import Indices
from ray_subsel.dedup.borders import (
    Mended,
)
from ray_subsel.dedup.buckets import BucketPlan, Groups
from ray_subsel.stages.near.files import (
    groups_of,
    read_bucket,
    read_row_group,
    table_of,
    write_row_groups,
)
from ray_subsel.stages.near.task import (
    GROUPS,
    ITEM,
    LEADERS,
    SCRATCH,
    NearTask,
    scratch,
)
from ray_subsel.storage.embedding_store import (
    METADATA,
    EmbeddingStore,
    flat_rows,
    part_name,
    vectors_of,
    write_shard,
)
from ray_subsel.storage.run_directory import RunDir


def group(task: NearTask, plan: BucketPlan, mended: Mended, leads: pa.Table, number: int) -> None:
    """Keep the final groups of one task's items, and for each part the rows of the items that its leaders lead."""
    groups = mended.apply(groups_of(task.run.read_table(scratch("home", number))))
    table = pa.concat_tables([read_bucket(task, bucket, ("vector",)) for bucket in plan.tasks[number]])
    assert np.array_equal(table["id"].to_numpy(), groups.ids)
    leaders, at = groups.leaders, np.searchsorted(leads["id"].to_numpy(), groups.leaders)
    mixed = table["label"].to_numpy() != leads["label"].to_numpy()[at]
    rows = int(table[MULTIPLICITY].to_numpy()[mixed].sum())
    if task.order is not None:
        groups = Groups(table[ITEM].to_numpy(), leads[ITEM].to_numpy()[at], groups.cosine)
    final_groups = table_of([groups]).append_column("cell", table["cell"])
    final_groups = final_groups.replace_schema_metadata({METADATA: str(rows).encode()})
    task.run.write_table(part_name(number, GROUPS), final_groups)
    part = leads["part"].to_numpy()[at]
    members = pa.table({"leader": leaders, MULTIPLICITY: table[MULTIPLICITY], "rows": table["rows"]})
    order = np.argsort(part, kind="stable")
    write_row_groups(task.run, scratch("members", number), members.take(pa.array(order)), part, len(plan.tasks))


def mixed_rows(run: RunDir, number: int) -> int:
    """Return how many rows of a part joined one of another label."""
    with run.parquet(part_name(number, GROUPS)) as file:
        return int(file.schema_arrow.metadata[METADATA])


def gather_leaders(task: NearTask, plan: BucketPlan, kept: Indices, number: int) -> None:
    """Keep the leaders of one part as embeddings are, with the multiplicities and the rows of their groups."""
    run = task.run
    blocks = []
    for block in [number, *range(len(plan.tasks), len(run.names(f"{SCRATCH}/kept", ".parquet")))]:
        table = run.read_table(
            scratch("kept", block), ["id", "cell", "vector", *([] if task.order is None else [ITEM])]
        )
        here = is_in(table["id"].to_numpy(), kept)
        here &= plan.task_of(table["id"].to_numpy(), table["cell"].to_numpy()) == number
        blocks.append(table.filter(pa.array(here)))
    table = pa.concat_tables(blocks)
    table = table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))
    parts = [read_row_group(run, scratch("members", other), number) for other in range(len(plan.tasks))]
    found = [part for part in parts if part is not None]
    items, members = _led(table, pa.concat_tables(found) if found else None)
    if task.order is not None:
        items = replace(items, ids=table[ITEM].to_numpy().astype(np.int64))
    write_shard(
        run,
        number,
        items,
        members,
        texts=sum(part.num_rows for part in found),
        partitions=task.store.partitions,
        seed=task.store.seed,
        folder=LEADERS,
        dtype=task.store.dtype,
    )


def _led(table: pa.Table, led: pa.Table | None) -> tuple[ItemBatch, list[list[int]]]:
    """Return leaders, in order of id as ``table`` is, with the multiplicities and the rows of their groups."""
    leaders = table["id"].to_numpy().astype(np.int64)
    multiplicity = np.zeros(leaders.size, dtype=np.int64)
    vectors = vectors_of(table["vector"])
    if led is None:
        return ItemBatch(leaders, vectors, {MULTIPLICITY: multiplicity}), []
    group = np.searchsorted(leaders, led["leader"].to_numpy())
    np.add.at(multiplicity, group, led[MULTIPLICITY].to_numpy())
    flat, places = flat_rows(led["rows"])
    owner = group[places]
    order = np.lexsort((flat, owner))
    edges = np.searchsorted(owner[order], np.arange(1, leaders.size))
    members = [part.tolist() for part in np.split(flat[order], edges)]
    return ItemBatch(leaders, vectors, {MULTIPLICITY: multiplicity}), members


def accounted(store: EmbeddingStore) -> EmbeddingStore | None:
    """Return the leaders if every item of the embeddings is in a group and every row with a leader, else None."""
    if grouped(store.run) != store.n or not store.run.names(LEADERS, ".parquet"):
        return None
    leaders = leaders_of(store.run)
    return leaders if leaders.rows == store.rows else None


def leaders_of(run: RunDir) -> EmbeddingStore:
    """Open the leaders' files."""
    return EmbeddingStore.open_folder(run, LEADERS)


def grouped(run: RunDir) -> int:
    """Return how many items are in a group."""
    found = 0
    for name in run.names(GROUPS, ".parquet"):
        with run.parquet(name) as file:
            found += file.metadata.num_rows
    return found
