"""Graph cut: how much the chosen items resemble the others, less a penalty for resembling each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.exact_sum import exact_total
from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import UnitRows, row_dots, unit_rows
from ray_subsel.objectives.base import Objective


@dataclass(frozen=True, eq=False)
class GraphCutState:
    """The value of graph cut on a chosen set of ``size`` items.

    Attributes
    ----------
    rows : UnitRows
    total : float64 array of shape (d,)
        t, the sum of the unit vectors of the ground set.
    chosen : float64 array of shape (d,)
        s, the sum of the unit vectors of the chosen items, added in the order in which they were chosen.
    size : int
    """

    rows: UnitRows
    total: Float64s
    chosen: Float64s
    size: int


@final
@dataclass(frozen=True, eq=False)
class GraphCut(Objective[GraphCutState]):
    r"""Graph cut with cosine similarity, computed without any similarity matrix.

    .. math:: f(S) = \sum_{i \in V \setminus S} \sum_{j \in S} w_{ij} - \lambda \sum_{\{i, j\} \subseteq S} w_{ij}

    where w is the cosine of two rows. With t the sum of all unit rows and s that of the chosen ones,

        gain(x | S) = <x, t - (2 + lam) s> - 1
        f(S) = <t, s> - (1 + lam / 2) |s|^2 + lam k / 2
             = const(k) - (1 + lam / 2) |s - t / (2 + lam)|^2

    so to maximize f is to choose k items whose sum comes closest to t / (2 + lam). At k = n / (2 + lam) the subset's
    mean can equal the corpus mean (``lam="auto"`` of :func:`ray_subsel.select` is that lam); below, central items are
    preferred; above, gains are negative and outliers are preferred.

    Parameters
    ----------
    lam : float, default=10.0
        Penalty, >= 0, per unordered pair of chosen items (the paper's update rule). The same ranking comes from
        submodlib with ``lambdaVal = 1 + lam / 2`` and from apricot with ``alpha = 1 / (1 + lam / 2)``.
    total : float64 array of shape (d,) or None
        t. None: the sum of the rows that :meth:`init` is given. A part of a larger ground set is given the t of the
        scale at which it chooses: all of it to choose a global subset, t / m to choose its share of one.

    Notes
    -----
    Submodular where no two rows have a negative cosine, which text embeddings do not promise; hence ``submodular`` is
    False. Not monotone. O(n d) a call of ``gains``, O(n + d) memory beyond X. A gain is the same float64 whatever other
    candidates it is asked with.

    The identity: with w_ij = <x_i, x_j> the sum over V \ S is <t, s> - |s|^2, and the pairs of S are (|s|^2 - k) / 2.
    """

    name: ClassVar[str] = "graph_cut"
    submodular: ClassVar[bool] = False
    monotone: ClassVar[bool] = False

    lam: float = 10.0
    total: Float64s | None = None

    def __post_init__(self) -> None:
        check_lam(self.lam)

    def init(self, X: Floats | UnitRows) -> GraphCutState:
        """Return the state of the empty set. One pass over X, two where ``total`` is None."""
        rows = X if isinstance(X, UnitRows) else unit_rows(X)
        total = exact_total(rows).vector() if self.total is None else self.given_total(rows.d)
        return GraphCutState(rows, total, np.zeros(rows.d), 0)

    def gains(self, state: GraphCutState, candidates: Indices | None = None) -> Float64s:
        """Return <x, t - (2 + lam) s> - 1 for each candidate."""
        direction = self.direction(state.total, state.chosen)
        rows = state.rows
        if candidates is not None:
            gains = np.empty(candidates.size)
            for start, stop in ranges(candidates.size, rows.rows_per_block()):
                gains[start:stop] = row_dots(rows.take(candidates[start:stop]), direction)
            return gains - 1.0
        gains = np.empty(rows.n)
        for start, stop in rows.blocks():
            gains[start:stop] = row_dots(rows.slice(start, stop), direction)
        return gains - 1.0

    def add(self, state: GraphCutState, item: int) -> GraphCutState:
        """Return the state with one more unit vector in s."""
        x = state.rows.take(np.array([item]))[0]
        return GraphCutState(state.rows, state.total, state.chosen + x, state.size + 1)

    def value(self, state: GraphCutState) -> float:
        """Return f(S) from t, s and the size."""
        return closed_value(state.total, state.chosen, state.size, self.lam)

    def evaluate(self, X: Floats, subset: Indices) -> float:
        """Return f(subset) from the double sums; O(n k d), so for small k only. Needs ``total`` to be None."""
        rows = unit_rows(X)
        chosen = rows.take(np.asarray(subset, dtype=np.int64))
        total = exact_total(rows).vector() if self.total is None else self.given_total(rows.d)
        within = chosen @ chosen.T
        pairs = float(np.sum(np.triu(within, 1)))
        to_all = math.fsum((chosen @ total).tolist())
        return to_all - float(np.sum(within)) - self.lam * pairs

    def direction(self, total: Float64s, chosen: Float64s) -> Float64s:
        """Return t - (2 + lam) s, of which gains are the products with unit rows, less one."""
        return np.asarray(total - (2.0 + self.lam) * chosen, dtype=np.float64)

    def given_total(self, d: int) -> Float64s:
        """Return ``total``, checked, for vectors of dimension d."""
        total = np.ascontiguousarray(self.total, dtype=np.float64)
        if total.shape != (d,):
            raise invalid(
                "total", f"have shape ({d},)", Verbatim(f"shape {total.shape}"), "It is the sum of unit rows."
            )
        if not np.isfinite(total).all():
            raise invalid("total", "be finite", Verbatim("NaN or infinity"))
        return total


def check_lam(lam: Any) -> None:
    """Raise InputError unless lam is a finite number >= 0."""
    number = isinstance(lam, int | float | np.integer | np.floating) and not isinstance(lam, bool)
    if not number or not math.isfinite(lam) or lam < 0:
        raise invalid("lam", "be a finite number >= 0, or 'auto'", lam, "The paper's value is 10.")


def closed_value(total: Float64s, chosen: Float64s, size: int, lam: float) -> float:
    """Return <t, s> - (1 + lam / 2) |s|^2 + lam k / 2, which is f(S)."""
    return float(total @ chosen) - (1.0 + lam / 2.0) * float(chosen @ chosen) + lam * size / 2.0


def random_value(total: Float64s, n: int, k: int, lam: float) -> float:
    r"""Return the expected value of graph cut on k of n items drawn uniformly without replacement.

    .. math:: E\langle t, s\rangle = \frac{k}{n} |t|^2, \qquad E|s|^2 = k + \frac{k (k-1)}{n (n-1)} (|t|^2 - n)

    Parameters
    ----------
    total : float64 array of shape (d,)
        The sum of the n unit vectors.
    n, k : int
        Sizes of ground set and subset, 0 <= k <= n.
    lam : float
    """
    if not 0 <= k <= n or n < 1:
        raise invalid("k", f"lie in [0, {n}]", k)
    square = float(total @ total)
    pairs = k * (k - 1) / (n * (n - 1)) * (square - n) if n > 1 else 0.0
    return k / n * square - (1.0 + lam / 2.0) * (k + pairs) + lam * k / 2.0
