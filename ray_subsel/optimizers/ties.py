"""Tell gains that tie, of which the lowest index wins: |g_i - g_j| <= width, a width of the size of f's rounding.

The width is relative to the objective's own gains: neither a utility that is added to them nor the unit in which costs
or weights are counted makes different items equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives.graph_cut import GraphCut, GraphCutState
from ray_subsel.optimizers.base import Problem
from ray_subsel.optimizers.speculative.score import ROUNDOFF, GraphCutScore


def first_best(values: Float64s, width: float) -> int:
    """Return the first position whose value is the largest up to a width: ties go to the lowest index.

    Parameters
    ----------
    values : float64 array, not empty
        ``-inf`` where a position does not take part.
    width : float
    """
    return int(np.argmax(values >= values.max() - width))


def relative_width(largest: float, rounding: float, unit: float = 1.0) -> float:
    """Return ``rounding`` times the larger of a unit and the largest value."""
    return rounding * max(unit, abs(largest))


def tie_width(problem: Problem, state: Any, item: int, gain: float, scale: Float64s | None = None) -> float:
    """Return by how much a key may be below that of the item of largest key and still tie with it.

    Parameters
    ----------
    problem : Problem
    state
        The objective's, of the set that is chosen so far.
    item : int
    gain : float
        The item's, utility included.
    scale : float64 array of shape (n,) or None
        Keys are gains times it. None: they are gains.
    """
    f = problem.objective
    if isinstance(f, GraphCut) and isinstance(state, GraphCutState):
        return _of_key(GraphCutScore(state.total, f.lam).tie(state.size), item, gain, scale)
    return tie_width_in(problem, f.unit(state), item, gain, scale)


def best_by_gain(problem: Problem, state: Any, items: Indices, scale: Float64s | None) -> tuple[int, float]:
    """Return the item of largest key of some, the first of those that tie, and its gain.

    Parameters
    ----------
    problem : Problem
    state
        The objective's, of the set that is chosen so far.
    items : int64 array, ascending, not empty
    scale : float64 array of shape (n,) or None
        Keys are gains times it. None: they are gains.
    """
    gains = problem.gains(state, items)
    keys = gains if scale is None else gains * scale[items]
    top = int(keys.argmax())
    width = tie_width(problem, state, int(items[top]), float(gains[top]), scale) if items.size > 1 else 0.0
    place = first_best(keys, width)
    return int(items[place]), float(gains[place])


def tie_width_in(problem: Problem, unit: float, item: int, gain: float, scale: Float64s | None) -> float:
    """Return the same for gains that are sums of numbers of the size of a unit."""
    own = gain if problem.utility is None else gain - float(problem.utility[item])
    return _of_key(relative_width(own, problem.objective.rounding, unit), item, gain, scale)


def _of_key(width: float, item: int, gain: float, scale: Float64s | None) -> float:
    """Return the width of an item's key, given that of its gain."""
    if scale is None:
        return width
    return max(width, 8 * ROUNDOFF * abs(gain)) * float(scale[item])  # a quotient is rounded too
