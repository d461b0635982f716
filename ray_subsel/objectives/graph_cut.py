"""Score candidates of graph cut: gain(x | S) = <x, t - (2 + lam) s> - 1.

The chosen items shall resemble the others, less a penalty for resembling each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.exact_sum import exact_total, summed_unit_rows
from ray_subsel.core.numeric import finite_number
from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import UnitRows, row_dots, unit_rows
from ray_subsel.objectives.base import GroundSummary, Objective, ProblemSize
from ray_subsel.objectives.scaled import ScaledObjective, Vectors
from ray_subsel.objectives.target import Target


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
    label: ClassVar[str] = "graph cut"
    options: ClassVar[tuple[str, ...]] = ("lam",)
    exact_over_partitions: ClassVar[bool] = True
    takes_target: ClassVar[bool] = True
    has_certificate: ClassVar[bool] = True

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

    @classmethod
    def of_options(cls, options: Mapping[str, Any], *, n: int, k: int) -> GraphCut:
        """Return graph cut with the penalty asked for."""
        return cls(resolve_lam(options["lam"], n, k))

    def weighted(self, X: Any, weights: Indices) -> GraphCut | None:
        """Return graph cut against a t in which each row counts as many items; a t that was given stays."""
        if self.total is not None:
            return self
        return replace(self, total=summed_unit_rows(X, weights)[1].vector())

    def with_target(self, X: Any, target: Target) -> GraphCut:
        """Return graph cut against a t into which the target is mixed."""
        total = self.total
        if total is None:
            total = summed_unit_rows(X)[1].vector()
        return replace(self, total=target.total(total))

    def scaled(self, ground: GroundSummary) -> ScaledObjective:
        """Return graph cut against shares of t."""
        total = ground.total if ground.target is None else ground.target.total(ground.total)
        return ScaledGraphCut(self.lam, total, ground.total)

    def rounds(self, size: ProblemSize) -> float:
        """Return about how many rounds of drafting and verifying the exact greedy takes.

        A round accepts some 500 picks up to k = n / (2 + lam) and some 40 beyond (measured).
        """
        easy = min(size.picks, size.items / (2.0 + self.lam))
        return 4.0 + easy / 500.0 + (size.picks - easy) / 40.0

    def multiplications(self, size: ProblemSize) -> float:
        """Return about how many the greedy takes."""
        if size.constrained:
            return super().multiplications(size)
        return self.rounds(size) * size.items * size.d

    def seconds(self, size: ProblemSize) -> float:
        """Return about how long the greedy takes: 72 operations a number and round, at 10 GFlop/s."""
        if size.constrained:
            return super().seconds(size)
        return self.rounds(size) * size.items * size.d * 72 / 1e10

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


@final
@dataclass(frozen=True, eq=False)
class ScaledGraphCut(ScaledObjective):
    """Graph cut, whose scale is that of t.

    With s_I the sum of the given items, a share sees the gains <x, share (t - (2 + lam) s_I) - (2 + lam) s> - 1.

    Attributes
    ----------
    lam : float
    total : float64 array of shape (d,)
        t, the sum of the unit vectors of the whole ground set, with the target mixed in where there is one.
    items : float64 array of shape (d,) or None
        Their sum without it; None: ``total``.
    """

    lam: float
    total: Float64s
    items: Float64s | None = None

    @property
    def conditions_on_given(self) -> bool:
        """True: given items are a shift of t."""
        return True

    def full(self) -> GraphCut:
        """Return graph cut against all of t."""
        return GraphCut(self.lam, self.total)

    def scaled(self, share: float, given: Vectors) -> GraphCut:
        """Return graph cut against a share of t, less what is given."""
        taken = given.astype(np.float64).sum(axis=0) if len(given) else 0.0
        return GraphCut(self.lam, (self.total - (2.0 + self.lam) * taken) * share)

    def random_value(self, n: int, k: int) -> float:
        """Return the expected value of k of the n items."""
        return random_value(self.total, n, k, self.lam, items=self.items)

    def utility_share(self, share: float) -> float:
        """Return the share: gains are in proportion to t."""
        return share

    def about(self) -> dict[str, Any]:
        """Return lambda."""
        return {"lam": self.lam}

    def warnings(self, gains: Float64s, n: int) -> list[str]:
        """Return what to know of picks that lowered f."""
        negative = int((gains < 0).sum())
        if not negative:
            return []
        return [
            f"{negative:,} of {gains.size:,} picks lowered f: beyond k = n / (2 + lambda) = "
            f"{n / (2 + self.lam):,.0f} graph cut seeks what the mean of the subset still lacks. "
            "That is the paper's greedy; lam='auto' or a smaller k keeps gains positive."
        ]

    @property
    def why_below_random(self) -> str:
        """How an answer can be worth less than a random subset."""
        return "greedy can end there for k beyond n / (2 + lambda)"


def resolve_lam(lam: float | str, n: int, k: int) -> float:
    """Return the penalty: the number given, or for ``"auto"`` max(0, n / k - 2).

    With that lambda the mean of the subset can equal the mean of the ground set.
    """
    if isinstance(lam, str) and lam == "auto":
        return max(0.0, n / k - 2.0)
    return check_lam(lam)


def check_lam(lam: Any) -> float:
    """Return lam as a float; raises InputError unless it is a finite number >= 0."""
    must = "be a finite number >= 0, or 'auto'"
    return float(finite_number(lam, "lam", must, "The paper's value is 10.", least=0.0))


def closed_value(total: Float64s, chosen: Float64s, size: int, lam: float) -> float:
    """Return <t, s> - (1 + lam / 2) |s|^2 + lam k / 2, which is f(S)."""
    return float(total @ chosen) - (1.0 + lam / 2.0) * float(chosen @ chosen) + lam * size / 2.0


def random_value(total: Float64s, n: int, k: int, lam: float, items: Float64s | None = None) -> float:
    r"""Return the expected value of graph cut on k of n items drawn uniformly without replacement.

    .. math:: E\langle t, s\rangle = \frac{k}{n} \langle t, v\rangle,
        \qquad E|s|^2 = k + \frac{k (k-1)}{n (n-1)} (|v|^2 - n)

    with v the sum of the n unit vectors.

    Parameters
    ----------
    total : float64 array of shape (d,)
        t.
    n, k : int
        Sizes of ground set and subset, 0 <= k <= n.
    lam : float
    items : float64 array of shape (d,), optional
        v; by default it is t.
    """
    if not 0 <= k <= n or n < 1:
        raise invalid("k", f"lie in [0, {n}]", k)
    items = total if items is None else items
    square = float(items @ items)
    pairs = k * (k - 1) / (n * (n - 1)) * (square - n) if n > 1 else 0.0
    return k / n * float(total @ items) - (1.0 + lam / 2.0) * (k + pairs) + lam * k / 2.0
