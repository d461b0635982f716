"""Read the ingested corpus on disk: rows by shard, by id, or one part after the other, never all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ray_subsel.core.errors import InputError, invalid
from ray_subsel.corpus.exact_duplicates import EqualGroups, group_equal
from ray_subsel.corpus.tables import unify
from ray_subsel.corpus.validate import SOURCE
from ray_subsel.storage.run_directory import RunDir

__all__ = ["INDEX", "REJECTED", "EqualGroups", "RowStore", "group_equal"]

FOLDER = "rows"
INDEX = f"{FOLDER}/index.json"
REJECTED = "rejected.parquet"
FORMAT = 1
"""Version of the part files and their index."""

_ADDED = ("rank", "id", "source_id", "origin")


@dataclass(frozen=True)
class RowStore:
    """The valid rows of a corpus in a run directory.

    Row ids are the rows' positions in the concatenated input, rejected rows counted; ids of copies that augmentation
    added follow. Objects are small and picklable: workers read the same files.

    Attributes
    ----------
    run : RunDir
    index : dict
        The content of ``rows/index.json``.
    """

    run: RunDir
    index: dict[str, Any]

    @staticmethod
    def open(run: RunDir) -> RowStore:
        """Open the rows that an earlier :func:`~ray_subsel.corpus.ingest.ingest` wrote."""
        if not run.exists(INDEX):
            raise InputError(f"{run.path()} must hold an ingested corpus; {INDEX} is missing. Run ingest first.")
        index = run.read_json(INDEX)
        if not isinstance(index, dict) or index.get("format") != FORMAT:
            raise InputError(f"{run.path(INDEX)} must be of format {FORMAT}; it is not. Use another --out.")
        return RowStore(run, index)

    @property
    def n_rows(self) -> int:
        """Usable rows, copies that augmentation added included."""
        return sum(part["rows"] for part in self.index["parts"])

    @property
    def n_read(self) -> int:
        """Rows in the input, usable or not."""
        return int(self.index["n_read"])

    @property
    def n_rejected(self) -> int:
        """Rows that could not be used."""
        return sum(self.rejected_by_reason.values())

    @property
    def n_augmented(self) -> int:
        """Copies that augmentation added."""
        return int(self.index["n_augmented"])

    @property
    def shards(self) -> int:
        """The number of shards; rows with equal texts are in one."""
        return int(self.index["shards"])

    @property
    def dimension(self) -> int | None:
        """The length of the vectors, or None where rows have texts only."""
        value = self.index["dimension"]
        return None if value is None else int(value)

    @property
    def rejected_by_reason(self) -> dict[str, int]:
        """Rejected rows by reason, the most frequent first."""
        return dict(self.index["rejected_by_reason"])

    @property
    def files(self) -> list[dict[str, Any]]:
        """Each input file's ``path``, ``format``, ``bytes``, ``hash``, ``rows`` and ``rejected``."""
        return list(self.index["files"])

    @property
    def skipped_files(self) -> list[str]:
        """Files of the input folders that were left out because their ending is unknown."""
        return list(self.index["skipped_files"])

    def missing_parts(self) -> list[str]:
        """Return the names of parts that are gone."""
        there = set(self.run.names(FOLDER, ".parquet"))
        return [part["name"] for part in self.index["parts"] if part["name"] not in there]

    @cached_property
    def _firsts(self) -> NDArray[np.int64]:
        return np.array([part["offset"] + part["first"] for part in self.index["parts"]], dtype=np.int64)

    def shard(self, shard: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of one shard, in order of id.

        Parameters
        ----------
        shard : int
            In [0, shards).
        columns : sequence of str, optional
            All by default.
        """
        if not 0 <= shard < self.shards:
            raise invalid("shard", f"lie in [0, {self.shards})", shard)
        tables = []
        for part in self.index["parts"]:
            counts = part["shard_rows"]
            if counts[shard]:
                # Shards without a row in this part have no row group.
                group = sum(1 for count in counts[:shard] if count)
                tables.append(self._read(part, [group], columns))
        return unify(tables) if tables else self._empty(columns)

    def take(
        self, ids: Sequence[int] | NDArray[np.int64], columns: Sequence[str] | None = None, *, block_rows: int = 8192
    ) -> pa.Table:
        """Return rows by id, in the order given; an id may come twice.

        Memory: the rows asked for, the ids of one part, and row groups of it with about ``block_rows`` rows.

        Raises
        ------
        InputError
            For an id that no usable row has.
        """
        wanted = np.asarray(ids, dtype=np.int64)
        if not len(wanted):
            return self._empty(columns)
        distinct, back = np.unique(wanted, return_inverse=True)
        part_of = np.searchsorted(self._firsts, distinct, side="right") - 1
        tables = []
        for number in np.unique(part_of).tolist():
            here = distinct[part_of == number]
            if number < 0:
                raise _unknown_id(int(here[0]))
            tables.append(self._take_from(self.index["parts"][number], here, columns, block_rows))
        return unify(tables).combine_chunks().take(pa.array(back))

    def _take_from(
        self, part: dict[str, Any], ids: NDArray[np.int64], columns: Sequence[str] | None, block_rows: int
    ) -> pa.Table:
        with open_part(self.run, part) as parquet:
            stored = parquet.read(columns=["id"])["id"].to_numpy() + part["offset"]
        order = np.argsort(stored)
        at = np.minimum(np.searchsorted(stored, ids, sorter=order), len(stored) - 1)
        positions = order[at]
        missing = ids[stored[positions] != ids]
        if len(missing):
            raise _unknown_id(int(missing[0]))
        sizes = np.array([count for count in part["shard_rows"] if count], dtype=np.int64)
        ends = np.cumsum(sizes)
        group_of = np.searchsorted(ends, positions, side="right")
        touched = np.unique(group_of)
        back: list[NDArray[np.int64]] = []
        kept: list[pa.Table] = []
        # Some groups at a time: with many rows to take, all groups of a part are touched.
        for groups in np.split(touched, np.flatnonzero(np.diff(np.cumsum(sizes[touched]) // block_rows)) + 1):
            mine = np.flatnonzero((group_of >= groups[0]) & (group_of <= groups[-1]))
            starts_read = np.concatenate([[0], np.cumsum(sizes[groups])[:-1]])
            within = positions[mine] - (ends - sizes)[group_of[mine]]
            local = starts_read[np.searchsorted(groups, group_of[mine])] + within
            kept.append(self._read(part, groups.tolist(), columns).take(pa.array(local)))
            back.append(mine)
        table = pa.concat_tables(kept).combine_chunks()
        return table.take(pa.array(np.argsort(np.concatenate(back))))

    def ids(self) -> NDArray[np.int64]:
        """Return the ids of all usable rows, ascending: 8 bytes a row."""
        tables = [self._read(part, None, ["id"])["id"].to_numpy() for part in self.index["parts"]]
        return np.sort(np.concatenate(tables)) if tables else np.zeros(0, dtype=np.int64)

    def iter_tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows part by part, each in order of id, and so all of them in order of id."""
        extra = columns is not None and "id" not in columns
        for part in self.index["parts"]:
            table = self._read(part, None, ["id", *columns] if extra and columns is not None else columns)
            ordered = table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))
            yield ordered.drop_columns(["id"]) if extra else ordered

    def usable(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of some ids that usable rows have, in their order."""
        part_of = np.searchsorted(self._firsts, ids, side="right") - 1
        there = np.zeros(len(ids), dtype=np.bool_)
        for number in np.unique(part_of[part_of >= 0]).tolist():
            part = self.index["parts"][number]
            there |= (part_of == number) & np.isin(ids, self._read(part, None, ["id"])["id"].to_numpy())
        return ids[there]

    def column_between(self, column: str, start: int, stop: int) -> Iterator[tuple[NDArray[np.int64], pa.ChunkedArray]]:
        """Yield the ids of the usable rows in ``[start, stop)``, in no order, and what a column has for them."""
        for part in self.index["parts"]:
            if part["offset"] + part["first"] >= stop or part["offset"] + part["last"] < start:
                continue
            table = self._read(part, None, ["id", column])
            ids = table["id"].to_numpy()
            inside = (ids >= start) & (ids < stop)
            yield ids[inside], table[column].filter(pa.array(inside))

    def label_names(self) -> list[str]:
        """Return the distinct labels, sorted."""
        found: set[str] = set()
        for table in self.iter_tables(["label"]):
            found.update(value for value in table["label"].unique().to_pylist() if value is not None)
        return sorted(found)

    def subset_table(self, ids: Sequence[int] | NDArray[np.int64]) -> pa.Table:
        """Return the original rows of a subset, in its order.

        Leading columns: ``rank`` (from 0), ``id`` (row id), ``source_id`` where an id column was named, ``origin``
        (the row that this one is a copy of, or itself) where copies were added. Then the original columns under
        their own names; one that is named like a leading column gets ``_source`` appended.
        """
        rows = self.take(ids)
        columns: dict[str, Any] = {"rank": pa.array(np.arange(rows.num_rows)), "id": rows["id"]}
        if self.index["has_source_id"]:
            columns["source_id"] = rows["source_id"]
        if self.n_augmented:
            columns["origin"] = rows["origin"]
        originals = {name.removeprefix(SOURCE): name for name in rows.column_names if name.startswith(SOURCE)}
        vectors = self.index["vectors"]
        if vectors is not None:
            originals[vectors] = "vector"
        for name, stored in originals.items():
            free = name
            while free in columns or (free != name and free in originals):
                free += "_source"
            columns[free] = rows[stored]
        return pa.table(columns)

    def _read(self, part: dict[str, Any], groups: list[int] | None, columns: Sequence[str] | None) -> pa.Table:
        """Read row groups of a part (all for None), ids made absolute; a column that the part lacks is null."""
        with open_part(self.run, part) as parquet:
            present = set(parquet.schema_arrow.names)
            names = None if columns is None else [name for name in columns if name in present]
            chosen = list(range(parquet.num_row_groups)) if groups is None else groups
            table = parquet.read_row_groups(chosen, columns=names)
            rows = sum(parquet.metadata.row_group(group).num_rows for group in chosen)
        if columns is not None:
            unknown = [name for name in columns if name not in present and name not in self.index["columns"]]
            if unknown:
                raise invalid("columns", f"be among {', '.join(self.index['columns'])}", ", ".join(unknown))
            table = pa.table({name: table[name] if name in present else pa.nulls(rows) for name in columns})
        for name in ("id", "origin"):
            if name in table.column_names:
                shifted = pa.array(table[name].to_numpy() + part["offset"])
                table = table.set_column(table.column_names.index(name), name, shifted)
        return table

    def _empty(self, columns: Sequence[str] | None) -> pa.Table:
        """Return a table of no rows with the columns and types of the first part."""
        return self._read(self.index["parts"][0], [], columns)


@contextmanager
def open_part(run: RunDir, part: dict[str, Any]) -> Iterator[pq.ParquetFile]:
    """Open a part for the length of a block, after making sure that it has the rows that the index says."""
    with run.parquet(part["name"]) as parquet:
        if parquet.metadata.num_rows != part["rows"]:
            raise InputError(
                f"{run.path(part['name'])} must hold {part['rows']} rows; got {parquet.metadata.num_rows}. "
                "Delete it and run the same command again."
            )
        yield parquet


def _unknown_id(found: int) -> InputError:
    return invalid("ids", "be ids of usable rows", found, "See rejected.parquet for the rest.")
