"""Know the gains of saturated coverage while no level is below a similarity: sums, which no pick changes.

Candidates are looked at together. All of them cover no less than those that were picked; only once that may reach a
level it is found what the picks alone cover, and picks are followed one by one from then on.

Where hardly a similarity is negative, as with most embeddings of text, float32 will do: the sum of all similarities of
a candidate is one product with the sum of all vectors, in float64; what is negative is taken from it, and only
similarities whose float32 is not surely positive are computed in float64, one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives.exact_similarities import ExactSimilarities
from ray_subsel.objectives.similarities import Similarities

_SHARE = 1 / 128  # of all similarities that are computed one by one, at most
_FIRST, _MOST = 32, 256  # candidates that are looked at together
_MORE = 16  # at first, once as many were as will be picked
ROWS_BYTES = 32 << 20
"""What rows of W may take that are kept, and those that are looked at together."""

_COVERED = 64  # picks whose similarities are added up together


@final
@dataclass(eq=False)
class EarlyGains:
    """Gains, and what was picked, while they are constant.

    A candidate may be picked several times, where items are copies.

    Attributes
    ----------
    W : Similarities
        In float32.
    exact : ExactSimilarities
        Of which rows have 0 where a similarity is negative.
    error : float
        Of a similarity in W.
    few_negative : bool
        Whether hardly a similarity is negative; the items represent themselves then, each once.
    gains : dict
        The sum of each candidate's positive similarities, in float64, of those that were looked at.
    picks : list of int
        In their order.
    covered : float64 array of shape (m,)
        What the picks cover together is not more.
    """

    W: Similarities
    exact: ExactSimilarities
    error: float
    few_negative: bool
    gains: dict[int, float] = field(init=False, default_factory=dict)
    picks: list[int] = field(init=False, default_factory=list)
    covered: Float64s = field(init=False)
    _more: int = field(init=False, default=_MORE)  # candidates to look at, once as many were as will be picked
    _seen: set[int] = field(init=False, default_factory=set)  # picks
    _rows: dict[int, NDArray[Any]] = field(init=False, default_factory=dict)  # of W, of candidates looked at in it
    _loose: bool = field(init=False, default=True)  # whether ``covered`` is that of all that were looked at
    _settled: int = field(init=False, default=0)  # picks of which it is known in float64
    _exactly: Float64s = field(init=False)  # what these cover
    _total: Float64s | None = field(init=False, default=None)
    _next: tuple[list[int], Float64s] | None = field(init=False, default=None)  # picks, and what is covered after them

    def __post_init__(self) -> None:
        self.covered, self._exactly = np.zeros(self.W.m), np.zeros(self.W.m)

    def together(self, sure: int) -> int:
        """Return how many candidates :meth:`expect` is best told, of whom so many will surely be asked for."""
        room = max(1, ROWS_BYTES // (4 * self.W.m)) if self.few_negative else _MOST
        return min(_MOST, room, max(self._more if self.gains else _FIRST, sure - len(self.gains)))

    def expect(self, items: Indices) -> None:
        """Look at candidates."""
        items = np.array([item for item in items.tolist() if item not in self.gains], dtype=np.int64)
        if self._more <= items.size < 2 * self._more:  # more are asked for than will be picked: bounds lie far apart
            self._more *= 2
        if not (self.few_negative and self._by_single(items)):
            self.few_negative = False
            sums, weights, ones = np.zeros(items.size), self.exact.to.weights, np.ones(items.size)
            for part, block in self.exact.parts(items):
                sums += block @ weights[part]
                if self._loose:
                    self.covered[part] += ones @ block
            self.gains |= zip(items.tolist(), sums.tolist(), strict=True)

    def _by_single(self, items: Indices) -> bool:
        """Look at candidates in float32 and return true, unless many of their similarities may be negative."""
        to, block = self.exact.to, self.W.columns(items)
        unsure = (block < self.error).ravel()
        if np.count_nonzero(unsure) > _SHARE * block.size:
            return False
        which, rows = np.divmod(unsure.nonzero()[0], self.W.m)
        affine = to.kernel.affine()
        assert affine is not None
        if self._total is None:
            self._total = np.zeros(to.items.d)
            for start, stop in to.items.blocks():
                self._total += np.add.reduce(to.items.slice(start, stop), axis=0)
        sums = affine[0] * (to.candidates.take(items) @ self._total) + affine[1] * to.m
        negative = np.minimum(self.exact.pairs(items[which], rows), 0.0)
        sums -= np.bincount(which, weights=negative, minlength=items.size)
        self.gains |= zip(items.tolist(), sums.tolist(), strict=True)
        if not self.W.kept and 4 * self.W.m * (len(self._rows) + len(block)) <= ROWS_BYTES:
            self._rows |= zip(items.tolist(), block, strict=True)
        if self._loose:
            self.covered += self._most(block)
        return True

    def take(self, items: list[int]) -> None:
        """Pick candidates, looked at or not."""
        following, self._next = self._next, None
        if self._loose:
            self.expect(np.array(items))
            self.covered += self._most_of(self._again(items))
        elif following is not None and following[0] == items:
            self.covered = following[1]
        else:
            self.covered += self._most_of(items)
        self.picks += items
        self._seen.update(items)

    def tighten(self) -> None:
        """Find what the picks alone cover, from now on."""
        if self._loose:
            self._loose = False
            self.covered = self._most_of(self.picks)

    def end(self) -> None:
        """Free the rows: gains are no longer constant, and only the picks and what they cover will be asked for."""
        self._rows, self._next = {}, None

    def settle(self) -> None:
        """Find in float64 what the picks cover."""
        new, self._settled = self.picks[self._settled :], len(self.picks)
        for start, stop in ranges(len(new), _MOST):
            some = np.array(new[start:stop])
            for part, block in self.exact.parts(some):
                self._exactly[part] += np.ones(some.size) @ block
        self._loose, self.covered = False, self._exactly.copy()

    def constant(self, items: list[int], room: Float64s) -> int:
        """Return up to which of some next picks, that were looked at, gains are constant before it.

        Parameters
        ----------
        items : list of int
        room : float64 array of shape (m,)
            As much as may be covered.
        """
        if not items or (self._loose and (self.covered + self._most_of(self._again(items)) <= room).all()):
            return len(items)
        self.tighten()
        covered = self.covered.copy()
        for start, block in zip(range(0, len(items), self._step), self._columns(items), strict=True):
            after = covered + self._most(block)
            if (after > room).any():
                for turn in range(len(block)):
                    covered += self._most(block[turn : turn + 1])
                    if (covered > room).any():
                        self._next = items[: start + turn + 1], covered
                        return start + turn + 1
                after = covered
            covered = after
        self._next = items, covered
        return len(items)

    def _again(self, items: list[int]) -> list[int]:
        """Return those of the next picks that are picked once more: what was looked at counts once."""
        new: set[int] = set()
        again: list[int] = []
        for item in items:
            if item in self._seen or item in new:
                again.append(item)
            new.add(item)
        return again

    def _columns(self, items: list[int]) -> Iterator[NDArray[Any]]:
        """Yield the similarities in W of some candidates, some at a time."""
        for start, stop in ranges(len(items), self._step):
            some = items[start:stop]
            rows = [self._rows.get(item) for item in some]
            known = [row for row in rows if row is not None]
            yield np.array(known) if len(known) == len(some) else self.W.columns(np.array(some))

    @property
    def _step(self) -> int:
        """Of how many candidates what they cover is added up together."""
        return max(1, min(_COVERED, ROWS_BYTES // (8 * self.W.m)))

    def _most_of(self, items: list[int]) -> Float64s:
        """Return what candidates, each as often as it is there, cover together at most, shape (m,)."""
        found = np.zeros(self.W.m)
        for block in self._columns(items):
            found += self._most(block)
        return found

    def _most(self, block: NDArray[Any]) -> Float64s:
        """Return what the positive similarities of some candidates do not exceed together, shape (m,)."""
        together = np.ones(len(block), dtype=block.dtype) @ np.maximum(block, 0.0)
        rounded = 1.0 + len(block) * float(np.finfo(block.dtype).eps)
        return np.asarray(together.astype(np.float64) * rounded + len(block) * self.error)
