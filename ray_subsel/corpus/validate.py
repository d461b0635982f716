"""Validate a batch of original rows: canonical columns, and a reason for every row that cannot be used."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ray_subsel.core.hashing import KEY_BYTES, text_key
from ray_subsel.core.texts import folded, is_visible
from ray_subsel.corpus.batches import Batch, Reject
from ray_subsel.corpus.reading import Reading
from ray_subsel.corpus.row_texts import CheckedRows, RowTexts, texts_of_rows
from ray_subsel.corpus.vector_columns import vector_lists
from ray_subsel.embedders.tokens import TokenCounter, token_counter


def canonical(batch: Batch, reading: Reading) -> tuple[pa.Table, list[Reject]]:
    """Return the usable rows of a batch and the rest with reasons.

    Returns
    -------
    table : pa.Table
        ``id`` (the row's number in its unit), ``key``, ``text``, ``vector`` (only with vectors), ``label``, ``group``,
        ``cost`` and ``quality`` (only where a column is named; NaN is no quality), ``source_id``, ``origin`` (= id),
        ``line`` (of the file); for questions ``context``, ``ending1``, ``ending2`` and so on; then the original columns
        but the vectors, as ``src.<name>``, or JSON objects as they were written, ``record``.
    rejects : list of Reject
        In order of row, the batch's own included.
    """
    rows = CheckedRows(batch)
    config = reading.config
    n = rows.n
    labels: list[str] | None = rows.names(config.label) if config.label is not None else None
    made = texts_of_rows(rows, reading)
    texts, labels = made.texts, made.labels or labels
    if config.task == "classification" and labels is not None:
        for row in (i for i, label in enumerate(labels) if not label):
            rows.reject(row, "missing label")
    source_ids = rows.columns.names(config.id) if config.id is not None else None
    for row in (i for i, value in enumerate(source_ids or ()) if not is_visible(value)):
        rows.reject(row, "missing id")
    costs = None if config.cost is None else _costs(rows, config.cost, config.tokenizer, made)
    qualities = _qualities(rows, config.quality) if config.quality is not None else None
    matrix = _vectors(rows, config.vectors, reading.dimension) if reading.dimension is not None else None
    columns = {
        "id": pa.array(batch.rows),
        "key": pa.array(_keys(texts, matrix), pa.binary(KEY_BYTES)),
        "text": pa.nulls(n, pa.string()) if texts is None else pa.array(texts, pa.string()),
    }
    if matrix is not None:
        flat = pa.array(matrix.reshape(-1))
        columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1])
    columns["label"] = _nullable(labels, n)
    columns["group"] = _nullable(rows.names(config.group) if config.group is not None else None, n)
    if costs is not None:
        columns["cost"] = pa.array(costs)
    if qualities is not None:
        columns["quality"] = pa.array(qualities)
    columns["source_id"] = _nullable(source_ids, n)
    columns["origin"] = pa.array(batch.rows)
    columns["line"] = pa.array(batch.lines)
    columns |= {name: pa.array(column, pa.string()) for name, column in made.extra.items()}
    table = pa.table(columns | batch.columns.stored(config.vectors))
    bad = np.fromiter(sorted(rows.reasons), dtype=np.int64, count=len(rows.reasons))
    found = [Reject(int(batch.lines[i]), int(batch.rows[i]), *rows.reasons[int(i)]) for i in bad]
    keep = np.ones(n, dtype=bool)
    keep[bad] = False
    usable = table.filter(pa.array(keep)) if len(bad) else table
    return usable, sorted([*batch.rejects, *found], key=lambda reject: reject.row)


def _vectors(rows: CheckedRows, name: str | None, dimension: int) -> NDArray[np.float32]:
    """Return the vectors of a batch, zeros in rejected rows."""
    assert name is not None
    matrix = np.zeros((rows.n, dimension), dtype=np.float32)
    column = vector_lists(rows.columns.column(name))
    if column is None:
        for row in range(rows.n):
            rows.reject(row, "no vector")
        return matrix
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
    fits = lengths == dimension
    for row in np.flatnonzero(~fits).tolist():
        length = int(lengths[row])
        if length < 0:
            rows.reject(row, "no vector")
        else:
            rows.reject(row, "vector of another length", f"{length}, others have {dimension}")
    values = pc.list_flatten(column.filter(pa.array(fits)))
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is rejected as such
        wide = pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        # Adding zero turns -0.0 into 0.0: equal vectors must have equal bytes.
        matrix[fits] = wide.reshape(-1, dimension).astype(np.float32) + np.float32(0)
    finite = np.isfinite(matrix).all(axis=1)
    for row in np.flatnonzero(~finite).tolist():
        rows.reject(row, "vector with NaN, null or infinity")
    for row in np.flatnonzero(finite & fits & ~matrix.any(axis=1)).tolist():
        rows.reject(row, "zero vector")
    return matrix


def _tokens(rows: CheckedRows, counter: TokenCounter, made: RowTexts) -> NDArray[np.float64]:
    """Return the tokens of each row: of its chat as the template writes it, else of its text."""
    costs = np.ones(rows.n)
    open_rows = [row for row in range(rows.n) if row not in rows.reasons]
    if made.chats is not None:
        counter.check_chats()
        counts = counter.of_chats([made.chats[row] for row in open_rows])
    else:
        texts = made.texts or [""] * rows.n
        counts = list(counter.of_texts([texts[row] for row in open_rows]))
    for row, count in zip(open_rows, counts, strict=True):
        if not count:
            rows.reject(row, "chat that the tokenizer's template refuses" if count is None else "no token")
        else:
            costs[row] = count
    return costs


def _costs(rows: CheckedRows, name: str, tokenizer: str | None, made: RowTexts) -> NDArray[np.float64]:
    """Return what each row of a batch costs; a row whose value is no number above 0 is rejected."""
    if tokenizer is not None:
        return _tokens(rows, token_counter(tokenizer), made)
    costs = np.ones(rows.n)
    for row, text in enumerate(rows.stripped(name)):
        try:
            costs[row] = float(text)
        except ValueError:
            costs[row] = math.nan
        if not (math.isfinite(costs[row]) and costs[row] > 0):
            rows.reject(row, "cost that is no number above 0", text)
    return costs


def _qualities(rows: CheckedRows, name: str) -> NDArray[np.float64]:
    """Return the score of each row of a batch, NaN where there is none; a row whose value is no number is rejected."""
    qualities = np.full(rows.n, math.nan)
    for row, text in enumerate(rows.stripped(name)):
        try:
            qualities[row] = float(text) if text else math.nan
        except ValueError:
            rows.reject(row, "quality that is no number", text)
    return qualities


def _keys(texts: list[str] | None, matrix: NDArray[np.float32] | None) -> list[bytes]:
    if texts is not None:
        return [text_key(folded(text)) for text in texts]
    assert matrix is not None
    little = np.ascontiguousarray(matrix, dtype="<f4")
    return [hashlib.blake2b(row, digest_size=KEY_BYTES).digest() for row in little]


def _nullable(values: list[str] | None, n: int) -> pa.Array:
    if values is None:
        return pa.nulls(n, pa.string())
    return pa.array([value or None for value in values], pa.string())
