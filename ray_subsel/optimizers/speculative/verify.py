"""Verify a draft: the first turn at which an item outside the candidates has a higher gain than the drafted pick.

Three sieves, each exact in what it lets through:

1. All items, at a few turns (checkpoints) only, in the precision of X. Between two checkpoints a and b,
   s_j = (1 - h) s_a + h s_b + r_j, so a gain is at most the interpolated one plus (2 + lam) |r_j|, rises included.
2. What is left, at every turn, in the precision of X with its rounding bounded.
3. What is left, in float64.

Each function looks at one set of rows and at nothing that another set knows: shards in other processes run the same
code on their own rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import Workers, ranges, serial
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows
from ray_subsel.optimizers.speculative.draft import Draft
from ray_subsel.optimizers.speculative.score import GraphCutScore


@dataclass(frozen=True)
class SieveSizes:
    """How the sieves divide their work, which changes the time it takes and nothing else.

    Attributes
    ----------
    checkpoints : int
        Turns at which the first sieve computes gains.
    block_numbers : int
        Numbers in a block of rows or of their gains.
    sampled_rows : int
        Rows among which it is looked first whether the draft is rejected early, where there are four times as many.
    """

    checkpoints: int = 16
    block_numbers: int = 1 << 19
    sampled_rows: int = 1 << 11


USUAL_SIZES = SieveSizes()
_EARLY_TURNS = 4
_MOST_SIEVED = 2
"""Gains that the second sieve computes at most, in those that the first does."""
_WORD = 8
"""Comparisons that are looked at as one number, where there are more."""


@dataclass(frozen=True)
class Verification:
    """The first turn at which an outside item would have been picked instead, and how much work it took to know.

    Attributes
    ----------
    turn : int
        The length of the draft where no pick is rejected.
    survivors, suspects : int
        Items that reached the second and the third sieve.
    evaluations : int
        Gains that were computed; 0 where no item was outside.
    """

    turn: int
    survivors: int = 0
    suspects: int = 0
    evaluations: int = 0


Norms = TypeVar("Norms", float, Float64s)


def rounding(rows: UnitRows, norms: Norms, utility: float) -> Norms:
    """Return a bound on the error of a gain computed by :meth:`UnitRows.products` against directions of these norms."""
    return rows.unit_roundoff * (rows.d + 16) * (norms + 1.0 + utility)


def first_rejection(
    distinct: DistinctRows,
    outside: NDArray[np.bool_],
    score: GraphCutScore,
    taken: Indices,
    draft: Draft,
    workers: Workers = serial,
    sizes: SieveSizes = USUAL_SIZES,
) -> Verification:
    """Return the first turn of a draft at which an outside item would be picked instead.

    Parameters
    ----------
    distinct : DistinctRows
    outside : bool array of shape (n,)
        Rows that may still be picked and are not among the candidates.
    score : GraphCutScore
    taken : int64 array of shape (n,)
        Units of each row that are gone.
    draft : Draft

    Notes
    -----
    The turn is exact or too early by rounding, never too late. The first turn is taken as accepted: the candidates must
    hold all items that could be the best at its start. Where the first sieve lets so much through that the second would
    cost several times as much, only as many turns are verified as the first has checkpoints.
    """
    rows = distinct.rows
    norms = np.sqrt(np.einsum("jd,jd->j", draft.directions, draft.directions))
    noise = rounding(rows, norms, distinct.most_utility)
    turn, looked = _turns_to_verify(distinct, outside, score, draft, noise, sizes)
    draft = draft.head(turn)
    if len(draft) == 1:
        return Verification(1, evaluations=looked)
    levels, noise = _levels(score, draft), noise[: len(draft)]
    turns = checkpoint_turns(len(draft), sizes.checkpoints)
    thresholds = checkpoint_thresholds(score, draft, levels, turns) - noise[turns]
    left = _sieve(distinct, outside, draft.directions[turns], thresholds, workers, sizes)
    if left.size * len(draft) > _MOST_SIEVED * rows.n * turns.size:
        return first_rejection(distinct, outside, score, taken, draft.head(turns.size), workers, sizes)
    every_turn = turns.size == len(draft)
    suspects = left if every_turn else _sieve(distinct, left, draft.directions, levels - noise, workers, sizes)
    turn = _first_rejected(distinct, suspects, score, taken, draft, sizes)
    evaluations = looked + rows.n * turns.size + (left.size + suspects.size) * len(draft)
    return Verification(turn, int(left.size), int(suspects.size), evaluations)


def _turns_to_verify(
    distinct: DistinctRows,
    outside: NDArray[np.bool_],
    score: GraphCutScore,
    draft: Draft,
    noise: Float64s,
    sizes: SieveSizes,
) -> tuple[int, int]:
    """Return the first turn that one of a few rows wins for sure, before which the first rejected one is looked for.

    And how many gains were computed for that.

    Where drafts are rejected early this spares computing what all rows gain at later turns.
    """
    turns = checkpoint_turns(len(draft), sizes.checkpoints)[1:]
    some = np.flatnonzero(outside)
    if not turns.size or some.size < 4 * sizes.sampled_rows:
        return len(draft), 0
    some = some[:: some.size // sizes.sampled_rows]
    gains = distinct.rows.products(some, np.ascontiguousarray(draft.directions[turns].T)) - 1.0
    if distinct.utility is not None:
        gains = gains + distinct.utility[some, None]
    sure = (draft.tops + score.ties(draft.start + np.arange(len(draft))) + noise)[turns]
    won = (gains > sure).any(axis=0)
    return int(turns[won.argmax()]) if won.any() else len(draft), gains.size


def _levels(score: GraphCutScore, draft: Draft) -> Float64s:
    """Return for each turn the gain below which no item can reject the pick."""
    picked = draft.start + np.arange(len(draft))
    return np.asarray(draft.tops - score.ties(picked) - 2 * score.slacks(picked), dtype=np.float64)


def checkpoint_turns(length: int, checkpoints: int = USUAL_SIZES.checkpoints) -> Indices:
    """Return the turns at which all items' gains are computed: 0 and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, checkpoints)).round().astype(np.int64))


def checkpoint_thresholds(score: GraphCutScore, draft: Draft, levels: Float64s, turns: Indices) -> Float64s:
    """Return, for each checkpoint, a gain below which (at all checkpoints) an item rejects no turn in between.

    In the stretch between checkpoints a and b, gain_j(x) <= (1 - h) gain_a(x) + h gain_b(x) + (2 + lam) |r_j|. Let dip
    be the most that level_j - (2 + lam) |r_j| lies below the line from level_a to level_b. An item below level_a - dip
    at a and below level_b - dip at b is then below level_j at every j between.
    """
    dips = np.zeros(turns.size)
    if turns.size > 1:
        starts, ends = turns[:-1], turns[1:]
        a, b = np.repeat(starts, ends - starts), np.repeat(ends, ends - starts)  # of each turn but the last
        share = (np.arange(a.size) - a) / (b - a)
        off = (1 - share)[:, None] * draft.sums[a] + share[:, None] * draft.sums[b] - draft.sums[: a.size]
        residual = np.sqrt(np.square(off).sum(axis=1))
        line = (1 - share) * levels[a] + share * levels[b]
        below = line - levels[: a.size] + score.penalty * residual  # 0 at both ends of a stretch
        dip = np.maximum.reduceat(below, starts) + score.slacks(draft.start + ends)
        dips[:-1] = dip
        dips[1:] = np.maximum(dips[1:], dip)
    return np.asarray(levels[turns] - dips, dtype=np.float64)


def _sieve(
    distinct: DistinctRows,
    candidates: Indices | NDArray[np.bool_],
    directions: Float64s,
    thresholds: Float64s,
    workers: Workers,
    sizes: SieveSizes,
) -> Indices:
    """Return the candidates (row numbers, or a mask of all rows) that reach a threshold in its direction."""
    rows, utility = distinct.rows, distinct.utility
    P, levels = np.ascontiguousarray(directions.T), thresholds + 1.0
    masked = candidates.dtype == np.bool_
    if (more := -levels.size % _WORD) and levels.size > _WORD:
        P, levels = np.pad(P, ((0, 0), (0, more))), np.pad(levels, (0, more), constant_values=np.inf)

    def pass_block(start: int, stop: int) -> Indices:
        which = slice(start, stop) if masked else candidates[start:stop].astype(np.int64)
        gains = rows.products(which, P)
        if utility is not None:
            gains = gains + utility[which][:, None]
        passed = _any_of_row(gains >= levels.astype(gains.dtype))
        if masked:
            return start + np.flatnonzero(passed & candidates[start:stop])
        return np.asarray(candidates[start:stop][passed], dtype=np.int64)

    step = max(256, sizes.block_numbers // max(thresholds.size, rows.d))
    return np.concatenate([NO_ITEMS, *workers(pass_block, ranges(candidates.size, step))])


def _any_of_row(found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which rows hold a True: many times as fast as numpy's ``any`` where they are short."""
    columns: NDArray[Any] = found if found.shape[1] % _WORD else found.view(np.uint64)
    one = columns[:, 0].copy()
    for column in columns.T[1:]:
        np.bitwise_or(one, column, out=one)
    return np.asarray(one != 0)


def _first_rejected(
    distinct: DistinctRows,
    suspects: Indices,
    score: GraphCutScore,
    taken: Indices,
    draft: Draft,
    sizes: SieveSizes,
) -> int:
    """Compute the suspects' gains in float64 and return the first turn that one of them wins.

    Early turns first, of all suspects: where drafts are rejected early, that is all there is to compute.
    """
    picked = draft.start + np.arange(len(draft))
    ties, slacks = score.ties(picked), score.slacks(picked)
    begin, end, first = 1, min(_EARLY_TURNS, len(draft)), len(draft)
    while begin < len(draft) and suspects.size:
        step = max(64, sizes.block_numbers // max(1, end - begin, distinct.rows.d))
        turns = slice(begin, end)
        for start, stop in ranges(suspects.size, step):
            some = suspects[start:stop]
            gains = distinct.rows.take(some) @ draft.directions[turns].T - 1.0
            if distinct.utility is not None:
                gains += distinct.utility[some, None]
            ids = distinct.copies.units(some, taken[some])
            wins = gains > draft.scores[turns] + ties[turns] - 2 * slacks[turns]
            wins |= (gains >= (draft.tops - ties - 2 * slacks)[turns]) & (ids[:, None] < draft.ids[turns])
            won = wins.any(axis=0)
            if won.any():
                first = min(first, begin + int(won.argmax()))
        if first < end:
            break
        begin, end = end, min(8 * end, len(draft))
    return first
