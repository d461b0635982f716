"""Read CSV and TSV: fields between delimiters, all of them texts.

Quoted fields follow RFC 4180: a field that begins with a quote is quoted, ``""`` inside it is a quote, it may span
lines. Nothing is guessed: a row of one line that breaks the rule is rejected; where a quoted text that spans lines
breaks it, nobody can tell what is a row from there on, and the file is refused by name and line.

CSV is quoted. TSV comes both ways, so each file's own fields tell (:func:`is_quoted`), or ``--quoting``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

import pyarrow as pa

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.batches import Batch, BatchBuilder, strings_table
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.columns import ArrowColumns
from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.formats.base import FileFormat, Piece
from ray_subsel.corpus.lines import Line, LineSource

WRONG_FIELDS = "broken line: wrong number of fields"
TOO_LONG = "broken line: too long"
EVIDENCE = 200_000
"""Lines that are looked at, from the first quoted field on, to tell whether a TSV is quoted."""

Row = tuple[list[str], list[Line], str]
"""A row's fields, the lines that it takes, and why it cannot be used, or nothing."""


class Delimited(FileFormat):
    """CSV or TSV.

    Parameters
    ----------
    name : str
    delimiter : str
        Where none is given.
    """

    def __init__(self, name: str, delimiter: str) -> None:
        self.name = name  # type: ignore[misc]
        self.delimiter = delimiter

    def schema(self, file: SourceFile) -> pa.Schema | None:
        """Return the names of the header."""
        source = LineSource(file)
        try:
            names = _header(file, self._rows(source, DEFAULT_SIZES))
        finally:
            source.close()
        return None if names is None else pa.schema([(name, pa.string()) for name in names])

    def batches(self, file: SourceFile, piece: Piece = (), sizes: BlockSizes = DEFAULT_SIZES) -> Iterator[Batch]:
        """Yield the rows below the header."""
        del piece
        source = LineSource(file, sizes.max_line)
        fixed = dict(file.partition)
        try:
            rows = self._rows(source, sizes)
            names = _header(file, rows)
            if names is None:
                return
            builder = BatchBuilder(sizes)
            for fields, lines, problem in rows:
                first = lines[0]
                if problem:
                    builder.reject(first.number, problem, first.text)
                elif len(fields) != len(names):
                    detail = f"{len(fields)} fields, header has {len(names)}: {first.text}"
                    builder.reject(first.number, WRONG_FIELDS, detail)
                else:
                    builder.add(fields, first.number, sum(len(line.text) for line in lines))
                if builder.full:
                    yield builder.take(ArrowColumns(strings_table(builder.values, names), untyped=True, fixed=fixed))
            if not builder.empty:
                yield builder.take(ArrowColumns(strings_table(builder.values, names), untyped=True, fixed=fixed))
        finally:
            source.close()

    def _rows(self, source: LineSource, sizes: BlockSizes) -> Iterator[Row]:
        file = source.file
        delimiter = file.dialect.delimiter or self.delimiter
        quoted = {"csv": True, "none": False}.get(file.dialect.quoting)
        if quoted is None:
            quoted = self.name == "csv" or is_quoted(file, delimiter)
        return _quoted_rows(source, delimiter, sizes.max_field) if quoted else _plain_rows(source, delimiter)


def _plain_rows(source: LineSource, delimiter: str) -> Iterator[Row]:
    for line in source:
        if line.problem or line.text.strip("\r\n"):
            yield _fields(line, delimiter), [line], line.problem


def _fields(line: Line, delimiter: str) -> list[str]:
    return line.text.removesuffix("\n").removesuffix("\r").split(delimiter)


def _quoted_rows(source: LineSource, delimiter: str, max_field: int) -> Iterator[Row]:
    """Yield the rows; lines without anything on them are none."""
    feed = _Feed(source)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.taken = []
        csv.field_size_limit(max_field)  # of the whole process: others may have set it
        try:
            fields, problem = next(reader, []), ""
        except csv.Error as error:
            fields, problem = [], _broken(source.file, feed.taken, str(error))
        taken = feed.taken
        if not taken:
            return
        problem = next((line.problem for line in taken if line.problem), problem)
        if fields or problem:
            yield fields, taken, problem


def _broken(file: SourceFile, taken: list[Line], words: str) -> str:
    """Return why a row of one line is rejected; refuse the file where the row takes several."""
    if "unexpected end" in words or "larger than" in words:
        what = "is not closed" if "end" in words else "has not been closed after as many characters as are allowed"
        raise _lost(file, taken[0], f"a quote that opens there {what}")
    if len(taken) > 1:
        raise _lost(file, taken[0], f"the quoted text that begins there breaks off at line {taken[-1].number}")
    if "new-line character" in words:
        return "broken line: carriage return inside a field"
    return "broken line: text after a closing quote"


def _lost(file: SourceFile, line: Line, what: str) -> InputError:
    return InputError(
        f"{file.uri} must be {file.format.upper()} with quotes in pairs; {what} (line {line.number}), and what follows "
        "cannot be told apart into rows. Mend it, or use --quoting none if quotes are plain characters there."
    )


class _Feed:
    """The lines that the CSV parser takes."""

    def __init__(self, source: LineSource) -> None:
        self.source = source
        self.taken: list[Line] = []

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = next(self.source)
        self.taken.append(line)
        if line.problem == TOO_LONG:
            if len(self.taken) > 1:
                raise _lost(self.source.file, self.taken[0], "a quoted text that begins there is too long")
            return "\n"
        return line.text.replace("\0", " ")


def _header(file: SourceFile, rows: Iterator[Row]) -> list[str] | None:
    for names, lines, problem in rows:
        if problem:
            raise InputError(
                f"{file.uri} must begin with a line of column names; line {lines[0].number} cannot be read ({problem})."
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{file.uri} must name each column once; got {', '.join(twice)} more than once.")
        return names
    return None


@lru_cache(maxsize=10_000)
def is_quoted(file: SourceFile, delimiter: str) -> bool:
    """Tell whether a TSV is written with quotes, as pandas and spreadsheets do, or without, as many corpora are.

    It is where reading it so breaks no rule, and either gives more rows of the header's width, or shows what only
    such a writer leaves: a doubled quote in a quoted field, a field that needs quotes, a header in quotes.
    """
    source = LineSource(file)
    try:
        header = next((line for line in source if line.text.strip("\r\n")), None)
        if header is None:
            return False
        names = _fields(header, delimiter)
        if names[0].startswith('"'):
            return True
        mark = f'{delimiter}"'
        first = next((line for line in source if line.text.startswith('"') or mark in line.text), None)
        if first is None:
            return False
        lines = [first, *islice(source, EVIDENCE)]
        cut = next(source, None) is not None
    finally:
        source.close()
    return _reads_as_quoted([line.text.replace("\0", " ") for line in lines], delimiter, len(names), cut=cut)


def _reads_as_quoted(lines: list[str], delimiter: str, width: int, *, cut: bool) -> bool:
    mark = re.escape(delimiter)
    needed = any(re.search(f'(?:^|{mark})"[^{mark}\n]*""', line) for line in lines)
    good = 0
    csv.field_size_limit(DEFAULT_SIZES.max_line)
    try:
        for fields in csv.reader(lines, delimiter=delimiter, strict=True):
            good += len(fields) == width
            needed = needed or any(delimiter in one or "\n" in one for one in fields)
    except csv.Error as error:
        if not (cut and "unexpected end" in str(error)):
            return False
    filled = [line.strip("\r\n") for line in lines if line.strip("\r\n")]
    plain = sum(line.count(delimiter) + 1 == width for line in filled)
    return good > 0 and (needed or (plain < len(filled) and good > plain))
