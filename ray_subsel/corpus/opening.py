"""Open a text file as a stream of UTF-8 bytes with line feeds, whatever it is compressed by, written in or ended with.

What a file is, its first bytes tell, not its name.
"""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.files import SourceFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER = 1 << 20
_CODECS = ((b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x04\x22\x4d\x18", "lz4"))
_OTHERS = (
    (b"PAR1", "a Parquet file", "Use --format parquet."),
    (b"ARROW1", "an Arrow file", "Use --format arrow."),
    (b"\xff\xff\xff\xff", "a stream of Arrow", "Use --format arrow."),
    (b"\x93NUMPY", "an array of numpy", "Use --format npy."),
    (b"PK\x03\x04", "a zip archive", "Unpack it first."),
    (b"\xfd7zXZ\x00", "compressed by xz", "Unpack it first, or compress it by gzip or zstd."),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first."),
    (b"%PDF-", "a PDF", "Extract its text first."),
    (b"SQLite format 3\x00", "an SQLite database", "Export a table of it first."),
    (b"\xd0\xcf\x11\xe0", "a file of an office program", "Save it as CSV first."),
)
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_UTF8 = "utf-8"


def open_text(file: SourceFile) -> BinaryIO:
    """Open a text file; bytes that its encoding does not know come as bytes that are not UTF-8.

    Raises
    ------
    InputError
        For a file that cannot be opened, or is of another kind than text.
    """
    try:
        with file.filesystem.open_input_stream(file.path, compression=None) as stream:
            head = bytes(stream.read(16))
        codec = next((name for mark, name in _CODECS if head.startswith(mark)), None)
        raw = cast(BinaryIO, file.filesystem.open_input_stream(file.path, compression=codec, buffer_size=BUFFER))
        reader = io.BufferedReader(cast(Any, raw), BUFFER)
        head = reader.peek(16)[:16]
    except OSError as error:
        raise unreadable(file, error) from error
    for mark, what, way in _OTHERS:
        if head.startswith(mark):
            raise InputError(f"{file.uri} must be a {file.format} file; it is {what}. {way}")
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), file.dialect.encoding)
    if codecs.lookup(encoding).name not in (_UTF8, "ascii", "utf-8-sig"):
        reader = io.BufferedReader(_Transcoded(reader, encoding), BUFFER)
    try:
        begin = reader.peek(BUFFER)
    except OSError as error:
        raise unreadable(file, error) from error
    if b"\r" in begin and b"\n" not in begin:
        reader = io.BufferedReader(_OldEnds(reader), BUFFER)
    return cast(BinaryIO, reader)


def unreadable(file: SourceFile, error: BaseException) -> InputError:
    """Build the error for a file that cannot be read on."""
    words = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(f"{file.uri} must be a readable {file.format} file; it could not be read ({words}).")


class _Rewritten(io.RawIOBase):
    """A stream of bytes made of another one."""

    def __init__(self, source: io.BufferedReader) -> None:
        self.source = source
        self.waiting = b""

    def readable(self) -> bool:
        return True

    def rewrite(self, block: bytes) -> bytes:
        raise NotImplementedError

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        while not self.waiting:
            block = self.source.read(BUFFER)
            self.waiting = self.rewrite(block)
            if not block:
                break
        count = min(len(view), len(self.waiting))
        view[:count] = self.waiting[:count]
        self.waiting = self.waiting[count:]
        return count

    def close(self) -> None:
        self.source.close()
        super().close()


class _Transcoded(_Rewritten):
    """UTF-8 of another encoding."""

    def __init__(self, source: io.BufferedReader, encoding: str) -> None:
        super().__init__(source)
        self.decoder = codecs.getincrementaldecoder(encoding)(errors="ray_subsel.invalid")

    def rewrite(self, block: bytes) -> bytes:
        try:
            text = self.decoder.decode(block, final=not block)
        except UnicodeError as error:  # such as UTF-16 without its mark: nothing can be read
            raise OSError(str(error)) from error
        return text.encode(_UTF8, "surrogateescape")


class _OldEnds(_Rewritten):
    """Line feeds for the carriage returns that end the lines of a file without line feeds."""

    def rewrite(self, block: bytes) -> bytes:
        return block.replace(b"\r", b"\n")


def _stand_for_invalid(error: UnicodeError) -> tuple[str, int]:
    """Let what cannot be decoded stand as a lone surrogate, which becomes a byte that is not UTF-8."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udc80", error.end


codecs.register_error("ray_subsel.invalid", _stand_for_invalid)
