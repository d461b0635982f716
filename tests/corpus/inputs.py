"""Small input files, and ingest in this process."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ray_subsel.config import CorpusConfig
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.ingest import Progress, ingest
from ray_subsel.corpus.rows import RowStore
from ray_subsel.corpus.story_columns import PUBLISHED
from ray_subsel.storage.run_directory import RunDir

STORY = ("s1", "One.", "Two.", "Three.", "Four.", "Good end.", "Bad end.", "1")


def write(path: Path, content: str | bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def write_csv(path: Path, names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([names, *rows])
    return write(path, buffer.getvalue())


def write_story_csv(path: Path, rows: Sequence[Sequence[str]]) -> str:
    return write_csv(path, PUBLISHED.names, rows)


def write_parquet(path: Path, columns: dict[str, Any], row_group_size: int | None = None) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return str(path)


def read(
    tmp_path: Path,
    *data: str,
    out: str = "run",
    shards: int | None = None,
    sizes: BlockSizes = DEFAULT_SIZES,
    progress: Progress | None = None,
    **settings: Any,
) -> RowStore:
    """Ingest without Ray; any share of rejects is let through unless told otherwise."""
    settings.setdefault("max_rejected", 1.0)
    config = CorpusConfig(data=data, **settings)
    run = RunDir(str(tmp_path / out))
    return ingest(config, run, shards=shards, sizes=sizes, progress=progress)


def rejects(store: RowStore) -> list[tuple[int, int, str]]:
    """Return (line, row, reason) of the rejected rows, in the order of the file."""
    table = store.run.read_table("rejected.parquet")
    return list(zip(*(table[name].to_pylist() for name in ("line", "row", "reason")), strict=True))


def texts(store: RowStore) -> list[str]:
    return store.take(store.ids(), ["text"])["text"].to_pylist()
