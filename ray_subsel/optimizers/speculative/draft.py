"""Draft picks: greedy inside some hundred candidates, as if no other item could win."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ray_subsel.core.threads import Workers, ranges, serial
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import row_dots
from ray_subsel.optimizers.speculative.copies import Copies
from ray_subsel.optimizers.speculative.score import MOST_PICKS, GraphCutScore

_GRAM_ROWS = 128


@dataclass(frozen=True, eq=False)
class Candidates:
    """The rows that a draft picks from, in any order.

    Attributes
    ----------
    vectors : float64 array of shape (b, d)
        Unit vectors.
    utility : float64 array of shape (b,)
    rows : int64 array of shape (b,)
        Their numbers in ``copies``.
    copies : Copies
    taken : int64 array of shape (b,)
        Units of each that are gone.
    proposed : tuple of int64 arrays
        For each shard, the rows of it that are among the candidates.
    evaluations : int
        How many gains were computed to find them.
    """

    vectors: Float64s
    utility: Float64s
    rows: Indices
    copies: Copies
    taken: Indices
    proposed: tuple[Indices, ...]
    evaluations: int

    def __len__(self) -> int:
        return int(self.rows.size)


@dataclass(frozen=True, eq=False)
class Draft:
    """What greedy would pick if only the candidates could be picked.

    Attributes
    ----------
    ids : int64 array of shape (J,)
    gains : float64 array of shape (J,)
        Gain of f, and utility, of each pick at its turn.
    scores : float64 array of shape (J,)
        What was compared: the gains, or a paced greedy's.
    tops : float64 array of shape (J,)
        The candidates' largest score at that turn; the pick may lie below it by a tie.
    sums : float64 array of shape (J + 1, d)
        s before each turn, and after the last.
    directions : float64 array of shape (J, d)
        :meth:`GraphCutScore.direction` at each turn.
    start : int
        How many items had been picked before.
    """

    ids: Indices
    gains: Float64s
    scores: Float64s
    tops: Float64s
    sums: Float64s
    directions: Float64s
    start: int

    def __len__(self) -> int:
        return int(self.ids.size)

    def head(self, turns: int) -> Draft:
        """Return the first turns of the draft."""
        first = slice(turns)
        return Draft(
            self.ids[first], self.gains[first], self.scores[first], self.tops[first], self.sums[: turns + 1],
            self.directions[first], self.start,
        )  # fmt: skip


def draft_picks(
    candidates: Candidates,
    score: GraphCutScore,
    chosen: Float64s,
    start: int,
    picks: int,
    workers: Workers = serial,
) -> Draft:
    """Pick greedily among the candidates.

    Gains are updated by the candidates' Gram matrix in float64; where two come closer than rounding can separate, they
    are computed again from the vectors, so the picks are those of the definition.

    Parameters
    ----------
    candidates : Candidates
    score : GraphCutScore
    chosen : float64 array of shape (d,)
        s.
    start : int
        How many items make up s.
    picks : int
        J; fewer come back where the candidates run out.

    Notes
    -----
    O(b^2 d + J b) time and O(b^2) memory for b candidates; O(b d) for a draft of one.
    """
    assert picks <= MOST_PICKS
    copies, taken = candidates.copies, candidates.taken.copy()
    limit = copies.size[candidates.rows]
    scores = row_dots(candidates.vectors, score.direction(chosen, start)) - 1.0 + candidates.utility
    scores[taken >= limit] = -np.inf
    tops = np.empty(min(picks, int((limit - taken).sum())))
    drift = None if score.pace is None else candidates.vectors @ (score.total / score.pace)
    drops = _drops(candidates, score, workers) if tops.size > 1 else None
    order: list[int] = []
    ids: list[int] = []
    picked = start + np.arange(tops.size)
    margins = (score.ties(picked) + 2 * score.slacks(picked)).tolist()
    for turn in range(tops.size):
        best = int(scores.argmax())
        tops[turn] = scores[best]
        if np.count_nonzero(scores >= tops[turn] - margins[turn]) > 1:
            best = _lowest_tied(candidates, score, taken, scores, chosen, order, start)
        order.append(best)
        ids.append(copies.unit(int(candidates.rows[best]), int(taken[best])))
        if drops is None:
            break
        scores -= drops[best]
        if drift is not None:
            scores += drift
        taken[best] += 1
        if taken[best] >= limit[best]:
            scores[best] = -np.inf
    return _record(candidates, score, chosen, start, order, ids, tops)


def _drops(candidates: Candidates, score: GraphCutScore, workers: Workers) -> Float64s:
    """Return by how much each pick lowers each candidate's gain: (2 + lam) times the Gram matrix."""
    vectors = candidates.vectors
    drops = np.empty((vectors.shape[0], vectors.shape[0]))

    def fill(start: int, stop: int) -> None:
        np.multiply(vectors[start:stop] @ vectors.T, score.penalty, out=drops[start:stop])

    workers(fill, ranges(vectors.shape[0], _GRAM_ROWS))
    return drops


def _lowest_tied(
    candidates: Candidates,
    score: GraphCutScore,
    taken: Indices,
    scores: Float64s,
    chosen: Float64s,
    order: list[int],
    start: int,
) -> int:
    """Return the position of the lowest id among the candidates that tie with the best."""
    picked = start + len(order)
    tie, slack = score.tie(picked), score.slack(picked)
    close = np.flatnonzero(scores >= scores.max() - tie - 2 * slack)
    behind = scores.max() - scores[close]
    if (behind > tie - 2 * slack).any():  # not clear which tie: compute them from the vectors
        for position in order:
            chosen = chosen + candidates.vectors[position]
        exact = row_dots(candidates.vectors[close], score.direction(chosen, picked)) - 1.0 + candidates.utility[close]
        behind = exact.max() - exact
    tied = close[behind <= tie]
    ids = candidates.copies.units(candidates.rows[tied], taken[tied])
    return int(tied[np.argmin(ids)])


def _record(
    candidates: Candidates,
    score: GraphCutScore,
    chosen: Float64s,
    start: int,
    order: list[int],
    ids: list[int],
    tops: Float64s,
) -> Draft:
    positions = np.array(order, dtype=np.int64)
    vectors, utility = candidates.vectors[positions], candidates.utility[positions]
    sums = np.cumsum(np.concatenate((chosen[None], vectors)), axis=0)  # one after the other, as the definition adds
    directions = score.directions(sums[:-1], start)
    scores = row_dots(vectors, directions) - 1.0 + utility
    gains = scores
    if score.pace is not None:
        gains = row_dots(vectors, score.total - score.penalty * sums[:-1]) - 1.0 + utility
    return Draft(np.array(ids, dtype=np.int64), gains, scores, tops, sums, directions, start)
