"""Read lists of rows, the files of ``--include`` and ``--exclude``, and know what their ids mean; labels of ``--mix``.

An id is a position in the input, or one of the user's own. Which, the file says: a table with the column that ``--id``
names has own ids; a selection has positions in the input of its run, and own ids beside them where that run had an
``--id`` column. Positions mean nothing in another input, so a selection of one is refused.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from ray_subsel.config import CorpusConfig, SelectConfig
from ray_subsel.constraints.mix import LIKE
from ray_subsel.core.errors import InputError, ResourceError, Verbatim, invalid, told_of
from ray_subsel.core.hashing import fingerprint
from ray_subsel.core.uris import split
from ray_subsel.corpus.columns import steps_of
from ray_subsel.corpus.constraint_columns import group_column
from ray_subsel.corpus.files import list_files
from ray_subsel.corpus.formats import format_for
from ray_subsel.corpus.ingest_plan import schema_of
from ray_subsel.corpus.values import texts_of
from ray_subsel.storage.manifest import NAME as MANIFEST
from ray_subsel.storage.run_directory import RunDir

OWN_IDS = "source_id"
"""The column of a selection that has the user's own ids."""
_SELECTION = {"rank", "gain"}
MUST_BE = "be a text file with an id a line, or Parquet"


@dataclass(frozen=True)
class NamedRows:
    """Rows that a user named.

    Attributes
    ----------
    ids : tuple of str
        In the order of the file, each once.
    own : bool
        Whether they are the user's own ids; else positions in the input.
    """

    ids: tuple[str, ...] = ()
    own: bool = False


@dataclass(frozen=True)
class IdLists:
    """Rows that must, and that must not, be chosen.

    Attributes
    ----------
    include, exclude : NamedRows
    like : tuple of (str, int)
        The groups of the rows that a mix is to be like, sorted, and how many rows each has.
    """

    include: NamedRows = NamedRows()
    exclude: NamedRows = NamedRows()
    like: tuple[tuple[str, int], ...] = ()

    @property
    def fingerprints(self) -> dict[str, str | None]:
        """Hashes of the two, for the run's settings; None where nothing is named."""
        found = {
            name: fingerprint(list(rows.ids)) if rows.ids else None
            for name, rows in (("include", self.include), ("exclude", self.exclude))
        }
        return found | ({"like": fingerprint([list(pair) for pair in self.like])} if self.like else {})


def read_id_lists(config: SelectConfig, corpus: CorpusConfig, inputs: str) -> IdLists:
    """Read the files of ``include``, ``exclude`` and, with the corpus' column of groups, of ``mix``.

    Parameters
    ----------
    config : SelectConfig
    corpus : CorpusConfig
    inputs : str
        The fingerprint of the input.

    Raises
    ------
    InputError
        For a file that cannot be read, holds no id, names one twice, or a selection of another input.
    """
    read = [
        NamedRows() if path is None else read_named(parameter, path, corpus.id, inputs)
        for parameter, path in (("include", config.include), ("exclude", config.exclude))
    ]
    return IdLists(read[0], read[1], _read_like(config, corpus))


def _read_like(config: SelectConfig, corpus: CorpusConfig) -> tuple[tuple[str, int], ...]:
    """Count the groups of the rows of the file that the mix is to be like; it has the corpus' column of groups."""
    if len(config.mix) != 1 or not config.mix[0].startswith(LIKE):
        return ()
    column = corpus.group if group_column(corpus) == "group" else corpus.label
    if column is None:
        raise invalid("mix", "be like a file for a task with a column of groups", corpus.task, "Use --group COLUMN.")
    with told_of(f"mix {config.mix[0]}"):
        files, _ = list_files(replace(corpus, data=(config.mix[0].removeprefix(LIKE),)))
    found: Counter[str] = Counter()
    for file in files:
        schema = schema_of(file)
        if schema is not None and steps_of(column, schema.names) is None:
            raise invalid("mix", f"be like a file with the column {column}", file.uri)
        for batch in format_for(file).batches(file):
            found.update(name.strip() for name in batch.columns.names(column))
    if not found:
        raise invalid("mix", "be like a file with rows", config.mix[0])
    return tuple(sorted(found.items()))


def read_named(parameter: str, path: str, own: str | None, inputs: str) -> NamedRows:
    """Read a file of rows.

    Parameters
    ----------
    parameter : str
        What named the file.
    path : str
    own : str or None
        The column of the user's own ids.
    inputs : str
        The fingerprint of the input in which positions are meant.

    Raises
    ------
    InputError
        For a file that cannot be read, holds no id, names one twice, or a selection of another input.
    """
    folder, name = split(path)
    place = RunDir(folder)
    if not place.exists(name):
        raise invalid(parameter, "name a file", path)
    rows = _table(parameter, place, name, path, own, inputs) if name.endswith(".parquet") else _lines(place, name, own)
    if rows is None:
        raise invalid(parameter, MUST_BE, path)
    if not all(rows.ids):
        raise invalid(
            parameter, "name a row in each of its rows", Verbatim(f"none in row {rows.ids.index('')} of {path}")
        )
    if not rows.ids:
        raise invalid(parameter, "name at least one row", Verbatim(f"none in {path}"))
    if len(set(rows.ids)) < len(rows.ids):
        twice, _ = Counter(rows.ids).most_common(1)[0]
        raise invalid(parameter, "name a row once", Verbatim(f"{twice} twice in {path}"))
    return rows


def _lines(place: RunDir, name: str, own: str | None) -> NamedRows | None:
    try:
        lines = place.read_bytes(name).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return NamedRows(tuple(line.strip() for line in lines if line.strip()), own is not None)


def _table(parameter: str, place: RunDir, name: str, path: str, own: str | None, inputs: str) -> NamedRows:
    try:
        with place.parquet(name) as file:
            columns: list[str] = file.schema_arrow.names
    except ResourceError:
        raise
    except InputError as error:
        raise invalid(parameter, MUST_BE, path) from error
    with place.parquet(name) as file:
        column, is_own = _column(parameter, place, columns, path, own, inputs)
        found: pa.Table = file.read(columns=[column])
    return NamedRows(tuple(text.strip() for text in texts_of(found.column(column))), is_own)


def _column(
    parameter: str, place: RunDir, columns: list[str], path: str, own: str | None, inputs: str
) -> tuple[str, bool]:
    """Return the column of a table that names rows, and whether by the user's own ids."""
    selection = _SELECTION.issubset(columns)
    beside = _settings_beside(place) if "rank" in columns else None
    if not selection and own is not None and own in columns:
        return own, True
    if "id" not in columns:
        raise invalid(f"columns of {path}", "include id", Verbatim(", ".join(columns)))
    if not selection and beside is None:
        return "id", own is not None
    way = "Use a text file with an id a line, or tables of your own ids, with --id in both runs."
    if beside is None:
        raise invalid(parameter, f"lie beside the {MANIFEST} of its run, which tells what its ids mean", path, way)
    if own is not None and OWN_IDS in columns:
        if beside.get("id") != own:
            raise invalid(parameter, f"have ids of column {own}", Verbatim(f"{path} of --id {beside.get('id')}"), way)
        return OWN_IDS, True
    if beside.get("input") != inputs:
        raise invalid(parameter, "be a selection from this input, where its ids are positions in another", path, way)
    return "id", False


def _settings_beside(place: RunDir) -> dict[str, Any] | None:
    """Return the settings of the corpus of the run that lies in a folder, or None where none does."""
    if not place.exists(MANIFEST):
        return None
    try:
        settings = place.read_json(MANIFEST)["stages"]["corpus"]["settings"]
    except (InputError, KeyError, TypeError):
        return None
    return settings if isinstance(settings, dict) else None
