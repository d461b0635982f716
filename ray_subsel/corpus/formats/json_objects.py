"""Read JSON: an object a line (JSON Lines), one array of objects, or objects that are spread over lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from shlex import quote
from typing import Any, BinaryIO

import pyarrow as pa

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.batches import Batch, BatchBuilder
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.columns import JsonColumns
from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.formats.base import FileFormat, Piece
from ray_subsel.corpus.json_shape import Shape
from ray_subsel.corpus.json_text import JsonText
from ray_subsel.corpus.lines import LineSource
from ray_subsel.corpus.opening import open_text

SAMPLE = 1000
"""Objects by which the columns of a file are told."""
LINES, ARRAY, SPREAD = "lines", "array", "spread"
NOT_JSON = "broken line: not JSON"
NO_OBJECT = "broken line: JSON, but not an object"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

Found = tuple[int, str, "dict[str, Any] | str"]
"""The line on which a value begins, the value as written, and the object, or why it is none."""


class JsonObjects(FileFormat):
    """JSON Lines, an array or objects over several lines, whichever the file is."""

    holds_vectors = True

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]

    def schema(self, file: SourceFile) -> pa.Schema | None:
        """Return the keys of the first thousand objects, with the types of their values."""
        shape, seen = Shape(), []
        for _, _, record in self._found(file, DEFAULT_SIZES):
            if isinstance(record, dict):
                seen.append(record)
            if len(seen) == SAMPLE:
                break
        if not seen:
            return None
        shape.see(seen)
        return pa.schema([(name, inner.type()) for name, inner in shape.fields.items()])

    def batches(self, file: SourceFile, piece: Piece = (), sizes: BlockSizes = DEFAULT_SIZES) -> Iterator[Batch]:
        """Yield the objects."""
        del piece
        yield from self._batches(file, self._found(file, sizes), sizes)

    def arriving(self, file: SourceFile, stream: BinaryIO, sizes: BlockSizes = DEFAULT_SIZES) -> Iterator[Batch]:
        """Yield the objects of a stream, one a line, as they arrive."""
        yield from self._batches(file, _lines(LineSource(file, sizes.max_line, stream)), sizes)

    def way_out(self, file: SourceFile) -> str:
        """Return how to get at the rows of a file that is one object around a list of them."""
        first = list(islice(self._found(file, DEFAULT_SIZES), 2))
        if len(first) != 1 or not isinstance(first[0][2], dict):
            return ""
        lists = [name for name, value in first[0][2].items() if isinstance(value, list) and value]
        names = [name for name in lists if all(isinstance(one, dict) for one in first[0][2][name])]
        if not names:
            return ""
        code = f"import json; print(*map(json.dumps, json.load(open({file.path!r}))[{names[0]!r}]), sep='\\n')"
        return f"It is one object with rows in {names[0]}. Write them one a line: python -c {quote(code)} > rows.jsonl"

    def _batches(self, file: SourceFile, found: Iterator[Found], sizes: BlockSizes) -> Iterator[Batch]:
        builder = BatchBuilder(sizes)
        for line, written, record in found:
            if isinstance(record, str):
                builder.reject(line, record, written)
            else:
                builder.add((record, written), line, len(written))
            if builder.full:
                yield builder.take(_columns(builder, file))
        if not builder.empty:
            yield builder.take(_columns(builder, file))

    def _found(self, file: SourceFile, sizes: BlockSizes) -> Iterator[Found]:
        if (layout := layout_of(file)) != LINES:
            yield from (_elements if layout == ARRAY else _one_by_one)(file, sizes.max_line)
            return
        source = LineSource(file, sizes.max_line)
        try:
            yield from _lines(source)
        finally:
            source.close()


def _columns(builder: BatchBuilder, file: SourceFile) -> JsonColumns:
    return JsonColumns([one for one, _ in builder.values], [one for _, one in builder.values], dict(file.partition))


def _lines(source: LineSource) -> Iterator[Found]:
    for line in source:
        written = line.text.removesuffix("\n").removesuffix("\r")
        if line.problem:
            yield line.number, written, line.problem
        elif written.strip():
            yield line.number, written, _object(written)


def _object(written: str) -> dict[str, Any] | str:
    """Return the object of a text, or the reason why there is none."""
    try:
        record = json.loads(written)
    except (ValueError, RecursionError):
        return NOT_JSON
    return _checked(record, written)


def _checked(record: Any, written: str) -> dict[str, Any] | str:
    if not isinstance(record, dict):
        return NO_OBJECT
    if _SURROGATE.search(written):
        try:
            json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return "not UTF-8"  # half of a surrogate pair, written as an escape
    return record


@lru_cache(maxsize=10_000)
def layout_of(file: SourceFile) -> str:
    """Return how a file holds its objects, as its beginning tells: one of ``LINES``, ``ARRAY`` and ``SPREAD``.

    An array begins with a bracket, and its first line is no array of its own. Objects are spread over lines where the
    first line is no JSON and an object begins on it that ends on a later one.
    """
    source = LineSource(file)
    try:
        first = next((line for line in source if line.text.strip()), None)
        if first is None or first.text.lstrip()[:1] not in ("[", "{"):
            return LINES
        try:
            whole = json.loads(first.text)
        except (ValueError, RecursionError):
            return ARRAY if first.text.lstrip().startswith("[") else _spread(file)
        if not isinstance(whole, list):
            return LINES
        rest = next((line for line in source if line.text.strip()), None)
        return ARRAY if rest is None and (not whole or isinstance(whole[0], dict)) else LINES
    finally:
        source.close()


def _spread(file: SourceFile) -> str:
    with open_text(file) as stream:
        text = JsonText(file, stream, DEFAULT_SIZES.max_line, "")
        try:
            return SPREAD if text.spans_lines() else LINES
        except InputError:  # such as one that is not UTF-8: its lines tell which
            return LINES


def _elements(file: SourceFile, longest: int) -> Iterator[Found]:
    """Yield the elements of an array, one in memory at a time.

    Raises
    ------
    InputError
        Where the array breaks off or an element is no JSON: what follows cannot be told apart into rows.
    """
    with open_text(file) as stream:
        text = JsonText(file, stream, longest, "one JSON array of objects")
        text.skip("[")
        if text.peek() != "]":
            yield _found(text.value(",]"))
            while text.peek() == ",":
                text.skip(",")
                yield _found(text.value(",]"))
        text.skip("]")
        if text.peek():
            raise text.broken("something follows its closing bracket")


def _one_by_one(file: SourceFile, longest: int) -> Iterator[Found]:
    """Yield objects that follow each other, each over as many lines as it takes; raises as :func:`_elements` does."""
    with open_text(file) as stream:
        text = JsonText(file, stream, longest, "JSON objects, one after the other")
        while text.peek():
            yield _found(text.value("{"))


def _found(value: tuple[int, str, Any]) -> Found:
    line, written, record = value
    return line, written, _checked(record, written)
