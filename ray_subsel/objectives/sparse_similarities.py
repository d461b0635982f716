"""Hold the positive similarities of vectors with few non-zeros: of most pairs there is none, and no product is made.

Rows of one feature each, and others that share few: where so few pairs of items have a feature in common that their
similarities take less time than a dense block, they are computed in float64, by which all that follows is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows, is_tensor
from ray_subsel.objectives.represented import Represented
from ray_subsel.objectives.similarities import Similarities, SimilaritiesAbove

_THIN = 1 / 16  # of all pairs may have a feature in common
_PROBE = 64  # rows that are looked at first


@final
@dataclass(eq=False)
class SparseSimilarities(Similarities):
    """The similarities above 0 of m represented items and n candidates, in float64.

    Attributes
    ----------
    by_item : scipy CSR array of shape (m, n)
    by_candidate : scipy CSR array of shape (n, m)
        The same, transposed; the same object where the items represent themselves.
    """

    by_item: Any
    by_candidate: Any

    def __post_init__(self) -> None:
        self.m, self.n = self.by_item.shape
        self.dtype = np.dtype(np.float64)
        self.together = 1

    @staticmethod
    def of(to: Represented, most_bytes: int) -> SparseSimilarities | None:
        """Return them; None where too many are not 0, the kernel is not the cosine, or a block would not fit."""
        n, d = to.candidates.n, to.items.d
        if to.kernel.affine() != (1.0, 0.0) or 4 * to.m * n > most_bytes:
            return None
        candidates = _compressed(to.candidates)
        items = candidates if candidates is None or to.items is to.candidates else _compressed(to.items)
        if items is None:
            return None
        pairs = np.bincount(items.indices, minlength=d) @ np.bincount(candidates.indices, minlength=d)
        if pairs > _THIN * to.m * n:
            return None
        by_item = _positive(items @ candidates.T)
        return SparseSimilarities(by_item, by_item if items is candidates else _positive(candidates @ items.T))

    def entries(self, candidates: Indices) -> tuple[Indices, Indices, Float64s]:
        """Return for some candidates which of them, the represented item, and the similarity of each pair above 0."""
        W = self.by_candidate
        first = W.indptr[candidates].astype(np.int64)
        sizes = W.indptr[candidates + 1] - first
        which = np.arange(candidates.size).repeat(sizes)
        place = np.arange(which.size) + (first - (sizes.cumsum() - sizes))[which]
        return which, W.indices[place], W.data[place]

    def above(self, weights: Float64s) -> SimilaritiesAbove:
        """Return all that is above 0, row by row."""
        W = self.by_item
        return SimilaritiesAbove(W.indptr.astype(np.int64), W.indices.astype(np.int32), W.data, weights, self.n)

    def columns(self, items: Indices) -> NDArray[Any]:
        """Return the similarities of some candidates to all represented items, 0 where they are not above it."""
        return np.asarray(self.by_candidate[items].toarray())

    def rows(self, items: Indices | None, out: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the similarities of parts of some represented items."""
        W = self.by_item if items is None else self.by_item[items]
        for start, stop in ranges(W.shape[0], len(out)):
            yield slice(start, stop), np.asarray(W[start:stop].toarray())

    def looks(self, items: int) -> int:
        """Return 0: to bring all sums up to date costs less than to look at one column."""
        del items
        return 0


def _compressed(rows: UnitRows) -> Any:
    """Return the unit vectors as a CSR array in float64; None where too many numbers are not 0.

    Of z features each, z^2 / d of the pairs have one in common, or more.
    """
    if is_tensor(rows.X) or not isinstance(rows.X, np.ndarray):
        return None
    features = 2.0 * math.sqrt(_THIN * rows.d)
    probe = np.unique(np.linspace(0, rows.n - 1, min(_PROBE, rows.n)).astype(np.int64))
    if np.count_nonzero(rows.X[probe]) > features * probe.size:
        return None
    places, starts, left = [], np.zeros(rows.n + 1, dtype=np.int64), features * rows.n
    for start, stop in rows.blocks():
        row, column = np.divmod((np.ascontiguousarray(rows.X[start:stop]) != 0).ravel().nonzero()[0], rows.d)
        starts[start + 1 : stop + 1] = np.bincount(row, minlength=stop - start)
        places.append((row + start, column))
        left -= row.size
        if left < 0:
            return None
    row, column = (np.concatenate(part) for part in zip(*places, strict=True))
    values = np.asarray(rows.X[row, column], dtype=np.float64) * rows.scale[row]
    return sp.csr_array((values, column, starts.cumsum()), shape=(rows.n, rows.d))


def _positive(W: Any) -> Any:
    """Return what is above 0, each row by index."""
    if not (W.data > 0.0).all():
        W.data[W.data < 0.0] = 0.0
        W.eliminate_zeros()
    W.sort_indices()
    return W
