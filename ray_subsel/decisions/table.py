"""Say of each row of the input what became of it: ``decisions.parquet``, put together a window of row ids at a time.

Columns: ``id`` (row id), ``source_id`` (the row's own id, where an id column was named), ``status`` (one of
:data:`ray_subsel.decisions.status.STATUSES`), ``of`` (of a copy: the row that it is a copy of), ``cosine`` (of a near
copy to that row), ``rank`` (of a chosen one), ``nearest_chosen`` and ``nearest_cosine`` (the chosen row that is
nearest), and ``reason`` (in words). Rows come in order of id; ids beyond the rows that were read are copies that
augmentation added.

A row that several things hold of has the first: chosen, rejected, contaminated, label noise, outlier or withdrawn,
excluded, exact copy, near copy, group full, not chosen.

Where each group was chosen from on its own (``--per``), all is told within the group: ``rank``, copies, the chosen row
that is nearest; ``group full`` is then a label of which the group holds as many as it may.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ray_subsel.core.id_map import IdMap
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.decisions.sources import FULL, LeftOut, Sources
from ray_subsel.decisions.status import (
    CHOSEN,
    CODE,
    CONTAMINATED,
    EXACT_COPY,
    EXCLUDED,
    GROUP_FULL,
    LABEL_NOISE,
    NEAR_COPY,
    NOT_CHOSEN,
    OUTLIER,
    REJECTED,
    STATUSES,
    WITHDRAWN,
)
from ray_subsel.storage.embedding_store import flat_rows

DECISIONS = "decisions.parquet"
SELECTION = "selection.parquet"
WINDOW = 4_000_000
"""Row ids at a time: some 500 MB."""

ROW_GROUP = 131_072
"""Lines that are read to look one up."""

SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "source_id": pa.string(),
        "status": pa.dictionary(pa.int8(), pa.string()),
        "of": pa.int64(),
        "cosine": pa.float32(),
        "rank": pa.int64(),
        "nearest_chosen": pa.int64(),
        "nearest_cosine": pa.float32(),
        "reason": pa.string(),
    }
)


def decision_tables(sources: Sources, window: int = WINDOW) -> Iterator[pa.Table]:
    """Yield the lines of ``decisions.parquet``, ``window`` row ids at a time."""
    chosen = sources.chosen()
    ranks = IdMap.of(chosen["id"].to_numpy(), chosen["rank"].to_numpy())
    copied = _flat(chosen["id"], chosen["rows"])
    leaders, names = _leaders(sources), _names(sources)
    for start in range(0, sources.n, window):
        yield _Window(sources, start, min(start + window, sources.n), ranks, copied, leaders, names).table()


def _flat(ids: pa.ChunkedArray, lists: pa.ChunkedArray) -> IdMap:
    """Return the id of each number of the lists beside the ids."""
    flat, owner = flat_rows(lists)
    return IdMap.of(flat, ids.to_numpy()[owner])


def _leaders(sources: Sources) -> IdMap:
    """Return the leader of each item that joined another, and the cosine to it."""
    keys, values, cosines = [NO_ITEMS], [NO_ITEMS], [np.zeros(0)]
    for table in sources.leaders():
        ids, leader = table["id"].to_numpy(), table["leader"].to_numpy()
        joined = ids != leader
        keys.append(ids[joined])
        values.append(leader[joined])
        cosines.append(table["cosine"].to_numpy()[joined].astype(np.float64))
    return IdMap.of(np.concatenate(keys), np.concatenate(values), np.concatenate(cosines))


def _names(sources: Sources) -> IdMap:
    """Return the best row of each item that is named by it, by its lowest row."""
    keys, values = [NO_ITEMS], [NO_ITEMS]
    for table in sources.renamed_items():
        ids = table["id"].to_numpy()
        flat, owner = flat_rows(table["rows"])
        order = np.lexsort((flat, owner))
        first = order[np.flatnonzero(np.diff(owner[order], prepend=-1))]
        keys.append(flat[first])
        values.append(ids)
    return IdMap.of(np.concatenate(keys), np.concatenate(values))


@dataclass(eq=False)
class _Window:
    """The rows from ``start`` to ``stop``."""

    sources: Sources
    start: int
    stop: int
    ranks: IdMap
    copied: IdMap
    leaders: IdMap
    names: IdMap

    def __post_init__(self) -> None:
        size = self.stop - self.start
        self.ids = np.arange(self.start, self.stop)
        self.status = np.full(size, CODE[NOT_CHOSEN], dtype=np.int8)
        self.of = np.full(size, -1)
        self.cosine = np.full(size, np.nan)
        self.item, self.nearest, self.nearest_cosine = np.full(size, -1), np.full(size, -1), np.full(size, np.nan)
        self.given: list[tuple[Indices, pa.Array]] = []  # reasons that files tell, by place

    def table(self) -> pa.Table:
        """Return the lines of the window."""
        self._read_items()
        rank, _ = self.ranks.get(self.ids)
        self._mark_full_groups()
        self._mark_copies()
        self._mark(self._inside(self.sources.excluded), EXCLUDED)
        for left in self.sources.left_out:
            self._leave_out(left)
        self._mark_rejected()
        self._mark(np.flatnonzero(rank >= 0), CHOSEN)
        known = self.nearest >= 0
        hidden = (self.status != CODE[EXACT_COPY]) & (self.status != CODE[NEAR_COPY])
        self.of[hidden], self.cosine[hidden] = -1, np.nan
        return pa.table(
            [
                pa.array(self.ids, pa.int64()),
                self._own_ids(),
                pa.DictionaryArray.from_arrays(pa.array(self.status), pa.array(STATUSES)),
                _or_null(self.of),
                pa.array(self.cosine.astype(np.float32), mask=np.isnan(self.cosine)),
                _or_null(rank),
                _or_null(self.nearest),
                pa.array(self.nearest_cosine.astype(np.float32), mask=~known),
                self._reasons(rank),
            ],
            schema=SCHEMA,
        )

    def _inside(self, ids: Indices) -> Indices:
        """Return the places of those ids that lie in the window."""
        return ids[(ids >= self.start) & (ids < self.stop)] - self.start

    def _mark(self, places: Indices, status: str) -> None:
        self.status[places] = CODE[status]

    def _read_items(self) -> None:
        """Read the item of each row, and the chosen row that is nearest to it."""
        for members, nearest in self.sources.items():
            pairs = _flat(members["id"], members["rows"])
            inside = (pairs.keys >= self.start) & (pairs.keys < self.stop)
            places, items = pairs.keys[inside] - self.start, pairs.values[inside]
            named, _ = self.names.get(items)
            self.item[places] = np.where(named >= 0, named, items)
            if nearest is not None:
                near = IdMap.of(nearest["id"].to_numpy(), nearest["nearest"].to_numpy(), nearest["cosine"].to_numpy())
                self.nearest[places], self.nearest_cosine[places] = near.get(items)
                if FULL in nearest.column_names:
                    full = IdMap.of(nearest["id"].to_numpy(), nearest[FULL].cast(pa.int64()).to_numpy())
                    self._mark(places[full.get(items)[0] == 1], GROUP_FULL)

    def _mark_copies(self) -> None:
        """Mark exact and near copies: of the row that is chosen in the place of their item, else of the item itself."""
        leader, cosine = self.leaders.get(self.item)
        joined = leader >= 0
        shown, _ = self.copied.get(np.where(joined, leader, self.item))
        lead = np.where(joined, leader, self.item)
        near = np.flatnonzero(joined & (self.item == self.ids))
        self._mark(near, NEAR_COPY)
        self.of[near] = np.where(shown[near] >= 0, shown[near], lead[near])
        self.cosine[near] = np.where(self.of[near] == leader[near], cosine[near], np.nan)
        # An item whose chosen row is another row of it is a copy of that row.
        representative = np.where(joined | (shown < 0), self.item, shown)
        equal = np.flatnonzero((representative != self.ids) & (self.item >= 0) & ~(joined & (self.item == self.ids)))
        self._mark(equal, EXACT_COPY)
        self.of[equal] = representative[equal]

    def _mark_full_groups(self) -> None:
        column, full = self.sources.group_column, self.sources.full_groups
        if column is None or not full:
            return
        ids, values = self._column(column)
        values = pc.fill_null(values, "")
        self._mark(ids[pc.is_in(values, pa.array(sorted(full))).to_numpy(zero_copy_only=False)], GROUP_FULL)

    def _leave_out(self, left: LeftOut) -> None:
        inside = (left.ids >= self.start) & (left.ids < self.stop)
        places = left.ids[inside] - self.start
        self.status[places] = [CODE[left.status[at]] for at in np.flatnonzero(inside).tolist()]
        self.given.append((places, left.reason.filter(pa.array(inside))))

    def _mark_rejected(self) -> None:
        table = self.sources.rejected()
        if table is None:
            return
        rows = table["row"].to_numpy()
        inside = (rows >= self.start) & (rows < self.stop)
        table = table.filter(pa.array(inside))
        places = rows[inside] - self.start
        self._mark(places, REJECTED)
        details = pc.fill_null(table["detail"], "")
        told = pc.if_else(pc.equal(details, ""), table["reason"], joined(table["reason"], ": ", details))
        self.given.append((places, told))

    def _own_ids(self) -> pa.Array:
        if not self.sources.has_own_ids:
            return pa.nulls(self.ids.size, pa.string())
        places, values = self._column("source_id")
        at = np.full(self.ids.size, -1)
        at[places] = np.arange(places.size)
        return values.take(_or_null(at)).combine_chunks().cast(pa.string())

    def _column(self, column: str) -> tuple[Indices, pa.ChunkedArray]:
        """Return the places of the usable rows of the window, and a column of them."""
        places, values = [NO_ITEMS], []
        for ids, part in self.sources.column(column, self.start, self.stop):
            places.append(ids - self.start)
            values.append(part.cast(pa.string()))
        return np.concatenate(places), pa.chunked_array(values, pa.string())

    def _reasons(self, rank: Indices) -> pa.Array:
        """Return what became of each row in words."""
        near_words = joined("row ", _words(self.nearest), " (cosine ", _decimals(self.nearest_cosine), ")")
        of = _words(self.of)
        chosen = pa.array(self.ranks.get(self.of)[0] >= 0)
        then = pc.if_else(chosen, ", which is chosen", ", which is not chosen")
        decimals = _decimals(self.cosine)
        cosine = pc.if_else(pa.array(np.isnan(self.cosine)), "near row ", joined("cosine ", decimals, " to row "))
        per = self.sources.per_group
        nothing = "nothing of its group is chosen" if per else "nothing near it is chosen"
        represented = pc.if_else(pa.array(self.nearest >= 0), joined(near_words, " is chosen and nearest"), nothing)
        holder, others = ("its label", "others of its group") if per else ("its group", "others")
        words = {
            CHOSEN: joined("chosen as number ", _words(rank + 1), " of its group" if per else ""),
            EXACT_COPY: joined("the same text or vector as row ", of, then),
            NEAR_COPY: joined(cosine, of, then),
            EXCLUDED: joined("named by --exclude; ", represented),
            GROUP_FULL: joined(holder, " holds as many as it may; ", represented),
            NOT_CHOSEN: joined(others, " added more; ", represented),
        }
        told: pa.Array = pa.array([""]).take(pa.array(np.zeros(self.ids.size, dtype=np.int64)))
        for status, text in words.items():
            told = pc.if_else(pa.array(self.status == CODE[status]), text, told)
        for places, text in self.given:
            at = np.full(self.ids.size, -1)
            at[places] = np.arange(places.size)
            mine = at >= 0
            mine &= np.isin(self.status, [CODE[status] for status in _FROM_FILES])
            values = text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
            told = pc.if_else(pa.array(mine), values.take(_or_null(np.where(mine, at, -1))), told)
        return self._with_notes(told)

    def _with_notes(self, told: pa.Array) -> pa.Array:
        """Return the reasons with what else is known of some chosen rows, and of some that are not."""
        ids, notes = self.sources.notes
        at = IdMap.of(ids, np.arange(ids.size)).get(self.ids)[0]
        at[~np.isin(self.status, [CODE[CHOSEN], CODE[NOT_CHOSEN], CODE[GROUP_FULL]])] = -1
        if (at < 0).all():
            return told
        return pc.if_else(pa.array(at >= 0), joined(told, "; ", pa.array(notes, pa.string()).take(_or_null(at))), told)


_FROM_FILES = (CONTAMINATED, LABEL_NOISE, OUTLIER, REJECTED, WITHDRAWN)


def _or_null(values: NDArray[np.int64]) -> pa.Array:
    return pa.array(values, pa.int64(), mask=values < 0)


def _words(values: Indices) -> pa.Array:
    return pa.array(values).cast(pa.string())


def _decimals(values: Float64s) -> pa.Array:
    """Return numbers with two decimals, as texts."""
    hundredths = np.round(100.0 * np.nan_to_num(values)).astype(np.int64)
    sign = pc.if_else(pa.array(hundredths < 0), "-", "")
    size = np.abs(hundredths)
    return joined(sign, _words(size // 100), ".", pc.utf8_lpad(_words(size % 100), 2, "0"))


def joined(*texts: pa.Array | str) -> pa.Array:
    """Return texts and columns of texts put together, line by line."""
    return pc.binary_join_element_wise(*texts, "", null_handling="replace", null_replacement="?")
