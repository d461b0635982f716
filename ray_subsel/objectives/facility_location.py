"""Score candidates of facility location: sum_i c_i max(0, max_{j in S} w_ij).

Every item is represented by the most similar chosen one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.objectives.base import ProblemSize, Vectors
from ray_subsel.objectives.bound_cache import BoundCache, CacheSizes
from ray_subsel.objectives.kernels import Kernel, kernel_of
from ray_subsel.objectives.moment_bounds import cheap_bounds
from ray_subsel.objectives.represented import Represented, RepresentingObjective, represent

Singles = NDArray[np.float32]

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
    submodular: ClassVar[bool] = True
    monotone: ClassVar[bool] = True
    rounding: ClassVar[float] = 1e-11
    loose_bounds: ClassVar[bool] = True

    represented: Floats | None = None
    weights: Any = None
    kernel: str | Kernel = "cosine"
    cache: CacheSizes = field(default=CacheSizes(), repr=False)

    def __post_init__(self) -> None:
        kernel_of(self.kernel)

    def init(self, X: Floats) -> FacilityLocationState:
        """Return the state of the empty set; raises InputError for an X that cannot be used."""
        to = represent(X, self.represented, self.weights, self.kernel)
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
        to = represent(X, self.represented, self.weights, self.kernel)
        ids = np.asarray(subset, dtype=np.int64)
        if ids.size == 0:
            return 0.0
        value = 0.0
        for part, block in to.similarities(ids):
            value += float(np.maximum(block.max(axis=0), 0.0) @ to.weights[part])
        return value

    def representing(self, items: Vectors, statistics: Float64s | None) -> FacilityLocation:
        """Return facility location of other items."""
        del statistics
        return replace(self, represented=items)

    def memory_bytes(self, size: ProblemSize) -> int:
        """Return what it takes beside the vectors: sample and represented items, and the memory of its bounds."""
        return int(CACHE_BYTES + 4 * size.d * (size.represented + size.reference) + 600 * size.items)
