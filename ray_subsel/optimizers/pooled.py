"""Rank items whose gains have bounds that cost one product: those of a pool at every pick, those of all now and then.

Where all gains shrink together, as those of feature-based functions do, an old gain says little, and lazy greedy
evaluates most items again. A bound of the gains of now dismisses nearly all of them instead. Gains only shrink, so
items outside the pool stay below what bounded them when the pool was filled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.objectives.base import CandidatePool, Objective
from ray_subsel.optimizers.base import Problem, as_floats
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.ties import tie_width

_FIRST = 16  # items that are evaluated before others are compared with the best of them
_NEXT, _TOGETHER = 64, 4096  # that are evaluated after these, and more each time
_NEAR = 32  # items of a pool whose gains are computed at every pick, until others could win
_WAIT = 8  # picks before that is tried again where it has saved none
_LEAST, _MOST = 256, 4096  # items of a pool, of which more are taken only where they may all win
_NUMBERS = 1 << 21  # of their vectors


def pool_size(n: int, d: int) -> int:
    """Return how many of n items a pool holds: few enough for every pick, enough to last for some picks."""
    return max(16, min(max(_LEAST, n // 16), _MOST, _NUMBERS // d))


@final
@dataclass(eq=False)
class PooledRanking:
    """The items that may be chosen, by bounds of their gains.

    Attributes
    ----------
    problem : Problem
    feasible : FeasibleSet
    scale : float64 array of shape (n,) or None
        What gains are multiplied with before they are compared.
    state
        The objective's.
    size : int
        Of a pool, which changes the time it takes and nothing else.
    bounds : float64 array of shape (n,)
        No item's key exceeds its bound.
    """

    one_thread: ClassVar[bool] = True
    problem: Problem
    feasible: FeasibleSet
    scale: Float64s | None
    state: Any
    size: int
    bounds: Float64s
    evaluations: int = 0
    _ids: Indices = field(default_factory=lambda: NO_ITEMS)  # of the pool, ascending
    _pool: CandidatePool | None = None
    _keys: Float64s = field(default_factory=lambda: np.zeros(0))  # no larger than these, the pool's
    _gains: Float64s = field(default_factory=lambda: np.zeros(0))
    _outside: float = np.inf  # no key of an open item outside the pool is larger
    _near: CandidatePool | None = None  # the items of the pool's largest keys
    _near_ids: Indices = field(default_factory=lambda: NO_ITEMS)  # ascending
    _beyond: float = np.inf  # no key of another item of the pool is larger
    _picks_near: int = 0
    _wait: int = 0
    _wider: int = 1  # how many times larger the pool is than usual
    _turn: int = 0
    _filled: int = 0  # the turn at which the pool was filled
    _bounded: int = 0  # the turn of which all bounds are

    @staticmethod
    def start(
        problem: Problem, feasible: FeasibleSet, scale: Float64s | None, size: int | None = None
    ) -> PooledRanking | None:
        """Return the ranking before the first pick; None where the objective has no pools."""
        if type(problem.objective).pool is Objective.pool:
            return None
        state = problem.objective.init(problem.X)
        size = size or pool_size(problem.n, int(problem.X.shape[1]))
        ranking = PooledRanking(problem, feasible, scale, state, size, np.full(problem.n, np.inf))
        ranking._bound_all()
        return ranking

    def gain(self, item: int) -> float:
        """Return the marginal gain of an item."""
        return self.problem.gain(self.state, item)

    def take(self, item: int) -> None:
        """Choose an item: every gain may be another now."""
        self.state = self.problem.objective.add(self.state, item)
        self._turn += 1

    def best(self) -> tuple[int, float]:
        """Return the open item of largest key, the lowest of several, and its gain."""
        near = self._best_near()
        if near is not None:
            return near
        while True:
            keys, known = self._bound_pool()
            level = self._evaluate(keys, known)
            if self._outside < level or self._outside == -np.inf:
                place = int(np.argmax(known & (keys >= level)))
                self._keep_near(keys)
                return int(self._ids[place]), float(self._gains[place])
            self._refill()

    def _best_near(self) -> tuple[int, float] | None:
        """Return what :meth:`best` does if it is one of a few items of the pool; None if another could be it."""
        if self._near is None:
            return None
        ids = self._near_ids
        gains, keys = self._with_utility(ids, self._near.bounds(self.state))
        keys[~self.feasible.open[ids]] = -np.inf
        self.evaluations += ids.size
        top = int(keys.argmax())
        if keys[top] > max(self._beyond, self._outside):
            level = float(keys[top]) - tie_width(self.problem, self.state, int(ids[top]), float(gains[top]), self.scale)
            if level > max(self._beyond, self._outside):
                self._picks_near += 1
                place = int((keys >= level).argmax())
                return int(ids[place]), float(gains[place])
        self._near, self._wait = None, 0 if self._picks_near else _WAIT
        return None

    def _keep_near(self, keys: Float64s) -> None:
        """Hold the items of the pool's largest keys, where their gains cost less than bounds of the whole pool."""
        self._wait -= 1
        if self._wait >= 0 or self._pool is None or not self._pool.exact or keys.size <= 2 * _NEAR:
            return
        order = keys.argpartition(keys.size - _NEAR - 1)
        which = np.sort(order[-_NEAR:])
        self._beyond, self._picks_near = float(keys[order[-_NEAR - 1]]), 0  # keys[order] up to it are no larger
        self._near, self._near_ids = self._pool.some(which), self._ids[which]

    def _with_utility(self, ids: Indices, gains: Any) -> tuple[Float64s, Float64s]:
        """Return gains of f with the utilities of some items, and their keys, an array of its own."""
        gains = as_floats(gains)
        if self.problem.utility is not None:
            gains = gains + self.problem.utility[ids]
        return gains, gains.copy() if self.scale is None else gains * self.scale[ids]

    def _bound_pool(self) -> tuple[Float64s, NDArray[np.bool_]]:
        """Return bounds of the keys of the pool, and which are the keys."""
        known = np.zeros(self._ids.size, dtype=np.bool_)
        if self._pool is None:
            return self._keys, known
        ids = self._ids
        gains, keys = self._with_utility(ids, self._pool.bounds(self.state))
        if self._pool.exact:
            self._gains, known = gains, ~known
            self.evaluations += ids.size
        else:
            np.minimum(keys, self._keys, out=keys)
        keys[~self.feasible.open[ids]] = -np.inf
        self._keys = keys
        return keys, known

    def _evaluate(self, keys: Float64s, known: NDArray[np.bool_]) -> float:
        """Compute the gains of items of the pool until none that could win is left; return the key that ties."""
        pool, most = self._pool, _FIRST
        top = level = -np.inf
        if known.any():
            top, level = self._level(int(keys.argmax()))
        while pool is not None:
            waiting = ((keys >= level) > known).nonzero()[0]
            if waiting.size > most:
                waiting = waiting[np.argpartition(keys[waiting], -most)[-most:]]
            if level == -np.inf:
                waiting = waiting[keys[waiting] > level]
            if not waiting.size:
                break
            gains, exact = self._with_utility(self._ids[waiting], pool.gains(self.state, waiting))
            self._gains[waiting], known[waiting], keys[waiting] = gains, True, exact
            self.evaluations += waiting.size
            place = int(exact.argmax())
            if exact[place] > top:
                top, level = self._level(int(waiting[place]))
            most = min(_TOGETHER, max(_NEXT, 2 * most))
        return level

    def _level(self, place: int) -> tuple[float, float]:
        """Return the key of an item of the pool, and the lowest that ties with it."""
        top, item = float(self._keys[place]), int(self._ids[place])
        if top == -np.inf:
            return top, top
        return top, top - tie_width(self.problem, self.state, item, float(self._gains[place]), self.scale)

    def _bound_all(self) -> None:
        """Lower all bounds to those of now."""
        bounds = self.problem.cheap_bounds(self.state)
        assert bounds is not None
        np.minimum(self.bounds, bounds if self.scale is None else bounds * self.scale, out=self.bounds)
        self._bounded = self._turn

    def _refill(self) -> None:
        """Take the open items of largest bounds into the pool."""
        self.bounds[self._ids] = np.minimum(self.bounds[self._ids], self._keys)
        if self._bounded < self._turn:
            self._bound_all()
        same_turn = self._pool is not None and self._filled == self._turn
        self._wider = 2 * self._wider if same_turn else 1
        size = self.size * self._wider
        open_ids = np.flatnonzero(self.feasible.open)
        self._outside = -np.inf
        if open_ids.size > size:
            order = np.argpartition(-self.bounds[open_ids], size)
            self._outside = float(self.bounds[open_ids[order[size]]])
            open_ids = np.sort(open_ids[order[:size]])
        self._ids, self._keys, self._gains = open_ids, self.bounds[open_ids], np.zeros(open_ids.size)
        self._pool, self._filled = self.problem.objective.pool(self.state, open_ids), self._turn
