"""Read the ingested corpus on disk: rows by shard, by id, or one part after the other, never all at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.places import places_among
from ray_subsel.corpus.columns import RECORD, SOURCE, originals_of
from ray_subsel.corpus.exact_duplicates import EqualGroups, group_equal
from ray_subsel.corpus.files import UNKNOWN
from ray_subsel.corpus.json_shape import fit_all
from ray_subsel.corpus.tables import Types, common_types, concatenate, to_type, types_of_json
from ray_subsel.storage.run_directory import RunDir

__all__ = ["INDEX", "REJECTED", "EqualGroups", "RowStore", "group_equal"]

FOLDER = "rows"
INDEX = f"{FOLDER}/index.json"
REJECTED = "rejected.parquet"
FORMAT = 2
"""Version of the part files and their index."""
FORMATS = (1, FORMAT)
"""Those that are read. In version 1, JSON objects were cut into columns, and parts had types of their own."""


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
        if not isinstance(index, dict) or index.get("format") not in FORMATS:
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
    def n_ids(self) -> int:
        """Row ids: rows that were read, and copies that augmentation added."""
        return self.n_read + self.n_augmented

    @property
    def has_own_ids(self) -> bool:
        """Whether rows have ids of their own, in a column ``source_id``."""
        return bool(self.index["has_source_id"])

    @property
    def n_bytes(self) -> int:
        """Of the input files."""
        return sum(file["bytes"] for file in self.files)

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
    def left_out(self) -> dict[str, str]:
        """Files of the input folders and globs that do not count, each with the reason."""
        return dict(self.index.get("left_out") or dict.fromkeys(self.index.get("skipped_files", ()), UNKNOWN))

    @cached_property
    def types(self) -> Types:
        """The types of the original columns, the same whichever rows are read."""
        if "types" in self.index:
            return types_of_json(self.index["types"])
        return common_types((original_schema(self.run, part), part["rows"]) for part in self.index["parts"])

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
        return self._joined(tables) if tables else self._empty(columns)

    def take(
        self,
        ids: Sequence[int] | NDArray[np.int64],
        columns: Sequence[str] | None = None,
        *,
        block_rows: int = 8192,
        misfits: dict[str, int] | None = None,
    ) -> pa.Table:
        """Return rows by id, in the order given; an id may come twice.

        Memory: the rows asked for, the ids of one part, and row groups of it with about ``block_rows`` rows.
        Original values that the type of their column cannot hold are null, and counted by column in ``misfits``.

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
        return self._joined(tables, misfits).combine_chunks().take(pa.array(back))

    def _take_from(
        self, part: dict[str, Any], ids: NDArray[np.int64], columns: Sequence[str] | None, block_rows: int
    ) -> pa.Table:
        with open_part(self.run, part) as parquet:
            stored = parquet.read(columns=["id"])["id"].to_numpy() + part["offset"]
        positions = places_among(ids, stored)
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
            ordered = self._joined([table]).take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))
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

    def subset_table(self, ids: Sequence[int] | NDArray[np.int64], misfits: dict[str, int] | None = None) -> pa.Table:
        """Return the original rows of a subset, in its order, with the types that they have in the whole corpus.

        Leading columns: ``rank`` (from 0), ``id`` (row id), ``origin`` (the row that this one is a copy of, or itself)
        where copies were added. Then the original columns under their own names; one that is named like a leading
        column gets ``_source`` appended, unless it is the column of the user's own ids: then the row id is ``row``.
        Values that do not fit are null, and counted by column in ``misfits``.
        """
        rows = self.take(ids, ["id", "origin"])
        place = "row" if self.index.get("id") == "id" else "id"
        columns: dict[str, Any] = {"rank": pa.array(np.arange(rows.num_rows)), place: rows["id"]}
        if self.n_augmented:
            columns["origin"] = rows["origin"]
        originals = self.original_table(ids, misfits)
        names: list[str] = list(columns)
        for name in originals.column_names:
            free = name
            while free in names or (free != name and free in originals.column_names):
                free += "_source"
            names.append(free)
        whole = [*columns.values(), *originals.columns]
        return pa.table(whole, names=names).replace_schema_metadata(originals.schema.metadata)

    def original_table(self, ids: Sequence[int] | NDArray[np.int64], misfits: dict[str, int] | None = None) -> pa.Table:
        """Return the user's columns of some rows under their own names, with what ``datasets`` noted of them."""
        rows = self.take(ids, misfits=misfits)
        columns = self._originals(rows, {} if misfits is None else misfits)
        if (vectors := self.index["vectors"]) is not None and "vector" in rows.column_names:
            columns[vectors] = rows["vector"]
        table = pa.table(list(columns.values()), names=list(columns))
        features = {name: one for name, one in self.index.get("features", {}).items() if name in columns}
        note = {b"huggingface": json.dumps({"info": {"features": features}}).encode()} if features else None
        return table.replace_schema_metadata(note)

    def original_column(self, ids: Sequence[int] | NDArray[np.int64], name: str) -> pa.ChunkedArray:
        """Return one of the user's columns of some rows, with its type; values that do not fit it are null."""
        stored = [column for column in (SOURCE + name, RECORD) if column in self.index["columns"]]
        table = self.take(ids, ["id", *stored])
        if stored == [SOURCE + name]:
            return table[SOURCE + name]
        values = [found.get(name) for found in originals_of(table, [name])]
        return pa.chunked_array([fit_all(values, self.types.get(name, pa.null()))[0]])

    def _originals(self, rows: pa.Table, misfits: dict[str, int]) -> dict[str, Any]:
        """Return the original columns of some rows: of objects, read again; of others, as they are stored."""
        stored = {own: name for name in rows.column_names if (own := original_name(name)) is not None}
        records: list[Any] = []
        if RECORD in rows.column_names:
            records = [None if one is None else json.loads(one) for one in rows[RECORD].to_pylist()]
        objects = dict.fromkeys(key for record in records if record for key in record)
        columns: dict[str, Any] = {}
        for name, kind in self.types.items():
            if name not in objects:
                columns[name] = rows[stored[name]] if name in stored else pa.nulls(rows.num_rows, kind)
                continue
            values = [None if record is None else record.get(name) for record in records]
            column, odd = fit_all(values, kind)
            if odd:
                misfits[name] = misfits.get(name, 0) + odd
            if name in stored:
                column = pc.coalesce(column, rows[stored[name]].combine_chunks())
            columns[name] = column
        return columns

    def _joined(self, tables: list[pa.Table], misfits: dict[str, int] | None = None) -> pa.Table:
        """Concatenate tables of several parts, the original columns brought to their common types."""
        types = {SOURCE + name: kind for name, kind in self.types.items()} if self._has_originals(tables) else {}
        converted = []
        for table in tables:
            for at, name in enumerate(table.column_names):
                kind = types.get(name)
                if kind is not None and table.column(name).type != kind:
                    column, odd = to_type(table.column(name), kind)
                    table = table.set_column(at, name, column)
                    if odd and misfits is not None:
                        own = name.removeprefix(SOURCE)
                        misfits[own] = misfits.get(own, 0) + odd
            converted.append(table)
        return concatenate(converted)

    @staticmethod
    def _has_originals(tables: list[pa.Table]) -> bool:
        return any(original_name(name) is not None for table in tables for name in table.column_names)

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


def original_name(stored: str) -> str | None:
    """Return the user's name of a column of a part file, which may be empty, or None for one of ours."""
    return stored.removeprefix(SOURCE) if stored.startswith(SOURCE) else None


def original_schema(run: RunDir, part: dict[str, Any]) -> pa.Schema:
    """Return the user's columns of a part file under their own names."""
    with open_part(run, part) as parquet:
        schema = parquet.schema_arrow
    own = ((field, original_name(field.name)) for field in schema)
    return pa.schema([field.with_name(name) for field, name in own if name is not None])


def _unknown_id(found: int) -> InputError:
    return invalid("ids", "be ids of usable rows", found, "See rejected.parquet for the rest.")
