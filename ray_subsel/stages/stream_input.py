"""Read the rows of a stream in order: standard input, or the files of a folder as they arrive."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError, invalid
from ray_subsel.corpus.batches import Batch, Reject
from ray_subsel.corpus.block_sizes import BlockSizes
from ray_subsel.corpus.files import SourceFile, list_files
from ray_subsel.corpus.formats import format_for
from ray_subsel.corpus.formats.json_objects import JsonObjects
from ray_subsel.corpus.formats.plain_text import TEXT_COLUMN
from ray_subsel.corpus.reading import Reading
from ray_subsel.corpus.validate import canonical
from ray_subsel.corpus.vector_columns import vector_lists

STDIN = "standard input"
POLL_SECONDS = 0.2
"""Between two looks at a folder."""


@dataclass(frozen=True)
class Position:
    """How far a stream was read.

    Attributes
    ----------
    rows : int
        Rows read, of all files, rejected ones counted.
    done : tuple of str
        Files read to their end, in the order in which they were read.
    current : str
        The file that is being read; empty between two.
    within : int
        Rows read of it.
    digest : str
        Hash of the rows read of it, by which another input is noticed.
    """

    rows: int = 0
    done: tuple[str, ...] = ()
    current: str = ""
    within: int = 0
    digest: str = ""


@dataclass(frozen=True)
class Arrival:
    """Some rows of a stream, and where it stands behind them.

    Attributes
    ----------
    table : pa.Table
        Usable rows, as :func:`ray_subsel.corpus.validate.canonical` returns them; ``id`` counts all rows of the stream.
    rejects : list of Reject
        ``row`` counts all rows of the stream.
    after : Position
    """

    table: pa.Table
    rejects: list[Reject]
    after: Position


class StreamInput:
    """The rows of a stream behind a position.

    Parameters
    ----------
    config : CorpusConfig
        What a row is.
    follow : str or None
        A folder; None: standard input.
    idle : float or None
        Seconds without a new file after which following ends; None: never.
    batch_rows : int
        Rows that are handed on together; fewer at the end of a file.
    stdin : binary stream
    clock, sleep : callable
        Tell and spend seconds.
    """

    def __init__(
        self,
        config: CorpusConfig,
        follow: str | None,
        idle: float | None,
        batch_rows: int,
        stdin: BinaryIO,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config, self.follow, self.idle, self.stdin = config, follow, idle, stdin
        self.sizes = BlockSizes(batch_rows=batch_rows)
        self.clock, self.sleep = clock, sleep
        self.dimension: int | None = None
        self.ignored: set[str] = set()
        if follow is not None:
            self._listed()

    def behind(self, position: Position) -> Iterator[Arrival]:
        """Yield what comes behind a position: the beginning of each file (no rows), its rows, and its end.

        Raises
        ------
        InputError
            Where the input is not the one that was read up to the position.
        """
        for file in self._files(position):
            if position.current != file.uri:
                position = replace(position, current=file.uri, within=0, digest="")
                yield Arrival(_no_rows(), [], position)
            skip, digest = position.within, ""
            before = position.rows - position.within
            read = 0
            for batch in self._batches(file):
                table, rejects = self._rows(batch)
                size = table.num_rows + len(rejects)
                old = max(0, min(skip - read, size))
                digest = _digest(digest, table, rejects, read, read + old)
                if read < skip <= read + old:
                    self._check(file, position, digest)
                read += size
                if old == size:
                    continue
                digest = _digest(digest, table, rejects, read - size + old, read)
                position = replace(position, rows=before + read, within=read, digest=digest)
                first = read - size + old
                ids = table.column("id").to_numpy()
                shifted = table.set_column(0, "id", pa.array(ids + before)).filter(pa.array(ids >= first))
                later = [replace(one, row=one.row + before) for one in rejects if one.row >= first]
                yield Arrival(shifted, later, position)
            if read < skip:
                raise invalid(file.uri, f"begin with the {skip:,} rows that were read of it", f"{read:,} rows", _OTHER)
            if self.follow is not None:
                position = replace(position, done=(*position.done, file.uri), current="", within=0, digest="")
                yield Arrival(_no_rows(), [], position)

    def _check(self, file: SourceFile, position: Position, digest: str) -> None:
        if digest != position.digest:
            raise invalid(file.uri, f"begin with the {position.within:,} rows that were read of it", "others", _OTHER)

    def _files(self, position: Position) -> Iterator[SourceFile]:
        """Yield the file of the position, then those that are not done, by name, as they arrive."""
        if self.follow is None:
            yield SourceFile(STDIN, "", "", "jsonl", 0, 0)
            return
        done = set(position.done)
        if position.current:
            yield next((file for file in self._listed() if file.uri == position.current), None) or _gone(position)
            done.add(position.current)
        last = self.clock()
        while True:
            new = next((file for file in self._listed() if file.uri not in done), None)
            if new is not None:
                yield new
                done.add(new.uri)
                last = self.clock()
            elif self.idle is not None and self.clock() - last >= self.idle:
                return
            else:
                self.sleep(POLL_SECONDS)

    def _listed(self) -> list[SourceFile]:
        """Return the files of the folder that can be read now, by name."""
        assert self.follow is not None
        try:
            files, skipped = list_files(replace(self.config, data=(self.follow,)))
        except InputError as error:
            if error.parameter == "data" and "at least one file" in str(error):
                return []
            raise
        self.ignored.update(skipped)
        return [file for file in files if ".tmp" not in file.path.rsplit("/", 1)[-1]]

    def _batches(self, file: SourceFile) -> Iterator[Batch]:
        if self.follow is None:
            return JsonObjects(file.format).arriving(file, self.stdin, self.sizes)
        return format_for(file).batches(file, (), self.sizes)

    def _rows(self, batch: Batch) -> tuple[pa.Table, list[Reject]]:
        if self.config.vectors is not None and self.dimension is None:
            self.dimension = _dimension(batch, self.config.vectors)
        dimension = None if self.config.vectors is None else self.dimension or 1
        text = self.config.text or (() if self.config.vectors is not None else (TEXT_COLUMN,))
        return canonical(batch, Reading(self.config, text, dimension))


_OTHER = "Give the same input, or another --out."


def _gone(position: Position) -> SourceFile:
    raise invalid(position.current, "be there: it was read in part", "no such file", _OTHER)


def _no_rows() -> pa.Table:
    return pa.table({"id": pa.array([], pa.int64())})


def _dimension(batch: Batch, name: str) -> int | None:
    """Return the length of the first vector."""
    lists = vector_lists(batch.columns.column(name))
    return None if lists is None else next((len(one) for one in lists.to_pylist() if one is not None), None)


def _digest(digest: str, table: pa.Table, rejects: list[Reject], start: int, stop: int) -> str:
    """Return the hash of rows that follow others, of which the hash is given; a rejected row counts by its reason."""
    if start == stop:
        return digest
    told: dict[int, Any] = {one.row: one.reason.encode() for one in rejects if start <= one.row < stop}
    ids = np.asarray(table.column("id"))
    keys = table.column("key").to_pylist()
    told.update({row: key for row, key in zip(ids.tolist(), keys, strict=True) if start <= row < stop})
    for row in range(start, stop):
        digest = hashlib.blake2b(digest.encode() + told[row], digest_size=16).hexdigest()
    return digest
