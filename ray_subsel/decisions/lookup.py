"""Find rows in ``decisions.parquet`` by row id, by their own id, or by their text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ray_subsel.core.errors import invalid
from ray_subsel.core.suggest import did_you_mean
from ray_subsel.core.types import Indices
from ray_subsel.corpus.rows import RowStore
from ray_subsel.decisions.table import DECISIONS, SELECTION
from ray_subsel.storage.run_directory import RunDir


@dataclass(frozen=True)
class Decision:
    """A line of ``decisions.parquet``, with texts.

    Attributes
    ----------
    id : int
        Row id.
    source_id : str or None
        The row's own id.
    status : str
    of : int or None
        Of a copy: the row that it is a copy of.
    cosine : float or None
        Of a near copy to that row.
    rank : int or None
        Of a chosen row, from 0.
    nearest_chosen : int or None
        The chosen row that is nearest.
    nearest_cosine : float or None
    reason : str
    text : str or None
        The row's; None where it was rejected or has none.
    line : int or None
        Of a chosen row: its line in ``subset.parquet``, from 1.
    other : str or None
        The text of the row that it is a copy of, or else of the chosen row that is nearest; None for a chosen row.
    """

    id: int
    source_id: str | None
    status: str
    of: int | None
    cosine: float | None
    rank: int | None
    nearest_chosen: int | None
    nearest_cosine: float | None
    reason: str
    text: str | None = None
    other: str | None = None
    line: int | None = None

    @property
    def beside(self) -> int | None:
        """The row that it is shown beside."""
        if self.rank is not None:
            return None
        return self.nearest_chosen if self.of is None else self.of


class Rows(Protocol):
    """The rows that decisions are about."""

    @property
    def n(self) -> int:
        """How many row ids there are."""

    @property
    def has_own_ids(self) -> bool:
        """Whether rows have ids of their own."""

    def usable(self, ids: Indices) -> Indices:
        """Return those of some ids that usable rows have."""

    def texts(self, ids: Indices) -> list[str | None]:
        """Return the texts of usable rows."""

    def all_texts(self) -> Iterator[tuple[Indices, pa.ChunkedArray]]:
        """Yield ids and texts of all usable rows, in order of id."""


@dataclass(frozen=True)
class StoredRows:
    """The rows of a run.

    Attributes
    ----------
    rows : RowStore
    """

    rows: RowStore

    @property
    def n(self) -> int:
        """Rows that were read, and copies that augmentation added."""
        return self.rows.n_ids

    @property
    def has_own_ids(self) -> bool:
        """Whether an id column was named."""
        return self.rows.has_own_ids

    def usable(self, ids: Indices) -> Indices:
        """Return those of some ids that usable rows have."""
        return self.rows.usable(ids)

    def texts(self, ids: Indices) -> list[str | None]:
        """Return the texts of usable rows."""
        found: list[str | None] = self.rows.take(ids, ["text"])["text"].to_pylist() if ids.size else []
        return found

    def all_texts(self) -> Iterator[tuple[Indices, pa.ChunkedArray]]:
        """Yield ids and texts of all usable rows, in order of id."""
        for table in self.rows.iter_tables(["id", "text"]):
            yield table["id"].to_numpy(), table["text"]


def find_decisions(run: RunDir, names: Sequence[str], rows: Rows | None = None) -> list[Decision]:
    """Return the decisions on some rows, in their order.

    Parameters
    ----------
    run : RunDir
        Where ``decisions.parquet`` lies.
    names : sequence of str
        Own ids where the corpus has an id column, else row ids.
    rows : Rows, optional
        By default those in the same directory.

    Raises
    ------
    InputError
        For a row that there is not, and a run that has not selected.
    """
    rows = _opened(run, rows)
    lines = _by_own_id(run, names) if rows.has_own_ids else _by_row_id(run, rows, names)
    return _with_texts(rows, _with_lines(run, lines))


def find_text(run: RunDir, text: str, rows: Rows | None = None, most: int = 5) -> list[Decision]:
    """Return the decisions on the rows whose text is, or else contains, a text; at most ``most``, lowest ids first.

    Raises
    ------
    InputError
        Where no row has it.
    """
    rows = _opened(run, rows)
    equal: list[int] = []
    within: list[int] = []
    for ids, found_texts in rows.all_texts():
        texts = pc.fill_null(found_texts, "")
        equal += ids[pc.equal(texts, text).to_numpy()].tolist()[: most - len(equal)]
        if len(within) < most:
            holds = pc.match_substring(texts, text, ignore_case=True).to_numpy()
            within += ids[holds].tolist()[: most - len(within)]
        if len(equal) >= most:
            break
    found = equal or within
    if not found:
        raise invalid("text", "be, or be part of, the text of a usable row", text, "Or name a row by its id.")
    return _with_texts(rows, _with_lines(run, _by_row_id(run, rows, [str(one) for one in found])))


def _opened(run: RunDir, rows: Rows | None) -> Rows:
    if not run.exists(DECISIONS):
        way = "Run the command that made it again; it goes on from there."
        raise invalid("DIR", f"be a run that has selected, with {DECISIONS}", run.path(), way)
    return StoredRows(RowStore.open(run)) if rows is None else rows


def _lines(run: RunDir) -> Iterator[tuple[pq.ParquetFile, int]]:
    with run.parquet(DECISIONS) as file:
        for group in range(file.num_row_groups):
            yield file, group


def _by_row_id(run: RunDir, rows: Rows, names: Sequence[str]) -> dict[str, Decision]:
    last = rows.n - 1
    for name in names:
        if not (name.isascii() and name.isdigit() and int(name) <= last):
            raise invalid("ROW", f"be a row id from 0 to {last}, its position in the input", name)
    wanted = np.array(sorted({int(name) for name in names}), dtype=np.int64)
    found: dict[int, Decision] = {}
    start = 0
    for file, group in _lines(run):  # ids are consecutive
        stop = start + file.metadata.row_group(group).num_rows
        here = wanted[(wanted >= start) & (wanted < stop)]
        if here.size:
            found |= {one.id: one for one in _decisions(file.read_row_group(group).take(pa.array(here - start)))}
        start = stop
    return {name: found[int(name)] for name in names}


def _by_own_id(run: RunDir, names: Sequence[str]) -> dict[str, Decision]:
    found: dict[str, Decision] = {}
    known: list[str] = []
    for file, group in _lines(run):
        column = file.read_row_group(group, columns=["source_id"])["source_id"]
        places = np.flatnonzero(pc.is_in(column, pa.array(list(names), pa.string())).to_numpy(zero_copy_only=False))
        if places.size:
            for one in _decisions(file.read_row_group(group).take(pa.array(places))):
                found.setdefault(str(one.source_id), one)
        known += [one for one in column.slice(0, 2000).to_pylist() if one is not None] if not known else []
    for name in names:
        if name not in found:
            raise invalid("ROW", "be the own id of a row", name, did_you_mean(name, known))
    return {name: found[name] for name in names}


def _decisions(table: pa.Table) -> list[Decision]:
    return [Decision(**line) for line in table.to_pylist()]


def _with_lines(run: RunDir, decisions: dict[str, Decision]) -> dict[str, Decision]:
    """Return decisions with the lines of the chosen ones."""
    if all(one.rank is None for one in decisions.values()):
        return decisions
    chosen = {row: place + 1 for place, row in enumerate(run.read_table(SELECTION, ["id"])["id"].to_pylist())}
    return {name: dataclasses.replace(one, line=chosen.get(one.id)) for name, one in decisions.items()}


def _with_texts(rows: Rows, lines: dict[str, Decision]) -> list[Decision]:
    wanted = {one for line in lines.values() for one in (line.id, line.beside) if one is not None}
    usable = np.sort(rows.usable(np.array(sorted(wanted), dtype=np.int64)))
    texts = dict(zip(usable.tolist(), rows.texts(usable), strict=True))
    return [
        dataclasses.replace(
            line, text=texts.get(line.id), other=None if line.beside is None else texts.get(line.beside)
        )
        for line in lines.values()
    ]
