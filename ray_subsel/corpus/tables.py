"""Bring the original columns of all files to common types, and concatenate tables whose columns differ.

The types are found once, from all parts of a corpus, so they do not depend on which rows are read.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

import pyarrow as pa

from ray_subsel.corpus.json_shape import fit_all
from ray_subsel.corpus.values import parquet_takes, spelled, values_of

Types = dict[str, pa.DataType]


def common_types(found: Iterable[tuple[pa.Schema, int]]) -> Types:
    """Return one type for each column of several tables, each with its number of rows.

    Null gives way; numbers, dates, lists and objects are widened as Arrow does; of nested and single values, the kind
    that more rows have; what agrees in nothing else becomes text.
    """
    kinds: dict[str, dict[pa.DataType, int]] = {}
    for schema, rows in found:
        for name, kind in zip(schema.names, schema.types, strict=True):
            mine = kinds.setdefault(name, {})
            mine[kind] = mine.get(kind, 0) + rows
    return {name: _common(mine) for name, mine in kinds.items()}


def _common(kinds: dict[pa.DataType, int]) -> pa.DataType:
    real = {kind: rows for kind, rows in kinds.items() if not pa.types.is_null(kind)}
    if not real:
        return pa.null()
    nested = {kind: rows for kind, rows in real.items() if pa.types.is_nested(kind)}
    if nested and len(nested) < len(real):
        if 2 * sum(nested.values()) <= sum(real.values()):
            return pa.string()
        real = nested
    if len(real) == 1:
        return next(iter(real))
    try:
        schemas = [pa.schema([("a", kind)]) for kind in sorted(real, key=str)]
        widened = pa.unify_schemas(schemas, promote_options="permissive").field("a").type
        if parquet_takes(widened) and not (pa.types.is_binary(widened) and any(map(pa.types.is_string, real))):
            return widened
    except pa.ArrowException:
        pass
    return max(nested, key=lambda kind: (real[kind], str(kind))) if nested else pa.string()


def to_types(table: pa.Table, types: Types) -> pa.Table:
    """Return a table whose columns have the types that are told for them; what does not fit is null."""
    for at, name in enumerate(table.column_names):
        kind = types.get(name)
        if kind is not None and table.column(name).type != kind:
            table = table.set_column(at, name, to_type(table.column(name), kind)[0])
    return table


def to_type(column: pa.ChunkedArray, kind: pa.DataType) -> tuple[pa.ChunkedArray, int]:
    """Return a column as another type, and how many values did not fit and are null."""
    if pa.types.is_null(column.type):
        return pa.chunked_array([pa.nulls(len(column), kind)]), 0
    values = values_of(column)
    if pa.types.is_string(kind):
        return pa.chunked_array([pa.array([None if one is None else spelled(one) for one in values], kind)]), 0
    if not pa.types.is_nested(kind) or pa.types.is_nested(column.type):
        try:
            return column.cast(kind), 0
        except pa.ArrowException:
            pass
    array, misfits = fit_all(values, kind)
    return pa.chunked_array([array]), misfits


def concatenate(tables: list[pa.Table]) -> pa.Table:
    """Concatenate tables of one type a column; a column that one lacks is null there."""
    first = tables[0].schema
    if all(table.schema.equals(first) for table in tables[1:]):
        return pa.concat_tables(tables)
    return pa.concat_tables(tables, promote_options="default")


def types_as_json(types: Types) -> str:
    """Return types as text for JSON: a schema of Arrow, in base 64."""
    return base64.b64encode(pa.schema(list(types.items())).serialize().to_pybytes()).decode()


def types_of_json(text: str) -> Types:
    """Return what :func:`types_as_json` gave."""
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
    return dict(zip(schema.names, schema.types, strict=True))
