"""Read Parquet, Arrow files and Arrow streams: tables with types."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.batches import Batch
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.columns import ArrowColumns
from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.formats.base import FileFormat, Piece, ranges
from ray_subsel.corpus.opening import unreadable
from ray_subsel.storage import opening as storage

_FILE = b"ARROW1"
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""What ends a stream of Arrow."""


class Parquet(FileFormat):
    """Parquet; a piece is some row groups."""

    name: ClassVar[str] = "parquet"
    holds_vectors: ClassVar[bool] = True

    def schema(self, file: SourceFile) -> pa.Schema | None:
        """Return the file's schema."""
        with readable(file), open_parquet(file) as parquet:
            return _named(parquet.schema_arrow)

    def count(self, file: SourceFile) -> int | None:
        """Return the rows that the file says it has."""
        with readable(file), open_parquet(file) as parquet:
            return int(parquet.metadata.num_rows)

    def pieces(self, file: SourceFile, split_bytes: int) -> list[Piece]:
        """Return runs of row groups."""
        with readable(file), open_parquet(file) as parquet:
            groups = range(parquet.metadata.num_row_groups)
            there = sum(parquet.metadata.row_group(group).num_rows for group in groups)
            if there != parquet.metadata.num_rows:
                raise OSError(f"it says that it has {parquet.metadata.num_rows} rows, and its row groups {there}")
            return ranges([parquet.metadata.row_group(group).total_byte_size for group in groups], split_bytes)

    def batches(self, file: SourceFile, piece: Piece = (), sizes: BlockSizes = DEFAULT_SIZES) -> Iterator[Batch]:
        """Yield the rows of row groups; of all where none is named."""
        with readable(file), open_parquet(file) as parquet:
            groups = list(piece or range(parquet.metadata.num_row_groups))
            # Rows are numbered from the first one of these row groups; lines from the first one of the file.
            before = sum(parquet.metadata.row_group(group).num_rows for group in range(groups[0] if groups else 0))
            start = 0
            for piece_read in parquet.iter_batches(batch_size=sizes.batch_rows, row_groups=groups):
                columns = _checked(file, [piece_read], parquet.schema_arrow)
                yield Batch.numbered(columns, start, before)
                start += columns.rows
            said = sum(parquet.metadata.row_group(group).num_rows for group in groups)
            if start != said:
                raise OSError(f"it says that it has {said} rows there, and has {start}")


class Arrow(FileFormat):
    """An Arrow file (also called Feather), or a stream, as ``save_to_disk`` writes; a piece is some batches."""

    name: ClassVar[str] = "arrow"
    holds_vectors: ClassVar[bool] = True

    def schema(self, file: SourceFile) -> pa.Schema | None:
        """Return the file's schema."""
        with readable(file), _open_arrow(file) as reader:
            return _named(reader.schema)

    def pieces(self, file: SourceFile, split_bytes: int) -> list[Piece]:
        """Return runs of batches, taken to be of one size; a stream can be read from its beginning only."""
        with readable(file), _open_arrow(file) as reader:
            number = getattr(reader, "num_record_batches", None)
        return [()] if not number else ranges([file.size // number] * number, split_bytes)

    def batches(self, file: SourceFile, piece: Piece = (), sizes: BlockSizes = DEFAULT_SIZES) -> Iterator[Batch]:
        """Yield the rows of some batches; of all where none is named."""
        with readable(file), _open_arrow(file) as reader:
            before = start = 0
            for number, found in _numbered(reader):
                if piece and number > piece[-1]:
                    break
                if piece and number < piece[0]:
                    before += found.num_rows
                    continue
                for at in range(0, found.num_rows, sizes.batch_rows):
                    columns = _checked(file, [found.slice(at, sizes.batch_rows)], reader.schema)
                    yield Batch.numbered(columns, start, before)
                    start += columns.rows


@contextmanager
def readable(file: SourceFile) -> Iterator[None]:
    """Name a file that turns out to be damaged in the block, whatever its damage is called."""
    try:
        yield
    except (InputError, GeneratorExit):
        raise
    except (pa.ArrowException, OSError, ValueError, LookupError, ArithmeticError, TypeError) as error:
        raise unreadable(file, error) from error


def _named(schema: pa.Schema) -> pa.Schema:
    """Return a schema after reading its names, which may be no text in a damaged file."""
    assert all(isinstance(name, str) for name in schema.names)
    if not schema.names:
        raise OSError("it has no columns")
    return schema


def _numbered(reader: Any) -> Iterator[tuple[int, pa.RecordBatch]]:
    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        for number in range(reader.num_record_batches):
            yield number, reader.get_batch(number)
    else:
        yield from enumerate(reader)


def _checked(file: SourceFile, batches: list[pa.RecordBatch], schema: pa.Schema) -> ArrowColumns:
    table = pa.Table.from_batches(batches)
    table.validate(full=True)
    return ArrowColumns(table.replace_schema_metadata(schema.metadata), fixed=dict(file.partition))


def open_parquet(file: SourceFile) -> pq.ParquetFile:
    """Open a Parquet file; one that is none is named in the error."""
    try:
        return storage.open_parquet(file.filesystem, file.path, file.uri)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(file, error) from error


class _WholeStream:
    """The batches of a stream, which must end where its file does: a length that is damaged may look like its end."""

    def __init__(self, file: SourceFile, source: pa.NativeFile) -> None:
        self._file, self._source = file, source
        self._reader = pa.ipc.open_stream(source)

    @property
    def schema(self) -> pa.Schema:
        return self._reader.schema

    def __enter__(self) -> _WholeStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield from self._reader
        if (end := self._source.tell()) != self._file.size:
            raise OSError(f"it says that it ends after {end:,} of its {self._file.size:,} bytes")


def _open_arrow(file: SourceFile) -> Any:
    try:
        source = file.filesystem.open_input_file(file.path)
        head = bytes(source.read(len(_FILE)))
        storage.check_arrow_schema(source, file.uri)
        source.seek(0)
        if head == _FILE:
            return pa.ipc.open_file(source)
        if head[:4] == b"FEA1":
            raise InputError(f"{file.uri} must be an Arrow file; it is Feather version 1. Write version 2.")
        source.seek(max(0, file.size - len(_END)))
        if bytes(source.read()) != _END:
            raise InputError(f"{file.uri} must be a whole Arrow file or stream; it is another file, or cut off.")
        source.seek(0)
        return _WholeStream(file, source)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(file, error) from error
