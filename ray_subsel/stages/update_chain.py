"""Read what a run and the updates after it hold: their rows, items, what is withdrawn, and what is chosen.

The updates of a run are run directories of their own in ``updates/0001``, ``updates/0002``, ... Row ids go on from one
to the next: those of an update begin where the rows that were read before end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.core.errors import invalid
from ray_subsel.core.id_map import IdMap
from ray_subsel.core.types import NO_ITEMS, Float32s, Indices
from ray_subsel.corpus.id_lists import NamedRows
from ray_subsel.corpus.rows import INDEX, RowStore
from ray_subsel.corpus.tables import Types, common_types, concatenate, to_type
from ray_subsel.corpus.values import respelled
from ray_subsel.decisions.table import DECISIONS, SELECTION
from ray_subsel.stages.near.task import LEADERS
from ray_subsel.stages.write_subset import SUBSET
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import EmbeddingStore
from ray_subsel.storage.manifest import Manifest
from ray_subsel.storage.run_directory import RunDir

FOLDER = "updates"
ITEMS, WITHDRAWN = "items.parquet", "withdrawn.parquet"


@dataclass(frozen=True)
class Part:
    """The rows of the run, or of one update.

    Attributes
    ----------
    run : RunDir
    number : int
        0 for the run.
    offset : int
        What the ids of its rows are larger than their ids in its own files.
    rows : RowStore or None
        None where an update brings no rows.
    """

    run: RunDir
    number: int
    offset: int
    rows: RowStore | None

    @property
    def end(self) -> int:
        """The offset of the part after it."""
        return self.offset + (0 if self.rows is None else self.rows.n_read)

    def items(self) -> EmbeddingStore:
        """Open the items that may be chosen of the run: the leaders of near copies, or all."""
        return EmbeddingStore.open_folder(self.run, LEADERS if self.run.names(LEADERS, ".parquet") else EMBEDDINGS)

    def item_tables(self, columns: list[str]) -> Iterator[pa.Table]:
        """Yield ``id`` and ``rows`` of items, or other columns that the run and updates have; ids are those of all."""
        if self.number:
            if self.run.exists(ITEMS):
                yield self.run.read_table(ITEMS, columns)
            return
        store = self.items()
        for shard in store.numbers:
            yield store.read_shard(shard, columns)

    def subset_table(self, ids: Indices, place: str, misfits: dict[str, int]) -> pa.Table:
        """Return original rows by their ids in its own files; of the run, those that it chose itself from its subset.

        Parameters
        ----------
        ids : int64 array
        place : str
            The column of row ids.
        misfits : dict
            Counts values that do not fit their type, in rows that were not told of yet.
        """
        assert self.rows is not None
        if self.number or not self.run.exists(SUBSET):
            return self.rows.subset_table(ids, misfits)
        subset = self.run.read_table(SUBSET)
        at, _ = IdMap.of(subset[place].to_numpy(), np.arange(subset.num_rows)).get(ids)
        there = at >= 0
        if not there.any():
            return self.rows.subset_table(ids, misfits)
        taken = subset.take(pa.array(at[there]))
        if not there.all():
            taken = concatenate([taken, self.rows.subset_table(ids[~there], misfits)])
        return taken.take(pa.array(np.argsort(np.concatenate((np.flatnonzero(there), np.flatnonzero(~there))))))


@dataclass(frozen=True)
class Chain:
    """A run and its finished updates.

    Attributes
    ----------
    parts : tuple of Part
    """

    parts: tuple[Part, ...]

    @staticmethod
    def open(run: RunDir, updates: int) -> Chain:
        """Open a run and its first updates."""
        parts = [Part(run, 0, 0, RowStore.open(run))]
        for number in range(1, updates + 1):
            parts.append(open_part(run, number, parts[-1].end))
        return Chain(tuple(parts))

    @property
    def end(self) -> int:
        """The id of the next row."""
        return self.parts[-1].end

    def with_part(self, part: Part) -> Chain:
        """Return the chain with one more update."""
        return Chain((*self.parts, part))

    def chosen(self) -> Indices:
        """Return the chosen ids, in the order of their ranks."""
        return np.asarray(self.parts[-1].run.read_table(SELECTION, ["id"])["id"].to_numpy())

    def withdrawn(self) -> tuple[Indices, Indices]:
        """Return the items that were withdrawn, ascending, and the number of the update that withdrew each."""
        found, numbers = [NO_ITEMS], [NO_ITEMS]
        for part in self.parts:
            if part.number and part.run.exists(WITHDRAWN):
                found.append(part.run.read_table(WITHDRAWN, ["id"])["id"].to_numpy())
                numbers.append(np.full(found[-1].size, part.number))
        items, first = np.unique(np.concatenate(found), return_index=True)
        return items, np.concatenate(numbers)[first]

    def leaders(self) -> tuple[Indices, Float32s]:
        """Return ids and vectors of all items that lead, withdrawn ones too, in ascending order of id."""
        ids, vectors = [], []
        for part in self.parts:
            if part.number and not part.run.exists(ITEMS):
                continue
            batch = (EmbeddingStore.open_folder(part.run, EMBEDDINGS) if part.number else part.items()).read_all()
            mine = batch.ids + part.offset
            if part.number:
                table = part.run.read_table(ITEMS, ["id", "leader"])
                leading = table.filter(pc.equal(table["id"], table["leader"]))["id"].to_numpy()
                here = np.isin(mine, leading)
                mine, found = mine[here], batch.vectors[here]
            else:
                found = batch.vectors
            ids.append(mine)
            vectors.append(found)
        return np.concatenate(ids), np.concatenate(vectors)

    def embedded(self) -> Iterator[pa.Table]:
        """Yield ``id`` and ``rows`` of all embedded items, near copies and withdrawn ones too, each text once."""
        for part in self.parts:
            if part.number and part.run.exists(ITEMS):
                table = part.run.read_table(ITEMS, ["id", "equal", "rows"])
                yield table.filter(pc.equal(table["id"], table["equal"])).select(["id", "rows"])
            elif not part.number:
                store = EmbeddingStore.open_folder(part.run, EMBEDDINGS)
                for shard in store.numbers:
                    yield store.read_shard(shard, ["id", "rows"])

    def vectors(self, items: Indices) -> Float32s:
        """Return the vectors of embedded items, in their order. Shape (len(items), d)."""
        found = np.empty((items.size, self.parts[0].items().d), dtype=np.float32)
        for part in self.parts:
            mine = np.flatnonzero((items >= part.offset) & (items < part.end))
            if mine.size:
                store = EmbeddingStore.open_folder(part.run, EMBEDDINGS)
                found[mine] = store.vectors(items[mine] - part.offset)
        return found

    def items_of(self, rows: Indices) -> Indices:
        """Return the item of each row: the lowest row of those that it is a copy of; rows ascending."""
        items = np.full(rows.size, -1, dtype=np.int64)
        for part in self.parts:
            for table in part.item_tables(["id", "rows", "leader"] if part.number else ["id", "rows"]):
                members, counts = _members(table)
                here = np.isin(members, rows)
                leads = table["leader" if part.number else "id"].to_numpy()
                items[np.searchsorted(rows, members[here])] = np.repeat(leads, counts)[here]
        return items

    def members(self, items: Indices) -> list[list[int]]:
        """Return all rows of some items, ascending."""
        found: dict[int, list[int]] = {item: [] for item in items.tolist()}
        for part in self.parts:
            for table in part.item_tables(["id", "rows", "leader"] if part.number else ["id", "rows"]):
                leads = table["leader" if part.number else "id"].to_numpy()
                for place in np.flatnonzero(np.isin(leads, items)).tolist():
                    found[int(leads[place])] += table["rows"][place].as_py()
        return [sorted(found[item]) for item in items.tolist()]

    def named(self, named: NamedRows, own: str | None) -> Indices:
        """Return the rows that a file of ``--remove`` means, ascending."""
        if not named.ids:
            return NO_ITEMS
        if not named.own:
            return self._by_position(named.ids)
        asked = {*named.ids, *map(respelled, named.ids)}
        found: dict[str, int] = {}
        for part in self.parts:
            if part.rows is None:
                continue
            for table in part.rows.iter_tables(["id", "source_id"]):
                for row, source in zip(table["id"].to_pylist(), table["source_id"].to_pylist(), strict=True):
                    if source in asked:
                        found.setdefault(source, row + part.offset)
        spelt = [name if name in found else respelled(name) for name in named.ids]
        unknown = [name for name in spelt if name not in found]
        if unknown:
            raise invalid("remove", f"name usable rows by their column {own}", unknown[0])
        return np.unique(np.array([found[name] for name in spelt], dtype=np.int64))

    def _by_position(self, names: tuple[str, ...]) -> Indices:
        wrong = [name for name in names if not (name.isascii() and name.isdigit() and len(name.lstrip("0")) <= 18)]
        if wrong:
            raise invalid("remove", "name rows by their position in the input", wrong[0], "Or name your --id column.")
        wanted = np.unique(np.array([int(name) for name in names], dtype=np.int64))
        absent = np.setdiff1d(wanted, self.usable(wanted))
        if absent.size:
            raise invalid("remove", "name usable rows", int(absent[0]), "See rejected.parquet for the rest.")
        return wanted

    def column(self, ids: Indices, name: str) -> list[str]:
        """Return what a column of the rows has for some ids, in their order; empty where there is nothing."""
        found = np.full(ids.size, "", dtype=object)
        for part in self.parts:
            where = np.flatnonzero((ids >= part.offset) & (ids < part.end))
            if part.rows is not None and where.size:
                values = part.rows.take(ids[where] - part.offset, [name])[name].to_pylist()
                found[where] = ["" if value is None else str(value) for value in values]
        texts: list[str] = found.tolist()
        return texts

    def subset_table(self, ids: Indices, misfits: dict[str, int]) -> pa.Table:
        """Return the original rows of some ids, in their order, as a run's ``subset.parquet`` has them.

        Values that do not fit the type of their column in all parts are null, and counted by column in ``misfits``.
        """
        tables, order = [], [NO_ITEMS]
        place = "row" if self.parts[0].rows is not None and self.parts[0].rows.index.get("id") == "id" else "id"
        for part in self.parts:
            where = np.flatnonzero((ids >= part.offset) & (ids < part.end))
            if part.rows is None or not where.size:
                continue
            table = part.subset_table(ids[where] - part.offset, place, misfits)
            shifted = pa.array(table[place].to_numpy() + part.offset)
            tables.append(table.set_column(table.column_names.index(place), place, shifted))
            order.append(where)
        types = common_types((table.schema, table.num_rows) for table in tables)
        whole = concatenate([_as_types(table, types, misfits) for table in tables])
        whole = whole.take(pa.array(np.argsort(np.concatenate(order))))
        return whole.set_column(whole.column_names.index("rank"), "rank", pa.array(np.arange(ids.size)))

    @property
    def n(self) -> int:
        """How many row ids there are."""
        return self.end

    @property
    def has_own_ids(self) -> bool:
        """Whether an id column was named."""
        rows = self.parts[0].rows
        return rows is not None and rows.has_own_ids

    def usable(self, ids: Indices) -> Indices:
        """Return those of some ids that usable rows have."""
        found = [NO_ITEMS]
        for part in self.parts:
            mine = ids[(ids >= part.offset) & (ids < part.end)]
            if part.rows is not None and mine.size:
                found.append(part.rows.usable(mine - part.offset) + part.offset)
        return np.concatenate(found)

    def texts(self, ids: Indices) -> list[str | None]:
        """Return the texts of usable rows."""
        return [text or None for text in self.column(ids, "text")]

    def all_texts(self) -> Iterator[tuple[Indices, pa.ChunkedArray]]:
        """Yield ids and texts of all usable rows, in order of id."""
        for part in self.parts:
            for table in [] if part.rows is None else part.rows.iter_tables(["id", "text"]):
                yield table["id"].to_numpy() + part.offset, table["text"]

    def number_of(self, ids: Indices) -> Indices:
        """Return the number of the part that each id is of."""
        return np.searchsorted([part.end for part in self.parts], ids, side="right").astype(np.int64)


def update_directory(run: RunDir, number: int) -> RunDir:
    """Return the directory of an update."""
    return run.inner(f"{FOLDER}/{number:04d}")


def last_update(run: RunDir, file: str = "manifest.json") -> int:
    """Return the number of the last update that has some file, 0 where there is none."""
    names = [name.rpartition("/")[2] for name in run.names(FOLDER)]
    return max((int(name) for name in names if name.isdigit() and run.exists(f"{FOLDER}/{name}/{file}")), default=0)


def latest(run: RunDir) -> tuple[RunDir, Chain] | None:
    """Return the last update of a run that has chosen, and what there is with it; None where there is none.

    Updates of a selection that was made anew since do not count.
    """
    last = last_update(run, SELECTION)
    if not last or not run.exists(f"{FOLDER}/{last:04d}/{DECISIONS}"):
        return None
    first = Manifest.load(update_directory(run, 1)).about.get("after")
    if first != Manifest.load(run).stages["select"].fingerprint:
        return None
    return update_directory(run, last), Chain.open(run, last)


def open_part(run: RunDir, number: int, offset: int) -> Part:
    """Open an update."""
    place = update_directory(run, number)
    return Part(place, number, offset, RowStore.open(place) if place.exists(INDEX) else None)


def _members(table: pa.Table) -> tuple[Indices, Indices]:
    """Return the rows of all items of a table, one after the other, and how many each has."""
    column: Any = table["rows"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        return NO_ITEMS, NO_ITEMS
    return column.flatten().to_numpy(), pc.list_value_length(column).to_numpy()


def _as_types(table: pa.Table, types: Types, misfits: dict[str, int]) -> pa.Table:
    for at, name in enumerate(table.column_names):
        if table.column(name).type != types[name]:
            column, odd = to_type(table.column(name), types[name])
            table = table.set_column(at, name, column)
            if odd:
                misfits[name] = misfits.get(name, 0) + odd
    return table
