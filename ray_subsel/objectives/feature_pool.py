"""Bound the gains of feature-based functions by a linear function of each row, and hold rows for that.

phi being concave, its tangent lies above it: one product of rows with one vector bounds the gains of all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np

from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.objectives.base import CandidatePool

_UNDERFLOW = 2.0**-140  # more than a product of float32 loses where it vanishes


class Concave(NamedTuple):
    """A concave, increasing function phi with phi(0) = 0, and its slope at amounts above 0."""

    value: Callable[[Float64s], Float64s]
    slope: Callable[[Float64s], Float64s]


CONCAVE: dict[str, Concave] = {
    "sqrt": Concave(np.sqrt, lambda amount: 0.5 / np.sqrt(amount)),
    "log": Concave(np.log1p, lambda amount: 1.0 / (1.0 + amount)),
    "saturating": Concave(lambda amount: amount / (1.0 + amount), lambda amount: (1.0 + amount) ** -2),
}


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
    usual : float64 array of shape (d,)
        What a row has of each feature on average; 0 where none has any, and for sparse rows.
    phi : Concave
    values : float64 array of shape (d,)
        phi of the amounts.
    """

    X: Any
    amounts: Float64s
    weights: Float64s
    unit: float
    usual: Float64s
    phi: Concave
    values: Float64s


@dataclass(frozen=True, eq=False)
class Tangent:
    r"""A linear function of a row x that no gain exceeds, since phi is concave.

    .. math:: \phi(a + x) - \phi(a) \le \phi(a + m) - \phi(a) + (x - m) \, \phi'(a + m)

    for any m >= 0, here the amounts of a usual row, for which both are equal.

    Attributes
    ----------
    slope : float64 array of shape (d,)
    at_zero : float
        Its value for a row of zeros; rounding is allowed for.
    """

    slope: Float64s
    at_zero: float

    @staticmethod
    def of(state: FeatureBasedState, usual: Float64s) -> Tangent:
        """Return the tangent at a set and one row more; features of which ``usual`` is 0 must be 0 in all rows."""
        after = state.amounts + usual
        if usual.all():
            slope = state.phi.slope(after)
        else:
            with np.errstate(divide="ignore"):
                slope = np.where(usual > 0, state.phi.slope(after), 0.0)
        slope *= state.weights
        value = state.phi.value(after)
        worth = float(value @ state.weights)
        rise = float((value - state.values) @ state.weights) - float(usual @ slope)
        return Tangent(slope, rise + 2.0**-50 * (slope.size + 8) * worth)

    def at(self, rows: Floats) -> Float64s:
        """Return bounds of the gains of rows of amounts, float32 or float64, by one product in their precision."""
        largest = float(self.slope.max())
        if largest == 0.0:
            return np.full(len(rows), self.at_zero)
        error = (self.slope.size + 8) * (2.0**-22 if rows.dtype == np.float32 else 2.0**-51)
        found = (rows @ (self.slope / largest).astype(rows.dtype)).astype(np.float64)
        found *= largest * (1.0 + error)
        found += self.at_zero + self.slope.size * _UNDERFLOW * largest
        return np.asarray(found)


@final
@dataclass(frozen=True, eq=False)
class DensePool(CandidatePool):
    """Some rows of amounts, bounded by the tangent at their own mean.

    Attributes
    ----------
    rows : float32 or float64 array of shape (b, d)
    """

    rows: Floats

    @cached_property
    def _usual(self) -> Float64s:
        with np.errstate(over="ignore"):
            mean = self.rows.mean(axis=0, dtype=np.float64)
        return positive_means(mean, self.rows.max(axis=0).astype(np.float64))

    def bounds(self, state: FeatureBasedState) -> Float64s:
        """Return bounds of the gains, in one product of the rows with one vector."""
        return Tangent.of(state, self._usual).at(self.rows)

    def gains(self, state: FeatureBasedState, which: Indices) -> Float64s:
        """Return the gains of some of the rows."""
        return gains_of(self.rows[which].astype(np.float64), state)


@final
@dataclass(frozen=True, eq=False)
class SparsePool(CandidatePool):
    """Some sparse rows of amounts, whose gains are as fast as bounds of them.

    Attributes
    ----------
    rows : scipy CSR array of shape (b, d)
    """

    rows: Any
    exact: bool = True

    @cached_property
    def _row_of(self) -> Indices:
        return np.repeat(np.arange(self.rows.shape[0]), np.diff(self.rows.indptr))

    def bounds(self, state: FeatureBasedState) -> Float64s:
        """Return the gains: each the sum over its non-zeros, one after the other."""
        features, amounts = self.rows.indices, self.rows.data
        before = state.amounts[features]
        each = (state.phi.value(before + amounts) - state.values[features]) * state.weights[features]
        sums = np.bincount(self._row_of, weights=each, minlength=self.rows.shape[0])
        return np.asarray(sums, dtype=np.float64)

    def gains(self, state: FeatureBasedState, which: Indices) -> Float64s:
        """Return the gains of some of the rows."""
        return self.bounds(state)[which]

    def some(self, which: Indices) -> CandidatePool:
        """Return some of the rows."""
        return SparsePool(self.rows[which])


def gains_of(rows: Float64s, state: FeatureBasedState) -> Float64s:
    """Return the gains of rows; numpy's sum along a row, unlike a matrix product, gives equal rows equal bits."""
    each = state.phi.value(rows + state.amounts)
    each -= state.values
    each *= state.weights
    return np.asarray(np.sum(each, axis=1))


def positive_means(mean: Float64s, most: Float64s) -> Float64s:
    """Return the means of columns, or their largest numbers where a mean vanished or overflowed."""
    return np.where((mean > 0) & (mean < np.inf), mean, most)
