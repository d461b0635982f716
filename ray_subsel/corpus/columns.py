"""Give the values of a batch by column or path, whatever holds them: an Arrow table or JSON objects.

A path leads into nested values: ``doc.text``, ``messages.0.content``, ``messages.-1.content``. A column whose name is
the whole path comes first.
"""

from __future__ import annotations

import abc
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.corpus.values import class_names, is_missing, plain, respelled, spelled, storable, texts_of, values_of

SOURCE = "src."
"""Prefix of the original columns in a part file."""
RECORD = "record"
"""The column of a part file that holds a JSON object as it was written."""

TREES = (list, dict, tuple)


def steps_of(path: str, names: Sequence[str]) -> tuple[str, list[str]] | None:
    """Return the column in which a path begins and the steps after it, or None where there is none."""
    if path in names:
        return path, []
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        if (name := ".".join(parts[:cut])) in names:
            return name, parts[cut:]
    return None


def follow(value: Any, steps: Sequence[str]) -> Any:
    """Return what lies at the end of the steps: keys of objects, positions in lists; None where there is nothing."""
    for step in steps:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, (list, tuple)):
            value = _element(value, step)
        else:
            return None
    return value


def _element(values: Sequence[Any], step: str) -> Any:
    """Return an element by its position, or of a map, which Arrow gives as pairs, by its key."""
    if step.removeprefix("-").isdecimal():
        at = int(step)
        return values[at] if -len(values) <= at < len(values) else None
    pairs = [pair for pair in values if isinstance(pair, tuple) and len(pair) == 2]
    return dict(pairs).get(step) if pairs else None


def type_at(kind: pa.DataType, steps: Sequence[str]) -> pa.DataType | None:
    """Return the type at the end of the steps, or None where no value can be."""
    for step in steps:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        if pa.types.is_struct(kind):
            at = kind.get_field_index(step)
            if at < 0:
                return None
            kind = kind.field(at).type
        elif hasattr(kind, "value_type") and step.removeprefix("-").isdecimal():
            kind = kind.value_type
        elif pa.types.is_map(kind):
            kind = kind.item_type
        else:
            return None
    return kind


def originals_of(table: pa.Table, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the user's values of rows as :func:`Columns.stored` keeps them: an object each, of some columns or all."""
    records: list[dict[str, Any]] = [{} for _ in range(table.num_rows)]
    if RECORD in table.column_names:
        found = ({} if one is None else json.loads(one) for one in table.column(RECORD).to_pylist())
        records = [one if names is None else {name: one[name] for name in names if name in one} for one in found]
    for stored in table.column_names:
        name = stored.removeprefix(SOURCE)
        if stored.startswith(SOURCE) and (names is None or name in names):
            for record, value in zip(records, values_of(table.column(stored)), strict=True):
                record.setdefault(name, value)
    return records


class Columns(abc.ABC):
    """The original values of the rows of a batch."""

    @property
    @abc.abstractmethod
    def rows(self) -> int:
        """How many rows there are."""

    @property
    @abc.abstractmethod
    def nbytes(self) -> int:
        """What they take, about."""

    @abc.abstractmethod
    def values(self, path: str) -> list[Any]:
        """Return what is at a path, in each row: a Python value, None where it is missing."""

    @abc.abstractmethod
    def texts(self, path: str) -> list[str]:
        """Return the values as texts: missing ones are empty, each value has one spelling."""

    def names(self, path: str) -> list[str]:
        """Return values that are labels, groups or ids, as texts."""
        return self.texts(path)

    @abc.abstractmethod
    def column(self, path: str) -> pa.ChunkedArray | None:
        """Return a column of Arrow for vectors, or None where there is none."""

    @abc.abstractmethod
    def stored(self, without: str | None) -> dict[str, Any]:
        """Return the columns that keep the original values in a part file, but for that of the vectors."""

    def trees(self, path: str) -> list[int]:
        """Return the rows whose value is no single one: a list, an object, bytes."""
        return [row for row, value in enumerate(self.values(path)) if isinstance(value, (*TREES, bytes))]


class ArrowColumns(Columns):
    """The rows of a table.

    Parameters
    ----------
    table : pa.Table
    untyped : bool
        All columns are texts because the format has no types.
    fixed : mapping of str to str
        Columns that are the same in all rows.
    """

    def __init__(self, table: pa.Table, *, untyped: bool = False, fixed: Mapping[str, str] | None = None) -> None:
        for name, value in (fixed or {}).items():
            if name not in table.column_names:
                table = table.append_column(name, pa.array([value or None] * table.num_rows, pa.string()))
        self.table = table
        self.untyped = untyped
        self.fixed = fixed or {}
        self.classes = class_names(table.schema)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.table.num_rows)

    @property
    def nbytes(self) -> int:
        """What they take, about."""
        return int(self.table.nbytes)

    def column(self, path: str) -> pa.ChunkedArray | None:
        """Return the column at a path, or None where it leads nowhere or through lists."""
        where = steps_of(path, self.table.column_names)
        if where is None:
            return None
        column = self.table.column(where[0])
        for step in where[1]:
            column = plain(column)
            if not pa.types.is_struct(column.type) or column.type.get_field_index(step) < 0:
                return None
            column = pc.struct_field(column, column.type.get_field_index(step))
        return column

    def values(self, path: str) -> list[Any]:
        """Return what is at a path, in each row."""
        column = self.column(path)
        if column is not None:
            return [None if is_missing(value) else value for value in values_of(column)]
        where = steps_of(path, self.table.column_names)
        if where is None:
            return [None] * self.rows
        found = (follow(value, where[1]) for value in values_of(self.table.column(where[0])))
        return [None if is_missing(value) else value for value in found]

    def texts(self, path: str) -> list[str]:
        """Return the values as texts."""
        column = self.column(path)
        return texts_of(column) if column is not None else [spelled(value) for value in self.values(path)]

    def names(self, path: str) -> list[str]:
        """Return the values as texts: of a ClassLabel the names of its classes."""
        texts = self.texts(path)
        if self.untyped or path in self.fixed:
            return [respelled(text) for text in texts]
        classes = {str(number): name for number, name in enumerate(self.classes.get(path, ()))}
        return [classes.get(text, text) for text in texts] if classes else texts

    def trees(self, path: str) -> list[int]:
        """Return the rows whose value is no single one."""
        column = self.column(path)
        if column is not None and (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            return []  # the common case
        return super().trees(path)

    def stored(self, without: str | None) -> dict[str, Any]:
        """Return all columns, prefixed."""
        names = [name for name in self.table.column_names if name != without]
        return {SOURCE + name: storable(self.table.column(name)) for name in names}


class JsonColumns(Columns):
    """Rows that are JSON objects.

    Parameters
    ----------
    records : list of dict
    written : list of str
        Each as it was written.
    fixed : mapping of str to str
        Columns that are the same in all rows.
    """

    def __init__(
        self, records: list[dict[str, Any]], written: list[str], fixed: Mapping[str, str] | None = None
    ) -> None:
        self.records = records
        self.written = written
        self.fixed = dict(fixed or {})

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.records)

    @property
    def nbytes(self) -> int:
        """What they take, about."""
        return sum(map(len, self.written))

    def values(self, path: str) -> list[Any]:
        """Return what is at a path, in each row."""
        if "." not in path:
            found = [record.get(path) for record in self.records]
        else:
            found = []
            for record in self.records:
                where = steps_of(path, list(record)) if path not in record else (path, [])
                found.append(None if where is None else follow(record.get(where[0]), where[1]))
        if path in self.fixed and not any(value is not None for value in found):
            found = [self.fixed[path] or None] * self.rows
        return [None if is_missing(value) else value for value in found]

    def texts(self, path: str) -> list[str]:
        """Return the values as texts."""
        return [spelled(value) for value in self.values(path)]

    def names(self, path: str) -> list[str]:
        """Return values that are labels, groups or ids, as texts."""
        texts = self.texts(path)
        return [respelled(text) for text in texts] if path in self.fixed else texts

    def trees(self, path: str) -> list[int]:
        """Return the rows whose value is no text or number."""
        return [row for row, value in enumerate(self.values(path)) if isinstance(value, (*TREES, bool))]

    def column(self, path: str) -> pa.ChunkedArray | None:
        """Return the lists of numbers at a path; what is none is null."""
        return pa.chunked_array([pa.array([_numbers(value) for value in self.values(path)], pa.list_(pa.float64()))])

    def stored(self, without: str | None) -> dict[str, Any]:
        """Return the objects as they were written: no type is lost, and their bytes can be given back."""
        del without
        columns: dict[str, Any] = {RECORD: pa.array(self.written, pa.string())}
        for name, value in self.fixed.items():
            columns[SOURCE + name] = pa.array([value or None] * self.rows, pa.string())
        return columns


def _numbers(value: Any) -> list[Any] | None:
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]  # a matrix of one row
    if not isinstance(value, list):
        return None
    numbers = all(one is None or (isinstance(one, (int, float)) and not isinstance(one, bool)) for one in value)
    return [None if one is None else _as_float(one) for one in value] if numbers else None


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")
