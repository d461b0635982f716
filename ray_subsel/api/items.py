"""The ground set of texts, and the way between its items and the rows of the caller."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.api.rows import Rows
from ray_subsel.api.texts import DistinctTexts, check_column
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import array_of
from ray_subsel.core.types import Float32s, Indices
from ray_subsel.selection.explain import RowVectors
from ray_subsel.selection.result import LeftOut, Selection
from ray_subsel.selection.validation import row_numbers
from ray_subsel.selection.weigh import weights_of


@dataclass(frozen=True, eq=False)
class Items:
    """What is chosen from: each distinct text, or each row that has one.

    Attributes
    ----------
    first : int64 array of shape (m,)
        The lowest row of each item.
    text_of : int64 array of shape (m,)
        The distinct text of each item.
    item_of : int64 array of shape (n,)
        The item of each row of the caller's; -1 where a row has no text.
    found : DistinctTexts
    """

    first: Indices
    text_of: Indices
    item_of: Indices
    found: DistinctTexts

    @classmethod
    def of(cls, found: DistinctTexts, *, keep: bool) -> Items:
        """Return the items: with ``keep`` equal texts are one each."""
        if not keep:
            return cls(found.first, np.arange(found.first.size), found.item_of, found)
        rows = np.flatnonzero(found.item_of >= 0)
        item_of = np.full(found.item_of.size, -1, dtype=np.int64)
        item_of[rows] = np.arange(rows.size)
        return cls(rows, found.item_of[rows], item_of, found)

    @property
    def texts(self) -> list[str]:
        """The text of each item."""
        texts = self.found.texts
        return texts if self.text_of.size == len(texts) else [texts[text] for text in self.text_of.tolist()]

    def values(self, rows: Rows, parameter: str, given: Any) -> Any:
        """Return a value an item, of a column by name or of one value a row; of equal texts the first row's counts."""
        if isinstance(given, str):
            check_column(rows, parameter, given)
            column = rows.columns([given])[given]
            numbers = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
            if numbers and not column.null_count:
                return column.to_numpy()[self.first]
            values = np.empty(len(column), dtype=object)
            values[:] = column.to_pylist()
            return values[self.first]
        n = self.item_of.size
        must = f"be the name of a column, or {n} values"
        values = array_of(given, parameter, must)
        if values.ndim != 1 or values.size != n:
            raise invalid(parameter, must, Verbatim(f"{values.dtype} of shape {values.shape}"))
        return values[self.first]

    def named(self, rows: Any, parameter: str) -> dict[int, int]:
        """Return the items of some rows, in their order, and the first row that names each."""
        numbers = row_numbers(rows, parameter, self.item_of.size, None)
        items = self.item_of[numbers]
        if (items < 0).any():
            row = int(numbers[items < 0][0])
            raise invalid(parameter, "name rows that have a text", Verbatim(f"row {row} without one"))
        found: dict[int, int] = {}
        for item, row in zip(items.tolist(), numbers.tolist(), strict=True):
            found.setdefault(item, row)
        return found

    def published(
        self, chosen: Selection, vectors: Float32s, named: dict[int, int], against: Indices | None = None
    ) -> Selection:
        """Return a selection of items as one of rows: an item that was included by the row that named it.

        ``against`` has the row of each text of the other set.
        """
        shown = self.first.copy()
        if named:
            shown[list(named)] = list(named.values())
        leader = np.arange(self.first.size) if chosen.stands_for is None else chosen.stands_for
        counts = np.bincount(self.item_of[self.item_of >= 0], minlength=self.first.size)
        rows = np.arange(self.item_of.size)
        has = self.item_of >= 0
        stands_for = rows.copy()
        stands_for[has] = shown[leader[self.item_of[has]]]
        vector_of = np.full(rows.size, -1, dtype=np.int64)
        vector_of[has] = self.text_of[self.item_of[has]]
        return dataclasses.replace(
            chosen,
            indices=shown[chosen.indices],
            stands_for=stands_for,
            vectors=RowVectors(vectors, vector_of),
            left_out=self._left_out(chosen.left_out, against),
            weigh=partial(_weigh, vectors, self.text_of, chosen.indices, counts),
            stats={**chosen.stats, "without_text": float((~has).sum())},
        )

    def _left_out(self, found: LeftOut | None, against: Indices | None) -> LeftOut | None:
        """Return the rows of the items that were left out, copies too."""
        if found is None:
            return None
        place = np.full(self.first.size, -1, dtype=np.int64)
        place[found.rows] = np.arange(found.rows.size)
        of_row = np.where(self.item_of >= 0, place[self.item_of], -1)
        rows = np.flatnonzero(of_row >= 0)
        at = of_row[rows]
        nearest, neighbours = found.nearest[at], found.of_rows(self.first).neighbours[at]
        if against is not None:
            nearest = np.where(nearest < 0, -1, against[nearest])
        return LeftOut(rows, found.kind[at], found.score[at], nearest, neighbours)


def _weigh(vectors: Float32s, text_of: Indices, chosen: Indices, counts: Indices) -> Indices:
    """Return how many rows each chosen item stands for: ``weight`` in the selection.parquet of a run."""
    return weights_of(vectors[text_of], chosen, counts)
