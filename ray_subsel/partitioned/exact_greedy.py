"""Merge the answers of several shards, so that exact greedy of graph cut runs over rows that no single process holds.

:mod:`ray_subsel.optimizers.speculative.driver` runs the rounds, a
:class:`ray_subsel.optimizers.speculative.shard.RowShard` a partition answers, :mod:`ray_subsel.stages.select_exact`
carries questions and answers over Ray. The ids are those of ``select(X, k)`` on all rows in ascending order of id,
however these are divided.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.core.unit_rows import row_dots
from ray_subsel.optimizers.speculative.copies import Copies, starts_of
from ray_subsel.optimizers.speculative.draft import Candidates, draft_picks
from ray_subsel.optimizers.speculative.one_by_one import Walk
from ray_subsel.optimizers.speculative.shard import DraftRequest, ProposalRequest, RowShard
from ray_subsel.optimizers.speculative.shard_pool import rows_per_shard
from ray_subsel.optimizers.speculative.verify import Verification

_ROWS_FOR_ONE = 8
"""Rows that are proposed where one pick is made of them."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """Rows of highest gain of one shard.

    Attributes
    ----------
    rows : int64 array of shape (b,)
        Their numbers in the shard.
    vectors : array of shape (b, d)
        As stored.
    scale : float64 array of shape (b,)
        What makes them unit vectors.
    utility : float64 array of shape (b,)
    ids : int64 array
        The ids that the rows can be picked as, row by row, ascending in each.
    counts : int64 array of shape (b,)
        How many of ``ids`` belong to each row.
    evaluations : int
        Gains that were computed.
    """

    rows: Indices
    vectors: NDArray[np.float32]
    scale: Float64s
    utility: Float64s
    ids: Indices
    counts: Indices
    evaluations: int


def proposal_of(shard: RowShard, request: ProposalRequest) -> Proposal:
    """Return a shard's proposal. One pass over its rows."""
    rows, distinct = shard.propose(request), shard.distinct
    copies, taken = distinct.copies, shard.taken(request.picked)
    counts = np.minimum(copies.size[rows] - taken[rows], request.units)
    nth = np.arange(int(counts.sum())) - np.repeat(starts_of(counts), counts)  # of its row's ids
    ids = copies.units(np.repeat(rows, counts), np.repeat(taken[rows], counts) + nth)
    utility = np.zeros(rows.size) if distinct.utility is None else distinct.utility[rows]
    return Proposal(rows, distinct.rows.X[rows], distinct.rows.scale[rows], utility, ids, counts, distinct.rows.n)


def merge_proposals(proposals: Sequence[Proposal], request: ProposalRequest) -> Candidates:
    """Return the ``request.size`` rows of highest gain and, of those that tie with the best, the one of lowest id."""
    vectors = np.concatenate([some.vectors.astype(np.float64) * some.scale[:, None] for some in proposals])
    utility = np.concatenate([some.utility for some in proposals])
    counts = np.concatenate([some.counts for some in proposals])
    ids = np.concatenate([some.ids for some in proposals])
    lowest = ids[starts_of(counts)]
    gains = row_dots(vectors, request.score.direction(request.chosen, request.n_chosen)) - 1.0 + utility
    keep = np.zeros(gains.size, dtype=np.bool_)
    keep[np.lexsort((lowest, -gains))[: request.size]] = True
    tied = np.flatnonzero(gains >= gains.max() - request.score.tie(request.n_chosen))
    keep[tied[np.argmin(lowest[tied])]] = True
    ends = np.cumsum([some.rows.size for some in proposals])
    kept_of = tuple(
        some.rows[keep[end - some.rows.size : end]] for some, end in zip(proposals, ends.tolist(), strict=True)
    )
    size = counts[keep]
    ids = ids[np.repeat(keep, counts)]
    copies = Copies(ids, np.arange(1, ids.size + 1), starts_of(size), size)
    rows = np.arange(size.size, dtype=np.int64)
    evaluations = sum(some.evaluations for some in proposals)
    return Candidates(vectors[keep], utility[keep], rows, copies, np.zeros_like(rows), kept_of, evaluations)


def merge_verifications(answers: Sequence[Verification]) -> Verification:
    """Return the earliest turn that a shard rejects, and the work of all."""
    return Verification(
        min(answer.turn for answer in answers),
        sum(answer.survivors for answer in answers),
        sum(answer.suspects for answer in answers),
        sum(answer.evaluations for answer in answers),
    )


class DividedPool(abc.ABC):
    """A :class:`ray_subsel.optimizers.speculative.shard_pool.ShardPool` of several shards, wherever they are."""

    @property
    @abc.abstractmethod
    def shards(self) -> int:
        """How many."""

    @abc.abstractmethod
    def proposals(self, request: ProposalRequest) -> Sequence[Proposal]:
        """Return every shard's proposal, in the order of the shards."""

    @abc.abstractmethod
    def verifications(self, request: DraftRequest) -> Sequence[Verification]:
        """Return every shard's verification."""

    def propose(self, request: ProposalRequest) -> Candidates:
        """Return the candidates of all shards."""
        share = replace(request, size=rows_per_shard(request.size, self.shards))
        return merge_proposals(self.proposals(share), request)

    def walk(self, request: ProposalRequest) -> Walk:
        """Return some picks, with a question to all shards a pick."""
        ids, gains, sums = np.empty(request.units, dtype=np.int64), np.empty(request.units), [request.chosen]
        kept = evaluations = 0
        highest, size = NO_ITEMS, request.size
        for turn in range(request.units):
            start, picked = request.n_chosen + turn, np.concatenate((request.picked, ids[:turn]))
            asked = replace(request, chosen=sums[-1], n_chosen=start, picked=picked, size=size)
            candidates = self.propose(asked if turn == 0 else replace(asked, units=1))
            draft = draft_picks(candidates, request.score, sums[-1], start, 1)
            ids[turn], gains[turn] = draft.ids[0], draft.gains[0]
            sums.append(draft.sums[1])
            if turn == 0:
                highest, size = candidates.copies.ids, _ROWS_FOR_ONE
            kept += kept == turn and ids[turn] in highest
            evaluations += candidates.evaluations
        return Walk(ids, gains, np.array(sums), kept, request.units, evaluations)

    def verify(self, request: DraftRequest) -> Verification:
        """Return the first turn of a draft that a shard rejects."""
        return merge_verifications(self.verifications(request))
