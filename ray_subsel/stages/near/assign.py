"""Assign the items to clusters, and sort them into buckets: sample, fit, assign, shuffle."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.core.errors import InputError
from ray_subsel.core.items import MULTIPLICITY
from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.dedup.buckets import BucketPlan
from ray_subsel.dedup.clusters import Centres, fit_centres, in_sample
from ray_subsel.stages.near.files import (
    write_row_groups,
)
from ray_subsel.stages.near.task import (
    CENTRES,
    ITEM,
    SCRATCH,
    NearTask,
    scratch,
)
from ray_subsel.storage.embedding_store import (
    vector_type,
    vectors_of,
)


def keep_sample(task: NearTask, shard: int) -> None:
    """Keep the items of a part that belong to the sample: those whose hash is low enough."""
    n, d, size = task.store.n, task.store.d, task.settings.cluster_size
    kind = vector_type(d, task.store.dtype)
    sampled = [pa.table({"id": pa.array([], pa.int64()), "vector": pa.array([], kind)})]
    for table in task.store.row_groups(shard, ["id", "vector"]):
        ids = task.places(shard, table["id"].to_numpy().astype(np.int64))
        chosen = np.flatnonzero(in_sample(ids, n=n, d=d, cluster_size=size, seed=task.settings.seed))
        table = table.set_column(0, "id", pa.array(ids)).replace_schema_metadata(None)
        sampled.append(table.take(pa.array(chosen)))
    task.run.write_table(scratch("sample", shard), pa.concat_tables(sampled))


def fit(task: NearTask, _: int) -> None:
    """Keep the centres of the sample's clusters."""
    sample = pa.concat_tables([task.run.read_table(scratch("sample", shard)) for shard in task.store.numbers])
    ids = sample["id"].to_numpy()
    order = np.argsort(ids, kind="stable")
    rows = unit_rows(vectors_of(sample["vector"])[order], parameter="vectors", numbers=ids[order])
    stream = io.BytesIO()
    np.savez(stream, centres=fit_centres(rows, task.settings, n=task.store.n).vectors)
    task.run.write_bytes(CENTRES, stream.getvalue())


def centres_of(task: NearTask) -> Centres:
    """Read the centres; raises InputError where they are damaged."""
    try:
        with np.load(io.BytesIO(task.run.read_bytes(CENTRES)), allow_pickle=False) as archive:
            return Centres(archive["centres"])
    except Exception as error:  # a damaged archive fails in zipfile, zlib or numpy
        raise InputError(
            f"{task.run.path(CENTRES)} must hold centres of clusters; it could not be read ({error}). "
            f"Delete {SCRATCH} and run the same command again."
        ) from error


def assign(task: NearTask, shard: int) -> None:
    """Keep the cluster of each item of a part, those next to it and its label, in the order of the part."""
    centres = centres_of(task)
    found = [(np.zeros(0, np.int64), *centres.assign_none())]
    with block_workers():
        for table in task.store.row_groups(shard, ["id", "vector"]):
            some = table["id"].to_numpy().astype(np.int64)
            rows = unit_rows(vectors_of(table["vector"]), parameter="vectors", numbers=some)
            found.append((some, *centres.assign(rows, task.settings.reach)))
    ids, clusters, beside = (np.concatenate(parts) for parts in zip(*found, strict=True))
    label = np.zeros(ids.size, dtype=np.int64) if task.labels is None else task.labels.of(task.store, shard, ids)
    columns = {"id": task.places(shard, ids), "cell": clusters, "label": label}
    columns |= {f"beside{place}": beside[:, place] for place in range(beside.shape[1])}
    task.run.write_table(scratch("cells", shard), pa.table(columns))


def cluster_counts(task: NearTask) -> Indices:
    """Return how many items each cluster has."""
    counts = np.zeros(centres_of(task).n_clusters, dtype=np.int64)
    for shard in task.store.numbers:
        cells = task.run.read_table(scratch("cells", shard), ["cell"])["cell"]
        counts += np.bincount(cells.to_numpy(), minlength=counts.size)
    return counts


def ids_of(task: NearTask, cluster: int) -> Indices:
    """Return the ids of the items of a cluster."""
    found = []
    for shard in task.store.numbers:
        table = task.run.read_table(scratch("cells", shard), ["id", "cell"])
        found.append(table.filter(pc.equal(table["cell"], cluster))["id"].to_numpy())
    return np.concatenate(found)


def shuffle(task: NearTask, plan: BucketPlan, shard: int) -> None:
    """Sort the items of a part by bucket and id, a row group a bucket."""
    table = task.store.read_shard(shard, ["id", "vector", MULTIPLICITY, "rows"])
    cells = task.run.read_table(scratch("cells", shard))
    ids = cells["id"].to_numpy()
    if task.order is not None:
        table = table.rename_columns([ITEM, *table.column_names[1:]]).append_column("id", cells["id"])
    buckets = plan.bucket_of(ids, cells["cell"].to_numpy())
    order = np.lexsort((ids, buckets))
    for name in cells.column_names[1:]:
        table = table.append_column(name, cells[name])
    write_row_groups(task.run, scratch("pieces", shard), table.take(pa.array(order)), buckets, plan.n_buckets)
