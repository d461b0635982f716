"""Read JSON: an object a line (JSON Lines), or one array of objects."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, BinaryIO

import pyarrow as pa

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.batches import Batch, BatchBuilder
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.columns import JsonColumns
from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.formats.base import FileFormat, Piece
from ray_subsel.corpus.json_shape import Shape
from ray_subsel.corpus.lines import LineSource
from ray_subsel.corpus.opening import BUFFER, open_text, unreadable

SAMPLE = 1000
"""Objects by which the columns of a file are told."""
NOT_JSON = "broken line: not JSON"
NO_OBJECT = "broken line: JSON, but not an object"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE = re.compile(r"[ \t\r\n]*")

Found = tuple[int, str, "dict[str, Any] | str"]
"""The line on which a value begins, the value as written, and the object, or why it is none."""


class JsonObjects(FileFormat):
    """JSON Lines or an array, whichever the file is."""

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
        if is_array(file):
            yield from _elements(file, sizes.max_line)
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
def is_array(file: SourceFile) -> bool:
    """Tell whether a file is one array: it begins with a bracket, and its first line is no array of its own."""
    source = LineSource(file)
    try:
        first = next((line for line in source if line.text.strip()), None)
        if first is None or not first.text.lstrip().startswith("["):
            return False
        try:
            whole = json.loads(first.text)
        except (ValueError, RecursionError):
            return True
        rest = next((line for line in source if line.text.strip()), None)
        return rest is None and (not whole or isinstance(whole[0], dict))
    finally:
        source.close()


def _elements(file: SourceFile, longest: int) -> Iterator[Found]:
    """Yield the elements of an array, one in memory at a time.

    Raises
    ------
    InputError
        Where the array breaks off or an element is no JSON: what follows cannot be told apart into rows.
    """
    with open_text(file) as stream:
        text = _Window(file, stream, longest)
        text.skip("[")
        if text.peek() != "]":
            yield text.element()
            while text.peek() == ",":
                text.skip(",")
                yield text.element()
        text.skip("]")
        if text.peek():
            raise text.broken("something follows its closing bracket")


class _Window:
    """The part of an array that is being read.

    Parameters
    ----------
    file : SourceFile
    stream : file object
        Of its bytes.
    longest : int
        Characters that an element may have.
    """

    def __init__(self, file: SourceFile, stream: BinaryIO, longest: int) -> None:
        self.file = file
        self.stream = stream
        self.longest = longest
        self.decoder = json.JSONDecoder()
        self.characters = codecs.getincrementaldecoder("utf-8-sig")()
        self.text = ""
        self.at = 0
        self.line = 1

    def more(self) -> bool:
        """Take at least as much more as there is; return whether there was any."""
        self.text, self.at = self.text[self.at :], 0
        if len(self.text) > self.longest:
            raise self.broken("an element is too long")
        try:
            block = self.stream.read(max(BUFFER, len(self.text)))
            self.text += self.characters.decode(block, final=not block)
        except UnicodeDecodeError as error:
            self.line += self.text.count("\n") + bytes(error.object[: error.start]).count(b"\n")
            raise self.broken(f"it is not {self.file.dialect.encoding.upper()}") from None
        except OSError as error:
            raise unreadable(self.file, error) from error
        return bool(block)

    def peek(self) -> str:
        """Return the next character that is no space, or nothing at the end."""
        while True:
            self.go(_end_of_space(self.text, self.at))
            if self.at < len(self.text) or not self.more():
                return self.text[self.at : self.at + 1]

    def go(self, to: int) -> None:
        """Go on to a position."""
        self.line += self.text.count("\n", self.at, to)
        self.at = to

    def skip(self, character: str) -> None:
        """Go on by a character that must be there."""
        if self.peek() != character:
            raise self.broken(f"{character} is missing")
        self.go(self.at + 1)

    def element(self) -> Found:
        """Return the next element."""
        self.peek()
        line = self.line
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
            except (ValueError, RecursionError):
                end = 0
            if end:
                follows = _end_of_space(self.text, end)
                if self.text[follows : follows + 1] in (",", "]") and follows < len(self.text):
                    written = self.text[self.at : end]
                    self.go(end)
                    return line, written, _checked(value, written)
            if not self.more():
                raise self.broken("an element is no JSON, or the file is cut off")

    def broken(self, what: str) -> InputError:
        """Build the error for an array that cannot be read on."""
        uri = self.file.uri
        return InputError(
            f"{uri} must be one JSON array of objects; from line {self.line} on it is not: {what}. Mend it."
        )


def _end_of_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None  # it matches nothing too
    return found.end()
