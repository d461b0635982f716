"""Collect the rows of one file into batches of bounded size, with the rows that could not be read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes

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
    table : pa.Table
        The original columns.
    rows, lines : int64 arrays of shape (table.num_rows,)
        Each row's 0-based number in its split and 1-based line in its file.
    rejects : list of Reject
        Rows between them that could not be read; they count as rows too.
    """

    table: pa.Table
    rows: NDArray[np.int64]
    lines: NDArray[np.int64]
    rejects: list[Reject] = field(default_factory=list)


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

    def take(self, table: pa.Table) -> Batch:
        """Return what was collected, with the table made of ``values``, and begin anew."""
        assert table.num_rows == len(self.values)
        batch = Batch(table, np.array(self.rows, dtype=np.int64), np.array(self.lines, dtype=np.int64), self.rejects)
        self._reset()
        return batch


def strings_table(rows: list[list[str]], names: list[str]) -> pa.Table:
    """Return string columns of rows that all have one field a name."""
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pa.table([pa.array(column, type=pa.string()) for column in columns], names=names)


def records_table(records: list[dict[str, Any]], vectors: str | None) -> pa.Table:
    """Return a table of JSON objects: the union of their keys, null where an object lacks one.

    A column of one kind of scalar keeps it (bool, int64, float64, string); integers and floats together are float64;
    anything else is kept as JSON text, strings among it as they are. Column ``vectors`` holds lists of float64, null
    where the value is no list of numbers.
    """
    names: dict[str, None] = {}
    for record in records:
        names.update(dict.fromkeys(record))
    columns = {}
    for name in names:
        values = [record.get(name) for record in records]
        columns[name] = _numbers(values) if name == vectors else _scalars(values)
    # A table without columns has no rows either, so objects that are all empty get a column of nulls.
    return pa.table(columns) if columns else pa.table({"": pa.nulls(len(records))})


def _numbers(values: list[Any]) -> pa.Array:
    checked = [value if _is_number_list(value) else None for value in values]
    return pa.array(checked, type=pa.list_(pa.float64()))


def _is_number_list(value: object) -> bool:
    return isinstance(value, list) and all(
        one is None or (isinstance(one, (int, float)) and not isinstance(one, bool)) for one in value
    )


def _scalars(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.nulls(len(values))
    if kinds == {bool}:
        return pa.array(values, type=pa.bool_())
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values if value is not None):
        return pa.array(values, type=pa.int64())
    if kinds == {float} or (kinds == {int, float} and all(abs(v) <= 2**53 for v in values if isinstance(v, int))):
        return pa.array([None if value is None else float(value) for value in values], type=pa.float64())
    texts = [value if value is None or isinstance(value, str) else to_json(value) for value in values]
    return pa.array(texts, pa.string())


def to_json(value: object) -> str:
    """Return a value as JSON text; what JSON does not know, such as dates, as its own text."""
    return json.dumps(value, ensure_ascii=False, default=str)
