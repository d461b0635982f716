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

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.core.types import NO_ITEMS, Indices
from ray_subsel.decisions.known import Known, Window
from ray_subsel.decisions.sources import LeftOut, Sources
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
from ray_subsel.decisions.words import decimals, in_place, joined, number_words, or_null

DECISIONS = "decisions.parquet"
SELECTION = "selection.parquet"
WINDOW = 4_000_000
"""Row ids at a time: 21 bytes each."""

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


def decision_tables(sources: Sources, window: int = WINDOW, lines: int = ROW_GROUP) -> Iterator[pa.Table]:
    """Yield the lines of ``decisions.parquet``, in order of id.

    Parameters
    ----------
    sources : Sources
    window : int
        Row ids of which the item, and the chosen row nearest to it, are held: each window reads all items again.
    lines : int
        Lines of a table. Words are made of so many at a time.
    """
    known = Known.of(sources)
    for start in range(0, sources.n, window):
        rows = Window(known, start, min(start + window, sources.n))
        for first in range(start, rows.stop, lines):
            yield _Lines(known, rows, first, min(first + lines, rows.stop)).table()


@dataclass(eq=False)
class _Lines:
    """The lines of the rows from ``start`` to ``stop``, which lie in a window."""

    known: Known
    window: Window
    start: int
    stop: int

    def __post_init__(self) -> None:
        size, part = self.stop - self.start, slice(self.start - self.window.start, self.stop - self.window.start)
        self.sources = self.known.sources
        self.ids = np.arange(self.start, self.stop)
        self.status = np.full(size, CODE[NOT_CHOSEN], dtype=np.int8)
        self.of = np.full(size, -1)
        self.cosine = np.full(size, np.nan)
        self.item, self.nearest = self.window.item[part], self.window.nearest[part]
        self.nearest_cosine = self.window.cosine[part].astype(np.float64)
        self._mark(np.flatnonzero(self.window.full[part]), GROUP_FULL)
        self.given: list[tuple[Indices, pa.Array]] = []  # reasons that files tell, by place

    def table(self) -> pa.Table:
        """Return the lines."""
        rank, _ = self.known.ranks.get(self.ids)
        self._mark_full_groups()
        self._mark_copies()
        excluded = self.sources.excluded
        self._mark(excluded[(excluded >= self.start) & (excluded < self.stop)] - self.start, EXCLUDED)
        for left in self.known.left_out:
            self._leave_out(left)
        self._mark(np.flatnonzero(rank >= 0), CHOSEN)
        known = self.nearest >= 0
        hidden = (self.status != CODE[EXACT_COPY]) & (self.status != CODE[NEAR_COPY])
        self.of[hidden], self.cosine[hidden] = -1, np.nan
        return pa.table(
            [
                pa.array(self.ids, pa.int64()),
                self._own_ids(),
                pa.DictionaryArray.from_arrays(pa.array(self.status), pa.array(STATUSES)),
                or_null(self.of),
                pa.array(self.cosine.astype(np.float32), mask=np.isnan(self.cosine)),
                or_null(rank),
                or_null(self.nearest),
                pa.array(self.nearest_cosine.astype(np.float32), mask=~known),
                self._reasons(rank),
            ],
            schema=SCHEMA,
        )

    def _mark(self, places: Indices, status: str) -> None:
        self.status[places] = CODE[status]

    def _mark_copies(self) -> None:
        """Mark exact and near copies: of the row that is chosen in the place of their item, else of the item itself."""
        leader, cosine = self.known.leaders.get(self.item)
        joined = leader >= 0
        lead = np.where(joined, leader, self.item)
        shown, _ = self.known.copied.get(lead)
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
        places, values = self._column(column)
        values = pc.fill_null(values, "")
        self._mark(places[pc.is_in(values, pa.array(sorted(full))).to_numpy(zero_copy_only=False)], GROUP_FULL)

    def _leave_out(self, left: LeftOut) -> None:
        first, last = np.searchsorted(left.ids, (self.start, self.stop)).tolist()
        places = left.ids[first:last] - self.start
        self.status[places] = [CODE[status] for status in left.status[first:last]]
        self.given.append((places, left.reason.slice(first, last - first)))

    def _own_ids(self) -> pa.Array:
        if not self.sources.has_own_ids:
            return pa.nulls(self.ids.size, pa.string())
        places, values = self._column("source_id")
        at = np.full(self.ids.size, -1)
        at[places] = np.arange(places.size)
        return values.take(or_null(at)).combine_chunks().cast(pa.string())

    def _column(self, column: str) -> tuple[Indices, pa.ChunkedArray]:
        """Return the places of the usable rows, and a column of them."""
        places, values = [NO_ITEMS], []
        for ids, part in self.sources.column(column, self.start, self.stop):
            places.append(ids - self.start)
            values.append(part.cast(pa.string()))
        return np.concatenate(places), pa.chunked_array(values, pa.string())

    def _reasons(self, rank: Indices) -> pa.Array:
        """Return what became of each row in words."""
        per = self.sources.per_group
        holder, others = ("its label", "others of its group") if per else ("its group", "others")

        def copy(at: Indices, beginning: pa.Array | str) -> pa.Array:
            of = self.of[at]
            chosen = pa.array(self.known.ranks.get(of)[0] >= 0)
            then = pc.if_else(chosen, ", which is chosen", ", which is not chosen")
            return joined(beginning, number_words(of), then)

        def near_copy(at: Indices) -> pa.Array:
            cosine = self.cosine[at]
            known = joined("cosine ", decimals(cosine), " to row ")
            return copy(at, pc.if_else(pa.array(np.isnan(cosine)), "near row ", known))

        def beside(beginning: str) -> Callable[[Indices], pa.Array]:
            return lambda at: joined(beginning, self._nearest_in_words(at))

        words: dict[str, Callable[[Indices], pa.Array]] = {
            CHOSEN: lambda at: joined("chosen as number ", number_words(rank[at] + 1), " of its group" if per else ""),
            EXACT_COPY: lambda at: copy(at, "the same text or vector as row "),
            NEAR_COPY: near_copy,
            EXCLUDED: beside("named by --exclude; "),
            GROUP_FULL: beside(f"{holder} holds as many as it may; "),
            NOT_CHOSEN: beside(f"{others} added more; "),
        }
        told: list[tuple[Indices, pa.Array]] = []
        for status, say in words.items():
            at = np.flatnonzero(self.status == CODE[status])
            told.append((at, say(at)))
        told += self._given_reasons()
        return self._with_notes(in_place(told, self.ids.size))

    def _nearest_in_words(self, at: Indices) -> pa.Array:
        """Return which chosen row is nearest to some rows."""
        nearest = self.nearest[at]
        nothing = "nothing of its group is chosen" if self.sources.per_group else "nothing near it is chosen"
        known = joined(
            "row ", number_words(nearest), " (cosine ", decimals(self.nearest_cosine[at]), ") is chosen and nearest"
        )
        return pc.if_else(pa.array(nearest >= 0), known, nothing)

    def _given_reasons(self) -> Iterator[tuple[Indices, pa.Array]]:
        """Yield the reasons that files tell, of rows of which nothing else is told: the last file's of each."""
        free = np.isin(self.status, [CODE[status] for status in _FROM_FILES])
        for places, text in reversed(self.given):
            mine = free[places]
            free[places] = False
            values = text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
            yield places[mine], values.filter(pa.array(mine))

    def _with_notes(self, told: pa.Array) -> pa.Array:
        """Return the reasons with what else is known of some chosen rows, and of some that are not."""
        at = self.known.notes.get(self.ids)[0]
        at[~np.isin(self.status, [CODE[CHOSEN], CODE[NOT_CHOSEN], CODE[GROUP_FULL]])] = -1
        if (at < 0).all():
            return told
        return pc.if_else(pa.array(at >= 0), joined(told, "; ", self.known.note_texts.take(or_null(at))), told)


_FROM_FILES = (CONTAMINATED, LABEL_NOISE, OUTLIER, REJECTED, WITHDRAWN)
