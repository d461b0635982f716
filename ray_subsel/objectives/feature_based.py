"""Score candidates of feature-based functions: sum_u c_u phi(sum_{j in S} x_ju).

More of the same feature brings less and less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import scipy.sparse as sp

from ray_subsel.core.errors import Verbatim, invalid, unknown
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import check_matrix, is_tensor, to_float64
from ray_subsel.objectives.base import Objective

_BLOCK_NUMBERS = 1 << 19

CONCAVE: dict[str, Callable[[Float64s], Float64s]] = {
    "sqrt": np.sqrt,
    "log": np.log1p,
    "saturating": lambda amount: amount / (1.0 + amount),
}
"""Concave, increasing functions phi with phi(0) = 0."""


@dataclass(frozen=True, eq=False)
class FeatureBasedState:
    """The value of a feature-based function on a chosen set.

    Attributes
    ----------
    X : numpy array, torch tensor or scipy CSR array of shape (n, d)
    amounts : float64 array of shape (d,)
        Sum of the chosen rows.
    weights : float64 array of shape (d,)
    unit : float
        What the largest amount of a row is worth.
    """

    X: Any
    amounts: Float64s
    weights: Float64s
    unit: float


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
        if sp.issparse(X):
            X = sp.csr_array(X)
            _check_amounts(X.data, "X")
            largest = float(X.data.max(initial=0))
            if not X.has_canonical_format:
                X = X.copy()
                X.sum_duplicates()
        else:
            check_matrix(X, "X")
            largest = 0.0
            for start, stop in _blocks(X):
                amounts = to_float64(X[start:stop])
                _check_amounts(amounts, f"rows {start}-{stop - 1} of X")
                largest = max(largest, float(amounts.max()))
        weights = self._weights(int(X.shape[1]))
        unit = float(CONCAVE[self.concave](np.array([largest]))[0]) * float(weights.max())
        return FeatureBasedState(X, np.zeros(weights.size), weights, unit)

    def gains(self, state: FeatureBasedState, candidates: Indices | None = None) -> Float64s:
        """Return the gains of the candidates."""
        ids = None if candidates is None else np.asarray(candidates, dtype=np.int64)
        if sp.issparse(state.X):
            rows = state.X if ids is None else state.X[ids]
            return self._sparse_gains(rows, state)
        n = int(state.X.shape[0]) if ids is None else ids.size
        phi = CONCAVE[self.concave]
        base = phi(state.amounts)
        gains = np.empty(n)
        step = max(1, _BLOCK_NUMBERS // state.amounts.size)
        for start in range(0, n, step):
            stop = min(start + step, n)
            rows = _rows(state.X, slice(start, stop) if ids is None else ids[start:stop])
            # numpy's sum along a row, unlike a matrix product, gives equal rows equal bits
            gains[start:stop] = np.sum((phi(rows + state.amounts) - base) * state.weights, axis=1)
        return gains

    def unit(self, state: FeatureBasedState) -> float:
        """Return what the largest amount of a row is worth."""
        return state.unit

    def add(self, state: FeatureBasedState, item: int) -> FeatureBasedState:
        """Return the state of S + item."""
        if sp.issparse(state.X):
            amounts = state.amounts.copy()
            start, stop = int(state.X.indptr[item]), int(state.X.indptr[item + 1])
            amounts[state.X.indices[start:stop]] += state.X.data[start:stop]
        else:
            amounts = state.amounts + _rows(state.X, np.array([item]))[0]
        return FeatureBasedState(state.X, amounts, state.weights, state.unit)

    def value(self, state: FeatureBasedState) -> float:
        """Return f(S)."""
        return float(np.sum(CONCAVE[self.concave](state.amounts) * state.weights))

    def evaluate(self, X: Floats | Any, subset: Indices) -> float:
        """Return f(subset) from the formula; O(k d)."""
        ids = np.asarray(subset, dtype=np.int64)
        chosen = sp.csr_array(X)[ids].toarray() if sp.issparse(X) else _rows(X, ids)
        amounts = np.asarray(chosen, dtype=np.float64).sum(axis=0)
        return float(CONCAVE[self.concave](amounts) @ self._weights(amounts.size))

    @classmethod
    def check_input(cls, *, embedded: bool) -> None:
        """Raise InputError for an embedder's vectors, which are no amounts."""
        if embedded:
            must = "be another one for an embedder's vectors, which have negative numbers"
            way = "Give amounts (counts, TF-IDF) by --vectors, or use another objective."
            raise invalid("objective", must, cls.name, way)

    def _sparse_gains(self, rows: Any, state: FeatureBasedState) -> Float64s:
        phi = CONCAVE[self.concave]
        before = state.amounts[rows.indices]
        each = (phi(before + rows.data) - phi(before)) * state.weights[rows.indices]
        cumulated = sp.csr_array((each, rows.indices, rows.indptr), shape=rows.shape)
        return np.asarray(cumulated @ np.ones(rows.shape[1]), dtype=np.float64)

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


def _check_amounts(amounts: Any, parameter: str) -> None:
    if not np.isfinite(amounts).all() or (amounts < 0).any():
        way = "These are amounts of features; for embeddings use another objective."
        raise invalid(parameter, "hold finite numbers >= 0", Verbatim("a negative number, NaN or infinity"), way)


def _blocks(X: Any) -> list[tuple[int, int]]:
    n, d = int(X.shape[0]), int(X.shape[1])
    step = max(1, _BLOCK_NUMBERS // d)
    return [(start, min(start + step, n)) for start in range(0, n, step)]


def _rows(X: Any, which: slice | Indices) -> Float64s:
    if is_tensor(X) and not isinstance(which, slice):
        return to_float64(X[which.tolist()])
    return to_float64(X[which])
