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
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.objectives.represented import Represented
from ray_subsel.objectives.similarities import KeptSimilarities, Similarities, SimilaritiesAbove

_THIN = 1 / 16  # of all pairs may have a feature in common
WIDE, _EACH = 600, 200  # numbers of a vector, and more for each feature in common, that are multiplied as fast
_PROBE = 64  # rows that are looked at first
_ROWS = 256  # of a block that are computed together


@final
@dataclass(frozen=True, eq=False)
class SharedFeatures:
    """Vectors of so few non-zeros that their similarities cost less by the features that pairs have in common.

    Attributes
    ----------
    items, candidates : scipy CSR arrays of shape (m, d) and (n, d)
        Unit vectors in float64; the same object where the items represent themselves.
    pairs : int
        Features in common, of all pairs together.
    """

    items: Any
    candidates: Any
    pairs: int

    @staticmethod
    def of(to: Represented) -> SharedFeatures | None:
        """Return them; None where a dense block costs less, or the kernel is not the cosine."""
        if to.kernel.affine() != (1.0, 0.0):
            return None
        d = to.items.d
        most = max(_THIN, (d - WIDE) / _EACH)  # a pair
        candidates = _compressed(to.candidates, most)
        items = candidates if candidates is None or to.items is to.candidates else _compressed(to.items, most)
        if items is None:
            return None
        pairs = int(np.bincount(items.indices, minlength=d) @ np.bincount(candidates.indices, minlength=d))
        return SharedFeatures(items, candidates, pairs) if pairs <= most * to.m * to.candidates.n else None

    @property
    def few(self) -> bool:
        """Whether most pairs have none in common."""
        return bool(self.pairs <= _THIN * self.items.shape[0] * self.candidates.shape[0])

    def positive(self) -> SparseSimilarities:
        """Return the similarities above 0."""
        items, candidates = self.items, self.candidates
        by_item = _positive(items @ candidates.T)
        return SparseSimilarities(by_item, by_item if items is candidates else _positive(candidates @ items.T))

    def block(self) -> KeptSimilarities:
        """Return all similarities in float64; each is summed in the order of the features."""
        m, n, own = self.items.shape[0], self.candidates.shape[0], self.items is self.candidates
        W = np.empty((m, n))
        columns = self.candidates.T.tocsr()
        for start, stop in ranges(m, _ROWS):
            if own:  # each is computed once
                columns = self.candidates[start:].T.tocsr()
            block = (self.items[start:stop] @ columns).toarray()
            W[start:stop, n - block.shape[1] :] = block
            if own:
                W[stop:, start:stop] = block[:, stop - start :].T
        return KeptSimilarities(W, own)


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

    def positive_sums(self, counts: Indices | None = None) -> Float64s:
        """Return the sum of each represented item's similarities, shape (m,), each as often as it counts."""
        return np.asarray(self.by_item.sum(axis=1) if counts is None else self.by_item @ counts)

    def looks(self, items: int) -> int:
        """Return 0: to bring all sums up to date costs less than to look at one column."""
        del items
        return 0


def _compressed(rows: UnitRows, most: float) -> Any:
    """Return the unit vectors as a CSR array in float64; None where pairs surely have more features in common.

    Two of z features each have z^2 / d of them in common, or more.
    """
    if not isinstance(rows.X, np.ndarray):
        return None
    features = 2.0 * math.sqrt(most * rows.d)
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


def cheap_similarities(to: Represented, most_bytes: int) -> SparseSimilarities | KeptSimilarities | None:
    """Return all similarities in float64 where they cost no more than bounds of them would, and fit; else None."""
    size = to.m * to.candidates.n
    if 4 * size > most_bytes:
        return None
    shared = SharedFeatures.of(to)
    if shared is None:
        return None
    if shared.few:
        return shared.positive()
    return shared.block() if 8 * size <= most_bytes else None
