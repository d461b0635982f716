"""Score candidates of facility location: sum_i c_i max(0, max_{j in S} w_ij).

Every item is represented by the most similar chosen one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

import numpy as np

from ray_subsel.core.errors import invalid
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.objectives.base import ProblemSize, Vectors
from ray_subsel.objectives.bound_cache import BoundCache, CacheSizes
from ray_subsel.objectives.dense_gains import DenseGains
from ray_subsel.objectives.device_similarities import DeviceSimilarities
from ray_subsel.objectives.kernels import Kernel, kernel_of
from ray_subsel.objectives.moment_bounds import cheap_bounds
from ray_subsel.objectives.nearest_levels import NearestLevels
from ray_subsel.objectives.represented import (
    DENSE_BYTES,
    Represented,
    RepresentingObjective,
    represent,
)
from ray_subsel.objectives.similarity_block import kept_similarities
from ray_subsel.objectives.sparse_levels import sparse_gains
from ray_subsel.objectives.sparse_similarities import WIDE, SparseSimilarities, cheap_similarities
from ray_subsel.objectives.target import ETA, Target

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
            return DenseGains(NearestLevels.start(to, found, None), found, to.weights)
        error = to.block_error(self.dense_bytes)
        dtype = np.float64 if error is None else np.float32
        if to.m * to.candidates.n * np.dtype(dtype).itemsize > self.dense_bytes:
            return None
        # no product that is 0 rounds where none is negative: it represents nothing, and that is known
        nothing = error is not None and to.kernel.affine() == (1.0, 0.0) and to.never_negative
        there = None if error is None else DeviceSimilarities.of(to, self.dense_bytes, never_zero=nothing)
        if there is not None:
            return DenseGains(NearestLevels.start(to, there, error), there, to.weights)
        W = kept_similarities(to, dtype)
        if nothing:
            W.block[W.block == 0.0] = -1.0
        return DenseGains(NearestLevels.start(to, W, error), W, to.weights)

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
