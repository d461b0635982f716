"""Collect the rows of one file into batches of bounded size, with the rows that could not be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.columns import Columns

EXCERPT = 80
NOT_A_STRING = "text is not a string"


@dataclass(frozen=True)
class Reject:
    """A row that cannot be used.

    Attributes
    ----------
    line : int
        1-based line of the file on which the row begins; for Parquet the 1-based row.
    row : int
        0-based number of the row in its split.
    reason : str
        One of a few fixed phrases, by which rejects are counted.
    detail : str
        What arrived, at most ``EXCERPT`` characters.
    """

    line: int
    row: int
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Batch:
    """Rows in reading order.

    Attributes
    ----------
    columns : Columns
        The original values.
    rows, lines : int64 arrays, one entry a row
        Each row's 0-based number in its split and 1-based line in its file.
    rejects : list of Reject
        Rows between them that could not be read; they count as rows too.
    """

    columns: Columns
    rows: NDArray[np.int64]
    lines: NDArray[np.int64]
    rejects: list[Reject] = field(default_factory=list)

    @staticmethod
    def numbered(columns: Columns, first: int = 0, before: int = 0) -> Batch:
        """Return rows that follow each other: the first has number ``first``, and ``before`` rows came before it."""
        rows = np.arange(first, first + columns.rows, dtype=np.int64)
        return Batch(columns, rows, rows + before + 1)


def excerpt(text: str) -> str:
    """Return the beginning of a text, printable on one line."""
    clean = "".join(c if c.isprintable() else " " for c in text[: EXCERPT * 2])
    return clean[:EXCERPT].strip()


class BatchBuilder:
    """Collects the rows of a text format until they make a batch."""

    def __init__(self, sizes: BlockSizes = DEFAULT_SIZES) -> None:
        self.sizes = sizes
        self.next_row = 0
        self._reset()

    def _reset(self) -> None:
        self.values: list[Any] = []
        self.rows: list[int] = []
        self.lines: list[int] = []
        self.rejects: list[Reject] = []
        self.characters = 0

    def add(self, value: object, line: int, characters: int) -> None:
        """Take a row that could be read; ``characters`` bounds the memory of a batch."""
        self.values.append(value)
        self.rows.append(self.next_row)
        self.lines.append(line)
        self.characters += characters
        self.next_row += 1

    def reject(self, line: int, reason: str, detail: str = "") -> None:
        """Count a row that could not be read."""
        self.rejects.append(Reject(line, self.next_row, reason, excerpt(detail)))
        self.next_row += 1

    @property
    def full(self) -> bool:
        """Whether it is time to take the batch."""
        rows = len(self.values) + len(self.rejects)
        return rows >= self.sizes.batch_rows or self.characters >= self.sizes.batch_characters

    @property
    def empty(self) -> bool:
        """Whether there is nothing to take."""
        return not self.values and not self.rejects

    def take(self, columns: Columns) -> Batch:
        """Return what was collected, with the columns made of ``values``, and begin anew."""
        assert columns.rows == len(self.values)
        batch = Batch(columns, np.array(self.rows, dtype=np.int64), np.array(self.lines, dtype=np.int64), self.rejects)
        self._reset()
        return batch


def strings_table(rows: list[list[str]], names: list[str]) -> pa.Table:
    """Return string columns of rows that all have one field a name."""
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pa.table([pa.array(column, type=pa.string()) for column in columns], names=names)
