"""Open files that somebody else may have written: none but whole, regular files, and no code of theirs is run."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import pyarrow.parquet as pq
from pyarrow import fs

from ray_subsel.core.errors import Verbatim, invalid

_SCHEMA, _EXTENSION, _VALUE = b"ARROW:schema", b"ARROW:extension:name", b"\x18"
_TAIL = 8
"""Bytes behind the footer: its length and ``PAR1``."""


def check_regular(filesystem: fs.FileSystem, path: str, shown: str) -> None:
    """Raise InputError for a pipe, a device or a socket: reading one may never end."""
    if filesystem.get_file_info(path).type == fs.FileType.Unknown:
        raise invalid(shown, "be a regular file", Verbatim("a pipe, a device or a socket"), "Copy it into a file.")


def open_parquet(filesystem: fs.FileSystem, path: str, shown: str) -> pq.ParquetFile:
    """Open a Parquet file.

    Arrow's extension types are refused before anything decodes them: what a file says of itself would else decide which
    code reads it.

    Raises
    ------
    InputError
        For one that is no regular file, or that has extension types.
    pyarrow.ArrowException, OSError
        For one that is no whole Parquet file.
    """
    check_regular(filesystem, path, shown)
    with filesystem.open_input_file(path) as stream:
        if _has_extension_types(_footer(stream)):
            got = Verbatim("columns of extension types")
            raise invalid(shown, "have plain column types", got, "Cast them to what they are stored as.")
    return pq.ParquetFile(path, filesystem=filesystem)


def _footer(stream: Any) -> bytes:
    """Return a Parquet file's footer as it lies on disk; nothing where there is none."""
    size = stream.size()
    if size < _TAIL:
        return b""
    stream.seek(size - _TAIL)
    tail = stream.read(_TAIL)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length > size - _TAIL:
        return b""
    stream.seek(size - _TAIL - length)
    return bytes(stream.read(length))


def _has_extension_types(footer: bytes) -> bool:
    """Tell whether the Arrow schema in a footer names an extension type, or is written so that it cannot be told.

    pyarrow decodes the schema whenever it opens a file, be it for the metadata alone. In Thrift's compact protocol a
    value that follows its key is a byte 0x18, the length in groups of seven bits, the lowest first, and the bytes.
    """
    at = footer.find(_SCHEMA)
    while at >= 0:
        at += len(_SCHEMA)
        if footer[at : at + 1] != _VALUE:
            return True
        length, shift = 0, 0
        while at + 1 < len(footer) and shift < 32:
            at += 1
            length |= (footer[at] & 0x7F) << shift
            shift += 7
            if footer[at] < 0x80:
                break
        try:
            if _EXTENSION in base64.b64decode(footer[at + 1 : at + 1 + length], validate=True):
                return True
        except binascii.Error:
            return True
        at = footer.find(_SCHEMA, at)
    return False
