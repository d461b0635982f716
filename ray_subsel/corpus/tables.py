"""Concatenate tables whose columns and types differ."""

from __future__ import annotations

import pyarrow as pa

from ray_subsel.corpus.batches import to_json


def unify(tables: list[pa.Table]) -> pa.Table:
    """Concatenate tables whose columns may differ.

    A column that one lacks is null there. Where types differ, null gives way, numbers become float64 (integers of
    different widths the widest), and what agrees in nothing becomes text.
    """
    first = tables[0].schema
    if all(table.schema.equals(first) for table in tables[1:]):
        return pa.concat_tables(tables)
    types: dict[str, list[pa.DataType]] = {}
    for table in tables:
        for name, kind in zip(table.schema.names, table.schema.types, strict=True):
            types.setdefault(name, []).append(kind)
    common = {name: _common(kinds) for name, kinds in types.items()}
    columns = {
        name: pa.chunked_array([chunk for table in tables for chunk in _column(table, name, kind)], type=kind)
        for name, kind in common.items()
    }
    return pa.table(columns)


def _common(kinds: list[pa.DataType]) -> pa.DataType:
    distinct = list(dict.fromkeys(kind for kind in kinds if not pa.types.is_null(kind)))
    if not distinct:
        return pa.null()
    if len(distinct) == 1:
        return distinct[0]
    if all(pa.types.is_signed_integer(kind) for kind in distinct):
        return max(distinct, key=lambda kind: kind.bit_width)
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in distinct):
        return pa.float64()
    return pa.string()


def _column(table: pa.Table, name: str, kind: pa.DataType) -> list[pa.Array]:
    if name not in table.column_names:
        return [pa.nulls(table.num_rows, kind)]
    column = table.column(name)
    if column.type == kind:
        return list(column.chunks)
    try:
        return list(column.cast(kind).chunks)
    except pa.ArrowException:
        texts = [value if value is None or isinstance(value, str) else to_json(value) for value in column.to_pylist()]
        return [pa.array(texts, pa.string()).cast(kind)]
