"""Read plain text: a line, a paragraph or a whole file is a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa

from ray_subsel.corpus.batches import Batch, BatchBuilder, strings_table
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.columns import ArrowColumns
from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.formats.base import FileFormat, Piece
from ray_subsel.corpus.lines import Line, LineSource

TEXT_COLUMN = "text"
FILE_COLUMN = "file"

Unit = tuple[int, str, str]
"""The line on which a text begins, the text, and why it cannot be used, or nothing."""


class Lines(FileFormat):
    """A line is a row; empty ones are rows without text."""

    name: ClassVar[str] = "text"
    columns: ClassVar[tuple[str, ...]] = (TEXT_COLUMN,)

    def schema(self, file: SourceFile) -> pa.Schema | None:
        """Return the column of the text."""
        del file
        return pa.schema([(name, pa.string()) for name in self.columns])

    def batches(self, file: SourceFile, piece: Piece = (), sizes: BlockSizes = DEFAULT_SIZES) -> Iterator[Batch]:
        """Yield the rows."""
        del piece
        source = LineSource(file, sizes.max_line)
        builder = BatchBuilder(sizes)
        fixed, names = dict(file.partition), list(self.columns)
        more = [file.path.rpartition("/")[2]] * (len(names) - 1)
        try:
            for line, text, problem in self.units(source, sizes):
                if problem:
                    builder.reject(line, problem, text)
                else:
                    builder.add([text, *more], line, len(text))
                if builder.full:
                    yield builder.take(ArrowColumns(strings_table(builder.values, names), untyped=True, fixed=fixed))
            if not builder.empty:
                yield builder.take(ArrowColumns(strings_table(builder.values, names), untyped=True, fixed=fixed))
        finally:
            source.close()

    def units(self, source: LineSource, sizes: BlockSizes) -> Iterator[Unit]:
        """Yield the texts."""
        del sizes
        for line in source:
            yield line.number, _without_end(line), line.problem


class Paragraphs(Lines):
    """Lines up to the next empty one are a row."""

    name: ClassVar[str] = "paragraphs"

    def units(self, source: LineSource, sizes: BlockSizes) -> Iterator[Unit]:
        """Yield the texts."""
        held: list[Line] = []
        for line in source:
            if line.problem or line.text.strip():
                held.append(line)
            elif held:
                yield _joined(held, sizes.max_line)
                held = []
        if held:
            yield _joined(held, sizes.max_line)


class Documents(Lines):
    """A file is a row; a second column has its name."""

    name: ClassVar[str] = "documents"
    columns: ClassVar[tuple[str, ...]] = (TEXT_COLUMN, FILE_COLUMN)

    def units(self, source: LineSource, sizes: BlockSizes) -> Iterator[Unit]:
        """Yield the text."""
        lines = list(source)
        yield _joined(lines, sizes.max_line) if lines else (1, "", "")

    def count(self, file: SourceFile) -> int | None:
        """Return 1."""
        del file
        return 1


def _without_end(line: Line) -> str:
    return line.text.removesuffix("\n").removesuffix("\r")


def _joined(lines: list[Line], most: int) -> Unit:
    text = "\n".join(map(_without_end, lines))
    problem = next((line.problem for line in lines if line.problem), "")
    return lines[0].number, text, problem or ("broken line: too long" if len(text) > most else "")
