"""Write values as texts, one spelling each, whatever type a column has; and find the form in which Parquet keeps them.

No list of types decides what can be read: what Arrow writes as text is taken so, and what it does not, as Python does.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_WHOLE = re.compile(r"[+-]?\d+\.0+")
_LARGEST_WHOLE = 1e15
"""Above it, a float is written as Python writes it."""


def is_missing(value: object) -> bool:
    """Tell whether a value is none: null, or NaN, which is how many libraries write null."""
    return value is None or (isinstance(value, (float, decimal.Decimal)) and math.isnan(value))


def to_json(value: object) -> str:
    """Return a value as JSON text; what JSON does not know, such as dates, as its own text."""
    return json.dumps(value, ensure_ascii=False, default=_odd)


def _odd(value: object) -> str:
    return value.hex() if isinstance(value, (bytes, bytearray, memoryview)) else str(value)


def spelled(value: Any) -> str:
    """Return one value as text: nothing for a missing one, ``true`` and ``false``, whole numbers without a point."""
    if isinstance(value, str):
        return value
    if is_missing(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < _LARGEST_WHOLE else repr(value)
    if isinstance(value, decimal.Decimal):
        return str(int(value)) if value == value.to_integral_value() else f"{value.normalize():f}"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat(*(" ",) if isinstance(value, datetime.datetime) else ())
    if isinstance(value, (list, tuple, dict)):
        return to_json(value)
    return str(value)


def respelled(text: str) -> str:
    """Return a value of a format without types (CSV) as :func:`spelled` writes it: ``True`` is true, ``1.0`` is 1."""
    if text[:1] in "tTfF" and text.lower() in ("true", "false"):
        return text.lower()
    return str(int(text.split(".")[0])) if _WHOLE.fullmatch(text) else text


def plain(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Return a column without wrappings: the storage of an extension type, a dictionary's values, runs laid out."""
    while True:
        kind = column.type
        if isinstance(kind, pa.BaseExtensionType):
            chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
            column = pa.chunked_array([chunk.storage for chunk in chunks], type=kind.storage_type)
        elif pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        elif pa.types.is_run_end_encoded(kind):
            column = pc.run_end_decode(column)
        else:
            return column


def texts_of(column: pa.ChunkedArray) -> list[str]:
    """Return every value of a column as :func:`spelled` writes it."""
    column = plain(column)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return [value or "" for value in column.to_pylist()]
    if pa.types.is_null(kind):
        return [""] * len(column)
    if pa.types.is_integer(kind):
        return [value or "" for value in column.cast(pa.string()).to_pylist()]
    if pa.types.is_floating(kind) and not pa.types.is_float64(kind):
        return _narrow_floats(column)
    return [spelled(value) for value in values_of(column)]


def _narrow_floats(column: pa.ChunkedArray) -> list[str]:
    """Write floats of fewer bits with the digits that tell them apart at their own width: 0.1, not 0.10000000149."""
    wide = column.cast(pa.float64()).to_pylist()
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    texts = column.cast(pa.string()).to_pylist()
    return [
        spelled(value) if value is None or not math.isfinite(value) or value.is_integer() else text
        for value, text in zip(wide, texts, strict=True)
    ]


def values_of(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    """Return every value of a column as Python sees it, null as None; where Arrow has no Python value, its words."""
    try:
        return list(plain(column).to_pylist())
    except (pa.ArrowException, ValueError, OverflowError, TypeError):
        return [_value_of(scalar) for scalar in column]


def _value_of(scalar: pa.Scalar) -> Any:
    if not scalar.is_valid:
        return None
    try:
        return scalar.as_py()
    except (pa.ArrowException, ValueError, OverflowError, TypeError):
        # Times finer than Python's, dates beyond its calendar.
        try:
            return scalar.cast(pa.string()).as_py()
        except pa.ArrowException:
            return str(getattr(scalar, "value", scalar))


def noted_features(schema: pa.Schema) -> dict[str, Any]:
    """Return what the ``datasets`` library notes of each column in a schema."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: about for name, about in features.items() if name in schema.names and isinstance(about, dict)}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names of the classes of each ClassLabel column."""
    labels = {
        name: one.get("names") for name, one in noted_features(schema).items() if one.get("_type") == "ClassLabel"
    }
    return {name: names for name, names in labels.items() if isinstance(names, list)}


@lru_cache(maxsize=1024)
def _parquet_takes(kind: pa.DataType) -> bool:
    table = pa.table({"a": pa.nulls(1, kind)}).take(pa.array([0]))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bool(pq.read_table(pa.BufferReader(sink.getvalue())).schema.field("a").type == kind)


def parquet_takes(kind: pa.DataType) -> bool:
    """Tell whether Parquet can hold a type and give it back, and Arrow can sort rows of it: they are asked."""
    try:
        return _parquet_takes(kind)
    except (pa.ArrowException, OSError, TypeError, ValueError, NotImplementedError):
        return False


def storable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as Parquet can keep it: as it is, else without wrappings, else as texts."""
    bare = plain(column)
    for tried in (column, bare, _viewless(bare)):
        if parquet_takes(tried.type):
            return tried if isinstance(tried, pa.ChunkedArray) else pa.chunked_array([tried])
    values = values_of(column)
    return pa.chunked_array([pa.array([None if value is None else spelled(value) for value in values], pa.string())])


def _viewless(column: Any) -> Any:
    """Return texts and bytes that are views of buffers as plain ones."""
    kinds = {"string_view": pa.string(), "binary_view": pa.binary()}
    kind = kinds.get(str(column.type))
    return column if kind is None else column.cast(kind)
