"""Say what a file format does: tell the columns of a file, cut it into pieces, read them as batches."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa

from ray_subsel.corpus.batches import Batch
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.files import SourceFile

Piece = tuple[int, ...]
"""A part of a file that one task reads: row groups, batches, or first and last row; empty for the whole file."""


class FileFormat(abc.ABC):
    """A file format."""

    name: ClassVar[str]
    holds_vectors: ClassVar[bool] = False
    """Whether a column of it can hold lists of numbers."""

    @abc.abstractmethod
    def schema(self, file: SourceFile) -> pa.Schema | None:
        """Return the columns of a file with their types, or None where it has no row to tell them by."""

    @abc.abstractmethod
    def batches(self, file: SourceFile, piece: Piece = (), sizes: BlockSizes = DEFAULT_SIZES) -> Iterator[Batch]:
        """Yield the rows of a piece in order.

        Raises
        ------
        InputError
            When the file as a whole cannot be read; rows that cannot be used are counted in the batches instead.
        """

    def pieces(self, file: SourceFile, split_bytes: int) -> list[Piece]:
        """Cut a file into pieces of about this many bytes, of which each row is in one."""
        del file, split_bytes
        return [()]

    def count(self, file: SourceFile) -> int | None:
        """Return how many rows a file has, where that is known without reading them."""
        del file
        return None

    def way_out(self, file: SourceFile) -> str:
        """Return what to do where a column is not found, if the file itself tells; else nothing."""
        del file
        return ""


def ranges(sizes: list[int], most: int) -> list[Piece]:
    """Return runs of consecutive numbers whose sizes sum to at most ``most``, or are one number alone."""
    found: list[Piece] = []
    current: list[int] = []
    held = 0
    for number, size in enumerate(sizes):
        if current and held + size > most:
            found.append(tuple(current))
            current, held = [], 0
        current.append(number)
        held += size
    return [*found, tuple(current)] if current else found
