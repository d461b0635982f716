"""Follow facility location over a stream: what is represented is a uniform sample of everything seen, or given."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.hashing import mix
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives.facility_location import FacilityLocation
from ray_subsel.streaming.functions import State, StreamFunction, joined
from ray_subsel.streaming.grid_rows import grid_rows


@final
class FacilityLocationStream(StreamFunction):
    r"""Facility location of the kept items, as a mean over r represented items R.

    .. math:: f(S) = \frac{1}{r} \sum_{i \in R} \max(0, \max_{j \in S} w_{ij})

    R is a uniform sample of the stream: the r items whose number in the stream has the lowest hash. It depends on the
    order alone, and is all that was seen as long as that is at most r. With b_1, b_2 the similarities of i to its
    nearest and second nearest kept item, and j(i) the nearest,

    .. math:: f(S - j + x) - f(S) = \frac{1}{r} \sum_i (w_{ix} - b_1)^+
        - \frac{1}{r} \sum_{i: j(i) = j} \max(b_1, w_{ix}) - \max(b_2, w_{ix})

    for all j at once in O(r + m), after the r products w_ix.

    Parameters
    ----------
    given : FacilityLocation
        Cosine kernel, no weights. ``represented``: R, which then is fixed.
    d : int
    sample : int
        r.
    seed : int
        Of the hash.

    Source of the exchange: Schubert and Rousseeuw, "Faster k-medoids clustering", SISAP 2019.
    """

    monotone: ClassVar[bool] = True

    def __init__(self, given: FacilityLocation, d: int, sample: int, seed: int) -> None:
        self.d, self.sample, self.seed = d, sample, seed
        self.fixed = given.represented is not None
        self.R = np.zeros((0, d)) if given.represented is None else grid_rows(given.represented, "represented")
        self.priority = np.zeros(0, dtype=np.uint64)
        self.first, self.second = np.zeros(len(self.R)), np.zeros(len(self.R))
        self.nearest = np.zeros(len(self.R), dtype=np.int64)
        self.runner_up = np.full(len(self.R), -1)
        self._pending: list[Float64s] = []
        self._pending_priority: list[NDArray[np.uint64]] = []
        self._order: tuple[Indices, Indices, Indices] | None = None

    @property
    def r(self) -> int:
        """How many items are represented."""
        return len(self.R)

    def see(self, X: Float64s, numbers: Indices) -> None:
        """Note those newcomers that may belong to the sample."""
        if self.fixed:
            return
        priority = mix(numbers, self.seed)
        if self.r == self.sample:
            low = priority < self.priority.max()
            X, priority = X[low], priority[low]
        if len(X):
            self._pending.append(X.copy())
            self._pending_priority.append(priority)

    def step(self, kept: Float64s) -> None:
        """Let the sample take what was noted."""
        if not self._pending:
            return
        vectors, priority = np.concatenate(self._pending), np.concatenate(self._pending_priority)
        self._pending, self._pending_priority = [], []
        everything = np.concatenate((self.priority, priority))
        if everything.size > self.sample:
            line = np.partition(everything, self.sample - 1)[self.sample - 1]
            vectors, priority = vectors[priority <= line], priority[priority <= line]
            free = np.flatnonzero(self.priority > line)
        else:
            free = np.zeros(0, dtype=np.int64)
        new = len(vectors) - free.size
        places = np.concatenate((free, np.arange(self.r, self.r + new)))
        self.R = np.concatenate((self.R, np.zeros((new, self.d))))
        self.priority = np.concatenate((self.priority, np.zeros(new, dtype=np.uint64)))
        self.first, self.second = (np.concatenate((one, np.zeros(new))) for one in (self.first, self.second))
        self.nearest, self.runner_up = (
            np.concatenate((one, np.full(new, -1))) for one in (self.nearest, self.runner_up)
        )  # fmt: skip
        self.R[places], self.priority[places] = vectors, priority
        self._settle(places, kept)

    def look(self, X: Float64s) -> Float64s:
        """Return the similarities of newcomers and represented items, shape (b, r): exact, in whatever grouping."""
        return np.asarray(X @ self.R.T)

    def bounds(self, look: Float64s, part: slice, kept: Float64s, threshold: float) -> Float64s:
        """Return the largest rise, or for a newcomer that cannot pass the threshold what it adds at most."""
        W = look[part]
        if not self.r:
            return np.zeros(len(W))
        bounds = self._joins(W)
        able = np.flatnonzero(bounds > threshold)
        if able.size:
            bounds[able] -= self._losses(W[able], len(kept)).min(axis=1)
        return bounds

    def rises(self, look: Float64s, at: int, kept: Float64s) -> Float64s:
        """Return the rise for each kept item."""
        W = look[at : at + 1]
        return self._joins(W)[0] - self._losses(W, len(kept))[0] if self.r else np.zeros(len(kept))

    def gains(self, look: Float64s, part: slice, kept: Float64s, threshold: float) -> Float64s:
        """Return what newcomers add."""
        return self._joins(look[part]) if self.r else np.zeros(len(look[part]))

    def added(self, look: Float64s, at: int, kept: Float64s) -> None:
        """Let a newcomer represent."""
        self._insert(look[at], len(kept) - 1, np.ones(self.r, dtype=np.bool_))

    def begin(self, kept: Float64s) -> None:
        """Let all kept items represent: a matrix product."""
        self._settle(np.arange(self.r), kept)

    def replaced(self, look: Float64s, at: int, place: int, out: Float64s, kept: Float64s) -> None:
        """Let a newcomer represent in the place of another."""
        lost = (self.nearest == place) | (self.runner_up == place)
        self._insert(look[at], place, ~lost)
        self._settle(np.flatnonzero(lost), kept)

    def value(self, m: int) -> float:
        """Return f(S) on R as it was at the last step."""
        return float(np.add.reduce(self.first)) / self.r if self.r else 0.0

    def most(self, k: int) -> float:
        """Return 1: no cosine is larger."""
        return 1.0

    def objective(self, seen: int) -> tuple[FacilityLocation, float]:
        """Return facility location of R; each item of a sample stands for as many of those seen."""
        R = np.concatenate((self.R, joined(self._pending, self.d)))
        weight = 1.0 if self.fixed else seen / len(R)
        return FacilityLocation(represented=R, weights=np.full(len(R), weight)), weight * len(R)

    def save(self) -> State:
        """Return the sample, what is pending, and how well the kept items represent it."""
        pending = np.concatenate(self._pending_priority) if self._pending else np.zeros(0, dtype=np.uint64)
        return {
            "represented": self.R,
            "priority": self.priority,
            "first": self.first,
            "second": self.second,
            "nearest": self.nearest,
            "runner_up": self.runner_up,
            "pending": joined(self._pending, self.d),
            "pending_priority": pending,
        }

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what was saved."""
        self.R, self.priority = state["represented"], state["priority"]
        self.first, self.second = state["first"], state["second"]
        self.nearest, self.runner_up = state["nearest"], state["runner_up"]
        some = bool(len(state["pending"]))
        self._pending = [state["pending"]] if some else []
        self._pending_priority = [state["pending_priority"]] if some else []
        self._order = None

    def _joins(self, W: Float64s) -> Float64s:
        """Return (1/r) sum_i (w_ix - b_1)^+ for rows of similarities."""
        better = W - self.first
        np.maximum(better, 0.0, out=better)
        return np.asarray(np.add.reduce(better, axis=1)) / self.r

    def _losses(self, W: Float64s, m: int) -> Float64s:
        """Return what the loss of each kept item costs where the newcomer is there, shape (b, m)."""
        if self._order is None:
            order = np.argsort(self.nearest, kind="stable")
            present, starts = np.unique(self.nearest[order], return_index=True)
            self._order = (order, present, starts)
        order, present, starts = self._order
        ordered = W[:, order]
        cost = np.maximum(ordered, self.first[order])
        cost -= np.maximum(ordered, self.second[order])
        losses = np.zeros((len(W), m))
        losses[:, present] = np.add.reduceat(cost, starts, axis=1) / self.r
        return losses

    def _insert(self, similarity: Float64s, place: int, where: NDArray[np.bool_]) -> None:
        """Let the item of a place, of which similarities are given, be nearest or second where it is."""
        ahead = where & _before(similarity, place, self.first, self.nearest)
        behind = where & ~ahead & _before(similarity, place, self.second, self.runner_up)
        self.second[ahead], self.runner_up[ahead] = self.first[ahead], self.nearest[ahead]
        self.first[ahead], self.nearest[ahead] = np.maximum(similarity[ahead], 0.0), place
        self.second[behind], self.runner_up[behind] = np.maximum(similarity[behind], 0.0), place
        self._order = None

    def _settle(self, places: Indices, kept: Float64s) -> None:
        """Find the nearest and the second nearest kept item of some represented ones."""
        self._order = None
        if not places.size or not len(kept):
            return
        block = 1 + (1 << 20) // len(kept)
        for start in range(0, places.size, block):
            some = places[start : start + block]
            W = np.maximum(self.R[some] @ kept.T, 0.0)
            rows = np.arange(some.size)
            nearest = W.argmax(axis=1)
            self.nearest[some], self.first[some] = nearest, W[rows, nearest]
            if len(kept) > 1:
                W[rows, nearest] = -1.0
                second = W.argmax(axis=1)
                self.runner_up[some], self.second[some] = second, W[rows, second]
            else:
                self.runner_up[some], self.second[some] = -1, 0.0


def _before(similarity: Float64s, place: int, level: Float64s, holder: Indices) -> NDArray[np.bool_]:
    """Tell where an item of a place comes before the holder: more similar, or as similar and of a lower place."""
    positive = np.maximum(similarity, 0.0)
    return np.asarray((positive > level) | ((positive == level) & ((holder < 0) | (place < holder))))


def greedy_order(kept: Float64s, R: Float64s) -> tuple[Indices, Float64s]:
    """Return the order in which lazy greedy picks all kept items, and their gains of sum_i max(0, max_j w_ij).

    Parameters
    ----------
    kept, R : float64 arrays of shapes (m, d) and (r, d)
        On the grid.

    Returns
    -------
    order : int64 array of shape (m,)
        Of equal gains the lowest place comes first.
    gains : float64 array of shape (m,)

    Notes
    -----
    m r cosines are held. Source: Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978.
    """
    W = kept @ R.T
    best, rest = np.zeros(len(R)), np.empty(len(R))

    def gain(place: int) -> float:
        np.subtract(W[place], best, out=rest)
        np.maximum(rest, 0.0, out=rest)
        return float(np.add.reduce(rest))

    heap = [(-gain(place), place, 0) for place in range(len(kept))]
    heapq.heapify(heap)
    order: list[int] = []
    gains: list[float] = []
    while heap:
        negative, place, when = heap[0]
        if when == len(order):
            heapq.heappop(heap)
            order.append(place)
            gains.append(-negative)
            np.maximum(best, W[place], out=best)
        else:
            heapq.heapreplace(heap, (-gain(place), place, len(order)))
    return np.array(order, dtype=np.int64), np.array(gains)
