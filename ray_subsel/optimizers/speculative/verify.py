"""Find the first speculated pick that an item outside the pool beats.

Three sieves, each exact in what it lets through:

1. All items, at a few turns (checkpoints) only, in the precision of X. Between two checkpoints a and b,
   s_j = (1 - h) s_a + h s_b + r_j, so a gain is at most the interpolated one plus (2 + lam) |r_j|, rises included.
2. What is left, at every turn, in the precision of X with its rounding bounded.
3. What is left, in float64.

Each function looks at one set of rows and at nothing that another set knows: a Ray actor that holds a partition runs
the same code on its own rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import Workers, ranges, serial
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.optimizers.base import NONE
from ray_subsel.optimizers.speculative.copies import Supply
from ray_subsel.optimizers.speculative.draft import Draft
from ray_subsel.optimizers.speculative.score import GraphCutScore

CHECKPOINTS = 16
_BLOCK_NUMBERS = 1 << 19


@dataclass(frozen=True, eq=False)
class Verification:
    """The first turn at which an outside item would have been picked instead, and how much work it took to know.

    Attributes
    ----------
    turn : int
        The length of the speculation where nothing overtakes.
    rows : int64 array
        Items that overtake at some turn.
    survivors, suspects : int
        Items that reached the second and the third sieve.
    """

    turn: int
    rows: Indices
    survivors: int
    suspects: int


def rounding(rows: UnitRows, norms: Float64s, utility: float) -> Float64s:
    """Return a bound on the error of a gain computed by :meth:`UnitRows.products` against directions of these norms."""
    return rows.unit_roundoff * (rows.d + 16) * (norms + 1.0 + utility)


def first_rejection(
    rows: UnitRows,
    outside: NDArray[np.bool_],
    utility: Float64s | None,
    law: GraphCutScore,
    supply: Supply,
    taken: Indices,
    bet: Draft,
    workers: Workers = serial,
) -> Verification:
    """Return the first turn of a speculation that an item outside the pool spoils.

    Parameters
    ----------
    rows : UnitRows
    outside : bool array of shape (n,)
        Rows that may still be chosen and are not in the pool.
    utility : float64 array of shape (n,) or None
    law, supply, taken : as in :func:`ray_subsel.optimizers.speculative.draft.draft_picks`
    bet : Draft

    Notes
    -----
    The turn is exact or too early by rounding, never too late. The first turn is taken as won: a pool must hold all
    items that could be the best at its start.
    """
    bars = _bars(law, bet)
    most_utility = 0.0 if utility is None else float(np.abs(utility).max())
    noise = rounding(rows, np.sqrt(np.einsum("jd,jd->j", bet.directions, bet.directions)), most_utility)
    turns = checkpoint_turns(len(bet))
    thresholds = checkpoint_thresholds(law, bet, bars, turns) - noise[turns]
    left = _sieve(rows, outside, bet.directions[turns], thresholds, utility, workers)
    every_turn = turns.size == len(bet)
    survivors = left if every_turn else _sieve(rows, left, bet.directions, bars - noise, utility, workers)
    return _decide(rows, survivors, utility, law, supply, taken, bet, left.size)


def _bars(law: GraphCutScore, bet: Draft) -> Float64s:
    """Return for each turn the gain below which no item can spoil it."""
    picked = bet.start + np.arange(len(bet))
    return np.asarray(bet.tops - law.ties(picked) - 2 * law.slacks(picked), dtype=np.float64)


def checkpoint_turns(length: int) -> Indices:
    """Return the turns at which all items' gains are computed: 0 and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, CHECKPOINTS)).round().astype(np.int64))


def checkpoint_thresholds(law: GraphCutScore, bet: Draft, bars: Float64s, turns: Indices) -> Float64s:
    """Return, for each checkpoint, a gain below which (at all checkpoints) an item spoils no turn in between.

    In the stretch between checkpoints a and b, gain_j(x) <= (1 - h) gain_a(x) + h gain_b(x) + (2 + lam) |r_j|. Let dip
    be the most that bar_j - (2 + lam) |r_j| lies below the line from bar_a to bar_b. An item below bar_a - dip at a and
    below bar_b - dip at b is then below bar_j at every j between.
    """
    dips = np.zeros(turns.size)
    if turns.size > 1:
        starts, ends = turns[:-1], turns[1:]
        a, b = np.repeat(starts, ends - starts), np.repeat(ends, ends - starts)  # of each turn but the last
        share = (np.arange(a.size) - a) / (b - a)
        off = (1 - share)[:, None] * bet.sums[a] + share[:, None] * bet.sums[b] - bet.sums[: a.size]
        residual = np.sqrt(np.square(off).sum(axis=1))
        bar_line = (1 - share) * bars[a] + share * bars[b]
        below = bar_line - bars[: a.size] + law.penalty * residual  # 0 at both ends of a stretch
        dip = np.maximum.reduceat(below, starts) + law.slacks(bet.start + ends)
        dips[:-1] = dip
        dips[1:] = np.maximum(dips[1:], dip)
    return np.asarray(bars[turns] - dips, dtype=np.float64)


def _sieve(
    rows: UnitRows,
    candidates: Indices | NDArray[np.bool_],
    directions: Float64s,
    thresholds: Float64s,
    utility: Float64s | None,
    workers: Workers,
) -> Indices:
    """Return the candidates (row numbers, or a mask of all rows) that reach a threshold in its direction."""
    P = np.ascontiguousarray(directions.T)
    masked = candidates.dtype == np.bool_

    def pass_block(start: int, stop: int) -> Indices:
        which = slice(start, stop) if masked else candidates[start:stop].astype(np.int64)
        gains = rows.products(which, P)
        gains -= (thresholds + 1.0).astype(gains.dtype)
        over = gains.max(axis=1)
        if utility is not None:
            over = over + utility[which]
        passed = over >= 0
        if masked:
            return start + np.flatnonzero(passed & candidates[start:stop])
        return np.asarray(candidates[start:stop][passed], dtype=np.int64)

    step = max(256, _BLOCK_NUMBERS // max(thresholds.size, rows.d))
    return np.concatenate([NONE, *workers(pass_block, ranges(candidates.size, step))])


def _decide(
    rows: UnitRows,
    suspects: Indices,
    utility: Float64s | None,
    law: GraphCutScore,
    supply: Supply,
    taken: Indices,
    bet: Draft,
    survivors: int,
) -> Verification:
    """Compare the suspects in float64 and find the first turn that one of them spoils."""
    first = len(bet)
    spoilers: list[Indices] = []
    picked = bet.start + np.arange(len(bet))
    ties, slacks = law.ties(picked), law.slacks(picked)
    step = max(64, _BLOCK_NUMBERS // max(1, len(bet), rows.d))
    for start in range(0, suspects.size, step):
        some = suspects[start : start + step]
        gains = rows.take(some) @ bet.directions.T - 1.0
        if utility is not None:
            gains += utility[some, None]
        ids = supply.units(some, taken[some])
        beats = gains > bet.scores + ties - 2 * slacks
        beats |= (gains >= bet.tops - ties - 2 * slacks) & (ids[:, None] < bet.ids)
        beats[:, 0] = False
        spoils = beats.any(axis=1)
        if spoils.any():
            first = min(first, int(beats.any(axis=0).argmax()))
            spoilers.append(some[spoils])
    found = np.concatenate(spoilers) if spoilers else np.zeros(0, dtype=np.int64)
    return Verification(first, found, survivors, int(suspects.size))
