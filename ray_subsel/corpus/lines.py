"""Read a text file by lines, numbered, of bounded length, decoded without ever failing on a whole file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from ray_subsel.corpus.block_sizes import BlockSizes
from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.opening import open_text, unreadable


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
    """An iterator over a file's lines. A byte order mark is skipped. Memory: one line, at most ``max_line`` bytes."""

    def __init__(self, file: SourceFile, max_line: int = BlockSizes.max_line, stream: BinaryIO | None = None) -> None:
        self.file = file
        self.max_line = max_line
        self.stream = open_text(file) if stream is None else stream
        self.number = 0
        self.undecoded = f"not {file.dialect.encoding.upper()}"

    def __iter__(self) -> LineSource:
        return self

    def __next__(self) -> Line:
        raw = self._read()
        if not raw:
            raise StopIteration
        self.number += 1
        if self.number == 1:
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
            return Line(self.number, raw.decode("utf-8", "surrogateescape"), self.undecoded)

    def _read(self) -> bytes:
        try:
            return self.stream.readline(self.max_line)
        except OSError as error:
            raise unreadable(self.file, error) from error

    def close(self) -> None:
        """Close the file."""
        self.stream.close()
