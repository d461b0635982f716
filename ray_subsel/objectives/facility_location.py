"""Score candidates of facility location: sum_i c_i max(0, max_{j in S} w_ij).

Every item is represented by the most similar chosen one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import invalid
from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.objectives.base import ProblemSize, Vectors
from ray_subsel.objectives.bound_cache import BoundCache, CacheSizes
from ray_subsel.objectives.dense_gains import Change, DenseGains, Levels
from ray_subsel.objectives.kernels import Kernel, kernel_of
from ray_subsel.objectives.moment_bounds import cheap_bounds
from ray_subsel.objectives.represented import (
    DENSE_BYTES,
    Represented,
    RepresentingObjective,
    represent,
    similarity_block,
)
from ray_subsel.objectives.target import ETA, Target

Singles = NDArray[np.float32]

BLOCK_BYTES = 60 << 20
"""Blocks of similarities on their way, of all threads."""

CACHE_BYTES = 340 << 20
"""What it remembers of its bounds, with what Python adds to it, and blocks of similarities (measured)."""


@dataclass(frozen=True, eq=False)
class FacilityLocationState:
    """The value of facility location on a chosen set of ``size`` items.

    Attributes
    ----------
    to : Represented
    best : float64 array of shape (m,)
        Similarity of each represented item to the nearest chosen one, at least 0.
    size : int
    memory : BoundCache or None
        What earlier bounds left behind; it saves work and changes no number. None where there are no cheap bounds.
    """

    to: Represented
    best: Float64s
    size: int
    memory: BoundCache | None


@final
@dataclass(frozen=True, eq=False)
class FacilityLocation(RepresentingObjective[FacilityLocationState]):
    r"""Facility location: the sum over represented items of the similarity to their nearest chosen item.

    .. math:: f(S) = \sum_{i \in R} c_i \max(0, \max_{j \in S} w_{ij})

    Monotone and submodular for every kernel. A negative similarity represents nothing, which is the 0 in the formula
    and what makes f(empty) = 0; :class:`~ray_subsel.objectives.kernels.ShiftedCosine` has none.

    Parameters
    ----------
    represented : float array of shape (m, d) or None
        R, the vectors to be represented. None: all rows of X. A sample of the corpus, shared by all partitions, makes
        one gain cost O(m d) instead of O(n d).
    weights : array of shape (m,) or None
        c, >= 0, for instance how many equal texts a row stands for. None: 1 each.
    kernel : str or Kernel, default="cosine"
    target : Target or None
        Queries to represent beside R, which then counts 1 - a times as much (:mod:`ray_subsel.objectives.target`).
    cache : CacheSizes
        Of the bounds that are remembered.

    Notes
    -----
    O(m d) a gain and a pick, O(m) memory beyond the rows and 4 bytes x m d of a float32 copy of R. For lazy
    optimizers, upper bounds come from float32 matrix products (their rounding error added), and an item's bound is
    afterwards kept up from the represented items that it could still improve, which only become fewer
    (:mod:`ray_subsel.objectives.bound_cache`, at most 64 MiB). Gains themselves are float64.

    Source: Cornuejols, Fisher, Nemhauser 1977; for data subsets Lin & Bilmes 2009.
    """

    name: ClassVar[str] = "facility_location"
    label: ClassVar[str] = "facility location"
    comparisons: ClassVar[float] = 2.0
    similarity_bytes: ClassVar[int] = 4
    clustered: ClassVar[bool] = True
    takes_target: ClassVar[bool] = True
    submodular: ClassVar[bool] = True
    monotone: ClassVar[bool] = True
    rounding: ClassVar[float] = 1e-11
    loose_bounds: ClassVar[bool] = True

    represented: Floats | None = None
    weights: Any = None
    kernel: str | Kernel = "cosine"
    target: Target | None = None
    dense_bytes: int = field(default=DENSE_BYTES, repr=False)
    cache: CacheSizes = field(default=CacheSizes(), repr=False)

    def __post_init__(self) -> None:
        kernel_of(self.kernel)

    def init(self, X: Floats) -> FacilityLocationState:
        """Return the state of the empty set; raises InputError for an X that cannot be used."""
        to = represent(X, self.represented, self.weights, self.kernel, self.target)
        error = to.kernel.single_error(to.items.d)
        memory = None if error is None else BoundCache.start(to, error, self.cache)
        return FacilityLocationState(to, np.zeros(to.m), 0, memory)

    def gains(self, state: FacilityLocationState, candidates: Indices | None = None) -> Float64s:
        """Return the gains of the candidates."""
        to = state.to
        ids = np.arange(to.candidates.n) if candidates is None else np.asarray(candidates, dtype=np.int64)
        if state.memory is not None and ids.size <= 8:
            return state.memory.gains(ids, state.best, state.size)

        def better(block: Float64s, part: slice) -> Float64s:
            block -= state.best[part]
            np.maximum(block, 0.0, out=block)
            return np.asarray(block @ to.weights[part])

        return to.scores(ids, better)

    def unit(self, state: FacilityLocationState) -> float:
        """Return the largest weight, that of a similarity of 1."""
        return state.to.most_weight

    def bounds(self, state: FacilityLocationState, candidates: Indices | None = None) -> Float64s:
        """Return upper bounds of the gains."""
        if state.memory is None:
            return self.gains(state, candidates)
        ids = None if candidates is None else np.asarray(candidates, dtype=np.int64)
        return state.memory.bounds(ids, state.best, state.size)

    def cheap_bounds(self, state: FacilityLocationState) -> Float64s | None:
        """Return cheap upper bounds of all gains, or None."""
        return None if state.memory is None else cheap_bounds(state.to, state.memory.items, state.best)

    def add(self, state: FacilityLocationState, item: int) -> FacilityLocationState:
        """Return the state of S + item."""
        if state.memory is None:
            return FacilityLocationState(state.to, np.maximum(state.best, state.to.row(item)), state.size + 1, None)
        rows, similarities = state.memory.improved(item, state.best, state.size)
        best = state.best.copy()
        best[rows] = np.maximum(best[rows], similarities)
        return FacilityLocationState(state.to, best, state.size + 1, state.memory.after(state.size))

    def value(self, state: FacilityLocationState) -> float:
        """Return f(S)."""
        return float(np.sum(state.best * state.to.weights))

    def evaluate(self, X: Floats, subset: Indices) -> float:
        """Return f(subset) from the formula; O(m d) a chosen item."""
        to = represent(X, self.represented, self.weights, self.kernel, self.target)
        ids = np.asarray(subset, dtype=np.int64)
        if ids.size == 0:
            return 0.0
        value = 0.0
        for part, block in to.similarities(ids):
            value += float(np.maximum(block.max(axis=0), 0.0) @ to.weights[part])
        return value

    def dense_gains(self, X: Floats) -> DenseGains | None:
        """Return gains that are kept up, where the block of similarities fits ``dense_bytes``."""
        to = represent(X, self.represented, self.weights, self.kernel, self.target)
        error = to.kernel.single_error(to.items.d)
        dtype = np.float64 if error is None else np.float32
        if to.m * to.candidates.n * np.dtype(dtype).itemsize > self.dense_bytes:
            return None
        with block_workers() as workers:
            block = similarity_block(to, dtype, workers)
        if error is not None and to.kernel.affine() == (1.0, 0.0) and to.never_negative:
            block[block == 0.0] = -1.0  # no product in it rounds: it represents nothing, and that is known
        return DenseGains(_Nearest.start(to, block, error), block, to.weights)

    def representing(self, items: Vectors, statistics: Float64s | None) -> FacilityLocation:
        """Return facility location of other items."""
        del statistics
        return replace(self, represented=items)

    def with_target(self, X: Any, target: Target) -> FacilityLocation:
        """Return facility location that represents the target's queries too."""
        if kernel_of(self.kernel).affine() != (1.0, 0.0):
            raise invalid("target", "go with the cosine kernel", kernel_of(self.kernel).name)
        del X
        return replace(self, target=target)

    def without_target(self) -> FacilityLocation:
        """Return facility location of items alone."""
        return replace(self, target=None)

    @property
    def relevance_weight(self) -> float:
        """Eta a n / C."""
        return 0.0 if self.target is None else ETA * self.target.each

    def of_items(self, ids: Indices) -> FacilityLocation:
        """Return the function of some items: queries whose nearest item is another are left out."""
        return self if self.target is None else replace(self, target=self.target.of_items(ids))

    def memory_bytes(self, size: ProblemSize) -> int:
        """Return what it takes beside the vectors: represented items, and all similarities or what bounds remember."""
        dense = 4 * size.items * size.represented
        kept = dense + BLOCK_BYTES if dense <= self.dense_bytes else CACHE_BYTES + 600 * size.items
        return int(kept + 4 * size.d * (size.items + size.represented + size.reference))


@final
@dataclass(eq=False)
class _Nearest(Levels):
    """The similarity of each represented item to its nearest chosen one.

    Attributes
    ----------
    to : Represented
    block : array of shape (m, n)
    error : float or None
        Of the block's similarities; None where they are those of float64.
    best : float64 array of shape (m,)
    floor, settled : arrays of shape (m,), of the block's dtype
        best, less the error, rounded down; and as it was when the sums over the block were brought up to date.
    even : bool
        Whether all weights are 1.
    """

    to: Represented
    block: NDArray[Any]
    error: float | None
    best: Float64s
    floor: NDArray[Any]
    settled: NDArray[Any]
    even: bool

    @staticmethod
    def start(to: Represented, block: NDArray[Any], error: float | None) -> _Nearest:
        best = np.zeros(to.m)
        floor = _lowered(best, error)
        return _Nearest(to, block, error, best, floor, floor.copy(), bool((to.weights == 1.0).all()))

    def left(self) -> Change:
        return Change(np.arange(self.to.m), self.floor, np.full_like(self.floor, np.inf))

    def bound(self, item: int) -> float:
        better = np.maximum(self._column(item) - self.floor, 0.0)
        if not self.even:
            better *= self.to.weights.astype(better.dtype)
        return float(np.add.reduce(better)) * (1.0 + 2.0**-17)  # a pairwise sum of some thousands loses less

    def gain(self, item: int) -> float:
        items, similarities = self._improved(item)
        return float(np.sum(np.maximum(similarities - self.best[items], 0.0) * self.to.weights[items]))

    def take(self, item: int) -> None:
        items, similarities = self._improved(item)
        better = similarities > self.best[items]
        items, similarities = items[better], similarities[better]
        self.best[items], self.floor[items] = similarities, _lowered(similarities, self.error)

    @property
    def moved(self) -> int:
        return int(np.count_nonzero(self.floor > self.settled))

    def settle(self) -> Change:
        items = np.flatnonzero(self.floor > self.settled)
        change = Change(items, self.settled[items], self.floor[items])
        self.settled = self.floor.copy()
        return change

    def _improved(self, item: int) -> tuple[Indices, Float64s]:
        """Return a superset of the represented items that one candidate improves, and its similarities to them."""
        to = self.to
        column = self._column(item)
        items = np.flatnonzero(column > self.floor)
        if self.error is None:
            return items, column[items]
        vector = to.candidates.take(np.array([item]))
        if 2 * items.size > to.m:  # reading in order beats gathering
            return items, to.row(item)[items]
        return items, to.kernel.of(vector, to.items.take(items))[0]

    def _column(self, item: int) -> NDArray[Any]:
        return self.block[item] if self.to.items is self.to.candidates else self.block[:, item]


def _lowered(best: Float64s, error: float | None) -> NDArray[Any]:
    """Return best, less the error of a float32 similarity, in float32 and not rounded up."""
    if error is None:
        return np.array(best)
    return np.asarray(np.nextafter((best - error).astype(np.float32), np.float32(-np.inf)), dtype=np.float32)
