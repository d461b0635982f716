"""Cells of near copies at scale: centres from a sample, and the pieces in which cells are worked on. Pure functions.

:mod:`ray_subsel.dedup.in_memory` groups the items of a cell. Here a ground set of any size is cut so that no process holds more of
it than a piece of ``largest`` items:

- a cell that would be larger gets centres of its own (:func:`fit_tree`, decided by the sample alone);
- small cells are put together into pieces of about that size, in order (:func:`plan_pieces`);
- a cell that stays larger, a heap of copies, is cut by id into several pieces, which one task goes through in order of
  id, taking with it only the items that lead (:func:`collapse_pieces`).

Every step depends on the items, the threshold and the seed only, so groups are the same for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows, row_dots, unit_rows
from ray_subsel.dedup.in_memory import assign_cells, collapse_cell, fit_cells


@dataclass(frozen=True, eq=False)
class CellTree:
    """Centres of cells, some of which are cut into cells of their own.

    Attributes
    ----------
    centres : float64 array of shape (c, d)
    splits : dict of int to float64 array of shape (s, d)
        The centres inside a cell that is cut.
    """

    centres: Float64s
    splits: dict[int, Float64s]

    @property
    def firsts(self) -> Indices:
        """Return the number of each centre's first cell, and at the end the number of cells; shape (c + 1,)."""
        widths = [self.splits[cell].shape[0] if cell in self.splits else 1 for cell in range(self.centres.shape[0])]
        return np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)

    @property
    def n_cells(self) -> int:
        """How many cells there are."""
        return int(self.firsts[-1])

    def cells_of(self, rows: UnitRows) -> Indices:
        """Return the cell of each row, shape (n,)."""
        outer = assign_cells(rows, self.centres)
        cells = self.firsts[outer]
        for cell, centres in self.splits.items():
            inside = np.flatnonzero(outer == cell)
            if inside.size:
                cells[inside] += assign_cells(UnitRows(rows.X[inside], rows.scale[inside]), centres)
        return cells


def fit_tree(sample: UnitRows, *, n: int, threshold: float, cell_size: int, largest: int, seed: int) -> CellTree:
    """Return the cells of a ground set of n items from a sample of it.

    Parameters
    ----------
    sample : UnitRows
        In order of id, so that the centres do not depend on who read it.
    n : int
    threshold : float
        Near copies count once when centres are placed: a heap of copies draws no centre.
    cell_size, largest : int
        Items of a usual cell, and items from which a cell is cut into usual ones.
    seed : int
    """
    centres = fit_cells(sample, threshold, cell_size=cell_size, seed=seed, n=n)
    splits: dict[int, Float64s] = {}
    outer = assign_cells(sample, centres)
    sizes = np.bincount(outer, minlength=centres.shape[0]) * (n / sample.n)
    for cell in np.flatnonzero(sizes > largest).tolist():
        inside = np.flatnonzero(outer == cell)
        part = UnitRows(sample.X[inside], sample.scale[inside])
        own = fit_cells(part, threshold, cell_size=cell_size, seed=seed, n=int(sizes[cell]))
        if own.shape[0] > 1:
            splits[cell] = own
    return CellTree(centres, splits)


@dataclass(frozen=True, eq=False)
class PiecePlan:
    """Which piece each item belongs to, and which pieces a task goes through.

    Attributes
    ----------
    first : int64 array of shape (n_cells,)
        The piece of each cell, for a heap its first one.
    edges : dict of int to int64 array
        For each heap the ids at which its second and later pieces begin, ascending.
    tasks : tuple of range
        The consecutive pieces of each task; more than one for a heap.
    """

    first: Indices
    edges: dict[int, Indices]
    tasks: tuple[range, ...]

    @property
    def n_pieces(self) -> int:
        """How many pieces there are."""
        return self.tasks[-1].stop if self.tasks else 0

    def piece_of(self, ids: Indices, cells: Indices) -> Indices:
        """Return the piece of each item."""
        pieces = self.first[cells]
        for cell, edges in self.edges.items():
            inside = np.flatnonzero(cells == cell)
            pieces[inside] += np.searchsorted(edges, ids[inside], side="right")
        return pieces


def plan_pieces(counts: Indices, largest: int, ids_of: Callable[[int], Indices]) -> PiecePlan:
    """Put cells together into pieces of at most ``largest`` items and cut those that are larger.

    Parameters
    ----------
    counts : int64 array of shape (n_cells,)
        Items of each cell.
    largest : int
    ids_of : callable
        Returns all ids of a cell in any order; asked for heaps only.
    """
    first = np.zeros(counts.size, dtype=np.int64)
    edges: dict[int, Indices] = {}
    tasks: list[range] = []
    filled = largest + 1  # the first cell begins a piece
    for cell, count in enumerate(counts.tolist()):
        following = tasks[-1].stop if tasks else 0
        if count > largest:
            cuts = -(-count // largest)
            ids = np.sort(ids_of(cell))
            edges[cell] = ids[[count * cut // cuts for cut in range(1, cuts)]]
            tasks.append(range(following, following + cuts))
            first[cell], filled = following, largest + 1
            continue
        if filled + count > largest:
            tasks.append(range(following, following + 1))
            filled = 0
        first[cell] = tasks[-1].start
        filled += count
    return PiecePlan(first, edges, tuple(tasks))


@dataclass(frozen=True, eq=False)
class Piece:
    """Items that are compared together, in ascending order of id.

    Attributes
    ----------
    ids, cells : int64 arrays of shape (p,)
    vectors : float32 array of shape (p, d)
    """

    ids: Indices
    cells: Indices
    vectors: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Joined:
    """The groups of one piece.

    Attributes
    ----------
    ids, leaders : int64 arrays of shape (p,)
        Each item, ascending, and the item that leads its group.
    cosine : float64 array of shape (p,)
        Between the two; 1 for leaders.
    """

    ids: Indices
    leaders: Indices
    cosine: Float64s


def collapse_pieces(pieces: Iterable[Piece], threshold: float, *, cell_size: int) -> Iterator[Joined]:
    """Yield the groups of the pieces of one task, in their order.

    One piece may hold many cells, each grouped by itself. Several pieces hold one cell, in order of id: each is grouped
    with the leaders of those before. Every item's cosine to its leader reaches the threshold, and a leader's id is the
    lowest of its group. Memory: a piece, the leaders of those before, and the largest cell in float64.
    """
    before = Piece(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 0), np.float32))
    for piece in pieces:
        old = before.ids.size
        ids, cells = np.concatenate([before.ids, piece.ids]), np.concatenate([before.cells, piece.cells])
        vectors = np.concatenate([before.vectors, piece.vectors]) if old else piece.vectors
        rows = unit_rows(vectors, parameter="vectors", numbers=ids)
        leader, cosine = np.arange(ids.size), np.ones(ids.size)
        order = np.argsort(cells, kind="stable")  # ids stay ascending within a cell
        starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
        for start, stop in zip(starts, np.append(starts[1:], ids.size), strict=True):
            places = order[start:stop]
            unit = rows.take(places)
            local, _ = collapse_cell(unit, threshold, cell_size=cell_size)
            # A leader of an earlier piece stays one, whatever it meets now: its group is already made.
            local[places < old] = np.flatnonzero(places < old)
            leader[places] = places[local]
            joined = np.flatnonzero(local != np.arange(local.size))
            cosine[places[joined]] = row_dots(unit[joined], unit[local[joined]])
        yield Joined(piece.ids, ids[leader[old:]], cosine[old:])
        leads = np.flatnonzero(leader == np.arange(ids.size))
        before = Piece(ids[leads], cells[leads], vectors[leads])
