"""Read a text file by lines, numbered, of bounded length, decoded without ever failing on a whole file."""

from __future__ import annotations

import io
from collections import deque
from dataclasses import dataclass
from typing import BinaryIO, cast

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.block_sizes import BlockSizes
from ray_subsel.corpus.files import SourceFile

_BUFFER = 1 << 20
_BOMS_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes
    ----------
    number : int
        1-based, in the uncompressed file.
    text : str
        Decoded, its line end included. Bytes that are not UTF-8 stand as lone surrogates (PEP 383).
    problem : str
        Why no row can be made of it, or empty.
    """

    number: int
    text: str
    problem: str = ""


class LineSource:
    """An iterator over a file's lines that can be set back: ``push_back`` hands lines to the next reads.

    A byte order mark of UTF-8 is skipped. Memory: one line, at most ``max_line`` bytes.
    """

    def __init__(self, file: SourceFile, max_line: int = BlockSizes.max_line, stream: BinaryIO | None = None) -> None:
        self.file = file
        self.max_line = max_line
        self.stream = open_bytes(file) if stream is None else stream
        self.waiting: deque[Line] = deque()
        self.number = 0

    def __iter__(self) -> LineSource:
        return self

    def __next__(self) -> Line:
        if self.waiting:
            return self.waiting.popleft()
        raw = self._read()
        if not raw:
            raise StopIteration
        self.number += 1
        if self.number == 1:
            if raw[:2] in _BOMS_16:
                raise InputError(f"{self.file.uri} must be UTF-8; it begins as UTF-16. Convert it first.")
            raw = raw.removeprefix(b"\xef\xbb\xbf")
            if not raw:
                raise StopIteration
        if len(raw) == self.max_line and not raw.endswith(b"\n"):
            while (rest := self._read()) and not rest.endswith(b"\n"):
                pass
            return Line(self.number, raw[:80].decode("utf-8", "replace"), "broken line: too long")
        if b"\0" in raw:
            return Line(self.number, raw.decode("utf-8", "replace"), "broken line: NUL character")
        try:
            return Line(self.number, raw.decode("utf-8"))
        except UnicodeDecodeError:
            return Line(self.number, raw.decode("utf-8", "surrogateescape"), "not UTF-8")

    def _read(self) -> bytes:
        try:
            return self.stream.readline(self.max_line)
        except OSError as error:
            raise unreadable(self.file, error) from error

    def push_back(self, lines: list[Line]) -> None:
        """Let these lines be read again, in their order, before any other."""
        self.waiting.extendleft(reversed(lines))

    def close(self) -> None:
        """Close the file."""
        self.stream.close()


def open_bytes(file: SourceFile) -> BinaryIO:
    """Open a file for reading, uncompressed by its ending, on any filesystem."""
    try:
        stream = file.filesystem.open_input_stream(file.path, compression="detect", buffer_size=_BUFFER)
    except OSError as error:
        raise unreadable(file, error) from error
    return cast(BinaryIO, io.BufferedReader(stream, _BUFFER))


def unreadable(file: SourceFile, error: BaseException) -> InputError:
    """Build the error for a file that cannot be read on."""
    words = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(f"{file.uri} must be a readable {file.format} file; it could not be read ({words}).")
