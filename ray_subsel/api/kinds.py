"""Rows of any kind that people hold in memory: read their columns as Arrow, and take some of them as the same kind.

Data frames are known by what they can do, so that no library of theirs is imported here:

| kind | known by | some of its rows |
|---|---|---|
| list, tuple, array, series of texts | a sequence without columns | a list, tuple, array, series |
| list of dictionaries | its elements | a list of the same dictionaries |
| ``pyarrow.Table`` | its class | a table |
| ``datasets.Dataset`` | ``features`` and ``select`` | a dataset, features kept |
| ``ray.data.Dataset`` | its module | a Ray Dataset: :mod:`ray_subsel.api.ray_rows` |
| pandas | ``iloc`` | a frame, index and types kept |
| polars | the Arrow interface and ``df[numbers]`` | a frame |
| all else with ``__arrow_c_stream__`` (a DuckDB relation) | that | a ``pyarrow.Table`` |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.api.rows import TEXT, Rows
from ray_subsel.core.errors import InputError, Verbatim, invalid
from ray_subsel.core.types import Indices

STREAM = "__arrow_c_stream__"


def rows_of(data: Any) -> Rows:
    """Return rows of any kind in the table above.

    Raises
    ------
    InputError
        For anything else, with the way to one of these kinds.
    """
    module = type(data).__module__.partition(".")[0]
    if module == "ray":
        from ray_subsel.api.ray_rows import RayRows

        return RayRows(data)
    if isinstance(data, pa.Table):
        return _ArrowRows(data)
    if hasattr(data, "features") and hasattr(data, "select") and hasattr(data, "column_names"):
        return _DatasetRows(data)
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return _FrameRows(data, [str(name) for name in data.columns], lambda rows: data.iloc[rows])
    if module == "polars" and hasattr(data, STREAM) and hasattr(data, "columns"):
        return _FrameRows(data, list(data.columns), lambda rows: data[rows.tolist()])
    if _is_sequence(data):
        values = list(data)
        if values and all(isinstance(value, dict) for value in values):
            return _RecordRows(values)
        return _TextRows(data, values)
    if hasattr(data, STREAM):
        return _ArrowRows(_read(data))
    raise _refused(data)


def _is_sequence(data: Any) -> bool:
    """Tell a sequence, an array or a series of single values from a table."""
    if isinstance(data, str | bytes | dict) or not hasattr(data, "__len__") or hasattr(data, "columns"):
        return False
    return isinstance(data, Sequence) or hasattr(data, "__getitem__") or isinstance(data, set | frozenset)


def _refused(data: Any) -> InputError:
    ways = {
        "DatasetDict": "Name one of its splits: data['train'].",
        "IterableDatasetDict": "Name one of its splits: data['train'].",
        "IterableDataset": "Its rows cannot be taken by number: load it without streaming=True.",
        "LazyFrame": "Collect it first: data.collect().",
    }
    kinds = "be a list of texts, a data frame, a datasets.Dataset, a pyarrow.Table or a Ray Dataset"
    way = "Put it into a list: [text]." if isinstance(data, str) else ways.get(type(data).__name__, "")
    if isinstance(data, dict) and not way:
        way = "Make a table of it: pyarrow.table(data)."
    return invalid("texts", kinds, Verbatim(type(data).__name__), way)


def _read(data: Any) -> pa.Table:
    """Return what an object's Arrow stream holds."""
    try:
        return pa.table(data)
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise invalid("texts", "be readable as Arrow columns", Verbatim(type(data).__name__), f"({reason})") from error


class _TextRows(Rows):
    """Texts without columns."""

    def __init__(self, data: Any, values: list[Any]) -> None:
        if isinstance(data, set | frozenset):
            raise invalid("texts", "have an order", Verbatim(type(data).__name__), "Sort it into a list.")
        self.names = [TEXT]
        self._data = data
        self._values = values

    def columns(self, names: Sequence[str]) -> pa.Table:
        values = [one.as_py() if isinstance(one, pa.Scalar) else one for one in self._values]
        values = [None if _is_missing(one) else one for one in values]
        odd = next((at for at, one in enumerate(values) if one is not None and not isinstance(one, str)), None)
        if odd is not None:
            raise invalid("texts", "be str", Verbatim(f"{type(values[odd]).__name__} at row {odd}"))
        return pa.table({TEXT: pa.array([None if one is None else str(one) for one in values], pa.string())})

    def take(self, rows: Indices) -> Any:
        if hasattr(self._data, "iloc"):
            return self._data.iloc[rows]
        if isinstance(self._data, pa.Array | pa.ChunkedArray):
            return self._data.take(pa.array(rows))
        if isinstance(self._data, tuple):
            return tuple(self._values[row] for row in rows.tolist())
        if isinstance(self._data, list) or not hasattr(self._data, "dtype"):
            return [self._values[row] for row in rows.tolist()]
        return self._data[rows if isinstance(self._data, np.ndarray) else rows.tolist()]


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value) or type(value).__name__ == "NAType"


class _RecordRows(Rows):
    """Dictionaries, a row each."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.names = list(dict.fromkeys(str(name) for record in records for name in record))
        self._records = records

    def columns(self, names: Sequence[str]) -> pa.Table:
        try:
            return pa.table({name: pa.array([record.get(name) for record in self._records]) for name in names})
        except pa.ArrowException as error:
            reason = next(iter(str(error).splitlines()), "")
            raise invalid("texts", "hold values of one type a column", Verbatim("others"), f"({reason})") from error

    def take(self, rows: Indices) -> list[dict[str, Any]]:
        return [self._records[row] for row in rows.tolist()]


class _ArrowRows(Rows):
    """A table, or what was read into one."""

    def __init__(self, table: pa.Table) -> None:
        self.names = list(table.column_names)
        self._table = table

    def columns(self, names: Sequence[str]) -> pa.Table:
        return self._table.select(list(names))

    def take(self, rows: Indices) -> pa.Table:
        return self._table.take(pa.array(rows))


class _FrameRows(Rows):
    """A frame of pandas or polars: ``data[names]`` has the Arrow interface."""

    def __init__(self, data: Any, names: list[str], take: Any) -> None:
        self.names = names
        self._data = data
        self._take = take

    def columns(self, names: Sequence[str]) -> pa.Table:
        return _read(self._data[list(names)])

    def take(self, rows: Indices) -> Any:
        return self._take(rows)


class _DatasetRows(Rows):
    """A ``datasets.Dataset``."""

    def __init__(self, data: Any) -> None:
        if not hasattr(data, "with_format") or not hasattr(data, "__getitem__") or isinstance(data, dict):
            raise _refused(data)
        if not hasattr(data, "num_rows") or not isinstance(data.num_rows, int):
            raise _refused(data)
        self.names = list(data.column_names)
        self._data = data

    def columns(self, names: Sequence[str]) -> pa.Table:
        table: pa.Table = self._data.select_columns(list(names)).with_format("arrow")[:]
        return table

    def take(self, rows: Indices) -> Any:
        return self._data.select(rows.tolist())
