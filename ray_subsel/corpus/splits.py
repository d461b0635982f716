"""Cut input files into splits: a file, or a piece of one, that one task turns into part files.

A part holds rows of one split in one row group a shard, so that a later stage reads shard s of every part without any
process having held all rows. Ids in it count from the split's first row, since earlier splits are read elsewhere at the
same time; the index knows each split's offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.core.hashing import KEY_BYTES
from ray_subsel.corpus.batches import Reject
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.columns import JsonColumns
from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.formats import Piece, format_for
from ray_subsel.corpus.json_shape import Shape
from ray_subsel.corpus.reading import Reading
from ray_subsel.corpus.tables import common_types, concatenate, to_types
from ray_subsel.corpus.validate import canonical
from ray_subsel.storage.run_directory import RunDir

FOLDER = "rows"
REJECT_SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("row", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)


@dataclass(frozen=True)
class Split:
    """What one task reads.

    Attributes
    ----------
    number : int
        In reading order.
    file : SourceFile
    piece : tuple of int
        What part of the file; empty for the whole.
    reading : Reading
    sizes : BlockSizes
    """

    number: int
    file: SourceFile
    piece: Piece
    reading: Reading
    sizes: BlockSizes = DEFAULT_SIZES


def splits_of(files: list[SourceFile], readings: list[Reading], sizes: BlockSizes = DEFAULT_SIZES) -> list[Split]:
    """Cut the files into splits, in reading order. It depends on the files alone."""
    splits: list[Split] = []
    for file, reading in zip(files, readings, strict=True):
        for piece in format_for(file).pieces(file, sizes.split_bytes):
            splits.append(Split(len(splits), file, piece, reading, sizes))
    return splits


def marker_name(split: int) -> str:
    """Return the name of the file that says that a split is done, and holds its counts."""
    return f"{FOLDER}/unit-{split:05d}.json"


def part_name(split: int, part: int) -> str:
    """Return the name of a split's part file."""
    return f"{FOLDER}/part-{split:05d}-{part:05d}.parquet"


def read_split(split: Split, run: RunDir, shards: int) -> dict[str, Any]:
    """Read one split, write its parts and its rejects, and return its counts.

    A retry writes the same files again. Memory: some three times ``part_bytes``.

    Returns
    -------
    dict
        ``rows`` (usable or not), ``rejected``, ``reasons`` {reason: count}, ``examples`` {reason: [line, detail]},
        ``reject_files``, ``shape`` (what :class:`~ray_subsel.corpus.json_shape.Shape` counted of JSON objects) and
        ``parts``: each with ``name``, ``rows``, ``first`` and ``last`` (ids in the split) and
        ``shard_rows``.
    """
    writer = _SplitWriter(split, run, shards)
    reading = split.reading
    for batch in format_for(split.file).batches(split.file, split.piece, split.sizes):
        table, rejects = canonical(batch, reading)
        assert table.num_rows + len(rejects) == batch.columns.rows + len(batch.rejects)
        writer.add(table, rejects)
        if isinstance(batch.columns, JsonColumns):
            usable = np.isin(batch.rows, table["id"].to_numpy())
            writer.shape.see([batch.columns.records[at] for at in np.flatnonzero(usable)])
    result = writer.finish()
    run.write_json(marker_name(split.number), result)
    return result


class _SplitWriter:
    def __init__(self, split: Split, run: RunDir, shards: int) -> None:
        self.split = split
        self.run = run
        self.shards = shards
        self.tables: list[pa.Table] = []
        self.rejects: list[Reject] = []
        self.rows = 0
        self.rejected = 0
        self.parts: list[dict[str, Any]] = []
        self.reject_files: list[str] = []
        self.reasons: dict[str, int] = {}
        self.examples: dict[str, list[Any]] = {}
        self.shape = Shape()

    def add(self, table: pa.Table, rejects: list[Reject]) -> None:
        if table.num_rows:
            self.tables.append(table)
        self.rejects += rejects
        self.rows += table.num_rows + len(rejects)
        self.rejected += len(rejects)
        for reject in rejects:
            self.reasons[reject.reason] = self.reasons.get(reject.reason, 0) + 1
            self.examples.setdefault(reject.reason, [reject.line, reject.detail])
        held = sum(table.num_rows for table in self.tables)
        sizes = self.split.sizes
        if held >= sizes.part_rows or sum(table.nbytes for table in self.tables) >= sizes.part_bytes:
            self._write_part()
        if len(self.rejects) >= sizes.part_rows:
            self._write_rejects()

    def finish(self) -> dict[str, Any]:
        self._write_part()
        self._write_rejects()
        assert self.rows == self.rejected + sum(part["rows"] for part in self.parts)
        return {
            "file": self.split.file.uri,
            "rows": self.rows,
            "rejected": self.rejected,
            "reasons": self.reasons,
            "examples": self.examples,
            "reject_files": self.reject_files,
            "shape": self.shape.as_json(),
            "parts": self.parts,
        }

    def _write_part(self) -> None:
        if not self.tables:
            return
        types = common_types((table.schema, table.num_rows) for table in self.tables)
        table = concatenate([to_types(table, types) for table in self.tables])
        self.tables = []
        self.parts.append(write_part(self.run, part_name(self.split.number, len(self.parts)), table, self.shards))

    def _write_rejects(self) -> None:
        if not self.rejects:
            return
        name = f"{FOLDER}/rejected-{self.split.number:05d}-{len(self.reject_files):05d}.parquet"
        self.run.write_table(name, rejects_table(self.split.file.uri, self.rejects))
        self.reject_files.append(name)
        self.rejects = []


def rejects_table(file: str, rejects: list[Reject]) -> pa.Table:
    """Return rejects of one file as a table of ``REJECT_SCHEMA``."""
    return pa.table(
        {
            "file": [file] * len(rejects),
            "line": [reject.line for reject in rejects],
            "row": [reject.row for reject in rejects],
            "reason": [reject.reason for reject in rejects],
            "detail": [reject.detail for reject in rejects],
        },
        schema=REJECT_SCHEMA,
    )


def write_part(run: RunDir, name: str, table: pa.Table, shards: int) -> dict[str, Any]:
    """Write rows as one part, sorted by shard and id, a row group a shard, and return its entry in the index."""
    shard = shards_of(table["key"], shards)
    ids = table["id"].to_numpy()
    order = np.lexsort((ids, shard))
    counts = np.bincount(shard, minlength=shards).tolist()
    run.write_table(name, table.combine_chunks().take(pa.array(order)), row_groups=counts)
    return {
        "name": name,
        "rows": table.num_rows,
        "first": int(ids.min()),
        "last": int(ids.max()),
        "shard_rows": counts,
    }


def shards_of(keys: pa.ChunkedArray, shards: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return ``shard_of_key`` of every key, at once."""
    if not len(keys):
        return np.zeros(0, dtype=np.int64)
    array = keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys
    raw = np.frombuffer(array.buffers()[1], dtype=np.uint8)[: (array.offset + len(array)) * KEY_BYTES]
    heads = np.ascontiguousarray(raw.reshape(-1, KEY_BYTES)[array.offset :, :8]).view("<u8").reshape(-1)
    shard: np.ndarray[Any, np.dtype[np.int64]] = (heads % np.uint64(shards)).astype(np.int64)
    return shard
