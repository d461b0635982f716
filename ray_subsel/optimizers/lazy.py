"""Maximize by lazy greedy (CELF): gains only shrink, so an old gain bounds the new one and most are not computed."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, final

import numpy as np

from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.dense import DenseRanking
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.guarantees import if_constrained, unless_submodular
from ray_subsel.optimizers.pass_ranking import PassRanking
from ray_subsel.optimizers.pooled import PooledRanking
from ray_subsel.optimizers.ties import best_by_gain, tie_width


@dataclass(frozen=True)
class BatchSizes:
    """How many items are looked at together; picks do not depend on it.

    Attributes
    ----------
    pool : int
        Items of the highest bounds, among which a pick is looked for first.
    first, largest : int
        Bounds that are computed at once, doubled from the first to the largest.
    """

    pool: int = 1024
    first: int = 128
    largest: int = 4096


@final
@dataclass(frozen=True)
class LazyGreedy(Optimizer):
    """Greedy that re-evaluates an item only where its last known gain could still win.

    The picks are those of naive greedy wherever gains never grow (a submodular objective), ties included: an item that
    merely ties with the best is looked at before the lowest index is taken, and a chosen item never comes back.
    At least 1 - 1/e of the optimum for monotone objectives (Nemhauser, Wolsey, Fisher 1978); 1/2 under quotas
    (Fisher, Nemhauser, Wolsey 1978). Wins wherever few items compete for a pick, which is nearly always.

    For an objective that is not submodular its picks may differ from naive greedy's.

    Source: Minoux 1978; Leskovec et al. 2007 (CELF).
    """

    name: ClassVar[str] = "lazy"

    sizes: BatchSizes = BatchSizes()

    def caveats(self, problem: Problem) -> tuple[str, ...]:
        """Return what is not guaranteed."""
        found = unless_submodular(problem, self.name, "picks may differ from those of 'naive'")
        return found if problem.constraints.budget is None else found + if_constrained(problem, self.name)

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        return greedy(problem, lazy=True, sizes=self.sizes)


def greedy(
    problem: Problem,
    *,
    lazy: bool,
    per_cost: bool = False,
    limit_gain: float | None = None,
    sizes: BatchSizes = BatchSizes(),
) -> Picks:
    """Pick the open item of largest gain until nothing may be chosen any more.

    Parameters
    ----------
    problem : Problem
    lazy : bool
        Trust old gains as bounds. False: look at all open items before each pick, of graph cut by one product.
    per_cost : bool
        Rank by gain per cost instead of gain.
    limit_gain : float or None
        Stop before a pick of gain at or below it; the problem's own ``stop_when_gain`` holds besides.
    sizes : BatchSizes
        For lazy evaluation.
    """
    problem, shift = problem.centred()
    feasible = FeasibleSet.of(problem)
    costs = problem.constraints.costs
    scale = costs.min() / costs if per_cost and costs is not None else None  # in no unit
    ranking = rank_items(problem, feasible, scale, lazy, sizes)
    picked = Picked(problem, feasible)
    with block_workers() if ranking.one_thread else nullcontext():
        for item in problem.include.tolist():
            picked.take(item, ranking.gain(item), forced=True)
            ranking.take(item)
        while not feasible.exhausted:
            item, gain = ranking.best()
            if problem.stop_when_gain is not None and gain <= problem.stop_when_gain:
                break
            if limit_gain is not None and gain <= limit_gain:
                if not feasible.only_lacking():
                    break
                item, gain = ranking.best()  # a floor is met, whatever its items gain
            picked.take(item, gain)
            ranking.take(item)
    return picked.picks({"evaluations": float(ranking.evaluations)}).raised(shift)


class Ranking(Protocol):
    """The items that may be chosen, by marginal gain or by gain times a scale.

    Attributes
    ----------
    one_thread : bool
        Whether what it multiplies for a pick is so little that several threads of the BLAS would wait for each other.
    """

    one_thread: ClassVar[bool]
    evaluations: int

    def gain(self, item: int) -> float:
        """Return the marginal gain of an item."""

    def take(self, item: int) -> None:
        """Choose an item."""

    def best(self) -> tuple[int, float]:
        """Return the open item of largest key, the lowest of several, and its gain."""


def rank_items(
    problem: Problem, feasible: FeasibleSet, scale: Float64s | None, lazy: bool, sizes: BatchSizes = BatchSizes()
) -> Ranking:
    """Return the items ranked in the fastest way; ``scale`` is what gains are multiplied with."""
    if not lazy:
        passes = PassRanking.start(problem, feasible, scale)
        return passes or _Eager(problem, feasible, scale, problem.objective.init(problem.X))
    return (
        DenseRanking.start(problem, feasible, scale)
        or PooledRanking.start(problem, feasible, scale)
        or _Lazy.start(problem, feasible, scale, sizes)
    )


@dataclass(eq=False)
class Picked:
    """Picks as they accumulate."""

    problem: Problem
    feasible: FeasibleSet
    indices: list[int] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)

    def take(self, item: int, gain: float, *, forced: bool = False) -> None:
        """Choose an item whose gain is known."""
        self.feasible.take(item, forced=forced)
        self.indices.append(item)
        self.gains.append(gain)
        if self.problem.progress is not None:
            self.problem.progress(len(self.indices), self.problem.k)

    def picks(self, stats: dict[str, float]) -> Picks:
        """Return what was chosen."""
        return Picks(np.array(self.indices, dtype=np.int64), np.array(self.gains, dtype=np.float64), stats)


@dataclass(eq=False)
class Run(Picked):
    """Picks as they accumulate from the included items on, and the objective's state."""

    state: Any = None

    @staticmethod
    def start(problem: Problem, feasible: FeasibleSet) -> Run:
        """Initialise the objective and take the items that must be in the set."""
        run = Run(problem, feasible, state=problem.objective.init(problem.X))
        for item in problem.include.tolist():
            run.take(item, problem.gain(run.state, item), forced=True)
        return run

    def take(self, item: int, gain: float, *, forced: bool = False) -> None:
        """Choose an item whose gain is known."""
        super().take(item, gain, forced=forced)
        self.state = self.problem.objective.add(self.state, item)


@dataclass(eq=False)
class _Eager:
    one_thread: ClassVar[bool] = False
    problem: Problem
    feasible: FeasibleSet
    scale: Float64s | None
    state: Any
    evaluations: int = 0

    def gain(self, item: int) -> float:
        """Return the marginal gain of an item."""
        return self.problem.gain(self.state, item)

    def take(self, item: int) -> None:
        """Choose an item."""
        self.state = self.problem.objective.add(self.state, item)

    def best(self) -> tuple[int, float]:
        """Return the open item of largest key and its gain."""
        ids = np.flatnonzero(self.feasible.open)
        self.evaluations += ids.size
        return best_by_gain(self.problem, self.state, ids, self.scale)


@dataclass(eq=False)
class _Lazy:
    """Bounds of all items, and a pool of those at the top so that a pick need not look through all n.

    Attributes
    ----------
    bounds : float64 array of shape (n,)
        No item's key (gain, or gain per cost) exceeds its bound.
    bounded, exact : int64 arrays of shape (n,)
        The turn in which an item's bound, or gain, was computed last.
    pool, outside : int64 array, float
        Some items, ascending, and a number that no other open item's bound exceeds.
    """

    one_thread: ClassVar[bool] = False
    problem: Problem
    feasible: FeasibleSet
    scale: Float64s | None
    state: Any
    sizes: BatchSizes
    bounds: Float64s
    bounded: Indices
    exact: Indices
    gains: Float64s
    pool: Indices = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    outside: float = np.inf
    turn: int = 0
    evaluations: int = 0
    has_cheap_bounds: bool = False

    @staticmethod
    def start(problem: Problem, feasible: FeasibleSet, scale: Float64s | None, sizes: BatchSizes) -> _Lazy:
        state = problem.objective.init(problem.X)
        never = np.full(problem.n, -1, dtype=np.int64)
        cheap_bounds = problem.cheap_bounds(state)
        gains = problem.bounds(state) if cheap_bounds is None else cheap_bounds
        bounds = gains if scale is None else gains * scale
        bounded = np.zeros_like(never) if cheap_bounds is None else never
        exact = never if problem.objective.loose_bounds else bounded
        queue = _Lazy(problem, feasible, scale, state, sizes, bounds.copy(), bounded.copy(), exact.copy(), gains)
        queue.has_cheap_bounds = cheap_bounds is not None
        queue.evaluations = 0 if queue.has_cheap_bounds else problem.n
        return queue

    def gain(self, item: int) -> float:
        """Return the marginal gain of an item."""
        return self.problem.gain(self.state, item)

    def take(self, item: int) -> None:
        """Choose an item: every gain may be another now."""
        self.state = self.problem.objective.add(self.state, item)
        self.turn += 1

    def best(self) -> tuple[int, float]:
        """Return the open item of largest key and its gain."""
        batch, size, level = self.sizes.first, self.sizes.pool, -np.inf
        self.pool = self.pool[self.feasible.open[self.pool]]
        while True:
            pool = self.pool
            keys = self.bounds[pool]
            done = self.exact[pool] == self.turn
            level = self._tie_level(pool[done])
            waiting = np.flatnonzero(~done & (keys >= level))
            if waiting.size:
                self._evaluate(pool[waiting], keys[waiting], batch)
                batch = min(2 * batch, self.sizes.largest)
            elif self.outside >= level and self.outside > -np.inf:
                if size > self.sizes.pool:
                    self._lower_bounds(level)
                self._refill(size)
                size = 2 * size
            else:
                break
        winner = int(pool[np.argmax(done & (keys >= level))])
        return winner, float(self.gains[winner])

    def _tie_level(self, evaluated: Indices) -> float:
        """Return the lowest key that ties with the largest of those items whose gains are known."""
        if not evaluated.size:
            return -np.inf
        top = int(evaluated[np.argmax(self.bounds[evaluated])])
        return float(self.bounds[top]) - tie_width(self.problem, self.state, top, float(self.gains[top]), self.scale)

    def _evaluate(self, ids: Indices, keys: Float64s, batch: int) -> None:
        """Compute the gains of the top items if their bounds are of this turn, else the bounds of the next batch."""
        stale = self.bounded[ids] != self.turn
        highest = float(keys[stale].max(initial=-np.inf))
        ready = ids[~stale & (keys >= highest)]
        if ready.size:
            top = ready[np.argsort(-self.bounds[ready], kind="stable")[:4]]
            self._store(top, self.problem.gains(self.state, top), final=True)
            return
        old, stale_keys = ids[stale], keys[stale]
        if old.size > batch:
            old = old[np.argpartition(-stale_keys, batch - 1)[:batch]]
        old = np.sort(old)
        self._store(old, self.problem.bounds(self.state, old), final=not self.problem.objective.loose_bounds)

    def _store(self, ids: Indices, values: Float64s, *, final: bool) -> None:
        keys = values if self.scale is None else values * self.scale[ids]
        # a bound may round above the older one: both hold, so the lower does
        self.bounds[ids] = keys if final else np.minimum(keys, self.bounds[ids])
        self.bounded[ids] = self.turn
        self.evaluations += ids.size
        if final:
            self.exact[ids] = self.turn
            self.gains[ids] = values

    def _lower_bounds(self, level: float) -> None:
        """Lower all bounds at once where a turn would look at more items than the pool holds; never again if idle."""
        cheap_bounds = self.problem.cheap_bounds(self.state) if self.has_cheap_bounds else None
        if cheap_bounds is None:
            return
        before = np.count_nonzero(self.bounds >= level)
        np.minimum(self.bounds, cheap_bounds if self.scale is None else cheap_bounds * self.scale, out=self.bounds)
        self.has_cheap_bounds = bool(np.count_nonzero(self.bounds >= level) < 0.75 * before)

    def _refill(self, size: int) -> None:
        """Take the open items of largest bound into the pool."""
        open_ids = np.flatnonzero(self.feasible.open)
        if open_ids.size <= size:
            self.pool, self.outside = open_ids, -np.inf
            return
        order = np.argpartition(-self.bounds[open_ids], size)
        self.pool = np.sort(open_ids[order[:size]])
        self.outside = float(self.bounds[open_ids[order[size]]])


__all__ = ["LazyGreedy", "Picked", "Ranking", "Run", "greedy", "rank_items"]
