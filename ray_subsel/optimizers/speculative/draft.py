"""Greedy inside a pool of a few hundred items, as if nothing outside could win."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ray_subsel.core.threads import Workers, ranges, serial
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import row_dots
from ray_subsel.optimizers.speculative.copies import Supply
from ray_subsel.optimizers.speculative.score import MOST_PICKS, GraphCutScore


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidates of a speculation, in any order.

    Attributes
    ----------
    rows : int64 array of shape (b,)
    vectors : float64 array of shape (b, d)
        Their unit vectors.
    utility : float64 array of shape (b,)
    """

    rows: Indices
    vectors: Float64s
    utility: Float64s


@dataclass(frozen=True, eq=False)
class Draft:
    """What greedy would pick if only the pool could be picked from.

    Attributes
    ----------
    rows, ids : int64 arrays of shape (J,)
    gains : float64 array of shape (J,)
        Gain of f, and utility, of each pick at its turn.
    scores : float64 array of shape (J,)
        What was compared: the gains, or a paced greedy's.
    tops : float64 array of shape (J,)
        The pool's largest score at that turn; the pick may lie below it by a tie.
    sums : float64 array of shape (J + 1, d)
        s before each turn, and after the last.
    directions : float64 array of shape (J, d)
        :meth:`Law.direction` at each turn.
    start : int
        How many items had been picked before.
    """

    rows: Indices
    ids: Indices
    gains: Float64s
    scores: Float64s
    tops: Float64s
    sums: Float64s
    directions: Float64s
    start: int

    def __len__(self) -> int:
        return int(self.rows.size)


def draft_picks(
    pool: Pool,
    law: GraphCutScore,
    supply: Supply,
    taken: Indices,
    chosen: Float64s,
    start: int,
    picks: int,
    workers: Workers = serial,
) -> Draft:
    """Pick greedily inside the pool.

    Gains are updated by the pool's Gram matrix in float64; where two come closer than rounding can tell, they are
    computed again from the vectors, so the picks are those of the definition.

    Parameters
    ----------
    pool : Pool
    law : GraphCutScore
    supply : Supply
    taken : int64 array of shape (n,)
        Units of each row that are gone. Not changed.
    chosen : float64 array of shape (d,)
        s.
    start : int
        How many items make up s.
    picks : int
        J; fewer come back where the pool runs dry.
    """
    assert picks <= MOST_PICKS
    gone = taken[pool.rows].copy()
    limit = supply.size[pool.rows]
    scores = row_dots(pool.vectors, law.direction(chosen, start)) - 1.0 + pool.utility
    scores[gone >= limit] = -np.inf
    drift = None if law.pace is None else pool.vectors @ (law.total / law.pace)
    drops = _drops(pool, law, workers)
    order: list[int] = []
    ids: list[int] = []
    tops = np.empty(min(picks, int((limit - gone).sum())))
    picked = start + np.arange(tops.size)
    margins = (law.ties(picked) + 2 * law.slacks(picked)).tolist()
    for turn in range(tops.size):
        best = int(scores.argmax())
        tops[turn] = scores[best]
        if np.count_nonzero(scores >= tops[turn] - margins[turn]) > 1:
            best = _resolve(pool, law, supply, gone, scores, chosen, order, start)
        order.append(best)
        ids.append(supply.unit(int(pool.rows[best]), int(gone[best])))
        scores -= drops[best]
        if drift is not None:
            scores += drift
        gone[best] += 1
        if gone[best] >= limit[best]:
            scores[best] = -np.inf
    return _record(pool, law, chosen, start, order, ids, tops)


def _drops(pool: Pool, law: GraphCutScore, workers: Workers) -> Float64s:
    """Return by how much each pick lowers each item's gain: (2 + lam) times the Gram matrix."""
    size = pool.rows.size
    drops = np.empty((size, size))

    def fill(start: int, stop: int) -> None:
        np.multiply(pool.vectors[start:stop] @ pool.vectors.T, law.penalty, out=drops[start:stop])

    workers(fill, ranges(size, 128))
    return drops


def _resolve(
    pool: Pool,
    law: GraphCutScore,
    supply: Supply,
    gone: Indices,
    scores: Float64s,
    chosen: Float64s,
    order: list[int],
    start: int,
) -> int:
    """Return the position of the lowest id among the items that tie with the best."""
    picked = start + len(order)
    tie, slack = law.tie(picked), law.slack(picked)
    close = np.flatnonzero(scores >= scores.max() - tie - 2 * slack)
    behind = scores.max() - scores[close]
    if (behind > tie - 2 * slack).any():  # not clear who ties: ask the vectors
        for position in order:
            chosen = chosen + pool.vectors[position]
        exact = row_dots(pool.vectors[close], law.direction(chosen, picked)) - 1.0 + pool.utility[close]
        behind = exact.max() - exact
    tied = close[behind <= tie]
    ids = supply.units(pool.rows[tied], gone[tied])
    return int(tied[np.argmin(ids)])


def _record(
    pool: Pool, law: GraphCutScore, chosen: Float64s, start: int, order: list[int], ids: list[int], tops: Float64s
) -> Draft:
    positions = np.array(order, dtype=np.int64)
    vectors, utility = pool.vectors[positions], pool.utility[positions]
    sums = np.cumsum(np.concatenate((chosen[None], vectors)), axis=0)  # one after the other, as the definition adds
    directions = law.directions(sums[:-1], start)
    scores = row_dots(vectors, directions) - 1.0 + utility
    gains = scores
    if law.pace is not None:
        gains = row_dots(vectors, law.total - law.penalty * sums[:-1]) - 1.0 + utility
    picks = np.array(ids, dtype=np.int64)
    return Draft(pool.rows[positions], picks, gains, scores, tops, sums, directions, start)
