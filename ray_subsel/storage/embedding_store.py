"""The embeddings of a run on disk: one Parquet file a shard, in it one row group a partition.

``embeddings/part-<shard>.parquet`` holds the items of one shard: ``id`` (the lowest row id among equal texts),
``vector`` (unit, FixedSizeList<float32>[d]), ``multiplicity`` and ``rows`` (every row id that the item stands for).
Rows are sorted into row groups by partition and by id inside, so a partition reads its own row group of each file and
nothing else. The file's metadata carries the number of items of each partition and the exact sum of the vectors, from
which t is reduced without another pass.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ray_subsel.core.errors import InputError
from ray_subsel.core.exact_sum import ExactSum, exact_total
from ray_subsel.core.hashing import partition_of
from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.storage.run_directory import RunDir

Vectors = NDArray[np.float32]

FOLDER = "embeddings"
METADATA = b"ray_subsel"


def part_name(shard: int, folder: str = FOLDER) -> str:
    """Return the file of a shard's embeddings, or of another folder's part."""
    return f"{folder}/part-{shard:05d}.parquet"


@dataclass(frozen=True)
class Items:
    """Some items of the ground set, in ascending order of id.

    Attributes
    ----------
    ids : int64 array of shape (p,)
    vectors : float32 array of shape (p, d)
        Unit rows.
    multiplicity : int64 array of shape (p,)
        How many rows each item stands for.
    """

    ids: Indices
    vectors: Vectors
    multiplicity: Indices


@dataclass(frozen=True)
class ShardMeta:
    """What the metadata of one part says, without its vectors being read.

    Attributes
    ----------
    shard : int
    items, rows, texts : int
        Items of the ground set, rows they stand for, and distinct texts (or vectors) that were embedded.
    dimension : int
        0 where the shard is empty.
    seed : int
        Seed of the random partition by which the file is sorted.
    partition_items : tuple of int
        Items of each partition; they sum to ``items``.
    total : ExactSum or None
        The sum of the vectors; None where the shard is empty.
    folder : str
        Where the part is.
    """

    shard: int
    items: int
    rows: int
    texts: int
    dimension: int
    seed: int
    partition_items: tuple[int, ...]
    total: ExactSum | None
    folder: str = FOLDER

    def sorted_by(self, partitions: int, seed: int) -> bool:
        """Tell whether the file's row groups are these partitions."""
        return self.seed == seed and len(self.partition_items) == partitions


def write_part(
    run: RunDir,
    shard: int,
    items: Items,
    members: Sequence[Sequence[int]],
    *,
    texts: int,
    partitions: int,
    seed: int,
    folder: str = FOLDER,
) -> ShardMeta:
    """Write the part of one shard and return its facts.

    Parameters
    ----------
    members : sequence of sequences of int
        The row ids that each item stands for.
    texts : int
        Distinct texts in the shard.
    partitions, seed : int
        The random partition: :func:`ray_subsel.core.hashing.partition_of`.
    folder : str
    """
    where = partition_of(items.ids, partitions, seed)
    order = np.lexsort((items.ids, where))
    counts = np.bincount(where, minlength=partitions).tolist()
    n, d = items.vectors.shape
    total = exact_total(unit_rows(items.vectors, parameter="vectors")) if n else None
    facts = ShardMeta(shard, n, int(items.multiplicity.sum()), texts, d if n else 0, seed, tuple(counts), total, folder)
    flat = pa.array(np.ascontiguousarray(items.vectors[order], dtype=np.float32).reshape(-1))
    table = pa.table(
        {
            "id": pa.array(items.ids[order], pa.int64()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, max(d, 1)),
            "multiplicity": pa.array(items.multiplicity[order], pa.int64()),
            "rows": pa.array([list(members[i]) for i in order], pa.list_(pa.int64())),
        }
    )
    table = table.replace_schema_metadata({METADATA: json.dumps(_to_json(facts)).encode()})
    run.write_table(part_name(shard, folder), table, row_groups=counts)
    return facts


def read_facts(run: RunDir, shard: int, folder: str = FOLDER) -> ShardMeta:
    """Read a part's facts from its metadata."""
    name = part_name(shard, folder)
    with run.parquet(name) as file:
        metadata, rows = file.schema_arrow.metadata or {}, file.metadata.num_rows
    if METADATA not in metadata:
        raise InputError(
            f"{run.path(name)} must be a part that this program wrote; its metadata says nothing. "
            "Delete it and run the same command again."
        )
    facts = _from_json(json.loads(metadata[METADATA]), folder)
    if not rows == facts.items == sum(facts.partition_items):
        raise InputError(
            f"{run.path(name)} must hold {facts.items} items; got {rows}. Delete it and run the same command again."
        )
    return facts


def read_partition(run: RunDir, facts: Sequence[ShardMeta], partition: int) -> Items:
    """Read all items of one partition, in ascending order of id: one row group of each part."""
    return read_partitions(run, facts, [partition])


def read_partitions(run: RunDir, facts: Sequence[ShardMeta], partitions: Sequence[int]) -> Items:
    """Read all items of some partitions, in ascending order of id, into one array."""
    count = sum(fact.partition_items[partition] for fact in facts for partition in partitions)
    dimension = max((fact.dimension for fact in facts), default=0)
    ids, multiplicity = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    vectors = np.empty((count, dimension), dtype=np.float32)
    start = 0
    pieces = (piece for partition in partitions for piece in _pieces(run, facts, partition))
    for piece in pieces:  # one at a time: no more than the vectors and a piece in memory
        stop = start + len(piece.ids)
        ids[start:stop], vectors[start:stop], multiplicity[start:stop] = piece.ids, piece.vectors, piece.multiplicity
        start = stop
    order = np.argsort(ids, kind="stable")
    _reorder(vectors, order)
    return Items(ids[order], vectors, multiplicity[order])


def _pieces(run: RunDir, facts: Sequence[ShardMeta], partition: int) -> Iterator[Items]:
    """Yield what each part holds of a partition."""
    for fact in facts:
        if not fact.partition_items[partition]:
            continue
        group = sum(1 for count in fact.partition_items[:partition] if count)  # empty groups are not written
        with run.parquet(part_name(fact.shard, fact.folder)) as file:
            table = file.read_row_group(group, columns=["id", "vector", "multiplicity"])
        if table.num_rows != fact.partition_items[partition]:
            raise InputError(
                f"{run.path(part_name(fact.shard, fact.folder))} must hold {fact.partition_items[partition]} items of "
                f"partition {partition}; got {table.num_rows}. Delete it and run the same command again."
            )
        yield _items(table)


def _reorder(vectors: Vectors, order: Indices) -> None:
    """Put ``vectors[order]`` in the place of ``vectors``, a few columns at a time and so without a second copy."""
    step = max(16, vectors.shape[1] // 8)  # a cache line
    for start in range(0, vectors.shape[1], step):
        vectors[:, start : start + step] = vectors[order, start : start + step]


def fact_of(facts: Sequence[ShardMeta], shard: int) -> ShardMeta:
    """Return the facts of one part."""
    return next(fact for fact in facts if fact.shard == shard)


def row_groups(run: RunDir, fact: ShardMeta, columns: list[str]) -> Iterator[pa.Table]:
    """Yield the rows of a part, one row group after the other."""
    with run.parquet(part_name(fact.shard, fact.folder)) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=columns)


def repartition(run: RunDir, partitions: int, seed: int, part: ShardMeta) -> ShardMeta:
    """Sort a part by another random partition; nothing is embedded again."""
    shard, folder = part.shard, part.folder
    facts = read_facts(run, shard, folder)
    if facts.sorted_by(partitions, seed):
        return facts
    table = run.read_table(part_name(shard, folder))
    members = table["rows"].to_pylist()
    return write_part(
        run, shard, _items(table), members, texts=facts.texts, partitions=partitions, seed=seed, folder=folder
    )


def read_members(run: RunDir, shard: int, folder: str = FOLDER) -> pa.Table:
    """Read ``id``, ``multiplicity`` and ``rows`` of the items of one shard."""
    return run.read_table(part_name(shard, folder), columns=["id", "multiplicity", "rows"])


def vectors_of(column: pa.ChunkedArray) -> Vectors:
    """Return a FixedSizeList<float32> column as an array of shape (n, d)."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # what no chunk at all becomes
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    # flatten() and not values: the latter forgets the offset of a slice.
    flat = array.flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat, dtype=np.float32).reshape(len(array), array.type.list_size)


def _items(table: pa.Table) -> Items:
    ids = table["id"].to_numpy().astype(np.int64)
    return Items(ids, vectors_of(table["vector"]), table["multiplicity"].to_numpy().astype(np.int64))


def _to_json(facts: ShardMeta) -> dict[str, Any]:
    total = None if facts.total is None else {"high": facts.total.high.tolist(), "low": facts.total.low.tolist()}
    return {
        "shard": facts.shard,
        "items": facts.items,
        "rows": facts.rows,
        "texts": facts.texts,
        "dimension": facts.dimension,
        "seed": facts.seed,
        "partition_items": list(facts.partition_items),
        "total": total,
    }


def _from_json(content: dict[str, Any], folder: str) -> ShardMeta:
    total = content["total"]
    exact = None if total is None else ExactSum(np.array(total["high"], np.int64), np.array(total["low"], np.int64))
    return ShardMeta(
        content["shard"],
        content["items"],
        content["rows"],
        content["texts"],
        content["dimension"],
        content["seed"],
        tuple(content["partition_items"]),
        exact,
        folder,
    )
