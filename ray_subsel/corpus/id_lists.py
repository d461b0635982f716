"""Read lists of row ids: files of ``--include`` and ``--exclude``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ray_subsel.config import SelectConfig
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.hashing import fingerprint
from ray_subsel.storage.filesystems import split
from ray_subsel.storage.run_directory import RunDir


@dataclass(frozen=True)
class IdLists:
    """Rows that a user named in files, as their ids are written.

    Attributes
    ----------
    include, exclude : tuple of str
        In the order of the files, each once.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def fingerprints(self) -> dict[str, str | None]:
        """Hashes of the two, for the run's settings; None where nothing is named."""
        return {
            name: fingerprint(list(ids)) if ids else None
            for name, ids in (("include", self.include), ("exclude", self.exclude))
        }


def read_id_lists(config: SelectConfig) -> IdLists:
    """Read the files of ``include`` and ``exclude``.

    Raises
    ------
    InputError
        For a file that cannot be read, holds no id, or names one twice.
    """
    return IdLists(_read_ids("include", config.include), _read_ids("exclude", config.exclude))


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
