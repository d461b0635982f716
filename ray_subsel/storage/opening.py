"""Open files that somebody else may have written: none but whole, regular files, and no code of theirs is run."""

from __future__ import annotations

import base64
import binascii
import threading
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ray_subsel.core.errors import InputError, Verbatim, invalid
from ray_subsel.storage.filesystems import is_object_store

_SCHEMA, _EXTENSION, _VALUE = b"ARROW:schema", b"ARROW:extension:name", b"\x18"
_BUILT_IN = frozenset(
    f"arrow.{name}" for name in ("uuid", "json", "bool8", "opaque", "fixed_shape_tensor", "variable_shape_tensor")
)
"""Extension types that Arrow itself decodes."""
_REGISTERING = threading.Lock()
_HEAD, _ARROW_TAIL = 32, 10
_TAIL = 8
"""Bytes behind the footer: its length and ``PAR1``."""


def check_regular(filesystem: fs.FileSystem, path: str, shown: str) -> None:
    """Raise InputError for a pipe, a device or a socket: reading one may never end."""
    if not is_object_store(filesystem) and filesystem.get_file_info(path).type == fs.FileType.Unknown:
        raise invalid(shown, "be a regular file", Verbatim("a pipe, a device or a socket"), "Copy it into a file.")


def open_parquet(filesystem: fs.FileSystem, path: str, shown: str) -> pq.ParquetFile:
    """Open a Parquet file.

    Extension types that somebody's code in this process would decode are refused before it does: what a file says of
    itself would else decide which code reads it. Arrow's own, and those that nobody has registered, are what they are
    stored as.

    Raises
    ------
    InputError
        For one that is no regular file, or that has such extension types.
    pyarrow.ArrowException, OSError
        For one that is no whole Parquet file.
    """
    check_regular(filesystem, path, shown)
    with filesystem.open_input_file(path) as stream:
        schemas = _schemas(_footer(stream))
        if schemas is None or any(_asks_for_code(one) for one in schemas):
            raise _refused(shown)
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


def check_arrow_schema(stream: Any, shown: str) -> None:
    """Raise InputError for a file or stream of Arrow with extension types that somebody's code would decode.

    The schema lies in the first message and, in a file, in the footer too.
    """
    stream.seek(0)
    head = bytes(stream.read(_HEAD))
    at = head.find(b"\xff\xff\xff\xff")
    length = int.from_bytes(head[at + 4 : at + 8], "little") if at >= 0 else 0
    size = stream.size()
    stream.seek(0)
    schema = bytes(stream.read(min(size, _HEAD + length)))
    if head.startswith(b"ARROW1") and size > _ARROW_TAIL:
        stream.seek(size - _ARROW_TAIL)
        footer = int.from_bytes(stream.read(4), "little")
        stream.seek(max(0, size - _ARROW_TAIL - footer))
        schema += b"\0" + bytes(stream.read(min(size, footer)))
    if _asks_for_code(schema):
        raise _refused(shown)


def _refused(shown: str) -> InputError:
    got = Verbatim("columns of extension types")
    return invalid(shown, "have plain column types", got, "Cast them to what they are stored as.")


def _asks_for_code(schema: bytes) -> bool:
    """Tell whether a schema as Arrow writes it names an extension type whose code is registered in this process."""
    if _EXTENSION not in schema:
        return False
    # Texts in it end with a zero byte, so a name stands by itself.
    words = {word.decode("utf-8", "replace") for word in schema.split(b"\0") if word}
    return any(_is_registered(word) for word in words if word not in _BUILT_IN)


def _is_registered(name: str) -> bool:
    """Tell whether an extension type of this name is registered, without asking its code."""
    with _REGISTERING:
        try:
            pa.register_extension_type(_named(name))
        except (pa.ArrowKeyError, KeyError):
            return True
        except (pa.ArrowException, ValueError):
            return False
        pa.unregister_extension_type(name)
        return False


def _named(name: str) -> pa.ExtensionType:
    class Probe(pa.ExtensionType):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(pa.null(), name)

        def __arrow_ext_serialize__(self) -> bytes:
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> pa.DataType:
            return storage_type

    return Probe()


def _schemas(footer: bytes) -> list[bytes] | None:
    """Return the Arrow schemas in a footer, or None where one is written so that it cannot be told.

    pyarrow decodes the schema whenever it opens a file, be it for the metadata alone. In Thrift's compact protocol a
    value that follows its key is a byte 0x18, the length in groups of seven bits, the lowest first, and the bytes.
    """
    found: list[bytes] = []
    at = footer.find(_SCHEMA)
    while at >= 0:
        at += len(_SCHEMA)
        if footer[at : at + 1] != _VALUE:
            return None
        length, shift = 0, 0
        while at + 1 < len(footer) and shift < 32:
            at += 1
            length |= (footer[at] & 0x7F) << shift
            shift += 7
            if footer[at] < 0x80:
                break
        try:
            found.append(base64.b64decode(footer[at + 1 : at + 1 + length], validate=True))
        except binascii.Error:
            return None
        at = footer.find(_SCHEMA, at)
    return found
