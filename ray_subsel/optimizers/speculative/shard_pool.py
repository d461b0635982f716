"""Ask all shards, wherever they are: the interface of the driver to the rows, and the pool of one shard in process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ray_subsel.optimizers.speculative.draft import Candidates
from ray_subsel.optimizers.speculative.one_by_one import Walk
from ray_subsel.optimizers.speculative.shard import DraftRequest, ProposalRequest, RowShard
from ray_subsel.optimizers.speculative.verify import Verification


class ShardPool(Protocol):
    """All rows of the ground set."""

    def propose(self, request: ProposalRequest) -> Candidates:
        """Return the rows of highest gain, and what is needed for the best item to be among them."""

    def walk(self, request: ProposalRequest) -> Walk:
        """Return the next ``request.units`` picks, made one by one, and what a draft of ``request.size`` rows keeps."""

    def verify(self, request: DraftRequest) -> Verification:
        """Return the first turn of a draft at which a row outside the candidates wins."""


@dataclass(frozen=True, eq=False)
class LocalPool:
    """One shard of this process: nothing is merged and nothing copied but the candidates' vectors."""

    shard: RowShard

    def propose(self, request: ProposalRequest) -> Candidates:
        """Return the shard's rows of highest gain."""
        distinct, rows = self.shard.distinct, self.shard.propose(request)
        utility = np.zeros(rows.size) if distinct.utility is None else distinct.utility[rows]
        taken = self.shard.taken(request.picked)[rows]
        vectors = distinct.rows.take(rows)
        return Candidates(vectors, utility, rows, distinct.copies, taken, (rows,), distinct.rows.n)

    def walk(self, request: ProposalRequest) -> Walk:
        """Return the shard's picks: it has all rows."""
        return self.shard.walk(request)

    def verify(self, request: DraftRequest) -> Verification:
        """Return the shard's answer."""
        return self.shard.verify(request)


def rows_per_shard(size: int, shards: int) -> int:
    """Return how many rows each shard proposes: of random parts enough of each, nearly always (three deviations)."""
    if shards == 1:
        return size
    share = size / shards
    return int(share + 3 * share**0.5) + 4
