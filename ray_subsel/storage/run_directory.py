"""Write and read the files of a run directory, each whole or not at all.

A directory on any filesystem that pyarrow reads (a local path, ``s3://``, ``gs://``, ``hdfs://``). Each file is written
under a temporary name and renamed, so what exists under its final name is complete; a run killed in between leaves
only ``*.tmp-*`` and ``*.begun`` names, which the next run removes. Objects are small and picklable: workers open the
same directory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ray_subsel.core.errors import InputError
from ray_subsel.core.system_errors import LACKING, number_of, unusable
from ray_subsel.core.uris import inside
from ray_subsel.storage.filesystems import is_object_store, open_filesystem
from ray_subsel.storage.opening import check_regular, open_parquet

Watch = Callable[[str, str], None]
"""Called as ``watch(event, name)`` with ``"read"``, ``"write"`` or ``"written"``."""

TEMPORARY = ".tmp-"
BEGUN = ".begun"
"""Ending of the file that says how often the file of the same name was begun: :mod:`ray_subsel.runtime.tasks`."""


def dictionary_columns(schema: pa.Schema) -> list[str]:
    """Return the columns that Parquet may encode by dictionary: texts. Of vectors it would try, at length, in vain."""
    return [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]


@contextmanager
def _deleting(path: str) -> Iterator[None]:
    """Name a file or folder in the way that the system does not let go."""
    try:
        yield
    except OSError as error:
        raise unusable(f"{path} could not be deleted", error, "Make it writable") from error


@dataclass(frozen=True)
class RunDir:
    """A run's directory.

    Parameters
    ----------
    uri : str
        A local path or a URI. It need not exist yet.
    watch : callable, optional
        Called as ``watch(event, name)``: ``"read"`` before a file is read, ``"write"`` before a file that is complete
        takes its name, ``"written"`` after that. It goes with the directory into every worker, so it must be picklable;
        what it raises, the caller of the file operation gets.
    """

    uri: str
    watch: Watch | None = field(default=None, compare=False, repr=False)

    def inner(self, folder: str) -> RunDir:
        """Return a folder of this directory as a run directory of its own."""
        return RunDir(inside(self.uri, folder), self.watch)

    def tell(self, event: str, name: str) -> None:
        """Tell whoever watches."""
        if self.watch is not None:
            self.watch(event, name)

    @property
    def filesystem(self) -> fs.FileSystem:
        """The filesystem that the directory is on."""
        return open_filesystem(self.uri)[0]

    def path(self, name: str = "") -> str:
        """Return the path of ``name`` inside the filesystem."""
        root = open_filesystem(self.uri)[1]
        return f"{root}/{name}" if name else root

    def local_path(self, name: str = "") -> str | None:
        """Return the path of ``name`` where the directory is on a local disk, else None."""
        return self.path(name) if isinstance(self.filesystem, fs.LocalFileSystem) else None

    def exists(self, name: str) -> bool:
        """Tell whether there is a file or folder of that name."""
        return bool(self.filesystem.get_file_info(self.path(name)).type != fs.FileType.NotFound)

    def is_file(self, name: str) -> bool:
        """Tell whether there is a file of that name, of whatever kind."""
        return self.filesystem.get_file_info(self.path(name)).type in (fs.FileType.File, fs.FileType.Unknown)

    def size(self, name: str) -> int:
        """Return a file's size in bytes."""
        return int(self.filesystem.get_file_info(self.path(name)).size)

    def names(self, folder: str = "", suffix: str = "") -> list[str]:
        """Return the sorted names, relative to the run directory, of the finished files right under ``folder``."""
        selector = fs.FileSelector(self.path(folder), allow_not_found=True)
        prefix = f"{folder}/" if folder else ""
        return sorted(
            prefix + info.base_name
            for info in self.filesystem.get_file_info(selector)
            if info.base_name.endswith(suffix)
            and TEMPORARY not in info.base_name
            and not info.base_name.endswith(BEGUN)
        )

    def delete(self, name: str) -> None:
        """Delete a file or a folder; nothing happens when there is none."""
        path = self.path(name)
        kind = self.filesystem.get_file_info(path).type
        with _deleting(path):
            if kind == fs.FileType.Directory:
                self.filesystem.delete_dir(path)
            elif kind == fs.FileType.File:
                self.filesystem.delete_file(path)

    def sweep(self) -> None:
        """Delete what a killed run left half-written."""
        selector = fs.FileSelector(self.path(), recursive=True, allow_not_found=True)
        for info in self.filesystem.get_file_info(selector):
            left = TEMPORARY in info.base_name or info.base_name.endswith(BEGUN)
            if left and info.type == fs.FileType.File:
                with _deleting(info.path):
                    self.filesystem.delete_file(info.path)

    @contextmanager
    def atomic(self, name: str) -> Iterator[str]:
        """Yield a temporary path next to ``name`` that takes its name when the block ends well, else vanishes."""
        final = self.path(name)
        temporary = f"{final}{TEMPORARY}{uuid.uuid4().hex[:12]}"
        try:
            if not is_object_store(self.filesystem):
                self.filesystem.create_dir(final.rsplit("/", 1)[0], recursive=True)
            yield temporary
            self.tell("write", name)
            self.filesystem.move(temporary, final)
        except BaseException as error:
            with contextlib.suppress(OSError):  # of two failures the first is the one to tell; the next run sweeps
                if self.filesystem.get_file_info(temporary).type == fs.FileType.File:
                    self.filesystem.delete_file(temporary)
            if isinstance(error, OSError):
                raise self._unwritten(final, error) from error
            raise
        self.tell("written", name)

    def _unwritten(self, path: str, error: OSError) -> InputError:
        """Return the one line about a file that the disk did not take."""
        free = ""
        if isinstance(self.filesystem, fs.LocalFileSystem):
            with contextlib.suppress(OSError):
                free = f", {shutil.disk_usage(self.path()).free / 1e6:,.1f} MB free"
        return unusable(f"{path} could not be written", error, "Make it writable", more=free)

    @contextmanager
    def whole(self, name: str) -> Iterator[None]:
        """Name a Parquet file that turns out to be truncated, foreign or unreadable in the block."""
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and number_of(error) in LACKING:
                raise unusable(f"{self.path(name)} could not be read", error, "") from error
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"{self.path(name)} must be a whole Parquet file; it could not be read ({reason}). "
                "Delete it and run the same command again."
            ) from error

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file."""
        with self.atomic(name) as temporary, self.filesystem.open_output_stream(temporary) as stream:
            stream.write(content)

    def write_json(self, name: str, content: Any) -> None:
        """Write JSON; NaN and infinity, which JSON does not have, are refused."""
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        self.write_bytes(name, (text + "\n").encode())

    def read_bytes(self, name: str) -> bytes:
        """Read a file whole."""
        self.tell("read", name)
        check_regular(self.filesystem, self.path(name), self.path(name))
        with self.filesystem.open_input_stream(self.path(name)) as stream:
            return bytes(stream.read())

    def sha256(self, name: str) -> str:
        """Return the SHA-256 of a file's bytes, in hexadecimal digits."""
        digest = hashlib.sha256()
        with self.filesystem.open_input_stream(self.path(name)) as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    def read_json(self, name: str) -> Any:
        """Read JSON; a file that is not JSON, or cannot be read, is named in the error."""
        try:
            return json.loads(self.read_bytes(name))
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path(name)} must be JSON; it could not be read ({error}).") from error

    def write_table(self, name: str, table: pa.Table, row_groups: list[int] | None = None) -> None:
        """Write a Parquet file.

        Parameters
        ----------
        row_groups : list of int, optional
            The number of rows of each row group, in order, summing to ``table.num_rows``; a group of 0 rows is not
            written, so the reader must know the counts. By default Arrow decides.
        """
        with self.atomic(name) as temporary:
            dictionary = dictionary_columns(table.schema)
            if row_groups is None:
                pq.write_table(table, temporary, filesystem=self.filesystem, use_dictionary=dictionary)
                return
            assert sum(row_groups) == table.num_rows
            with pq.ParquetWriter(
                temporary, table.schema, filesystem=self.filesystem, use_dictionary=dictionary
            ) as writer:
                start = 0
                for rows in row_groups:
                    if rows:
                        writer.write_table(table.slice(start, rows), row_group_size=rows)
                    start += rows

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Read a Parquet file; a truncated or foreign one is named in the error."""
        with self.parquet(name) as file:  # pq.read_table would take a folder of that name for no rows at all
            table = file.read(columns=columns)
            return table if columns is None else table.select(columns)

    @contextmanager
    def parquet(self, name: str) -> Iterator[pq.ParquetFile]:
        """Open a Parquet file for the length of a block, to be read by row group; one that is not whole is named."""
        with self.whole(name):
            self.tell("read", name)
            with open_parquet(self.filesystem, self.path(name), self.path(name)) as file:
                yield file
