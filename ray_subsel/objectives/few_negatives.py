"""Sum the positive similarities of candidates by float32 where hardly one is negative, as with most embeddings of text.

The sum of all similarities of a candidate is one product with the sum of all vectors, in float64. What is negative is
taken from it: only similarities whose float32 is not surely positive are computed in float64, one by one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives.exact_similarities import ExactSimilarities
from ray_subsel.objectives.similarities import Similarities

_SHARE = 1 / 128  # of all similarities that are computed one by one, at most
_FIRST, _MOST = 64, 256  # candidates that are looked at together


@final
@dataclass(eq=False)
class FewNegatives:
    """Candidates of a ground set that represents itself, each item once.

    Attributes
    ----------
    W : Similarities
        In float32.
    exact : ExactSimilarities
    error : float
        Of a similarity in W.
    gains : dict
        The sum of each candidate's positive similarities, in float64, of those that were looked at.
    """

    W: Similarities
    exact: ExactSimilarities
    error: float
    gains: dict[int, float] = field(default_factory=dict)
    _total: Float64s = field(init=False)
    _rows: dict[int, NDArray[Any]] = field(init=False, default_factory=dict)
    _blocks: deque[Indices] = field(init=False, default_factory=deque)

    def __post_init__(self) -> None:
        to = self.exact.to
        self._total = np.zeros(to.items.d)
        for start, stop in to.items.blocks():
            self._total += np.add.reduce(to.items.slice(start, stop), axis=0)

    def together(self, sure: int) -> int:
        """Return how many candidates :meth:`expect` is best told, of whom so many will surely be asked for."""
        room = self.exact.ahead_bytes // (8 * self.W.m)  # for which exact has, too
        return max(1, min(_MOST, room, max(_FIRST, sure - len(self.gains))))

    def expects(self, item: int) -> bool:
        """Tell whether a candidate's similarities are there."""
        return item in self._rows

    def expect(self, items: Indices) -> bool:
        """Look at candidates, and tell whether few of their similarities may be negative; else nothing is noted."""
        items = np.array([item for item in items.tolist() if item not in self._rows], dtype=np.int64)
        to, block = self.exact.to, self.W.columns(items)
        which, rows = np.divmod((block < self.error).ravel().nonzero()[0], self.W.m)
        if which.size > _SHARE * block.size:
            return False
        affine = to.kernel.affine()
        assert affine is not None
        sums = affine[0] * (to.candidates.take(items) @ self._total) + affine[1] * to.m
        negative = np.minimum(self.exact.pairs(items[which], rows), 0.0)
        sums -= np.bincount(which, weights=negative, minlength=items.size)
        self.gains |= zip(items.tolist(), sums.tolist(), strict=True)
        self._rows |= zip(items.tolist(), block, strict=True)
        self._blocks.append(items)
        while len(self._blocks) > 1 and 4 * self.W.m * len(self._rows) > self.exact.ahead_bytes:
            for item in self._blocks.popleft().tolist():
                self._rows.pop(item, None)
        return True

    def most(self, item: int) -> Float64s:
        """Return numbers that the positive similarities of a candidate do not exceed, and are near to, shape (m,)."""
        row = self._rows.get(item)
        near = np.maximum(self.W.column(item) if row is None else row, 0.0).astype(np.float64)
        near += self.error
        return np.asarray(np.minimum(near, 1.0, out=near))
