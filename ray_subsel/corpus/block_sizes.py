"""Bound the memory of reading: how many rows, bytes or characters are held at once, and how input is cut."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BlockSizes:
    """Sizes of the blocks in which a corpus is read and written; the rows are the same whatever they are.

    Attributes
    ----------
    shard_bytes : int
        Bytes of input for each shard, between the least and the greatest number of shards.
    split_bytes : int
        A Parquet file is read in splits of about this many bytes, as it is stored.
    part_rows, part_bytes : int
        A part file is written when either is reached.
    batch_rows, batch_characters : int
        A reader hands rows on when either is reached.
    max_line : int
        Bytes after which a line is cut and its row rejected: a file without line ends must not fill the memory.
    max_field : int
        Characters of a quoted CSV field, after which the file is refused: its quote is taken for one never closed.
    """

    shard_bytes: int = 1 << 24
    split_bytes: int = 1 << 26
    part_rows: int = 65_536
    part_bytes: int = 1 << 26
    batch_rows: int = 8192
    batch_characters: int = 1 << 24
    max_line: int = 1 << 26
    max_field: int = 1 << 26


DEFAULT_SIZES = BlockSizes()
