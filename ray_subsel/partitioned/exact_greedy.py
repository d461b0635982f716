"""Exact greedy of graph cut over shards of rows that no single process holds.

Pure functions; :mod:`ray_subsel.stages.select_exact` runs them on Ray.

Each holding keeps some rows and answers two questions, which are the halves of a round of
:mod:`ray_subsel.optimizers.speculative.greedy`:

- :meth:`Holding.offer`: which of your items have the highest gains, given what was picked?
- :meth:`Holding.first_spoiled`: which is the first of these speculated picks that one of your other items spoils?

The driver pools the offers, speculates some hundred picks and keeps those before the first spoiled one. Both questions
bring everything that their answer depends on, so a holding that was lost may be loaded again and asked again, and the
order of answers does not matter. Every comparison that decides is made in float64 on a row's own numbers
(:func:`ray_subsel.core.unit_rows.row_dots`), so the ids are those of ``select(X, k)`` on all rows in ascending order
of id, however these are divided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import row_dots, unit_rows
from ray_subsel.optimizers.speculative.copies import Supply, representatives
from ray_subsel.optimizers.speculative.distinct_rows import Ground, all_gains, choose_pool
from ray_subsel.optimizers.speculative.draft import Draft, Pool, draft_picks
from ray_subsel.optimizers.speculative.greedy import next_picks
from ray_subsel.optimizers.speculative.score import MOST_PICKS, GraphCutScore
from ray_subsel.optimizers.speculative.verify import first_rejection

POOL_SHARE = 4
FIRST_PICKS = 64
_COMPACT_BELOW = 0.75
_MOVE_ROWS = 4096


@dataclass(frozen=True, eq=False)
class ProposalRequest:
    """What a holding must know to make an offer.

    Attributes
    ----------
    law : GraphCutScore
    chosen : float64 array of shape (d,)
        s, the sum of the unit vectors picked so far.
    picked : int64 array
        Ids of all picks so far, in their order.
    size : int
        How many rows to offer; more come where ties demand it.
    units : int
        How many ids of a row with copies are wanted.
    """

    law: GraphCutScore
    chosen: Float64s
    picked: Indices
    size: int
    units: int


@dataclass(frozen=True, eq=False)
class Proposal:
    """Rows of highest gain of one holding.

    Attributes
    ----------
    rows : int64 array of shape (b,)
        Their numbers in the holding.
    vectors : float32 array of shape (b, d)
    scale : float64 array of shape (b,)
        What makes them unit vectors.
    ids : int64 array
        The ids that the rows can be picked as, row by row, ascending in each.
    counts : int64 array of shape (b,)
        How many of ``ids`` belong to each row.
    """

    rows: Indices
    vectors: NDArray[np.float32]
    scale: Float64s
    ids: Indices
    counts: Indices


@dataclass(frozen=True, eq=False)
class DraftRequest:
    """Speculated picks and what they assume.

    Attributes
    ----------
    law : GraphCutScore
    picked : int64 array
        Ids of all picks before.
    speculation : Draft
    pooled : list of int64 arrays
        For each holding, the rows of it that were in the pool.
    """

    law: GraphCutScore
    picked: Indices
    speculation: Draft
    pooled: list[Indices]


class RowShard:
    """Some rows of the ground set, in one process. O(p d) memory for p rows: X itself is used, and changed.

    Parameters
    ----------
    ids : int64 array of shape (p,)
        In any order, distinct.
    X : float32 array of shape (p, d), p >= 1
        The rows of ids. Where many are copies, distinct ones are moved to the front of it.
    """

    def __init__(self, ids: Indices, X: NDArray[np.float32]) -> None:
        self.items = len(ids)
        by_id = np.argsort(ids, kind="stable")
        self._ids = ids[by_id]
        same = representatives(X, None)
        distinct = np.flatnonzero(same == np.arange(len(ids)))
        if distinct.size < _COMPACT_BELOW * len(ids):
            for start in range(0, distinct.size, _MOVE_ROWS):  # a row never moves back, so none is lost
                some = distinct[start : start + _MOVE_ROWS]
                X[start : start + some.size] = X[some]
            X, same = X[: distinct.size], np.searchsorted(distinct, same)
        rows = unit_rows(X, parameter="vectors")
        order = np.lexsort((ids, same))
        size = np.bincount(same, minlength=rows.n).astype(np.int64)
        first = np.concatenate(([0], np.cumsum(size)[:-1])).astype(np.int64)
        supply = Supply(ids[order], np.arange(1, len(ids) + 1), first, size)
        self._row = same[by_id]
        self._ground = Ground(rows, supply, None)
        self._taken = np.zeros(rows.n, dtype=np.int64)
        self._seen = 0

    def offer(self, ask: ProposalRequest) -> Proposal:
        """Return the rows of highest gain. One pass over the rows."""
        ground, taken = self._ground, self._take(ask.picked)
        direction = ask.law.direction(ask.chosen, ask.picked.size)
        gains = all_gains(ground, direction, taken)
        rows = choose_pool(ground, gains, ask.law, direction, ask.picked.size, taken, ask.size)
        supply = ground.supply
        counts = np.minimum(supply.size[rows] - taken[rows], ask.units)
        starts = np.repeat(supply.first[rows] + taken[rows] - np.cumsum(counts) + counts, counts)
        ids = supply.ids[starts + np.arange(int(counts.sum()))]
        return Proposal(rows, ground.rows.X[rows], ground.rows.scale[rows], ids, counts)

    def first_spoiled(self, bet: DraftRequest, mine: int) -> int:
        """Return the first turn of a bet that a row outside the pool spoils. One pass over the rows.

        Parameters
        ----------
        mine : int
            Which of ``bet.pooled`` is about this holding.
        """
        taken, supply = self._take(bet.picked), self._ground.supply
        outside = taken < supply.size
        outside[bet.pooled[mine]] = False
        if not outside.any():
            return len(bet.speculation)
        return first_rejection(self._ground.rows, outside, None, bet.law, supply, taken, bet.speculation).turn

    def _take(self, picked: Indices) -> Indices:
        """Return how many units of each row are gone. Picks are only ever added, so what was seen is not looked up."""
        if picked.size < self._seen:
            self._taken[:], self._seen = 0, 0
        fresh = picked[self._seen :]
        at = np.minimum(np.searchsorted(self._ids, fresh), self._ids.size - 1)
        np.add.at(self._taken, self._row[at[self._ids[at] == fresh]], 1)
        self._seen = picked.size
        return self._taken


class ShardPool(Protocol):
    """All holdings, wherever they are."""

    @property
    def holdings(self) -> int:
        """How many."""

    def offers(self, ask: ProposalRequest) -> Sequence[Proposal]:
        """Return every holding's offer, in the order of the holdings."""

    def spoiled(self, bet: DraftRequest) -> Sequence[int]:
        """Return every holding's first spoiled turn."""


@dataclass(frozen=True)
class LocalPool:
    """Holdings of this process."""

    kept: Sequence[RowShard]

    @property
    def holdings(self) -> int:
        """How many."""
        return len(self.kept)

    def offers(self, ask: ProposalRequest) -> list[Proposal]:
        """Return every holding's offer."""
        return [holding.offer(ask) for holding in self.kept]

    def spoiled(self, bet: DraftRequest) -> list[int]:
        """Return every holding's first spoiled turn."""
        return [holding.first_spoiled(bet, number) for number, holding in enumerate(self.kept)]


@dataclass(frozen=True, eq=False)
class GreedyCheckpoint:
    """How far a run is: enough to go on from.

    Attributes
    ----------
    ids : int64 array
        Picks in their order.
    gains : float64 array
        The marginal gain of each.
    chosen : float64 array of shape (d,)
        s, added up in the order of the picks.
    rounds : int
    pool : int
        The most items that were pooled.
    """

    ids: Indices
    gains: Float64s
    chosen: Float64s
    rounds: int
    pool: int

    @staticmethod
    def start(d: int) -> GreedyCheckpoint:
        """Return where every run begins."""
        return GreedyCheckpoint(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(d), 0, 0)


def exact_greedy(
    fleet: ShardPool,
    *,
    total: Float64s,
    k: int,
    lam: float,
    begin: GreedyCheckpoint | None = None,
    after_round: Callable[[GreedyCheckpoint], Any] = lambda _: None,
) -> GreedyCheckpoint:
    """Pick k of the items that a fleet holds.

    Parameters
    ----------
    total : float64 array of shape (d,)
        t, the sum of all unit vectors.
    k : int
        At least 1, at most what the fleet holds.
    lam : float
    begin : GreedyCheckpoint, optional
        What an earlier run of the same items handed to ``after_round``.
    after_round : callable
        Called with the standing after each round.

    Notes
    -----
    A round sends each holding about a pool's share of one answer and a bet of J x d numbers, J <= 1024. The driver's
    memory is that of the pool: at most 4096 vectors and some more, and their Gram matrix of 128 MiB.
    """
    law, at = GraphCutScore(total, lam), begin or GreedyCheckpoint.start(total.size)
    picks = FIRST_PICKS
    while at.ids.size < k:
        wanted = min(picks, k - at.ids.size, MOST_PICKS)
        at, turn = _round(fleet, law, at, wanted)
        picks = next_picks(picks, wanted, turn)
        after_round(at)
    return at


def _round(fleet: ShardPool, law: GraphCutScore, at: GreedyCheckpoint, wanted: int) -> tuple[GreedyCheckpoint, int]:
    """Return the standing after one more round, and how many picks of it held."""
    pool = max(64, POOL_SHARE * wanted)
    share = pool / fleet.holdings
    size = (
        pool if fleet.holdings == 1 else int(share + 3 * share**0.5) + 4
    )  # random parts: enough of each, nearly always
    offers = fleet.offers(ProposalRequest(law, at.chosen, at.ids, size, wanted))
    candidates, supply, owners = _pooled(offers, law, at, pool)
    none_taken = np.zeros(candidates.rows.size, dtype=np.int64)
    bet = draft_picks(candidates, law, supply, none_taken, at.chosen, at.ids.size, wanted)
    turn = len(bet)
    if turn > 1:
        turn = min(turn, *fleet.spoiled(DraftRequest(law, at.ids, bet, owners)))
    ids = np.concatenate((at.ids, bet.ids[:turn]))
    gains = np.concatenate((at.gains, bet.gains[:turn]))
    return GreedyCheckpoint(ids, gains, bet.sums[turn], at.rounds + 1, max(at.pool, none_taken.size)), turn


def _pooled(
    offers: Sequence[Proposal], law: GraphCutScore, at: GreedyCheckpoint, size: int
) -> tuple[Pool, Supply, list[Indices]]:
    """Merge offers: the ``size`` rows of highest gain and, among those that tie with the best, the one of lowest id."""
    vectors = np.concatenate([offer.vectors.astype(np.float64) * offer.scale[:, None] for offer in offers])
    counts = np.concatenate([offer.counts for offer in offers])
    ids = np.concatenate([offer.ids for offer in offers])
    starts = np.cumsum(counts) - counts
    gains = row_dots(vectors, law.direction(at.chosen, at.ids.size)) - 1.0
    keep = np.zeros(gains.size, dtype=np.bool_)
    keep[np.lexsort((ids[starts], -gains))[:size]] = True
    tied = np.flatnonzero(gains >= gains.max() - law.tie(at.ids.size))
    keep[tied[np.argmin(ids[starts[tied]])]] = True
    ends = np.cumsum([offer.rows.size for offer in offers])
    owners = [offer.rows[keep[end - offer.rows.size : end]] for offer, end in zip(offers, ends.tolist(), strict=True)]
    size_kept = counts[keep]
    ids = ids[np.repeat(keep, counts)]
    first = np.cumsum(size_kept) - size_kept
    supply = Supply(ids, np.arange(1, ids.size + 1), first, size_kept)
    rows = np.arange(size_kept.size, dtype=np.int64)
    return Pool(rows, vectors[keep], np.zeros(rows.size)), supply, owners
