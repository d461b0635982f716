"""Read what a selection is told in files: rows of ``--include`` and ``--exclude``, labels of ``--mix like:FILE``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pyarrow as pa

from ray_subsel.config import CorpusConfig, SelectConfig
from ray_subsel.constraints.mix import LIKE
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.hashing import fingerprint
from ray_subsel.corpus.constraint_columns import group_column
from ray_subsel.corpus.files import list_files
from ray_subsel.corpus.readers import read_batches
from ray_subsel.storage.filesystems import split
from ray_subsel.storage.run_directory import RunDir


@dataclass(frozen=True)
class IdLists:
    """Rows that a user named in files, as their ids are written.

    Attributes
    ----------
    include, exclude : tuple of str
        In the order of the files, each once.
    like : tuple of (str, int)
        The groups of the rows that a mix is to be like, sorted, and how many rows each has.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    like: tuple[tuple[str, int], ...] = ()

    @property
    def fingerprints(self) -> dict[str, str | None]:
        """Hashes of the two, for the run's settings; None where nothing is named."""
        found = {
            name: fingerprint(list(ids)) if ids else None
            for name, ids in (("include", self.include), ("exclude", self.exclude))
        }
        return found | ({"like": fingerprint([list(pair) for pair in self.like])} if self.like else {})


def read_id_lists(config: SelectConfig, corpus: CorpusConfig | None = None) -> IdLists:
    """Read the files of ``include``, ``exclude`` and, with the corpus' column of groups, of ``mix``.

    Raises
    ------
    InputError
        For a file that cannot be read, holds no id, or names one twice.
    """
    like = () if corpus is None else _read_like(config, corpus)
    return IdLists(_read_ids("include", config.include), _read_ids("exclude", config.exclude), like)


def _read_like(config: SelectConfig, corpus: CorpusConfig) -> tuple[tuple[str, int], ...]:
    """Count the groups of the rows of the file that the mix is to be like; it has the corpus' column of groups."""
    if len(config.mix) != 1 or not config.mix[0].startswith(LIKE):
        return ()
    column = corpus.group if group_column(corpus) == "group" else corpus.label
    if column is None:
        raise invalid("mix", "be like a file for a task with a column of groups", corpus.task, "Use --group COLUMN.")
    files, _ = list_files(replace(corpus, data=(config.mix[0].removeprefix(LIKE),)))
    found: Counter[str] = Counter()
    for file in files:
        for batch in read_batches(file):
            if column not in batch.table.column_names:
                raise invalid("mix", f"be like a file with the column {column}", file.uri)
            values = batch.table[column].cast(pa.string()).to_pylist()
            found.update("" if value is None else value for value in values)
    if not found:
        raise invalid("mix", "be like a file with rows", config.mix[0])
    return tuple(sorted(found.items()))


def _read_ids(parameter: str, path: str | None) -> tuple[str, ...]:
    if path is None:
        return ()
    folder, name = split(path)
    place = RunDir(folder)
    if not place.exists(name):
        raise invalid(parameter, "name a file", path)
    if name.endswith(".parquet"):
        with place.parquet(name) as file:
            if "id" not in file.schema_arrow.names:
                raise invalid(f"columns of {path}", "include id", Verbatim(", ".join(file.schema_arrow.names)))
            ids = [str(one) for one in file.read(columns=["id"])["id"].to_pylist()]
    else:
        try:
            lines = place.read_bytes(name).decode("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise invalid(parameter, "be a text file with an id a line, or Parquet", path, f"({error})") from error
        ids = [line.strip() for line in lines if line.strip()]
    if not ids:
        raise invalid(parameter, "name at least one row", Verbatim(f"none in {path}"))
    if len(set(ids)) < len(ids):
        twice, _ = Counter(ids).most_common(1)[0]
        raise invalid(parameter, "name a row once", Verbatim(f"{twice} twice in {path}"))
    return tuple(ids)
