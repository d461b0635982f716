"""Rank items of graph cut under limits: one pass over X a pick tells all gains to within rounding, and few decide.

The other ways of graph cut (:mod:`.speculative`) know no groups and no costs, and its gains may grow, so that none that
is old bounds one of now.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, final

import numpy as np

from ray_subsel.core.threads import current_workers, workers_for
from ray_subsel.core.types import Float64s, Floats
from ray_subsel.objectives.graph_cut import GraphCut, GraphCutState
from ray_subsel.optimizers.base import Problem
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.speculative.score import ROUNDOFF, GraphCutScore
from ray_subsel.optimizers.speculative.verify import rounding
from ray_subsel.optimizers.ties import best_by_gain


@final
@dataclass(eq=False)
class PassRanking:
    """The items by their gains, which a product of all rows with one vector tells before each pick.

    Attributes
    ----------
    problem : Problem
        Of graph cut.
    feasible : FeasibleSet
    scale : float64 array of shape (n,) or None
        What gains are multiplied with before they are compared; positive.
    state : GraphCutState
    """

    one_thread: ClassVar[bool] = True
    problem: Problem
    feasible: FeasibleSet
    scale: Float64s | None
    state: GraphCutState
    evaluations: int = 0
    _keys: Floats = field(init=False)
    _multiply: Callable[[Floats], None] | None = field(init=False, default=None)
    _utility: Floats | None = field(init=False)
    _scale: Floats | None = field(init=False)
    _most_utility: float = field(init=False)

    def __post_init__(self) -> None:
        rows, utility = self.state.rows, self.problem.utility
        self._keys = np.empty(rows.n, dtype=rows.working_dtype)
        self._utility = None if utility is None else utility.astype(rows.working_dtype)
        self._scale = None if self.scale is None else self.scale.astype(rows.working_dtype)
        self._most_utility = 0.0 if utility is None else float(np.abs(utility).max())

    @staticmethod
    def start(problem: Problem, feasible: FeasibleSet, scale: Float64s | None) -> PassRanking | None:
        """Return the ranking before the first pick; None where the objective is another."""
        objective = problem.objective
        return PassRanking(problem, feasible, scale, objective.init(problem.X)) if type(objective) is GraphCut else None

    def gain(self, item: int) -> float:
        """Return the marginal gain of an item."""
        return self.problem.gain(self.state, item)

    def take(self, item: int) -> None:
        """Choose an item."""
        self.state = self.problem.objective.add(self.state, item)

    def best(self) -> tuple[int, float]:
        """Return the open item of largest key, the lowest of several, and its gain."""
        state, keys = self.state, self._keys
        score = GraphCutScore(state.total, self._lam)
        direction = score.direction(state.chosen, state.size)
        if self._multiply is None:
            workers = workers_for(self.problem.X.size, current_workers())
            self._multiply = state.rows.multiplier(keys, workers)
        self._multiply(direction)
        keys -= 1
        if self._utility is not None:
            keys += self._utility
        if self._scale is not None:
            keys *= self._scale
        keys[~self.feasible.open] = -np.inf
        self.evaluations += keys.size
        largest = math.sqrt(float(direction @ direction)) + 1.0 + self._most_utility
        noise = rounding(state.rows, largest, 0.0)
        width = score.tie(state.size) + 8 * ROUNDOFF * largest
        if self._scale is None:
            close = (keys >= keys.max() - 2 * noise - width).nonzero()[0]
        else:  # as the keys, so their errors
            noises = noise * self._scale
            width *= float(self._scale.max())
            close = (keys + noises >= (keys - noises).max() - width).nonzero()[0]
        return best_by_gain(self.problem, state, close, self.scale)

    @property
    def _lam(self) -> float:
        objective = self.problem.objective
        assert isinstance(objective, GraphCut)
        return objective.lam
