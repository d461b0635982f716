"""Hold items of the ground set: their ids, their vectors and what else is known of each, in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float32s, Indices, Mask

Column = NDArray[Any]

MULTIPLICITY, GROUP, COST, UTILITY = "multiplicity", "group", "cost", "utility"
"""Columns: rows that an item stands for (int64), the number of its group (int64), what choosing it costs (float64),
what is added to f when it is chosen (float64)."""


@dataclass(frozen=True, eq=False)
class ItemBatch:
    """Some items, with what is known of each.

    Attributes
    ----------
    ids : int64 array of shape (p,)
    vectors : float32 array of shape (p, d)
        Unit rows.
    columns : mapping of str to arrays of shape (p,)
        ``multiplicity``, ``group``, ``cost`` or ``utility``, as far as they are known.
    """

    ids: Indices
    vectors: Float32s
    columns: Mapping[str, Column] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.ids.size)

    @staticmethod
    def none(d: int) -> ItemBatch:
        """Return no items, of vectors of dimension d."""
        return ItemBatch(np.zeros(0, np.int64), np.zeros((0, d), np.float32))

    @staticmethod
    def concatenate(pieces: Sequence[ItemBatch]) -> ItemBatch:
        """Return all items of some pieces, in ascending order of id; a column that one of them lacks is left out."""
        filled = [piece for piece in pieces if len(piece)] or list(pieces[:1])
        order = np.argsort(np.concatenate([piece.ids for piece in filled]), kind="stable")
        shared = [name for name in filled[0].columns if all(name in piece.columns for piece in filled)]
        return ItemBatch(
            np.concatenate([piece.ids for piece in filled])[order],
            np.concatenate([piece.vectors for piece in filled])[order],
            {name: np.concatenate([piece.columns[name] for piece in filled])[order] for name in shared},
        )

    def take(self, places: Indices | Mask) -> ItemBatch:
        """Return the items at some places, or where a mask is true."""
        columns = {name: column[places] for name, column in self.columns.items()}
        return ItemBatch(self.ids[places], self.vectors[places], columns)
