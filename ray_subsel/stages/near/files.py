"""Read and write the files between the steps: items by bucket, groups, edges."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from ray_subsel.core.types import Indices
from ray_subsel.dedup.borders import Edges
from ray_subsel.dedup.buckets import Bucket, BucketPlan, Groups
from ray_subsel.stages.near.task import (
    NearTask,
    neighbours_of,
    scratch,
)
from ray_subsel.storage.embedding_store import (
    METADATA,
)
from ray_subsel.storage.run_directory import RunDir


def write_row_groups(run: RunDir, name: str, table: pa.Table, where: Indices, total: int) -> None:
    """Write a table that is sorted by ``where``, in [0, total): a row group each."""
    counts = np.bincount(where, minlength=total).tolist()
    run.write_table(name, table.replace_schema_metadata({METADATA: json.dumps(counts).encode()}), row_groups=counts)


def read_row_group(run: RunDir, name: str, number: int, columns: list[str] | None = None) -> pa.Table | None:
    """Read one of the row groups of :func:`write_row_groups`; None where it is empty."""
    with run.parquet(name) as file:
        counts = json.loads(file.schema_arrow.metadata[METADATA])
        if not counts[number]:
            return None
        table = file.read_row_group(sum(1 for count in counts[:number] if count), columns=columns)
        assert table.num_rows == counts[number]
        return table.replace_schema_metadata(None)


def read_bucket(task: NearTask, bucket: int, leave_out: tuple[str, ...] = ()) -> pa.Table:
    """Read a bucket, in ascending order of id."""
    names = [scratch("pieces", shard) for shard in task.store.numbers]
    with task.run.parquet(names[0]) as file:
        columns = [name for name in file.schema_arrow.names if name not in leave_out]
    read = (read_row_group(task.run, name, bucket, columns) for name in names)
    table = pa.concat_tables([one for one in read if one is not None])
    return table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))


def table_of(groups: list[Groups]) -> pa.Table:
    """Return groups as a table."""
    return pa.table(
        {
            "id": np.concatenate([part.ids for part in groups]),
            "leader": np.concatenate([part.leaders for part in groups]),
            "cosine": np.concatenate([part.cosine for part in groups]),
        }
    )


def groups_of(table: pa.Table) -> Groups:
    """Return the groups of a table."""
    return Groups(*(table[name].to_numpy() for name in ("id", "leader", "cosine")))


def write_edges(run: RunDir, name: str, edges: Edges) -> None:
    """Write edges."""
    run.write_table(name, pa.table({"later": edges.later, "earlier": edges.earlier, "cosine": edges.cosine}))


def read_edges(run: RunDir, name: str) -> Edges:
    """Read what :func:`write_edges` wrote."""
    table = run.read_table(name)
    return Edges(*(table[column].to_numpy() for column in ("later", "earlier", "cosine")))


def write_guests(task: NearTask, plan: BucketPlan, number: int, leading: pa.Table) -> None:
    """Keep the items that lead in a part and are near clusters of others: a row group for each other part."""
    places, parts = plan.guests(leading["cell"].to_numpy(), neighbours_of(leading))
    write_row_groups(task.run, scratch("guests", number), leading.take(pa.array(places)), parts, len(plan.tasks))


def read_guests(task: NearTask, home: int, number: int) -> Bucket | None:
    """Read the items of one part that are near clusters of another; None where there are none."""
    table = read_row_group(task.run, scratch("guests", home), number)
    return None if table is None else task.bucket_of(table)


def read_block(task: NearTask, number: int) -> Bucket:
    """Read a part of the items that lead."""
    return task.bucket_of(task.run.read_table(scratch("kept", number)))
