"""Say in a sentence why a row was chosen, or why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import whole_number
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import unit_rows

if TYPE_CHECKING:
    from ray_subsel.selection.result import LeftOut, Selection

NAMED_ROWS = 5
"""How many rows that one stands for a sentence names."""


@dataclass(frozen=True, eq=False)
class RowVectors:
    """The vector of each row.

    Attributes
    ----------
    X : array of shape (m, d)
    vector_of : int64 array of shape (n,) or None
        The row of X that is the vector of a row; -1 where a row had none to be chosen by. None: its own.
    """

    X: Any
    vector_of: Indices | None = None

    @property
    def n(self) -> int:
        """How many rows there are."""
        return int(self.X.shape[0]) if self.vector_of is None else int(self.vector_of.size)

    def has(self, row: int) -> bool:
        """Tell whether a row has a vector."""
        return self.vector_of is None or bool(self.vector_of[row] >= 0)

    def take(self, rows: Indices) -> Any:
        """Return the vectors of some rows."""
        return self.X[rows if self.vector_of is None else self.vector_of[rows]]


def explain(selection: Selection, row: Any, X: Any = None) -> str:
    """Return a sentence about one row; :meth:`ray_subsel.Selection.explain` has the whole contract."""
    vectors = _vectors(selection, X)
    row = _checked(selection, row, vectors)
    if vectors is not None and not vectors.has(row):
        return f"Row {row} has nothing to be compared by (no text, or zeros), so it could not be chosen."
    if selection.left_out is not None and (gone := np.flatnonzero(selection.left_out.rows == row)).size:
        return f"Row {row} was left out before the choice: {_why_left_out(selection.left_out, int(gone[0]))}."
    at = np.flatnonzero(selection.indices == row)
    if at.size:
        number, gain = _number(selection, row), _gain(selection, int(at[0]))
        return f"Row {row} was chosen {number}{gain}.{_stands_for(selection, row)}"
    lead = row if selection.stands_for is None else int(selection.stands_for[row])
    if lead != row:
        near = "" if vectors is None else f" (cosine {_cosines(vectors, row, np.array([lead]))[0]:.4f})"
        copy = f"Row {row} was not chosen: it is a copy of row {lead}{near}"
        if (selection.indices == lead).any():
            return f"{copy}, which was chosen {_number(selection, lead)}."
        return f"{copy}, which was not chosen either.{_nearest(selection, row, vectors)}"
    return f"Row {row} was not chosen.{_nearest(selection, row, vectors)}"


def _why_left_out(left_out: LeftOut, at: int) -> str:
    kind, score = str(left_out.kind[at]), float(left_out.score[at])
    if kind == "near":
        return f"it is near row {left_out.nearest[at]} of against (cosine {score:.4f})"
    if kind == "label_noise":
        return f"its label is doubtful, {score:.0%} of its nearest rows, by weight, have another"
    return f"it is far from all others, the mean cosine to its nearest rows is {score:.4f}"


def _vectors(selection: Selection, X: Any) -> RowVectors | None:
    if X is None:
        return selection.vectors
    if len(getattr(X, "shape", ())) != 2:
        raise invalid("X", "be the matrix that was selected from", Verbatim(type(X).__name__))
    n = int(X.shape[0])
    known = selection.stands_for
    if (known is not None and known.size != n) or (len(selection) and int(selection.indices.max()) >= n):
        raise invalid("X", "be the matrix that was selected from", Verbatim(f"{n} rows"))
    return RowVectors(X)


def _checked(selection: Selection, row: Any, vectors: RowVectors | None) -> int:
    number = whole_number(row, "row", "be the number of a row", least=0)
    known = selection.stands_for
    n = vectors.n if vectors is not None else None if known is None else known.size
    if n is not None and number >= n:
        raise invalid("row", f"lie in [0, {n})", number)
    return number


def _number(selection: Selection, row: int) -> str:
    rank = int(np.flatnonzero(selection.indices == row)[0])
    return f"as number {rank + 1} of {len(selection)}"


def _gain(selection: Selection, at: int) -> str:
    gain = float(selection.gains[at])
    return f", with a gain of {gain:.4g} of {selection.value:.4g} in all"


def _stands_for(selection: Selection, row: int) -> str:
    if selection.stands_for is None:
        return ""
    group = np.flatnonzero(selection.stands_for == row)
    if group.size < 2:
        return ""
    others = [str(one) for one in group.tolist() if one != row]
    more = f" and {len(others) - NAMED_ROWS} more" if len(others) > NAMED_ROWS else ""
    return f" It stands for {group.size} rows: itself, {', '.join(others[:NAMED_ROWS])}{more}."


def _nearest(selection: Selection, row: int, vectors: RowVectors | None) -> str:
    if vectors is None:
        return " Pass X, the vectors that were selected from, to learn which chosen row is nearest."
    if not len(selection):
        return " Nothing was."
    cosines = _cosines(vectors, row, selection.indices)
    at = int(np.argmax(cosines))
    chosen = int(selection.indices[at])
    return f" The nearest chosen row is {chosen}, number {at + 1}, at a cosine of {cosines[at]:.4f}."


def _cosines(vectors: RowVectors, row: int, others: Indices) -> Float64s:
    """Return the cosine of a row to each of some others."""
    both = vectors.take(np.append(others, row))
    if hasattr(both, "tocsr"):
        norms = np.sqrt(np.asarray(both.multiply(both).sum(axis=1), dtype=np.float64).ravel())
        dots = np.asarray((both @ both[[-1]].T).toarray(), dtype=np.float64).ravel()
        return np.asarray((dots / np.maximum(norms * norms[-1], np.finfo(np.float64).tiny))[:-1])
    unit = unit_rows(both)
    rows = unit.slice(0, unit.n)
    return np.asarray(rows[:-1] @ rows[-1])
