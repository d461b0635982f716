"""Read numbers of a column of the input for rows that are ingested: a score of each row."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import invalid
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.corpus.files import list_files
from ray_subsel.corpus.ingest_plan import schema_of
from ray_subsel.corpus.rows import RowStore

MISSING = -math.inf
"""What stands where a row has no finite number: such rows come last."""


def check_number_column(corpus: CorpusConfig, column: str, parameter: str) -> None:
    """Raise InputError unless every input file that tells its columns has one of this name."""
    if column == corpus.vectors:
        raise invalid(parameter, "be a column of numbers", column, "It holds the vectors.")
    for file in list_files(corpus)[0]:
        schema = schema_of(file)
        if schema is not None and column not in schema.names:
            raise invalid(parameter, f"be a column of {file.uri}", column, f"Its columns: {', '.join(schema.names)}.")


def row_values(rows: RowStore, ids: Indices, column: str) -> Float64s:
    """Return the number that each row has in a column of the input, :data:`MISSING` where that is none."""
    if not ids.size:
        return np.zeros(0)
    return numbers_of(rows.original_column(ids, column))


def numbers_of(column: pa.ChunkedArray) -> Float64s:
    """Return the finite numbers of a column of numbers or texts, :data:`MISSING` for whatever else is in it."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        found = np.array(column.cast(pa.float64(), safe=False).fill_null(math.nan).to_numpy(), dtype=np.float64)
    else:
        found = np.array([_number(value) for value in column.to_pylist()], dtype=np.float64)
    return np.where(np.isfinite(found), found, MISSING)


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return math.nan
