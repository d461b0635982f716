"""Hold the similarities of m represented items (rows) and n candidates (columns) for sums over them: W, shape (m, n).

Where the kernel tells the error e of a similarity in float32, W is float32: near enough to bound what is then decided
in float64 (:class:`ray_subsel.objectives.exact_similarities.ExactSimilarities`).
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float32s, Float64s, Indices

ROWS = 32
"""Rows that are summed in W's own precision."""
_AT_ONCE = 512  # rows that are gone through together
_CALL = 120_000  # numbers that could be read while Python makes the calls of an evaluation


class Similarities(abc.ABC):
    """W, wherever it comes from."""

    m: int
    n: int
    dtype: np.dtype[Any]
    together: int
    """How many columns are best summed at a time."""

    computed: ClassVar[bool] = False
    """Whether it comes by products in float32 when it is asked for, so that fewer sums over it cost less."""

    @abc.abstractmethod
    def columns(self, items: Indices) -> NDArray[Any]:
        """Return the similarities of some candidates to all represented items, shape (len(items), m)."""

    def column(self, item: int) -> NDArray[Any]:
        """Return those of one candidate, shape (m,)."""
        return np.asarray(self.columns(np.array([item]))[0])

    def pairs(self, candidates: Indices, items: Indices) -> NDArray[Any]:
        """Return the similarity of each candidate to the represented item beside it."""
        return np.asarray(self.columns(candidates)[np.arange(items.size), items])

    @abc.abstractmethod
    def rows(self, items: Indices | None, out: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield ``(part, similarities)`` for consecutive parts of some represented items; None: of all.

        A part is at most ``len(out)`` long. What is yielded is not to be changed unless it lies in ``out``.
        """

    @abc.abstractmethod
    def positive_sums(self) -> Float64s:
        """Return the sum of each represented item's positive similarities to all candidates, shape (m,)."""

    def enclosed_sums(self) -> tuple[Float64s, Float64s]:
        """Return what the sums of positive similarities are not below and not above, but for the error of W."""
        sums = self.positive_sums()
        return sums, sums

    @property
    def mostly_positive(self) -> bool:
        """Whether :meth:`enclosed_sums` has found that hardly a similarity is negative."""
        return False

    @property
    def kept(self) -> bool:
        """Whether it is in memory."""
        return True

    def hold(self, items: Indices, candidates: slice, rows: NDArray[Any]) -> None:
        """Take note of the similarities of represented items whose :meth:`rows` will be asked for again and again."""
        del items, candidates, rows

    def become_exact(self) -> bool:
        """Go on with all similarities in float64 where they fit, and tell whether that is so."""
        return False

    @abc.abstractmethod
    def looks(self, items: int) -> int:
        """Return how many columns can be summed while that many rows are."""

    def over(self, items: Indices | None, low: NDArray[Any], high: NDArray[Any], weights: Float64s) -> Float64s | None:
        """Return for each candidate the weighted sum of what of some represented items' similarities lies in intervals.

        None where rows are best gone through; ``low``, ``high`` and ``weights`` are of these items.
        """
        del items, low, high, weights
        return None

    def share_above(self, levels: NDArray[Any]) -> float:
        """Return how much of W lies above the levels of its rows, shape (m,), by some rows."""
        probe = np.unique(np.linspace(0, self.m - 1, min(64, self.m)).astype(np.int64))
        out = np.empty((probe.size, self.n), dtype=self.dtype)
        above = sum(np.count_nonzero(rows > levels[probe[part], None]) for part, rows in self.rows(probe, out))
        return float(above / (probe.size * self.n))

    def entries_above(self, levels: NDArray[Any], most: int) -> tuple[Indices, NDArray[np.int32], NDArray[Any]] | None:
        """Return how many numbers of each row lie above its level, and their candidates and values, row by row.

        None where they are more than ``most``.
        """
        sizes, candidates, values = np.zeros(self.m, dtype=np.int64), [], []
        for part, rows in self.rows(None, np.empty((min(128, self.m), self.n), dtype=self.dtype)):
            place = np.flatnonzero(rows > levels[part, None])
            row, candidate = np.divmod(place.astype(np.int32), np.int32(self.n))
            sizes[part] = np.bincount(row, minlength=part.stop - part.start)
            candidates.append(candidate)
            values.append(rows.ravel()[place] if rows.flags.c_contiguous else rows[row, candidate])
            most -= place.size
            if most < 0:
                return None
        return sizes, np.concatenate(candidates), np.concatenate(values)


@final
@dataclass(eq=False)
class KeptSimilarities(Similarities):
    """All of W in memory.

    Attributes
    ----------
    block : array of shape (m, n)
    symmetric : bool
    """

    block: NDArray[Any]
    symmetric: bool

    def __post_init__(self) -> None:
        self.m, self.n = self.block.shape
        self.dtype = self.block.dtype
        self.together = 1

    def column(self, item: int) -> NDArray[Any]:
        """Return the similarities of one candidate."""
        return self.block[item] if self.symmetric else self.block[:, item]

    def columns(self, items: Indices) -> NDArray[Any]:
        """Return the similarities of some candidates to all represented items."""
        if items.size == 1:
            return self.column(int(items[0]))[None]
        return np.asarray(self.block[items] if self.symmetric else self.block[:, items].T)

    def rows(self, items: Indices | None, out: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the similarities of parts of some represented items."""
        for start, stop in ranges(self.m if items is None else items.size, len(out)):
            part = self.block[start:stop] if items is None else out[: stop - start]
            if items is not None:
                np.take(self.block, items[start:stop], axis=0, out=part, mode="clip")
            yield slice(start, stop), part

    def pairs(self, candidates: Indices, items: Indices) -> NDArray[Any]:
        """Return the similarity of each candidate to the represented item beside it."""
        return np.asarray(self.block[items, candidates])

    def positive_sums(self, counts: Indices | None = None) -> Float64s:
        """Return the sum of each represented item's positive similarities, shape (m,), each as often as it counts."""
        sums, out = np.empty(self.m), np.empty((min(ROWS, self.m), self.n), dtype=self.dtype)
        for start, stop in ranges(self.m, ROWS):
            positive = np.maximum(self.block[start:stop], 0.0, out=out[: stop - start])
            sums[start:stop] = np.add.reduce(positive, axis=1) if counts is None else positive @ counts
        return sums

    def looks(self, items: int) -> int:
        """Return how many columns can be summed while that many rows are."""
        return -(-(5 * self.n * items) // (3 * self.m + _CALL))


@final
@dataclass(eq=False)
class SimilaritiesAbove:
    """What of W lies above levels that only rise: each row's candidates and similarities, one row after the other.

    After a few picks little of W is above the levels of facility location, and nothing else can gain.

    Attributes
    ----------
    starts : int64 array of shape (m + 1,)
        Where each row begins.
    candidates : int32 array
    values : array, of W's dtype
    weights : float64 array of shape (m,)
    n : int
    """

    starts: Indices
    candidates: NDArray[np.int32]
    values: NDArray[Any]
    weights: Float64s
    n: int
    _below: int = 0  # values that levels have passed

    @staticmethod
    def of(W: Similarities, levels: NDArray[Any], weights: Float64s, share: float) -> SimilaritiesAbove | None:
        """Return what lies above the levels, shape (m,); None where it is more than a share of W."""
        if W.share_above(levels) > share:
            return None
        found = W.entries_above(levels, int(2 * share * W.m * W.n))
        if found is None:
            return None
        sizes, candidates, values = found
        return SimilaritiesAbove(np.append(0, np.cumsum(sizes)), candidates, values, weights, W.n)

    def sums(self, levels: NDArray[Any]) -> Float64s:
        """Return for each candidate the weighted sum of what lies above the levels, in float64, shape (n,)."""
        total = np.zeros(self.n)
        for start, stop in ranges(levels.size, _AT_ONCE):
            part = slice(int(self.starts[start]), int(self.starts[stop]))
            sizes = np.diff(self.starts[start : stop + 1])
            each = self.values[part] - np.repeat(levels[start:stop].astype(np.float64), sizes)
            np.maximum(each, 0.0, out=each)
            each *= np.repeat(self.weights[start:stop], sizes)
            total += np.bincount(self.candidates[part], weights=each, minlength=self.n)
        return total

    def between(self, items: Indices, low: NDArray[Any], high: NDArray[Any]) -> tuple[Indices, Float64s]:
        """Return what lies between two levels of some rows: candidates, and the weighted part of each in float64.

        A candidate is there once for each of its rows, and only where its part is above 0. Levels are at least
        ``high`` from now on.
        """
        first, last = self.starts[items], self.starts[items + 1]
        bottom: Any
        if items.size == 1:
            place: Any = slice(int(first[0]), int(last[0]))
            bottom, top, weight = low[0], high[0], self.weights[items[0]]
        else:
            sizes = last - first
            ends = sizes.cumsum()
            row = np.arange(items.size).repeat(sizes)
            place = np.arange(row.size) + (last - ends)[row]
            bottom, top, weight = low[row], high[row], self.weights[items][row]
        values = self.values[place]
        inside = (values > bottom).nonzero()[0]
        each = np.minimum(values, top).astype(np.float64)
        each -= bottom
        each *= weight
        self._below += inside.size - int(np.count_nonzero(values > top))
        return self.candidates[place][inside], each[inside]

    @property
    def passed(self) -> bool:
        """Whether levels have passed so much that it is best dropped."""
        return 2 * self._below >= self.values.size

    def drop(self, levels: NDArray[Any]) -> None:
        """Forget what levels have passed."""
        left = self.values > np.repeat(levels, np.diff(self.starts))
        before = np.concatenate(([0], np.cumsum(left)))
        self.starts = before[self.starts]
        self.candidates, self.values, self._below = self.candidates[left], self.values[left], 0


def downward(numbers: Float64s) -> Float32s:
    """Return float32 numbers that are not above the given ones."""
    down: Float32s = np.nextafter(numbers.astype(np.float32), np.float32(-np.inf))
    return down


def upward(numbers: Float64s) -> Float32s:
    """Return float32 numbers that are not below the given ones, exact where float32 holds them."""
    singles = numbers.astype(np.float32)
    return np.where(singles >= numbers, singles, np.nextafter(singles, np.float32(np.inf)))
