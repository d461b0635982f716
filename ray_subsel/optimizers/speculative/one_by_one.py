"""Pick one item a pass: the greedy of the definition, for rows among which few picks of a draft would be accepted.

A pass computes all gains in the precision of X, with their rounding bounded; the few items that the bound cannot tell
from the best are computed in float64, and these decide. So the picks are those of :mod:`.draft` and :mod:`.verify`.
Meanwhile it is counted, at no cost, how many picks a draft would have kept: those up to the first that was not among
the rows of highest gain when the walk began.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ray_subsel.core.threads import Workers, serial
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import row_dots
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows
from ray_subsel.optimizers.speculative.propose import exact_gains
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.verify import rounding

_NORM_TURNS = 8
"""Turns after which the norm of the direction is computed again."""


@dataclass(frozen=True, eq=False)
class Walk:
    """Picks that were made one a pass.

    Attributes
    ----------
    ids : int64 array of shape (J,)
    gains : float64 array of shape (J,)
        Gain of f, and utility, of each pick at its turn.
    sums : float64 array of shape (J + 1, d)
        s before each turn, and after the last.
    kept : int
        How many picks, from the first on, were among the rows of highest gain before the first: what a draft from
        these would have kept.
    evaluations : int
        Gains that were computed.
    """

    ids: Indices
    gains: Float64s
    sums: Float64s
    kept: int
    evaluations: int

    def __len__(self) -> int:
        return int(self.ids.size)


def pick_one_by_one(
    distinct: DistinctRows,
    score: GraphCutScore,
    chosen: Float64s,
    start: int,
    taken: Indices,
    picks: int,
    size: int,
    workers: Workers = serial,
) -> Walk:
    """Pick greedily, with one pass over X a pick; fewer come back where all units are gone.

    Parameters
    ----------
    distinct : DistinctRows
    score : GraphCutScore
    chosen : float64 array of shape (d,)
        s.
    start : int
        How many items make up s.
    taken : int64 array of shape (n,)
        Units of each row that are gone.
    picks : int
        J.
    size : int
        Of how many rows of highest gain :attr:`Walk.kept` is counted.
    """
    rows, copies, utility = distinct.rows, distinct.copies, distinct.utility
    taken, most_utility = taken.copy(), distinct.most_utility
    gains = np.empty(rows.n, dtype=rows.working_dtype)
    base = np.zeros_like(gains) if utility is None else utility.astype(gains.dtype)
    base -= 1
    base[taken >= copies.size] = -np.inf
    multiply, highest, kept = rows.multiplier(gains, workers), None, 0
    order, gone, sums = [], [], [chosen]
    norm, step = 0.0, score.penalty + score.drift
    for turn, tie in enumerate(score.ties(start + np.arange(picks)).tolist()):
        s = sums[turn]
        direction = score.direction(s, start + turn)
        norm = math.sqrt(direction @ direction) if turn % _NORM_TURNS == 0 else norm + step  # a bound will do
        multiply(direction)
        np.add(gains, base, out=gains)
        row = int(gains.argmax())
        top = float(gains[row])
        if top == -np.inf:
            break
        if turn == 0 and size < rows.n:
            highest = gains >= np.partition(gains, rows.n - size)[rows.n - size]
        gains[row] = -np.inf
        level = top - 2 * rounding(rows, norm, most_utility) - tie
        if gains.max() >= level:
            gains[row] = top
            close = np.flatnonzero(gains >= level)
            exact = exact_gains(distinct, close, direction)
            tied = close[exact.max() - exact <= tie]
            row = int(tied[np.argmin(copies.units(tied, taken[tied]))])
        order.append(row)
        gone.append(int(taken[row]))
        sums.append(s + rows.row(row))
        taken[row] += 1
        if taken[row] >= copies.size[row]:
            base[row] = -np.inf
        kept += kept == turn and (highest is None or bool(highest[row]))
    picked, before, after = np.array(order, dtype=np.int64), np.array(sums[:-1]), np.array(sums)
    made = row_dots(rows.take(picked), score.total - score.penalty * before) - 1.0
    if utility is not None:
        made += utility[picked]
    evaluations = min(picks, len(order) + 1) * rows.n
    return Walk(copies.units(picked, np.array(gone, dtype=np.int64)), made, after, kept, evaluations)
