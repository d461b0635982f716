"""Drive exact greedy of graph cut over shards of rows, with one or two passes over them for many picks.

A round:

1. the shards propose the rows of highest gain (:mod:`.propose`), which are the candidates;
2. J picks among the candidates are drafted, as if nothing else could win (:mod:`.draft`);
3. the shards verify the draft (:mod:`.verify`): the picks before the first one that an outside item beats are accepted.

Every comparison that decides is made in float64 on a row's own numbers (:func:`ray_subsel.core.unit_rows.row_dots`), so
the picks are the same however the rows are divided. The idea of draft and verification is that of speculative decoding:
Leviathan, Kalman and Matias, "Fast inference from transformers via speculative decoding", ICML 2023.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ray_subsel.core.threads import Workers, serial
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.optimizers.speculative.draft import Draft, draft_picks
from ray_subsel.optimizers.speculative.draft_length import USUAL_SIZES, WALK, DraftLength, DraftSizes
from ray_subsel.optimizers.speculative.one_by_one import Walk
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.shard import DraftRequest, ProposalRequest
from ray_subsel.optimizers.speculative.shard_pool import ShardPool


@dataclass(frozen=True, eq=False)
class GreedyCheckpoint:
    """How far a run is: enough to go on from, and how much work it took.

    Attributes
    ----------
    ids : int64 array
        Picks in their order.
    gains : float64 array
        The marginal gain of each.
    chosen : float64 array of shape (d,)
        s, added up in the order of the picks.
    rounds : int
    candidates : int
        The most candidates of a round.
    passes, evaluations : int
        Passes over the rows, and gains that were computed.
    survivors, suspects : int
        Items that reached the second and the third sieve of verifications.
    """

    ids: Indices
    gains: Float64s
    chosen: Float64s
    rounds: int = 0
    candidates: int = 0
    passes: int = 0
    evaluations: int = 0
    survivors: int = 0
    suspects: int = 0

    @staticmethod
    def start(d: int) -> GreedyCheckpoint:
        """Return where a run without must-includes begins."""
        return GreedyCheckpoint(NO_ITEMS, np.zeros(0), np.zeros(d))


def exact_greedy(
    pool: ShardPool,
    score: GraphCutScore,
    k: int,
    *,
    begin: GreedyCheckpoint | None = None,
    included: int = 0,
    stop_when_gain: float | None = None,
    sizes: DraftSizes = USUAL_SIZES,
    after_round: Callable[[GreedyCheckpoint], Any] = lambda _: None,
    workers: Workers = serial,
) -> GreedyCheckpoint:
    """Pick k items.

    Parameters
    ----------
    pool : ShardPool
        All rows that may be picked.
    score : GraphCutScore
    k : int
        At least 1, at most what the pool holds and what ``begin`` brings.
    begin : GreedyCheckpoint, optional
        Must-includes, or what an earlier run of the same items handed to ``after_round``.
    included : int
        How many ids at the start of ``begin`` are must-includes, which the pool does not hold.
    stop_when_gain : float, optional
        Stop before the first pick whose gain is at or below it.
    sizes : DraftSizes
    after_round : callable
        Called with the checkpoint after each round.
    workers : Workers
        For the candidates' Gram matrix.

    Notes
    -----
    A round sends each shard a request of J x d numbers, J <= 1024, and the ids picked so far. The driver's memory is
    that of the candidates' vectors and their Gram matrix: 128 MiB for 4096.
    """
    state = begin or GreedyCheckpoint.start(score.total.size)
    length = DraftLength(sizes)
    ids, gains = np.empty(k, dtype=np.int64), np.empty(k)
    ids[: state.ids.size], gains[: state.ids.size] = state.ids, state.gains
    stopped = False
    while state.ids.size < k and not stopped:
        made: Draft | Walk
        before, open_slots = state.ids.size, k - state.ids.size
        if length.next > 1:
            drafted = min(length.next, open_slots)
            draft, turn, state = _round(pool, score, state, included, drafted, sizes.candidates(drafted), workers)
            length.learn(drafted, turn)
            made = draft
        else:
            walk, turn, state = _walk(
                pool, score, state, included, min(length.walk, open_slots), sizes.candidates(WALK)
            )
            length.learn_walk(walk.kept)
            made = walk
        low = NO_ITEMS if stop_when_gain is None else np.flatnonzero(made.gains[:turn] <= stop_when_gain)
        stopped = low.size > 0
        turn = int(low[0]) if stopped else turn
        after = before + turn
        ids[before:after], gains[before:after] = made.ids[:turn], made.gains[:turn]
        # views: what was picked is never changed again
        state = replace(state, ids=ids[:after], gains=gains[:after], chosen=made.sums[turn].copy())
        after_round(state)
    return state


def _round(
    pool: ShardPool,
    score: GraphCutScore,
    state: GreedyCheckpoint,
    included: int,
    picks: int,
    size: int,
    workers: Workers,
) -> tuple[Draft, int, GreedyCheckpoint]:
    """Return a draft, how many picks of it are accepted, and the checkpoint with this round's work counted."""
    picked, n_chosen = state.ids[included:], state.ids.size
    candidates = pool.propose(ProposalRequest(score, state.chosen, n_chosen, picked, size, picks))
    draft = draft_picks(candidates, score, state.chosen, n_chosen, picks, workers)
    state = replace(
        state,
        rounds=state.rounds + 1,
        candidates=max(state.candidates, len(candidates)),
        passes=state.passes + 1,
        evaluations=state.evaluations + candidates.evaluations + len(candidates) * len(draft),
    )
    if len(draft) <= 1:
        return draft, len(draft), state
    found = pool.verify(DraftRequest(score, picked, draft, candidates.proposed))
    state = replace(
        state,
        passes=state.passes + (found.evaluations > 0),
        evaluations=state.evaluations + found.evaluations,
        survivors=state.survivors + found.survivors,
        suspects=state.suspects + found.suspects,
    )
    return draft, found.turn, state


def _walk(
    pool: ShardPool, score: GraphCutScore, state: GreedyCheckpoint, included: int, picks: int, size: int
) -> tuple[Walk, int, GreedyCheckpoint]:
    """Return picks that were made one by one, how many, and the checkpoint with this round's work counted."""
    walk = pool.walk(ProposalRequest(score, state.chosen, state.ids.size, state.ids[included:], size, picks))
    passes, evaluations = state.passes + walk.passes, state.evaluations + walk.evaluations
    return walk, len(walk), replace(state, rounds=state.rounds + 1, passes=passes, evaluations=evaluations)
