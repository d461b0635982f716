"""The file formats that can be read. A new one is a module here with a :class:`FileFormat`, and a line below."""

from __future__ import annotations

from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.formats.base import FileFormat, Piece
from ray_subsel.corpus.formats.columnar import Arrow, Parquet
from ray_subsel.corpus.formats.delimited import Delimited
from ray_subsel.corpus.formats.json_objects import JsonObjects
from ray_subsel.corpus.formats.numpy_array import NumpyArray
from ray_subsel.corpus.formats.plain_text import Documents, Lines, Paragraphs
from ray_subsel.corpus.formats.safetensors import Safetensors

_KNOWN: tuple[FileFormat, ...] = (
    *(Delimited("csv", ","), Delimited("tsv", "\t"), JsonObjects("jsonl"), JsonObjects("json")),
    *(Parquet(), Arrow(), NumpyArray(), Safetensors()),
    *(Lines(), Paragraphs(), Documents()),
)
FILE_FORMATS: dict[str, FileFormat] = {one.name: one for one in _KNOWN}
"""By name, as ``ray_subsel.config.FORMATS`` has them."""


def format_for(file: SourceFile) -> FileFormat:
    """Return what reads a file."""
    return FILE_FORMATS[file.format]


__all__ = ["FILE_FORMATS", "FileFormat", "Piece", "format_for"]
