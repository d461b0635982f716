"""Score candidates of feature-based functions: sum_u c_u phi(sum_{j in S} x_ju).

More of the same feature brings less and less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import scipy.sparse as sp

from ray_subsel.core.errors import Verbatim, invalid, unknown
from ray_subsel.core.threads import Range, ranges
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import check_matrix, to_float64
from ray_subsel.objectives.base import CandidatePool, Objective, RowsInPlace
from ray_subsel.objectives.feature_pool import (
    CONCAVE,
    Concave,
    DensePool,
    FeatureBasedState,
    SparsePool,
    Tangent,
    gains_of,
    positive_means,
)

_BLOCK_NUMBERS = 1 << 19
_POOL_NUMBERS = 1 << 21


@final
@dataclass(frozen=True, eq=False)
class FeatureBased(Objective[FeatureBasedState]):
    r"""Feature-based function: a concave function of how much of each feature was chosen.

    .. math:: f(S) = \sum_u c_u \, \phi\Big(\sum_{j \in S} x_{ju}\Big)

    Monotone and submodular. The rows of X are amounts of features, all >= 0: counts of words, TF-IDF, activations
    after a ReLU; not embeddings. Longer rows bring more.

    Parameters
    ----------
    concave : {"sqrt", "log", "saturating"}, default="sqrt"
        phi(a) = sqrt(a), log(1 + a) or a / (1 + a).
    weights : array of shape (d,) or None
        c, >= 0, the worth of a feature. None: 1 each.

    Notes
    -----
    No similarity at all: O(d) a gain and a pick, or the number of non-zeros for a scipy sparse matrix or array, which
    is the natural input at large d.

    Source: Kirchhoff & Bilmes 2014, "Submodularity for data selection in machine translation"; Wei et al. 2015.
    """

    name: ClassVar[str] = "feature_based"
    label: ClassVar[str] = "feature-based"
    submodular: ClassVar[bool] = True
    monotone: ClassVar[bool] = True
    takes_sparse: ClassVar[bool] = True
    rounding: ClassVar[float] = 1e-11

    concave: str = "sqrt"
    weights: Any = None

    def __post_init__(self) -> None:
        if self.concave not in CONCAVE:
            raise unknown("concave", self.concave, CONCAVE)

    def init(self, X: Floats | Any) -> FeatureBasedState:
        """Return the state of the empty set; raises InputError for an X that cannot be used."""
        d = int(X.shape[1])
        usual = np.zeros(d)
        if sp.issparse(X):
            X = sp.csr_array(X)
            _check_amounts(X.data, "X")
            largest = float(X.data.max(initial=0))
            if not X.has_canonical_format:
                X = X.copy()
                X.sum_duplicates()
        else:
            X = check_matrix(X, "X")
            most = np.zeros(d)
            for start, stop in _blocks(X):
                amounts = to_float64(X[start:stop])
                np.maximum(most, _largest_amounts(amounts, f"rows {start}-{stop - 1} of X"), out=most)
                with np.errstate(over="ignore"):
                    usual += amounts.sum(axis=0) / X.shape[0]
            usual = positive_means(usual, most)
            largest = float(most.max())
        weights = self._weights(d)
        unit = float(self._phi.value(np.array([largest]))[0]) * float(weights.max())
        return FeatureBasedState(X, np.zeros(d), weights, unit, usual, self._phi, np.zeros(d))

    def gains(self, state: FeatureBasedState, candidates: Indices | None = None) -> Float64s:
        """Return the gains of the candidates."""
        ids = None if candidates is None else np.asarray(candidates, dtype=np.int64)
        if sp.issparse(state.X):
            return SparsePool(state.X if ids is None else state.X[ids]).bounds(state)
        n = int(state.X.shape[0]) if ids is None else ids.size
        gains = np.empty(n)
        for start, stop in _blocks(state.X, n):
            rows = _rows(state.X, slice(start, stop) if ids is None else ids[start:stop])
            gains[start:stop] = gains_of(rows, state)
        return gains

    def cheap_bounds(self, state: FeatureBasedState) -> Float64s:
        """Return a linear function of each row that touches the gain of a row of usual amounts; sparse: the gains."""
        X = state.X
        if sp.issparse(X):
            return self.gains(state)
        tangent = Tangent.of(state, state.usual)
        if isinstance(X, np.ndarray) and X.dtype.itemsize >= 4:
            return tangent.at(X)
        bounds = np.empty(int(X.shape[0]))
        for start, stop in _blocks(X):
            bounds[start:stop] = tangent.at(_held(X, slice(start, stop)))
        return bounds

    def pool(self, state: FeatureBasedState, ids: Indices) -> CandidatePool:
        """Return some rows: a copy of them, unless they are so many that they are better read where they are."""
        X = state.X
        sparse = sp.issparse(X)
        numbers = ids.size * (X.nnz / X.shape[0] if sparse else state.amounts.size)
        if numbers > _POOL_NUMBERS:
            return RowsInPlace(self, ids, exact=sparse)
        return SparsePool(X[ids]) if sparse else DensePool(_held(X, ids))

    def unit(self, state: FeatureBasedState) -> float:
        """Return what the largest amount of a row is worth."""
        return state.unit

    def add(self, state: FeatureBasedState, item: int) -> FeatureBasedState:
        """Return the state of S + item."""
        if sp.issparse(state.X):
            amounts, values = state.amounts.copy(), state.values.copy()
            start, stop = int(state.X.indptr[item]), int(state.X.indptr[item + 1])
            features = state.X.indices[start:stop]
            amounts[features] += state.X.data[start:stop]
            values[features] = self._phi.value(amounts[features])
        else:
            amounts = state.amounts + _rows(state.X, slice(item, item + 1))[0]
            values = self._phi.value(amounts)
        return FeatureBasedState(state.X, amounts, state.weights, state.unit, state.usual, state.phi, values)

    def value(self, state: FeatureBasedState) -> float:
        """Return f(S)."""
        return float(np.sum(state.values * state.weights))

    def evaluate(self, X: Floats | Any, subset: Indices) -> float:
        """Return f(subset) from the formula; O(k d)."""
        ids = np.asarray(subset, dtype=np.int64)
        chosen = sp.csr_array(X)[ids].toarray() if sp.issparse(X) else _rows(X, ids)
        amounts = np.asarray(chosen, dtype=np.float64).sum(axis=0)
        return float(self._phi.value(amounts) @ self._weights(amounts.size))

    @classmethod
    def check_input(cls, *, embedded: bool) -> None:
        """Raise InputError for an embedder's vectors, which are no amounts."""
        if embedded:
            must = "be another one for an embedder's vectors, which have negative numbers"
            way = "Give amounts (counts, TF-IDF) by --vectors, or use another objective."
            raise invalid("objective", must, cls.name, way)

    @property
    def _phi(self) -> Concave:
        return CONCAVE[self.concave]

    def _weights(self, d: int) -> Float64s:
        if self.weights is None:
            return np.ones(d)
        given = np.asarray(self.weights)
        if given.shape != (d,) or given.dtype.kind not in "iuf":
            raise invalid(
                "weights", f"be {d} numbers, one per feature", Verbatim(f"{given.dtype} of shape {given.shape}")
            )
        if not (np.isfinite(given).all() and (given >= 0).all()):
            raise invalid("weights", "be finite and >= 0", Verbatim("a negative number, NaN or infinity"))
        return given.astype(np.float64)


def _largest_amounts(amounts: Float64s, parameter: str) -> Float64s:
    """Return the largest of each column of numbers that are finite and >= 0."""
    largest = amounts.max(axis=0)
    if not (np.isfinite(largest).all() and amounts.min() >= 0):  # NaN compares false
        _check_amounts(amounts, parameter)
    return np.asarray(largest)


def _check_amounts(amounts: Any, parameter: str) -> None:
    if not np.isfinite(amounts).all() or (amounts < 0).any():
        way = "These are amounts of features; for embeddings use another objective."
        raise invalid(parameter, "hold finite numbers >= 0", Verbatim("a negative number, NaN or infinity"), way)


def _blocks(X: Any, n: int | None = None) -> Iterator[Range]:
    """Yield (start, stop) of blocks of n rows as long as those of X; None: of all."""
    return ranges(int(X.shape[0]) if n is None else n, max(1, _BLOCK_NUMBERS // int(X.shape[1])))


def _held(X: Any, which: slice | Indices) -> Floats:
    """Return some dense rows as a numpy array of float32, or of float64 where they are no float16 or float32."""
    if X.dtype.itemsize > 4:
        return _rows(X, which)
    return np.asarray(X[which], dtype=np.float32)


def _rows(X: Any, which: slice | Indices) -> Float64s:
    return to_float64(X[which])
