"""Follow the log-determinant over a stream by one d x d matrix: (r I + sum x x')^-1 over the kept items."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import row_dots
from ray_subsel.objectives.log_determinant import LogDeterminant
from ray_subsel.streaming.functions import State, StreamFunction

CHANGES = 1024
"""Changes of the kept set after which the matrix is computed anew, so that rounding errors do not add up."""


@final
class LogDeterminantStream(StreamFunction):
    r"""Log-determinant of the kept items; it needs to know nothing of the others.

    With A = (r I + sum_{j in S} x_j x_j')^{-1} and leverages q_x = x' A x, q_j, q_{xj} = x' A x_j,

    .. math:: f(S + x) - f(S) = \log(1 + q_x), \qquad
        f(S - j + x) - f(S) = \log\big((1 + q_x)(1 - q_j) + q_{xj}^2\big) \le \log(1 + q_x - q_j)

    so only an x whose q_x exceeds the least q_j can raise f: O(d^2) a newcomer, O(d^2 + m d) for one that might. The
    identity is the determinant lemma for an update of rank 2, the bound is q_xj^2 <= q_x q_j.

    Parameters
    ----------
    given : LogDeterminant
        Cosine kernel, ridge at least 1e-4.
    d : int
    """

    monotone: ClassVar[bool] = True

    def __init__(self, given: LogDeterminant, d: int) -> None:
        self.ridge = float(given.ridge)
        self.inverse = np.eye(d) / self.ridge
        self._error = 8.0 * d * 2.0**-53 / self.ridge  # more than what a matrix product can lose of a leverage
        self.own = np.zeros(0)
        self.f = 0.0
        self.changes = 0

    def see(self, X: Float64s, numbers: Indices) -> None:
        """Forget the newcomers."""

    def step(self, kept: Float64s) -> None:
        """Do nothing: there is no summary."""

    def look(self, X: Float64s) -> Float64s:
        """Return the newcomers."""
        return X

    def bounds(self, look: Float64s, part: slice, kept: Float64s, threshold: float) -> Float64s:
        """Return log(1 + q_x - min_j q_j), and where that passes the threshold the largest rise, both rounded up."""
        X = look[part]
        U = X @ self.inverse
        leverages = np.einsum("ij,ij->i", U, X) + self._error
        bounds = np.asarray(np.log1p(np.maximum(leverages - self.own.min(), -0.5)))
        able = np.flatnonzero(bounds > threshold)
        if able.size:
            mixed = np.abs(U[able] @ kept.T) + self._error
            ratios = (1.0 + leverages[able, None]) * (1.0 - self.own) + mixed * mixed
            bounds[able] = np.log(np.maximum(ratios.max(axis=1) * (1.0 + 1e-12), 2.0**-1000))
        return bounds

    def rises(self, look: Float64s, at: int, kept: Float64s) -> Float64s:
        """Return the rise for each kept item."""
        x = look[at]
        u = row_dots(self.inverse, x)
        mixed = row_dots(kept, u)
        ratio = (1.0 + row_dots(x[None], u)[0]) * (1.0 - self.own) + mixed * mixed
        return np.asarray(np.log(np.maximum(ratio, 2.0**-1000)))

    def gains(self, look: Float64s, part: slice, kept: Float64s, threshold: float) -> Float64s:
        """Return log(1 + q_x), or for what is certainly below the threshold a bound of it."""
        X = look[part]
        gains = np.asarray(np.log1p(np.einsum("ij,ij->i", X @ self.inverse, X) + self._error))
        for at in np.flatnonzero(gains >= threshold).tolist():
            gains[at] = math.log1p(float(row_dots(X[at][None], row_dots(self.inverse, X[at]))[0]))
        return gains

    def added(self, look: Float64s, at: int, kept: Float64s) -> None:
        """Let A know of a newcomer."""
        self.own = np.append(self.own, 0.0)
        self._add(look[at], kept[:-1])
        self.own[-1] = float(row_dots(look[at][None], row_dots(self.inverse, look[at]))[0])
        self._changed(kept)

    def replaced(self, look: Float64s, at: int, place: int, out: Float64s, kept: Float64s) -> None:
        """Let A know of an exchange."""
        x = look[at]
        self._add(x, kept)
        v = row_dots(self.inverse, out)
        rest = 1.0 - float(row_dots(out[None], v)[0])
        self.inverse += v[:, None] * (v / rest)
        products = row_dots(kept, v)
        self.own += products * products / rest
        self.own[place] = float(row_dots(x[None], row_dots(self.inverse, x))[0])
        self.f += math.log(rest)
        self._changed(kept)

    def value(self, m: int) -> float:
        """Return f(S)."""
        return self.f

    def most(self, k: int) -> float:
        """Return k log(1 + 1 / r): what k orthogonal items are worth."""
        return k * math.log1p(1.0 / self.ridge)

    def objective(self, seen: int) -> tuple[LogDeterminant, float]:
        """Return the log-determinant."""
        del seen
        return LogDeterminant(ridge=self.ridge), 1.0

    def save(self) -> State:
        """Return A, the leverages and f."""
        return {"inverse": self.inverse, "own": self.own, "f": np.array([self.f]), "changes": np.array([self.changes])}

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what was saved."""
        self.inverse, self.own = state["inverse"].copy(), state["own"].copy()
        self.f, self.changes = float(state["f"][0]), int(state["changes"][0])

    def _add(self, x: Float64s, kept: Float64s) -> None:
        """Update A, f and the leverages of the kept items by x x'."""
        u = row_dots(self.inverse, x)
        more = 1.0 + float(row_dots(x[None], u)[0])
        products = row_dots(kept, u) if len(kept) else np.zeros(0)
        self.own[: len(kept)] -= products * products / more
        self.inverse -= u[:, None] * (u / more)
        self.f += math.log(more)

    def _changed(self, kept: Float64s) -> None:
        """Compute everything anew from time to time, item by item: the same bits wherever it is done."""
        self.changes += 1
        if self.changes < CHANGES:
            return
        self.inverse = np.eye(kept.shape[1]) / self.ridge
        self.f, self.changes = 0.0, 0
        for x in kept:
            self._add(x, kept[:0])
        self.own = np.array([float(row_dots(x[None], row_dots(self.inverse, x))[0]) for x in kept])
