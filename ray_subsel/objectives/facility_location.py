"""Score candidates of facility location: sum_i c_i max(0, max_{j in S} w_ij).

Every item is represented by the most similar chosen one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import invalid
from ray_subsel.core.threads import block_workers, ranges
from ray_subsel.core.types import Float64s, Floats, Indices, Mask
from ray_subsel.objectives.base import ProblemSize, Vectors
from ray_subsel.objectives.bound_cache import BoundCache, CacheSizes
from ray_subsel.objectives.dense_gains import DenseGains
from ray_subsel.objectives.device_similarities import DeviceSimilarities
from ray_subsel.objectives.improvements import FEW, Improvements
from ray_subsel.objectives.kernels import Kernel, kernel_of
from ray_subsel.objectives.levels import Change, Levels
from ray_subsel.objectives.moment_bounds import cheap_bounds
from ray_subsel.objectives.represented import (
    DENSE_BYTES,
    Represented,
    RepresentingObjective,
    represent,
)
from ray_subsel.objectives.similarities import KeptSimilarities, Similarities
from ray_subsel.objectives.similarity_block import ExactSimilarities, similarity_block
from ray_subsel.objectives.sparse_levels import sparse_gains
from ray_subsel.objectives.sparse_similarities import WIDE, SparseSimilarities, cheap_similarities
from ray_subsel.objectives.target import ETA, Target

Singles = NDArray[np.float32]

_ROUNDING = 2.0**-24  # more than float32 takes from a number up to 1, or adds to it
_AT_ONCE = 16  # candidates that are compared with all levels together
_SHORT = 64  # what a candidate improves is remembered where it is at most the 64th part of what is represented

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

    def dense_gains(self, X: Floats, picks: int = 1) -> DenseGains | None:
        """Return gains that are kept up, where the block of similarities fits ``dense_bytes``."""
        del picks
        to = represent(X, self.represented, self.weights, self.kernel, self.target)
        found = cheap_similarities(to, self.dense_bytes)
        if isinstance(found, SparseSimilarities):
            return sparse_gains(found, to.weights, np.zeros(to.m), rise=True)
        if found is not None:
            return DenseGains(_Nearest.start(to, found, None), found, to.weights)
        error = to.block_error(self.dense_bytes)
        dtype = np.float64 if error is None else np.float32
        if to.m * to.candidates.n * np.dtype(dtype).itemsize > self.dense_bytes:
            return None
        # no product that is 0 rounds where none is negative: it represents nothing, and that is known
        nothing = error is not None and to.kernel.affine() == (1.0, 0.0) and to.never_negative
        W: Similarities | None = (
            None if error is None else DeviceSimilarities.of(to, self.dense_bytes, never_zero=nothing)
        )
        if W is None:
            with block_workers() as workers:
                block = similarity_block(to, dtype, workers)
            if nothing:
                block[block == 0.0] = -1.0
            W = KeptSimilarities(block, to.items is to.candidates)
        return DenseGains(_Nearest.start(to, W, error), W, to.weights)

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
        dense = self.block_bytes(size, doubles=size.d > WIDE)
        inside = dense <= self.dense_bytes
        # and float64 vectors of the represented items, and what is taken out of the block
        kept = (
            dense + dense // 8 + 8 * size.d * size.represented + BLOCK_BYTES
            if inside
            else CACHE_BYTES + 600 * size.items
        )
        return int(kept + 4 * size.d * (size.items + size.represented + size.reference))


@final
@dataclass(eq=False)
class _Nearest(Levels):
    """The similarity of each represented item to its nearest chosen one.

    Attributes
    ----------
    to : Represented
    W : Similarities
    error : float or None
        Of the similarities in W; None where they are those of float64.
    exact : ExactSimilarities or None
        None where W is exact.
    best, settled : float64 arrays of shape (m,)
        Now, and when the sums over W were brought up to date.
    floor, passed : arrays of shape (m,), of W's dtype
        The same, less the error, rounded down; the same arrays where there is none.
    weights : array of shape (m,) of W's dtype, or None
        None: all are 1.
    """

    rise: ClassVar[bool] = True

    to: Represented
    W: Similarities
    error: float | None
    exact: ExactSimilarities | None
    best: Float64s
    settled: Float64s
    floor: NDArray[Any]
    passed: NDArray[Any]
    weights: NDArray[Any] | None
    _seen: tuple[int, Indices, Float64s] | None = None
    _lists: dict[int, tuple[Indices, Float64s]] = field(default_factory=dict)  # what was seen, where it is little
    _together: Improvements | None = None  # what was seen last of several
    _since: Mask = field(init=False)  # what picks have moved since then
    _moved: int = 0

    def __post_init__(self) -> None:
        self._since = np.zeros(self.best.size, dtype=np.bool_)

    @staticmethod
    def start(to: Represented, W: Similarities, error: float | None) -> _Nearest:
        best, settled = np.zeros(to.m), np.zeros(to.m)
        floor, passed = (best, settled) if error is None else (_lowered(best, error), _lowered(settled, error))
        weights = None if bool((to.weights == 1.0).all()) else to.weights.astype(W.dtype)
        exact = None if error is None else ExactSimilarities(to)
        return _Nearest(to, W, error, exact, best, settled, floor, passed, weights)

    def left(self) -> Change:
        return Change(None, self.floor, np.full_like(self.floor, np.inf))

    def bounds(self, columns: NDArray[Any]) -> Float64s:
        better = np.maximum(columns - self.floor, 0.0)
        if self.weights is not None:
            better *= self.weights
        # a pairwise sum of some thousands loses less
        return np.asarray(np.add.reduce(better, axis=1) * (1.0 + 2.0**-17), dtype=np.float64)

    def gain(self, item: int) -> float:
        items, similarities = self._improved(item)
        better = similarities - self.best[items]
        np.maximum(better, 0.0, out=better)
        if self.weights is not None:
            better *= self.to.weights[items]
        return float(np.add.reduce(better))

    def take(self, item: int) -> None:
        items, similarities = self._improved(item)
        better = similarities > self.best[items]
        items, similarities = items[better], similarities[better]
        self._moved += items.size
        self._since[items] = True
        self.best[items] = similarities
        if self.error is not None:
            self.floor[items] = _lowered(similarities, self.error)
        self._seen = None
        self._lists.pop(item, None)

    def improves_few(self, item: int) -> bool:
        return self._improved(item)[0].size <= FEW

    def improvements(self, items: Indices) -> Improvements | None:
        found, size = [], 0
        for start, stop in ranges(items.size, _AT_ONCE):
            place = (self.W.columns(items[start:stop]) > self.floor).ravel().nonzero()[0]
            found.append(place + start * self.W.m)
            size += place.size
            if size > FEW * items.size:
                return None
        which, rows = np.divmod(np.concatenate(found), self.W.m)
        similarities = self.W.pairs(items[which], rows) if self.exact is None else self.exact.pairs(items[which], rows)
        self._together = Improvements.of(items, which, rows, similarities, self.best[rows], self.to.weights[rows])
        return self._together

    def take_in_order(self, items: Indices) -> None:
        assert self._together is not None
        rows, similarities = self._together.improved_by(items)
        self._moved += rows.size
        self._since[rows] = True
        np.maximum.at(self.best, rows, similarities)
        if self.error is not None:
            self.floor[rows] = _lowered(self.best[rows], self.error)
        self._seen = self._together = None

    @property
    def moved(self) -> int:
        return self._moved

    def settle(self) -> Change:
        items = self._since.nonzero()[0]
        self._since[items] = False
        low, high = self.passed[items], self.floor[items]
        self.passed[items], self._moved = high, 0
        if self.error is None:
            return Change(items, low, high)
        self.settled[items] = self.best[items]
        return Change(items, low, high, blurred=bool((low == high).any()))

    def _improved(self, item: int) -> tuple[Indices, Float64s]:
        """Return a superset of the represented items that one candidate improves, and its similarities to them."""
        if self._seen is None or self._seen[0] != item:
            known = self._lists.get(item)
            if known is None:
                column = self.W.column(item)
                items = (column > self.floor).nonzero()[0]
                known = items, column[items] if self.exact is None else self.exact.some(item, items)
                if _SHORT * items.size <= self.to.m:
                    self._lists[item] = known
            self._seen = item, *known
        return self._seen[1:]


def _lowered(best: Float64s, error: float) -> Singles:
    """Return best, at most 1, less the error of a float32 similarity, in float32 and not rounded up."""
    return (best - (error + _ROUNDING)).astype(np.float32)
