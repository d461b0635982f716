"""Score candidates of saturated coverage: sum_i c_i min(w+(i, S), alpha w+(i, V))."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

import numpy as np

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import finite_number
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.objectives.base import ProblemSize, Vectors
from ray_subsel.objectives.dense_gains import DenseGains
from ray_subsel.objectives.device_similarities import DeviceSimilarities
from ray_subsel.objectives.exact_similarities import doubles_pay
from ray_subsel.objectives.expected_levels import expected_levels
from ray_subsel.objectives.kernels import Kernel, kernel_of
from ray_subsel.objectives.represented import (
    DENSE_BYTES,
    Represented,
    RepresentingObjective,
    candidate_ranges,
    represent,
)
from ray_subsel.objectives.saturation_start import left_to_saturate
from ray_subsel.objectives.similarities import Similarities
from ray_subsel.objectives.similarity_block import ComputedSimilarities, kept_similarities
from ray_subsel.objectives.sparse_levels import sparse_gains
from ray_subsel.objectives.sparse_similarities import SparseSimilarities, cheap_similarities

BLOCK_BYTES = 50 << 20
"""Blocks of similarities, of all threads."""


@dataclass(frozen=True, eq=False)
class SaturatedCoverageState:
    """The value of saturated coverage on a chosen set.

    Attributes
    ----------
    to : Represented
    cap : float64 array of shape (m,)
        Coverage at which a represented item is saturated.
    left : float64 array of shape (m,)
        What is left until then.
    """

    to: Represented
    cap: Float64s
    left: Float64s


@final
@dataclass(frozen=True, eq=False)
class SaturatedCoverage(RepresentingObjective[SaturatedCoverageState]):
    r"""Saturated coverage: similarity to all chosen items, saturated for each represented item.

    .. math:: f(S) = \sum_{i \in R} c_i \min\Big(\sum_{j \in S} w^+_{ij},\; \alpha \sum_{j \in V} w^+_{ij}\Big)

    where w+ = max(0, w). Monotone and submodular. Small alpha saturates early, so that picks spread; alpha = 1 never
    saturates, and the k most central items win.

    Parameters
    ----------
    alpha : float, default=0.25
        In (0, 1], above k / n: below it a subset saturates everything before it is full, and the last picks all tie.
    represented : float array of shape (m, d) or None
        R. None: all rows of X.
    weights : array of shape (m,) or None
        c, >= 0. None: 1 each.
    kernel : str or Kernel, default="cosine"
    everything : float64 array of shape (m,) or None
        The sum over V of w+ for each represented item, where V is more than the rows that :meth:`init` is given; for
        a part that chooses its share, as much of it. None: over the rows given.

    Notes
    -----
    O(n m d) once for the caps, unless they are given, then O(m d) a gain and a pick; O(m) memory beyond the rows. With
    a cosine kernel this is in float32, by which gains are bounded; what decides is float64, and of caps only those are
    computed in it that a selection comes near to, and their rows kept (:mod:`.saturation`). All similarities are kept,
    where they fit, once half as many have been asked for; in float64 where many picks, a sample of the caps, or what
    was covered so far, tell that so many will be, and where rows have few non-zeros (:mod:`.sparse_similarities`).

    Source: Lin & Bilmes 2011, "A class of submodular functions for document summarization".
    """

    name: ClassVar[str] = "saturated_coverage"
    label: ClassVar[str] = "saturated coverage"
    needs_statistics: ClassVar[bool] = True
    comparisons: ClassVar[float] = 8.0
    similarity_bytes: ClassVar[int] = 4
    submodular: ClassVar[bool] = True
    monotone: ClassVar[bool] = True
    rounding: ClassVar[float] = 1e-11

    alpha: float = 0.25
    represented: Floats | None = None
    weights: Any = None
    kernel: str | Kernel = "cosine"
    everything: Float64s | None = None
    dense_bytes: int = field(default=DENSE_BYTES, repr=False)

    def __post_init__(self) -> None:
        kernel_of(self.kernel)
        finite_number(self.alpha, "alpha", "lie in (0, 1]", "Choose it above k / n.", above=0.0, most=1.0)

    def init(self, X: Floats) -> SaturatedCoverageState:
        """Return the state of the empty set; raises InputError for an X that cannot be used."""
        to = represent(X, self.represented, self.weights, self.kernel)
        cap = self.alpha * (positive_similarities(to) if self.everything is None else self._given_everything(to.m))
        return SaturatedCoverageState(to, cap, cap)

    def gains(self, state: SaturatedCoverageState, candidates: Indices | None = None) -> Float64s:
        """Return the gains of the candidates."""
        to = state.to
        ids = np.arange(to.candidates.n) if candidates is None else np.asarray(candidates, dtype=np.int64)

        def covered(block: Float64s, part: slice) -> Float64s:
            np.maximum(block, 0.0, out=block)
            np.minimum(block, state.left[part], out=block)
            return np.asarray(block @ to.weights[part])

        return to.scores(ids, covered)

    def unit(self, state: SaturatedCoverageState) -> float:
        """Return the largest weight, that of a similarity of 1."""
        return state.to.most_weight

    def add(self, state: SaturatedCoverageState, item: int) -> SaturatedCoverageState:
        """Return the state of S + item."""
        covered = np.minimum(np.maximum(state.to.row(item), 0.0), state.left)
        return SaturatedCoverageState(state.to, state.cap, state.left - covered)

    def value(self, state: SaturatedCoverageState) -> float:
        """Return f(S)."""
        return float(np.sum((state.cap - state.left) * state.to.weights))

    def evaluate(self, X: Floats, subset: Indices) -> float:
        """Return f(subset) from the formula; O(n m d)."""
        to = represent(X, self.represented, self.weights, self.kernel)
        ids = np.asarray(subset, dtype=np.int64)
        everything = positive_similarities(to) if self.everything is None else self._given_everything(to.m)
        chosen = positive_similarities(replace(to, candidates=to.candidates.rows(ids)))
        return float(np.minimum(chosen, self.alpha * everything) @ to.weights)

    def weighted(self, X: Any, weights: Indices) -> SaturatedCoverage | None:
        """Return the objective of the expanded array: a row counts as many items, in R and in V."""
        if self.represented is not None or self.weights is not None:
            return None
        if self.everything is not None:
            return replace(self, weights=weights)
        to = represent(X, None, None, self.kernel)
        found = cheap_similarities(to, self.dense_bytes)
        everything = positive_similarities(to, weights) if found is None else found.positive_sums(weights)
        return replace(self, weights=weights, everything=everything)

    def dense_gains(self, X: Floats, picks: int = 1) -> DenseGains | None:
        """Return gains that are kept up, with all similarities in memory where they fit ``dense_bytes``."""
        to = represent(X, self.represented, self.weights, self.kernel)
        everything = None if self.everything is None else self._given_everything(to.m)
        found = cheap_similarities(to, self.dense_bytes)
        if isinstance(found, SparseSimilarities):
            whole = found.positive_sums() if everything is None else everything
            return sparse_gains(found, to.weights, self.alpha * whole, rise=False)
        error = to.block_error(self.dense_bytes)
        fits = to.m * to.candidates.n * 8 <= self.dense_bytes
        affine = error is not None and to.kernel.affine() is not None
        W: Similarities
        if found is not None:
            W, error = found, None
        elif affine and (there := DeviceSimilarities.of(to, self.dense_bytes)) is not None:
            W = there
        elif affine and not (fits and self._doubles_pay(to, everything, picks)):
            W = ComputedSimilarities.of(to, np.float32, self.dense_bytes)
        elif fits:
            W, error = kept_similarities(to, np.float64), None
        else:
            return None
        levels, sums = left_to_saturate(to, W, self.alpha, everything, error, picks)
        return DenseGains(levels, W, to.weights, sums)

    def representing(self, items: Vectors, statistics: Float64s | None) -> SaturatedCoverage:
        """Return saturated coverage of other items, given the sum of each one's positive similarities."""
        return replace(self, represented=items, everything=statistics)

    def reference_statistics(self, reference: Vectors, rows: Vectors) -> Float64s:
        """Return for each item of a sample the sum of its positive similarities to some rows."""
        return positive_similarities(represent(rows, reference, None, self.kernel))

    def memory_bytes(self, size: ProblemSize) -> int:
        """Return what it takes beside the vectors: the sample, numbers for each item of it, and all similarities."""
        affine = kernel_of(self.kernel).affine() is not None
        dense = self.block_bytes(size, doubles=True)
        vectors = 4 * size.d * (size.items + 3 * size.represented) if affine else 8 * size.d * size.items
        kept = dense if dense <= self.dense_bytes else 0
        return int(BLOCK_BYTES + kept + vectors + (8 * size.d + 40) * size.reference)

    def _doubles_pay(self, to: Represented, everything: Float64s | None, picks: int) -> bool:
        if doubles_pay(to, picks):
            return True
        return doubles_pay(to, picks, expected_levels(to, self.alpha, everything, picks) * to.m)

    def _given_everything(self, m: int) -> Float64s:
        given = np.asarray(self.everything, dtype=np.float64)
        if given.shape != (m,) or not (np.isfinite(given).all() and (given >= 0).all()):
            raise invalid("everything", f"be {m} finite numbers >= 0", Verbatim(f"shape {given.shape}"))
        return given


def positive_similarities(to: Represented, counts: Indices | None = None) -> Float64s:
    """Return for each represented item the sum of its positive similarities to the candidates, shape (m,).

    Parameters
    ----------
    to : Represented
    counts : int64 array of shape (n,) or None
        How often each candidate counts. None: once.
    """
    everything = np.zeros(to.m)
    for start, stop in candidate_ranges(to.candidates.n):
        for part, block in to.similarities(np.arange(start, stop)):
            positive = np.maximum(block, 0.0)
            if counts is not None:
                positive *= counts[start:stop, None]
            everything[part] += positive.sum(axis=0)
    return everything
