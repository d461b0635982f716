"""Follow graph cut over a stream: t is a running sum, and one product with t - (2 + lam) s dismisses a newcomer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import row_dots
from ray_subsel.objectives.graph_cut import GraphCut, closed_value
from ray_subsel.streaming.functions import State, StreamFunction


@final
class GraphCutStream(StreamFunction):
    r"""Graph cut of the kept items against all that was seen.

    With g(x) = <x, t - (2 + lam) s>, the rise where x replaces j is

    .. math:: f(S - j + x) - f(S) = g(x) - g(j) - (1 + \lambda / 2) |x - x_j|^2

    so no x with g(x) <= min_j g(j) can raise f: O(d) a newcomer, O(m d) for one that might. t and s are exact
    (:mod:`ray_subsel.streaming.grid_rows`; up to 2^29 rows), so f of the kept items is that of the whole stream.

    Parameters
    ----------
    given : GraphCut
        Its ``total`` must be None: it is what the stream adds up.
    d : int
    """

    monotone: ClassVar[bool] = False

    def __init__(self, given: GraphCut, d: int) -> None:
        self.lam = given.lam
        self.total, self.noted, self.chosen = np.zeros(d), np.zeros(d), np.zeros(d)
        self._levels, self._squares = np.zeros(0), np.zeros(0)

    def see(self, X: Float64s, numbers: Indices) -> None:
        """Add newcomers to t, which decisions see at the next step."""
        del numbers
        self.noted += X.sum(axis=0)

    def step(self, kept: Float64s) -> None:
        """Let decisions see t as it is."""
        self.total = self.noted.copy()
        self._levels = row_dots(kept, self._direction()) if len(kept) else np.zeros(0)

    def look(self, X: Float64s) -> Float64s:
        """Return the newcomers."""
        return X

    def bounds(self, look: Float64s, part: slice, kept: Float64s, threshold: float) -> Float64s:
        """Return g(x) - min_j g(j), and where that passes the threshold the largest rise."""
        X = look[part]
        g = row_dots(X, self._direction())
        bounds = g - self._levels.min()
        able = np.flatnonzero(bounds > threshold)
        if able.size:
            bounds[able] = (g[able, None] - self._costs(X[able], kept)).max(axis=1)
        return np.asarray(bounds)

    def rises(self, look: Float64s, at: int, kept: Float64s) -> Float64s:
        """Return the rise for each kept item."""
        X = look[at : at + 1]
        return np.asarray(row_dots(X, self._direction())[0] - self._costs(X, kept)[0])

    def gains(self, look: Float64s, part: slice, kept: Float64s, threshold: float) -> Float64s:
        """Return g(x) - 1."""
        return row_dots(look[part], self._direction()) - 1.0

    def added(self, look: Float64s, at: int, kept: Float64s) -> None:
        """Add a newcomer to s."""
        self._levels = np.append(self._levels - (2.0 + self.lam) * (kept[:-1] @ look[at]), 0.0)
        self._squares = np.append(self._squares, 0.0)
        self.chosen = self.chosen + look[at]
        self._place(look[at], len(kept) - 1)

    def replaced(self, look: Float64s, at: int, place: int, out: Float64s, kept: Float64s) -> None:
        """Exchange two items in s."""
        self._levels -= (2.0 + self.lam) * (kept @ (look[at] - out))
        self.chosen = self.chosen + look[at] - out
        self._place(look[at], place)

    def value(self, m: int) -> float:
        """Return f(S) against t of the last step."""
        return closed_value(self.total, self.chosen, m, self.lam)

    def worth(self, m: int) -> float:
        """Return <t, s> / m, the similarity of a kept item to all that was seen; f itself may be negative."""
        return max(float(row_dots(self.total[None], self.chosen)[0]), 0.0) / m if m else 0.0

    def most(self, k: int) -> None:
        """Return None: gains have no common bound."""

    def objective(self, seen: int) -> tuple[GraphCut, float]:
        """Return graph cut against t of everything seen."""
        del seen
        return GraphCut(self.lam, self.noted.copy()), 1.0

    def save(self) -> State:
        """Return t, s and what follows from them for the kept items."""
        return {
            "total": self.total,
            "noted": self.noted,
            "chosen": self.chosen,
            "levels": self._levels,
            "squares": self._squares,
        }

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what was saved."""
        self.total, self.noted, self.chosen = (state[name].copy() for name in ("total", "noted", "chosen"))
        self._levels, self._squares = state["levels"].copy(), state["squares"].copy()

    def _direction(self) -> Float64s:
        """Return t - (2 + lam) s."""
        return np.asarray(self.total - (2.0 + self.lam) * self.chosen)

    def _place(self, x: Float64s, place: int) -> None:
        """Keep g and |x|^2 of an item that came; g of the others was moved by its product with them, which is exact."""
        self._levels[place] = row_dots(x[None], self._direction())[0]
        self._squares[place] = row_dots(x[None], x)[0]

    def _costs(self, X: Float64s, kept: Float64s) -> Float64s:
        """Return g(j) + (1 + lam / 2) |x - x_j|^2, shape (b, m)."""
        distances = row_dots(X, X)[:, None] + self._squares - 2.0 * (X @ kept.T)
        return np.asarray(self._levels + (1.0 + self.lam / 2.0) * distances)
