"""Choose among candidates that each improve few represented items, number by number: arrays would cost more."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import final

import numpy as np

from ray_subsel.core.types import Float64s, Indices

FEW = 16
"""Items that a candidate improves, on average, where numbers are gone through one by one."""
_TIED = 8  # candidates that are compared one by one


@final
@dataclass(frozen=True, eq=False)
class Improvements:
    """The represented items that some candidates improve.

    Attributes
    ----------
    candidates : int64 array of shape (q,)
    which, rows : int64 arrays
        The place of a candidate, ascending, and a represented item that it improves.
    similarities, best, weights : float64 arrays
        Of each such pair, and of its represented item: the similarity to the nearest chosen one, and the weight.
    gains : float64 array of shape (q,)
    """

    candidates: Indices
    which: Indices
    rows: Indices
    similarities: Float64s
    best: Float64s
    weights: Float64s
    gains: Float64s

    @staticmethod
    def of(
        candidates: Indices, which: Indices, rows: Indices, similarities: Float64s, best: Float64s, weights: Float64s
    ) -> Improvements:
        """Return those of pairs in which the similarity is above the best."""
        better = similarities > best
        which, rows, similarities = which[better], rows[better], similarities[better].astype(np.float64)
        best, weights = best[better], weights[better]
        gains = np.bincount(which, weights=(similarities - best) * weights, minlength=candidates.size)
        return Improvements(candidates, which, rows, similarities, best, weights, gains.astype(np.float64))

    def picks(self, outside: float, rounding: float, unit: float) -> tuple[list[int], list[float]]:
        """Return what lazy greedy chooses, as places in ``candidates``, and the gains.

        Until a candidate that is not here could win, many tie, or nothing gains any more; of few that tie the first.

        Parameters
        ----------
        outside : float
            No gain of another candidate is larger.
        rounding, unit : float
            By which gains tie (:func:`ray_subsel.optimizers.ties.relative_width`).
        """
        race = _Race(self)
        chosen: list[int] = []
        gains: list[float] = []
        while race.heap:
            key, place = race.top()
            width = rounding * max(unit, -key)
            if -key <= max(outside, 0.0) + width:
                break
            tied = race.tied(key + width)
            if len(tied) > _TIED:
                break
            place = min(place for _, place in tied)
            for entry in tied:
                if entry[1] == place:
                    gains.append(-entry[0])
                else:
                    heapq.heappush(race.heap, entry)
            race.take(place)
            chosen.append(place)
        return chosen, gains

    def improved_by(self, some: Indices) -> tuple[Indices, Float64s]:
        """Return the represented items that some of the candidates improve, and the similarities."""
        inside = np.isin(self.candidates, some)[self.which]
        return self.rows[inside], self.similarities[inside]


class _Race:
    """Candidates by the last gains that are known of them, and what is chosen so far."""

    def __init__(self, found: Improvements) -> None:
        self.ends = np.searchsorted(found.which, np.arange(found.candidates.size + 1)).tolist()
        self.rows, self.similarities, self.weights = (
            part.tolist() for part in (found.rows, found.similarities, found.weights)
        )
        self.best = dict(zip(self.rows, found.best.tolist(), strict=True))
        self.heap = [(-gain, place) for place, gain in enumerate(found.gains.tolist())]
        heapq.heapify(self.heap)
        self.taken = 0
        self.known = [0] * len(self.heap)  # how many were taken when its gain was computed

    def top(self) -> tuple[float, int]:
        """Return the entry of largest gain, which is that of now."""
        heap, known, taken = self.heap, self.known, self.taken
        while known[heap[0][1]] < taken:
            heapq.heapreplace(heap, self.entry(heap[0][1]))
        return heap[0]

    def tied(self, level: float) -> list[tuple[float, int]]:
        """Take the entries up to a level off the heap, more than those that tie where these are many."""
        found: list[tuple[float, int]] = []
        while self.heap and len(found) <= _TIED and self.top()[0] <= level:
            found.append(heapq.heappop(self.heap))
        return found

    def entry(self, place: int) -> tuple[float, int]:
        """Compute the gain of a candidate."""
        gain, rows, similarities, best = 0.0, self.rows, self.similarities, self.best
        for at in range(self.ends[place], self.ends[place + 1]):
            more = similarities[at] - best[rows[at]]
            if more > 0.0:
                gain += more * self.weights[at]
        self.known[place] = self.taken
        return -gain, place

    def take(self, place: int) -> None:
        """Choose a candidate."""
        self.taken += 1
        for at in range(self.ends[place], self.ends[place + 1]):
            row, similarity = self.rows[at], self.similarities[at]
            if similarity > self.best[row]:
                self.best[row] = similarity
