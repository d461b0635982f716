"""Validate a batch of original rows: canonical columns, and a reason for every row that cannot be used."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ray_subsel.config import CorpusConfig
from ray_subsel.core.hashing import KEY_BYTES, text_key
from ray_subsel.corpus.batches import NOT_A_STRING, Batch, Reject, excerpt, to_json
from ray_subsel.corpus.story_columns import StoryColumns, story_text

SOURCE = "src."
"""Prefix of the original columns in a part file."""


@dataclass(frozen=True)
class Reading:
    """How the rows of one file are read.

    Attributes
    ----------
    config : CorpusConfig
    text : tuple of str
        The columns that are joined to the text; empty for stories and bare vectors.
    story : StoryColumns or None
        The file's names, where the task is story-cloze.
    dimension : int or None
        The length that vectors must have; None where there are none.
    """

    config: CorpusConfig
    text: tuple[str, ...]
    story: StoryColumns | None
    dimension: int | None


class _Rows:
    """The rows of one batch, with the reasons found so far; the first reason of a row stands."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.reasons: dict[int, tuple[str, str]] = {}

    def strings(self, name: str) -> list[str]:
        """Return a column as text: null is empty, numbers are written out, lists and objects are JSON."""
        if name not in self.batch.table.column_names:
            return [""] * self.batch.table.num_rows
        column = self.batch.table.column(name)
        if pa.types.is_nested(column.type):
            return ["" if value is None else to_json(value) for value in column.to_pylist()]
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            return ["" if value is None else value.hex() for value in column.to_pylist()]
        return [value or "" for value in column.cast(pa.string()).to_pylist()]

    def stripped(self, name: str) -> list[str]:
        return [value.strip() for value in self.strings(name)]

    def reject(self, row: int, reason: str, detail: str = "") -> None:
        self.reasons.setdefault(row, (reason, excerpt(detail)))


def canonical(batch: Batch, reading: Reading) -> tuple[pa.Table, list[Reject]]:
    """Return the usable rows of a batch and the rest with reasons.

    Returns
    -------
    table : pa.Table
        ``id`` (the row's number in its unit), ``key``, ``text``, ``vector`` (only with vectors), ``label``, ``group``,
        ``cost`` and ``quality`` (only where a column is named; NaN is no quality), ``source_id``, ``origin`` (= id),
        ``line`` (of the file); for stories ``context``, ``ending1``, ``ending2``; then the original columns but the
        vectors, as ``src.<name>``.
    rejects : list of Reject
        In order of row, the batch's own included.
    """
    rows = _Rows(batch)
    config = reading.config
    n = batch.table.num_rows
    extra: dict[str, pa.Array] = {}
    texts: list[str] | None = None
    labels: list[str] | None = rows.stripped(config.label) if config.label is not None else None
    if reading.story is not None:
        context, ending1, ending2, labels, texts = _stories(rows, reading.story, config.story_text)
        extra = {name: pa.array(x, pa.string()) for name, x in zip(STORY, (context, ending1, ending2), strict=True)}
    elif reading.text:
        texts = _texts(rows, reading.text)
    if config.task == "classification" and labels is not None:
        for row in (i for i, label in enumerate(labels) if not label):
            rows.reject(row, "missing label")
    source_ids = rows.strings(config.id) if config.id is not None else None
    for row in (i for i, value in enumerate(source_ids or ()) if not value.strip()):
        rows.reject(row, "missing id")
    costs = _costs(rows, config.cost) if config.cost is not None else None
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
    columns["group"] = _nullable(rows.stripped(config.group) if config.group is not None else None, n)
    if costs is not None:
        columns["cost"] = pa.array(costs)
    if qualities is not None:
        columns["quality"] = pa.array(qualities)
    columns["source_id"] = _nullable(source_ids, n)
    columns["origin"] = pa.array(batch.rows)
    columns["line"] = pa.array(batch.lines)
    columns |= extra
    table = pa.table(columns)
    for name in batch.table.column_names:
        if name != config.vectors:
            table = table.append_column(SOURCE + name, batch.table.column(name))
    bad = np.fromiter(sorted(rows.reasons), dtype=np.int64, count=len(rows.reasons))
    found = [Reject(int(batch.lines[i]), int(batch.rows[i]), *rows.reasons[int(i)]) for i in bad]
    keep = np.ones(n, dtype=bool)
    keep[bad] = False
    usable = table.filter(pa.array(keep)) if len(bad) else table
    return usable, sorted([*batch.rejects, *found], key=lambda reject: reject.row)


STORY = ("context", "ending1", "ending2")


def _stories(
    rows: _Rows, story: StoryColumns, kind: str
) -> tuple[list[str], list[str], list[str], list[str], list[str]]:
    """Return context, both endings, the right one's number and the text of every story."""
    sentences = [rows.stripped(name) for name in story.sentences]
    endings = [rows.stripped(name) for name in story.endings]
    rights = rows.stripped(story.right)
    contexts: list[str] = []
    texts: list[str] = []
    for row, (right, ending1, ending2) in enumerate(zip(rights, *endings, strict=True)):
        parts = [column[row] for column in sentences]
        contexts.append(" ".join(parts))
        if not all((*parts, ending1, ending2)):
            names = (*story.sentences, *story.endings)
            empty = [name for name, part in zip(names, (*parts, ending1, ending2), strict=True) if not part]
            rows.reject(row, "empty text", ", ".join(empty))
        if right not in ("1", "2"):
            rows.reject(row, "wrong label", f"{story.right} must be 1 or 2: {right}")
            right = "1"
        texts.append(story_text(kind, contexts[-1], (ending1, ending2), right))
    return contexts, endings[0], endings[1], rights, texts


def _texts(rows: _Rows, names: tuple[str, ...]) -> list[str]:
    columns = [rows.stripped(name) for name in names]
    texts = [" ".join(part for part in parts if part) for parts in zip(*columns, strict=True)]
    for row in (i for i, text in enumerate(texts) if not text):
        rows.reject(row, "empty text")
    for name in names:
        if name in rows.batch.table.column_names and pa.types.is_string(rows.batch.table.column(name).type):
            continue  # the common case: nothing but strings
        _reject_structures(rows, name)
    return texts


def _reject_structures(rows: _Rows, name: str) -> None:
    """Reject values that are no text: lists, objects, bytes. Numbers and dates are taken as they are written."""
    if name not in rows.batch.table.column_names:
        return
    column = rows.batch.table.column(name)
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        for row, value in enumerate(column.to_pylist()):
            if value is not None:
                rows.reject(row, NOT_A_STRING, f"{name}: {column.type}")


def _vectors(rows: _Rows, name: str | None, dimension: int) -> NDArray[np.float32]:
    """Return the vectors of a batch, zeros in rejected rows."""
    assert name is not None
    n = rows.batch.table.num_rows
    matrix = np.zeros((n, dimension), dtype=np.float32)
    if name not in rows.batch.table.column_names:
        for row in range(n):
            rows.reject(row, "no vector")
        return matrix
    column = rows.batch.table.column(name).combine_chunks()
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


def _costs(rows: _Rows, name: str) -> NDArray[np.float64]:
    """Return what each row of a batch costs; a row whose value is no number above 0 is rejected."""
    costs = np.ones(rows.batch.table.num_rows)
    for row, text in enumerate(rows.stripped(name)):
        try:
            costs[row] = float(text)
        except ValueError:
            costs[row] = math.nan
        if not (math.isfinite(costs[row]) and costs[row] > 0):
            rows.reject(row, "cost that is no number above 0", text)
    return costs


def _qualities(rows: _Rows, name: str) -> NDArray[np.float64]:
    """Return the score of each row of a batch, NaN where there is none; a row whose value is no number is rejected."""
    qualities = np.full(rows.batch.table.num_rows, math.nan)
    for row, text in enumerate(rows.stripped(name)):
        try:
            qualities[row] = float(text) if text else math.nan
        except ValueError:
            rows.reject(row, "quality that is no number", text)
    return qualities


def _keys(texts: list[str] | None, matrix: NDArray[np.float32] | None) -> list[bytes]:
    if texts is not None:
        return [text_key(text) for text in texts]
    assert matrix is not None
    little = np.ascontiguousarray(matrix, dtype="<f4")
    return [hashlib.blake2b(row, digest_size=KEY_BYTES).digest() for row in little]


def _nullable(values: list[str] | None, n: int) -> pa.Array:
    if values is None:
        return pa.nulls(n, pa.string())
    return pa.array([value or None for value in values], pa.string())
