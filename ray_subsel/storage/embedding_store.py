"""Store the embedded ground set of a run: one Parquet file a shard, in it one row group a partition.

``embeddings/part-<shard>.parquet`` holds the items of one shard: ``id`` (the lowest row id among equal texts),
``vector`` (unit, FixedSizeList[d] of float32 or float16), ``multiplicity`` and ``rows`` (every row id that the item
stands for). Vectors of float16 are widened to float32 when they are read, which changes no number.
Rows are sorted into row groups by partition and by id inside, so a partition reads its own row group of each file and
nothing else. The file's metadata carries the number of items of each partition and the exact sum of the vectors, from
which t is reduced without another pass.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.core.errors import InputError
from ray_subsel.core.exact_sum import ExactSum, summed_unit_rows
from ray_subsel.core.hashing import partition_of
from ray_subsel.core.items import MULTIPLICITY, UTILITY, ItemBatch
from ray_subsel.core.places import is_in
from ray_subsel.core.types import VECTOR_DTYPES, Float32s, Float64s, Floats, Indices
from ray_subsel.storage.run_directory import RunDir

FOLDER = "embeddings"
_ARROW = {"float32": pa.float32(), "float16": pa.float16()}
METADATA = b"ray_subsel"


def part_name(shard: int, folder: str = FOLDER) -> str:
    """Return the file of a shard's embeddings, or of another folder's part."""
    return f"{folder}/part-{shard:05d}.parquet"


class Layout(Protocol):
    """A partition of the ground set that is not random. Picklable."""

    @property
    def name(self) -> str:
        """What tells it from others: equal names mean equal partitions."""

    @property
    def partitions(self) -> int:
        """How many there are."""

    def of(self, items: ItemBatch) -> Indices:
        """Return the partition of each item."""


@dataclass(frozen=True)
class ShardMeta:
    """What the metadata of one shard's file says, without its vectors being read.

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
        Where the file is.
    layout : str
        What names the partition where it is not the random one of the seed.
    dtype : str
        Of the vectors on disk, one of :data:`ray_subsel.core.types.VECTOR_DTYPES`.
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
    layout: str = ""
    dtype: str = "float32"

    @property
    def name(self) -> str:
        """The file, relative to the run directory."""
        return part_name(self.shard, self.folder)

    def sorted_by(self, partitions: int, seed: int) -> bool:
        """Tell whether the file's row groups are these partitions."""
        return not self.layout and self.seed == seed and len(self.partition_items) == partitions

    def row_group_of(self, partition: int) -> int | None:
        """Return the number of a partition's row group, or None where it has no items here: such are not written."""
        if not self.partition_items[partition]:
            return None
        return sum(1 for count in self.partition_items[:partition] if count)


@dataclass(frozen=True, eq=False)
class EmbeddingStore:
    """An embedded ground set on disk: files of some shards, sorted by one random partition. Small and picklable.

    Attributes
    ----------
    run : RunDir
    shards : tuple of ShardMeta
        At least one.
    utilities : str
        A folder with the same items in the same row groups, and the ``utility`` of each; empty: there is none.
    """

    run: RunDir
    shards: tuple[ShardMeta, ...]
    utilities: str = ""

    @staticmethod
    def open(run: RunDir, shards: Iterable[int], folder: str = FOLDER) -> EmbeddingStore:
        """Read the metadata of the files of some shards."""
        return EmbeddingStore(run, tuple(read_meta(run, shard, folder) for shard in shards))

    @staticmethod
    def open_folder(run: RunDir, folder: str) -> EmbeddingStore:
        """Read the metadata of all files of a folder."""
        names = run.names(folder, ".parquet")
        return EmbeddingStore.open(run, [int(name[-len("00000.parquet") : -len(".parquet")]) for name in names], folder)

    @property
    def folder(self) -> str:
        """The folder of the files."""
        return self.shards[0].folder

    @property
    def numbers(self) -> list[int]:
        """The numbers of the shards."""
        return [meta.shard for meta in self.shards]

    @property
    def n(self) -> int:
        """Items of the ground set."""
        return sum(meta.items for meta in self.shards)

    @property
    def rows(self) -> int:
        """Rows that the items stand for."""
        return sum(meta.rows for meta in self.shards)

    @property
    def texts(self) -> int:
        """Distinct texts (or vectors) that were embedded."""
        return sum(meta.texts for meta in self.shards)

    @property
    def d(self) -> int:
        """The dimension."""
        return max((meta.dimension for meta in self.shards), default=0)

    @property
    def dtype(self) -> str:
        """Type of the numbers of the vectors on disk."""
        return self.shards[0].dtype

    @property
    def partitions(self) -> int:
        """How many partitions the files are sorted by."""
        return len(self.shards[0].partition_items)

    @property
    def seed(self) -> int:
        """Seed of the random partition."""
        return self.shards[0].seed

    @property
    def partition_sizes(self) -> list[int]:
        """Items of each partition."""
        return [sum(meta.partition_items[q] for meta in self.shards) for q in range(self.partitions)]

    def total(self) -> Float64s:
        """Return t, the sum of all unit vectors, shape (d,)."""
        exact = ExactSum.zero(self.d)
        for meta in self.shards:
            if meta.total is not None:
                exact = exact + meta.total
        return exact.vector()

    def meta(self, shard: int) -> ShardMeta:
        """Return the metadata of one shard."""
        return next(meta for meta in self.shards if meta.shard == shard)

    def replaced(self, metas: Iterable[ShardMeta]) -> EmbeddingStore:
        """Return the store with the metadata of some shards renewed."""
        fresh = {meta.shard: meta for meta in metas}
        return replace(self, shards=tuple(fresh.get(meta.shard, meta) for meta in self.shards))

    def read_partition(self, partition: int) -> ItemBatch:
        """Read all items of one partition, in ascending order of id: one row group of each file."""
        return self.read_partitions([partition])

    def read_partitions(self, partitions: Sequence[int]) -> ItemBatch:
        """Read all items of some partitions, in ascending order of id, into one array."""
        count = sum(meta.partition_items[partition] for meta in self.shards for partition in partitions)
        ids, multiplicity = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
        vectors = np.empty((count, self.d), dtype=np.float32)
        utility = np.empty(count) if self.utilities else None
        start = 0
        pieces = (piece for partition in partitions for piece in self._pieces(partition))
        for piece in pieces:  # one at a time: no more than the vectors and a piece in memory
            stop = start + len(piece)
            ids[start:stop], vectors[start:stop] = piece.ids, piece.vectors
            multiplicity[start:stop] = piece.columns[MULTIPLICITY]
            if utility is not None:
                utility[start:stop] = piece.columns[UTILITY]
            start = stop
        order = np.argsort(ids, kind="stable")
        _reorder(vectors, order)
        columns = {MULTIPLICITY: multiplicity[order]}
        return ItemBatch(ids[order], vectors, columns if utility is None else {**columns, UTILITY: utility[order]})

    def read_all(self) -> ItemBatch:
        """Read the whole ground set, in ascending order of id."""
        return self.read_partitions(range(self.partitions))

    def _pieces(self, partition: int) -> Iterator[ItemBatch]:
        """Yield what each file holds of a partition."""
        for meta in self.shards:
            group = meta.row_group_of(partition)
            if group is None:
                continue
            with self.run.parquet(meta.name) as file:
                table = file.read_row_group(group, columns=["id", "vector", MULTIPLICITY])
            if table.num_rows != meta.partition_items[partition]:
                raise InputError(
                    f"{self.run.path(meta.name)} must hold {meta.partition_items[partition]} items of "
                    f"partition {partition}; got {table.num_rows}. Delete it and run the same command again."
                )
            items = _items_of(table)
            yield self._with_utilities(items, meta.shard, group) if self.utilities else items

    def _with_utilities(self, items: ItemBatch, shard: int, group: int) -> ItemBatch:
        """Return the items of a row group with the column ``utility``."""
        name = part_name(shard, self.utilities)
        with self.run.parquet(name) as file:
            table = file.read_row_group(group, columns=["id", UTILITY])
        if not np.array_equal(table["id"].to_numpy(), items.ids):
            raise InputError(
                f"{self.run.path(name)} must be about the items of {self.run.path(part_name(shard, self.folder))}; it "
                f"is not. Delete {self.run.path(self.utilities)} and run the same command again."
            )
        return ItemBatch(items.ids, items.vectors, {**items.columns, UTILITY: table[UTILITY].to_numpy()})

    def row_groups(self, shard: int, columns: list[str]) -> Iterator[pa.Table]:
        """Yield the items of a shard, one row group after the other."""
        with self.run.parquet(self.meta(shard).name) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=columns)

    def vectors(self, ids: Indices) -> Float32s:
        """Read the vectors of some items, in their order, one row group after the other. Shape (len(ids), d).

        An item may be named more than once.
        """
        ascending, places_of = np.unique(ids, return_inverse=True)
        found = np.empty((ascending.size, self.d), dtype=np.float32)
        for shard in self.numbers:
            for table in self.row_groups(shard, ["id", "vector"]):
                there = table["id"].to_numpy()
                wanted = is_in(there, ascending)
                if wanted.any():
                    places = np.searchsorted(ascending, there[wanted])
                    found[places] = vectors_of(table["vector"].filter(pa.array(wanted)))
        return found if np.array_equal(ascending, ids) else found[places_of]

    def read_shard(self, shard: int, columns: list[str] | None = None) -> pa.Table:
        """Read the items of a shard."""
        return self.run.read_table(self.meta(shard).name, columns)

    def members(self, shard: int) -> pa.Table:
        """Read ``id``, ``multiplicity`` and ``rows`` of the items of one shard."""
        return self.read_shard(shard, ["id", MULTIPLICITY, "rows"])

    def repartition(self, partitions: int, seed: int, shard: int) -> ShardMeta:
        """Sort the file of a shard by another random partition; nothing is embedded again."""
        meta = read_meta(self.run, shard, self.folder)
        if meta.sorted_by(partitions, seed):
            return meta
        table = self.read_shard(shard)
        return write_shard(
            self.run,
            shard,
            _items_of(table),
            table["rows"].to_pylist(),
            texts=meta.texts,
            partitions=partitions,
            seed=seed,
            folder=self.folder,
            dtype=meta.dtype,
        )

    def arrange(self, layout: Layout, shard: int) -> ShardMeta:
        """Sort the file of a shard by a partition that looks at vectors."""
        meta = read_meta(self.run, shard, self.folder)
        if meta.layout == layout.name:
            return meta
        table = self.read_shard(shard)
        items = _items_of(table)
        return write_shard(
            self.run,
            shard,
            items,
            table["rows"].to_pylist(),
            texts=meta.texts,
            partitions=layout.partitions,
            seed=meta.seed,
            folder=self.folder,
            layout=layout,
            dtype=meta.dtype,
        )


def write_shard(
    run: RunDir,
    shard: int,
    items: ItemBatch,
    members: Sequence[Sequence[int]],
    *,
    texts: int,
    partitions: int,
    seed: int,
    folder: str = FOLDER,
    layout: Layout | None = None,
    dtype: str = "float32",
) -> ShardMeta:
    """Write the file of one shard and return its metadata.

    Parameters
    ----------
    items : ItemBatch
        With ``multiplicity``.
    members : sequence of sequences of int
        The row ids that each item stands for.
    texts : int
        Distinct texts in the shard.
    partitions, seed : int
        The random partition: :func:`ray_subsel.core.hashing.partition_of`.
    folder : str
    layout : Layout, optional
        Another partition than the random one.
    dtype : str
        Of the vectors on disk; what a partition looks at and what sums to t are the rounded ones.
    """
    items = replace(items, vectors=items.vectors.astype(dtype, copy=False))
    where = partition_of(items.ids, partitions, seed) if layout is None else layout.of(items)
    order = np.lexsort((items.ids, where))
    counts = np.bincount(where, minlength=partitions).tolist()
    n, d = items.vectors.shape
    total = summed_unit_rows(items.vectors, parameter="vectors")[1] if n else None
    multiplicity = items.columns[MULTIPLICITY]
    name = "" if layout is None else layout.name
    rows = int(multiplicity.sum())
    meta = ShardMeta(shard, n, rows, texts, d if n else 0, seed, tuple(counts), total, folder, name, dtype)
    table = pa.table(
        {
            "id": pa.array(items.ids[order], pa.int64()),
            "vector": vector_column(items.vectors[order], dtype),
            MULTIPLICITY: pa.array(multiplicity[order], pa.int64()),
            "rows": pa.array([list(members[i]) for i in order], pa.list_(pa.int64())),
        }
    )
    table = table.replace_schema_metadata({METADATA: json.dumps(_to_json(meta)).encode()})
    run.write_table(meta.name, table, row_groups=counts)
    return meta


def read_meta(run: RunDir, shard: int, folder: str = FOLDER) -> ShardMeta:
    """Read the metadata of a shard's file, and check that the file has as many items as it says."""
    name = part_name(shard, folder)
    with run.parquet(name) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    metadata = schema.metadata or {}
    if METADATA not in metadata:
        raise InputError(
            f"{run.path(name)} must be a part that this program wrote; its metadata says nothing. "
            "Delete it and run the same command again."
        )
    content = json.loads(metadata[METADATA])
    kind, d = schema.field("vector").type if "vector" in schema.names else pa.null(), content["dimension"]
    fits = pa.types.is_fixed_size_list(kind) and (not d or kind.list_size == d)
    found = [dtype for dtype in VECTOR_DTYPES if fits and kind.value_type == _ARROW[dtype]]
    if not found:
        raise InputError(
            f"{run.path(name)} must hold vectors of {d} numbers of {' or '.join(VECTOR_DTYPES)}; got {kind}. "
            "Delete it and run the same command again."
        )
    meta = _from_json(content, folder, found[0])
    if not rows == meta.items == sum(meta.partition_items):
        raise InputError(
            f"{run.path(name)} must hold {meta.items} items; got {rows}. Delete it and run the same command again."
        )
    return meta


def vector_type(d: int, dtype: str) -> pa.DataType:
    """Return the type of a column of vectors: FixedSizeList[d], of one number where there are no vectors."""
    return pa.list_(_ARROW[dtype], max(d, 1))


def vector_column(vectors: Floats, dtype: str) -> pa.Array:
    """Return vectors of shape (n, d) as a column; :func:`vectors_of` reads it back."""
    flat = pa.array(np.ascontiguousarray(vectors, dtype=dtype).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, type=vector_type(vectors.shape[1], dtype))


def vectors_of(column: pa.ChunkedArray) -> Float32s:
    """Return a column of vectors, of whichever type, as a float32 array of shape (n, d)."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # what no chunk at all becomes
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    # flatten() and not values: the latter forgets the offset of a slice.
    flat = array.flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat, dtype=np.float32).reshape(len(array), array.type.list_size)


def flat_rows(lists: pa.ChunkedArray) -> tuple[Indices, Indices]:
    """Return the numbers of a column of lists one after the other, and the place of the list that each is in."""
    whole = lists.combine_chunks()
    return (
        pc.list_flatten(whole).to_numpy(zero_copy_only=False),
        pc.list_parent_indices(whole).to_numpy(zero_copy_only=False),
    )


def _items_of(table: pa.Table) -> ItemBatch:
    multiplicity = table[MULTIPLICITY].to_numpy().astype(np.int64)
    return ItemBatch(table["id"].to_numpy().astype(np.int64), vectors_of(table["vector"]), {MULTIPLICITY: multiplicity})


def _reorder(vectors: Float32s, order: Indices) -> None:
    """Put ``vectors[order]`` in the place of ``vectors``, a few columns at a time and so without a second copy."""
    step = max(16, vectors.shape[1] // 8)  # a cache line
    for start in range(0, vectors.shape[1], step):
        vectors[:, start : start + step] = vectors[order, start : start + step]


def _to_json(meta: ShardMeta) -> dict[str, Any]:
    total = None if meta.total is None else {"high": meta.total.high.tolist(), "low": meta.total.low.tolist()}
    return {
        "shard": meta.shard,
        "items": meta.items,
        "rows": meta.rows,
        "texts": meta.texts,
        "dimension": meta.dimension,
        "seed": meta.seed,
        "partition_items": list(meta.partition_items),
        "total": total,
        **({"layout": meta.layout} if meta.layout else {}),
    }


def _from_json(content: dict[str, Any], folder: str, dtype: str) -> ShardMeta:
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
        content.get("layout", ""),
        dtype,
    )
