"""Read a table in memory as the files of a corpus are read: the same checks, the same rows, the same reasons."""

from __future__ import annotations

import pyarrow as pa

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.batches import Batch, Reject
from ray_subsel.corpus.columns import ArrowColumns
from ray_subsel.corpus.reading import first_dimension, reading_of
from ray_subsel.corpus.validate import canonical


def rows_of_table(table: pa.Table, config: CorpusConfig, where: str = "the table") -> tuple[pa.Table, list[Reject]]:
    """Return the usable rows of a table, and the rest with reasons.

    Parameters
    ----------
    table : pyarrow.Table
        Any: row i of it has ``id`` i.
    config : CorpusConfig
        Its ``data`` is not looked at.
    where : str
        What messages call it.

    Returns
    -------
    rows : pyarrow.Table
        Columns as :func:`ray_subsel.corpus.validate.canonical` has them: ``id``, ``key`` (equal for equal texts),
        ``text``, ``vector``, ``label``, ``group``, ``cost``, ``source_id`` and so on.
    rejects : list of Reject
        In order of row, each with its reason.

    Raises
    ------
    InputError
        For columns that are not there, or no row at all.
    """
    columns = ArrowColumns(table)
    if not columns.rows:
        raise InputError(f"{where} must hold at least one row; got none.")
    reading = reading_of(table.schema, config, where)
    if config.vectors is not None:
        dimension = first_dimension([columns], config.vectors)
        reading = reading_of(table.schema, config, where, dimension)
    return canonical(Batch.numbered(columns), reading)
