"""Count the rows of a corpus before it is read: from metadata, by reading small files, or by what is typical."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ray_subsel.config import CorpusConfig
from ray_subsel.corpus.columns import Columns
from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.formats import format_for
from ray_subsel.corpus.ingest_plan import IngestPlan

COUNTED_BYTES = 16 << 20
"""Text files up to this size are read to count their rows; of larger ones the first batch is taken for typical."""


@dataclass(frozen=True)
class Counted:
    """What is known of a corpus before it is read.

    Attributes
    ----------
    rows : int
        Copies that are added counted.
    exact : bool
        Whether the rows were counted; else they are estimated.
    bytes : int
        Of its files.
    shards : int
        Into which it will be cut.
    characters : float
        Of a row's text on average, in the first batch; 0 without texts.
    groups : int
        Different values of the column of groups in the first batch; 1 without one.
    dimension : int or None
        Of ready vectors.
    """

    rows: int
    exact: bool
    bytes: int
    shards: int
    characters: float = 0.0
    groups: int = 1
    dimension: int | None = None


def count_corpus(found: IngestPlan, counted_bytes: int = COUNTED_BYTES) -> Counted:
    """Count a corpus, of which it is known how it is read.

    Raises
    ------
    InputError
        When the input cannot be read.
    """
    corpus = found.config
    counted = [count_rows(file, counted_bytes) for file in found.files]
    rows = sum(count for count, _ in counted) * (2 if corpus.augment else 1)
    exact = all(counted for _, counted in counted) and not corpus.augment
    characters, groups = _typical(corpus, found.files)
    size = sum(file.size for file in found.files)
    return Counted(rows, exact, size, found.shards, characters, groups, found.dimension)


def count_rows(file: SourceFile, counted_bytes: int = COUNTED_BYTES) -> tuple[int, bool]:
    """Return the rows of a file, and whether they were counted: of a large one the first batch is taken for typical."""
    reader = format_for(file)
    known = reader.count(file)
    if known is not None:
        return known, True
    counted = 0
    for batch in reader.batches(file):
        rows = batch.columns.rows + len(batch.rejects)
        if file.size > counted_bytes:
            return max(rows, math.ceil(file.size / max(1, batch.columns.nbytes) * rows)), False
        counted += rows
    return counted, True


def _typical(corpus: CorpusConfig, files: list[SourceFile]) -> tuple[float, int]:
    """Return the characters of a row's text and the number of groups, in the first batch that has rows."""
    for file in files:
        for batch in format_for(file).batches(file):
            if batch.columns.rows:
                groups = 1 if corpus.group is None else len(set(batch.columns.names(corpus.group)))
                return _characters(corpus, batch.columns), groups
    return 0.0, 1


def _characters(corpus: CorpusConfig, columns: Columns) -> float:
    if corpus.vectors is not None and not corpus.text:
        return 0.0
    if not corpus.text:  # chats, questions, templates: most of the row
        return columns.nbytes / columns.rows
    return sum(len(text) for path in corpus.text for text in columns.texts(path)) / columns.rows
