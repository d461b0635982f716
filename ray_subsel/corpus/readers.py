"""Read one file, or some row groups of a Parquet file, as a stream of batches in bounded memory.

CSV follows RFC 4180: a field that begins with a quote is quoted, ``""`` inside it is a quote, and it may span lines.
TSV and plain text know no quoting. JSON Lines holds an object a line. Every format numbers the lines it could not use.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.batches import NOT_A_STRING, Batch, BatchBuilder, records_table, strings_table
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.lines import Line, LineSource, unreadable
from ray_subsel.storage import opening as storage

TEXT_COLUMN = "text"
"""The name of plain text's only column."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_batches(
    file: SourceFile,
    row_groups: tuple[int, ...] = (),
    texts: tuple[str, ...] = (),
    vectors: str | None = None,
    sizes: BlockSizes = DEFAULT_SIZES,
    stream: BinaryIO | None = None,
) -> Iterator[Batch]:
    """Yield a file's rows in order.

    Parameters
    ----------
    file : SourceFile
    row_groups : tuple of int
        The row groups to read of a Parquet file; empty for other formats.
    texts : tuple of str
        The columns that hold text, of which JSON refuses lists, objects and booleans.
    vectors : str or None
        The column that holds vectors, which JSON keeps as lists of numbers.
    sizes : BlockSizes, optional
    stream : binary stream, optional
        Where the bytes come from, if they do not come from the file's path; not for Parquet.

    Raises
    ------
    InputError
        When the file as a whole cannot be read; rows that cannot be used are counted in the batches instead.
    """
    if file.format == "parquet":
        yield from _parquet(file, row_groups, sizes)
        return
    source = LineSource(file, sizes.max_line, stream)
    try:
        if file.format == "csv":
            yield from _csv(source, sizes)
        elif file.format == "tsv":
            yield from _tsv(source, sizes)
        elif file.format == "jsonl":
            yield from _jsonl(source, texts, vectors, sizes)
        else:
            yield from _text(source, sizes)
    finally:
        source.close()


def column_names(file: SourceFile) -> list[str] | None:
    """Return a file's columns, or None where it has no row to tell them by.

    JSON Lines: the keys of the first thousand objects.
    """
    if file.format == "parquet":
        with open_parquet(file) as parquet:
            return [str(name) for name in parquet.schema_arrow.names]
    if file.format == "text":
        return [TEXT_COLUMN]
    source = LineSource(file)
    try:
        if file.format == "jsonl":
            return _json_keys(source)
        header = _csv_header(source, DEFAULT_SIZES) if file.format == "csv" else _tsv_header(source)
        return header[0] if header else None
    finally:
        source.close()


def open_parquet(file: SourceFile) -> pq.ParquetFile:
    """Open a Parquet file; one that is none is named in the error."""
    try:
        return storage.open_parquet(file.filesystem, file.path, file.uri)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(file, error) from error


def _parquet(file: SourceFile, row_groups: tuple[int, ...], sizes: BlockSizes) -> Iterator[Batch]:
    with open_parquet(file) as parquet:
        start = 0
        # Rows are numbered from the first one of these row groups; lines from the first one of the file.
        before = sum(parquet.metadata.row_group(group).num_rows for group in range(row_groups[0] if row_groups else 0))
        try:
            for piece in parquet.iter_batches(batch_size=sizes.batch_rows, row_groups=list(row_groups)):
                table = pa.Table.from_batches([piece])
                table.validate(full=True)
                rows = np.arange(start, start + table.num_rows, dtype=np.int64)
                yield Batch(table, rows, rows + before + 1)
                start += table.num_rows
        except (pa.ArrowException, OSError) as error:
            raise unreadable(file, error) from error


class _CsvRows:
    """A CSV file's rows, recovering from a quote that is never closed: its line alone is rejected.

    The parser reads on to the end of the file for the missing quote; here the lines that it took are handed back, and
    reading goes on after the first of them.
    """

    def __init__(self, source: LineSource, max_field: int) -> None:
        csv.field_size_limit(max_field)
        self.feed = _Feed(source)
        self.reader = csv.reader(self.feed, strict=True)

    def __iter__(self) -> Iterator[tuple[list[str], list[Line], str]]:
        """Yield the fields, lines and problem of each row; lines without anything on them are none."""
        while True:
            self.feed.taken = []
            fields, problem = self._next()
            taken = self.feed.taken
            if not taken:
                return
            if problem:
                self.feed.source.push_back(taken[1:])
                yield [], taken[:1], problem
            elif fields:
                yield fields, taken, next((line.problem for line in taken if line.problem), "")

    def _next(self) -> tuple[list[str], str]:
        try:
            return next(self.reader, []), ""
        except csv.Error as error:
            words = str(error)
        if self.feed.taken[0].problem:
            return [], self.feed.taken[0].problem
        if "expected after" in words:
            return [], "broken line: text after a closing quote"
        if "new-line character" in words:
            return [], "broken line: carriage return inside a field"
        return [], "broken line: quote not closed"


class _Feed:
    """The lines that the CSV parser takes. Not a generator: it must go on after its end, when lines are handed back."""

    def __init__(self, source: LineSource) -> None:
        self.source = source
        self.taken: list[Line] = []

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        self.taken.append(next(self.source))
        return self.taken[-1].text


def _csv_header(source: LineSource, sizes: BlockSizes) -> tuple[list[str], _CsvRows] | None:
    rows = _CsvRows(source, sizes.max_field)
    for fields, lines, problem in rows:
        return _checked_header(source.file, fields, lines[0].number, problem), rows
    return None


def _tsv_header(source: LineSource) -> tuple[list[str], None] | None:
    for line in source:
        if line.text.strip("\r\n"):
            return _checked_header(source.file, _tsv_fields(line), line.number, line.problem), None
    return None


def _checked_header(file: SourceFile, names: list[str], line: int, problem: str) -> list[str]:
    if problem:
        raise InputError(f"{file.uri} must begin with a line of column names; line {line} cannot be read ({problem}).")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{file.uri} must name each column once; got {', '.join(twice)} more than once.")
    return names


def _csv(source: LineSource, sizes: BlockSizes) -> Iterator[Batch]:
    header = _csv_header(source, sizes)
    if header is None:
        return
    names, rows = header
    builder = BatchBuilder(sizes)
    for fields, lines, problem in rows:
        _add_fields(builder, fields, names, lines, problem)
        if builder.full:
            yield builder.take(strings_table(builder.values, names))
    if not builder.empty:
        yield builder.take(strings_table(builder.values, names))


def _add_fields(builder: BatchBuilder, fields: list[str], names: list[str], lines: list[Line], problem: str) -> None:
    first = lines[0]
    if problem:
        builder.reject(first.number, problem, first.text)
    elif len(fields) != len(names):
        detail = f"{len(fields)} fields, header has {len(names)}: {first.text}"
        builder.reject(first.number, "broken line: wrong number of fields", detail)
    else:
        builder.add(fields, first.number, sum(len(line.text) for line in lines))


def _tsv_fields(line: Line) -> list[str]:
    return line.text.removesuffix("\n").removesuffix("\r").split("\t")


def _tsv(source: LineSource, sizes: BlockSizes) -> Iterator[Batch]:
    header = _tsv_header(source)
    if header is None:
        return
    names = header[0]
    builder = BatchBuilder(sizes)
    for line in source:
        if not line.problem and not line.text.strip("\r\n"):
            continue
        _add_fields(builder, _tsv_fields(line), names, [line], line.problem)
        if builder.full:
            yield builder.take(strings_table(builder.values, names))
    if not builder.empty:
        yield builder.take(strings_table(builder.values, names))


def _text(source: LineSource, sizes: BlockSizes) -> Iterator[Batch]:
    def add(builder: BatchBuilder, line: Line) -> None:
        text = line.text.removesuffix("\n").removesuffix("\r")
        builder.add([text], line.number, len(text))

    return _per_line(source, add, lambda values: strings_table(values, [TEXT_COLUMN]), sizes)


def _jsonl(source: LineSource, texts: tuple[str, ...], vectors: str | None, sizes: BlockSizes) -> Iterator[Batch]:
    def add(builder: BatchBuilder, line: Line) -> None:
        if not line.text.strip():
            return
        record = _json_object(line)
        if isinstance(record, str):
            builder.reject(line.number, record, line.text)
        elif any(isinstance(record.get(name), (list, dict, bool)) for name in texts):
            builder.reject(line.number, NOT_A_STRING, line.text)
        else:
            builder.add(record, line.number, len(line.text))

    return _per_line(source, add, lambda values: records_table(values, vectors), sizes)


def _per_line(
    source: LineSource,
    add: Callable[[BatchBuilder, Line], None],
    table: Callable[[list[Any]], pa.Table],
    sizes: BlockSizes,
) -> Iterator[Batch]:
    builder = BatchBuilder(sizes)
    for line in source:
        if line.problem:
            builder.reject(line.number, line.problem, line.text)
        else:
            add(builder, line)
        if builder.full:
            yield builder.take(table(builder.values))
    if not builder.empty:
        yield builder.take(table(builder.values))


def _json_object(line: Line) -> dict[str, Any] | str:
    """Return the object of a line, or the reason why there is none."""
    try:
        record = json.loads(line.text)
    except (ValueError, RecursionError):
        return "broken line: not JSON"
    if not isinstance(record, dict):
        return "broken line: JSON, but not an object"
    if _SURROGATE.search(line.text):
        try:
            json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return "not UTF-8"  # half of a surrogate pair, written as an escape
    return record


def _json_keys(source: LineSource) -> list[str] | None:
    names: dict[str, None] = {}
    seen = 0
    for line in source:
        record = _json_object(line) if line.text.strip() and not line.problem else ""
        if isinstance(record, dict):
            names.update(dict.fromkeys(record))
            seen += 1
        if seen == 1000:
            break
    return list(names) if seen else None
