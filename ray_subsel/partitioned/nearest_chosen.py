r"""Find the chosen item that each item of the ground set is nearest to, argmax over S of <x, s>, part by part.

Up to :data:`EXACT_PRODUCTS` multiplications in all every chosen item is looked at. Above, the chosen are put into some
sqrt(k) cells, and an item is compared with those of its nearest :data:`CELLS` cells: some 2 per cent of items then get
another chosen item than the nearest, one that is little farther.

Nothing depends on how the ground set is divided: cosines that decide are float64, ties go to the lowest rank.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ray_subsel.core.held_rows import hold
from ray_subsel.core.nearest import nearest_among
from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float32s, Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows, unit_rows
from ray_subsel.dedup.clusters import Centres, fit_clusters

EXACT_PRODUCTS = 2_000_000_000_000
"""n k d up to which all chosen items are looked at: some half a minute of two cores."""

CELLS = 8
"""Cells of chosen items that an item is compared with, where not all are."""

_BLOCK_NUMBERS = 8_000_000  # cosines at a time


@dataclass(frozen=True, eq=False)
class NearestChosen:
    """The chosen items, for items to be compared with. Picklable.

    Attributes
    ----------
    vectors : float64 array of shape (q, d)
        Distinct unit vectors of the chosen items, by the rank at which each came first.
    ranks : int64 array of shape (q,)
        That rank.
    cells : tuple of int64 arrays, or None
        The places, ascending, of the vectors of each cell. None: all are looked at.
    centres : Centres or None
    """

    vectors: Float64s
    ranks: Indices
    cells: tuple[Indices, ...] | None = None
    centres: Centres | None = None
    _single: Float32s = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_single", np.ascontiguousarray(self.vectors, dtype=np.float32))

    @staticmethod
    def of(chosen: UnitRows, *, n: int, exact_products: int = EXACT_PRODUCTS) -> NearestChosen:
        """Return the chosen items ready for a ground set.

        Parameters
        ----------
        chosen : UnitRows
            In rank order, at least one.
        n : int
            Items of the ground set.
        exact_products : int
        """
        vectors = chosen.take(np.arange(chosen.n))
        _, ranks = np.unique(vectors, axis=0, return_index=True)
        ranks = np.sort(ranks)
        vectors = np.ascontiguousarray(vectors[ranks])
        if n * vectors.size <= exact_products or vectors.shape[0] <= 2 * CELLS * CELLS:
            return NearestChosen(vectors, ranks)
        size = math.ceil(math.sqrt(vectors.shape[0]))
        centres = Centres(fit_clusters(unit_rows(vectors), 1.0, cluster_size=size))
        where = centres.nearest(unit_rows(vectors))
        cells = tuple(np.flatnonzero(where == cell) for cell in range(centres.n_clusters))
        return NearestChosen(vectors, ranks, cells, centres)

    @property
    def is_exact(self) -> bool:
        """Whether each item is compared with every chosen one."""
        return self.cells is None

    def find(self, rows: UnitRows) -> tuple[Indices, Float64s]:
        """Return the rank of the chosen item that each row is nearest to, and the cosine, both of shape (rows.n,)."""
        ranks, cosines = np.empty(rows.n, dtype=np.int64), np.empty(rows.n)
        beside = self.vectors.shape[0] if self.centres is None else self.centres.n_clusters
        for start, stop in ranges(rows.n, max(16, _BLOCK_NUMBERS // max(beside, rows.d))):
            part, block = slice(start, stop), rows.slice(start, stop)
            places, cosines[part] = self._nearest(block) if self.cells is None else self._in_cells(block)
            ranks[part] = self.ranks[places]
        return ranks, cosines

    def _nearest(self, block: Float64s, some: Indices | None = None) -> tuple[Indices, Float64s]:
        """Return the nearest chosen item of each row, of all or of some."""
        vectors, single = (self.vectors, self._single) if some is None else (self.vectors[some], self._single[some])
        row, place, cosine = nearest_among(block, vectors, hold(single), 1)
        first = np.searchsorted(row, np.arange(block.shape[0]))
        return (place[first] if some is None else some[place[first]]), cosine[first]

    def _in_cells(self, block: Float64s) -> tuple[Indices, Float64s]:
        """Return the nearest chosen item of each row among those of its nearest cells."""
        assert self.cells is not None
        assert self.centres is not None
        near = self.centres.nearest_few(block, min(CELLS, self.centres.n_clusters))
        by_cell = np.argsort(near, axis=None, kind="stable")
        rows, first = by_cell // near.shape[1], np.searchsorted(near.ravel()[by_cell], np.arange(len(self.cells) + 1))
        places, cosines = np.full(block.shape[0], -1), np.full(block.shape[0], -np.inf)
        for cell, members in enumerate(self.cells):
            if not members.size:
                continue
            for start, stop in ranges(int(first[cell + 1] - first[cell]), max(16, _BLOCK_NUMBERS // members.size)):
                here = rows[first[cell] + start : first[cell] + stop]
                place, cosine = self._nearest(block[here], members)
                better = (cosine > cosines[here]) | ((cosine == cosines[here]) & (place < places[here]))
                places[here[better]], cosines[here[better]] = place[better], cosine[better]
        lonely = np.flatnonzero(places < 0)
        if lonely.size:
            places[lonely], cosines[lonely] = self._nearest(block[lonely])
        return places, cosines
