"""Answer the two questions of a round for the rows of one process: which rows to propose, which pick to reject.

Each question brings everything that its answer depends on, so a shard that was lost may be loaded again and asked
again, and the order of answers does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import Workers, serial
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.optimizers.speculative.ahead import Foresight
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows, distinct_rows_in_place
from ray_subsel.optimizers.speculative.draft import Draft
from ray_subsel.optimizers.speculative.one_by_one import Walk, pick_one_by_one
from ray_subsel.optimizers.speculative.propose import all_gains, highest_rows
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.verify import USUAL_SIZES, SieveSizes, Verification, first_rejection


@dataclass(frozen=True, eq=False)
class ProposalRequest:
    """What a shard must know to propose rows.

    Attributes
    ----------
    score : GraphCutScore
    chosen : float64 array of shape (d,)
        s, the sum of the unit vectors picked so far.
    n_chosen : int
        How many make it up.
    picked : int64 array
        Ids of all picks of the run so far, in their order; must-includes are not among them.
    size : int
        How many rows to propose; more come where ties demand it.
    units : int
        How many ids of a row with copies are wanted: the length of the draft.
    """

    score: GraphCutScore
    chosen: Float64s
    n_chosen: int
    picked: Indices
    size: int
    units: int


@dataclass(frozen=True, eq=False)
class DraftRequest:
    """A draft to verify and what it assumes.

    Attributes
    ----------
    score : GraphCutScore
    picked : int64 array
        As in :class:`ProposalRequest`.
    draft : Draft
    proposed : tuple of int64 arrays
        For each shard, the rows of it that were among the candidates.
    """

    score: GraphCutScore
    picked: Indices
    draft: Draft
    proposed: tuple[Indices, ...]


class RowShard:
    """Some rows of the ground set, in one process.

    Parameters
    ----------
    ids : int64 array
        The items' ids, ascending.
    distinct : DistinctRows
        Their rows.
    workers : Workers
    sizes : SieveSizes
    """

    def __init__(
        self, ids: Indices, distinct: DistinctRows, workers: Workers = serial, sizes: SieveSizes = USUAL_SIZES
    ) -> None:
        self.distinct = distinct
        self._ids = ids
        self._workers = workers
        self._sizes = sizes
        self._taken = np.zeros(distinct.rows.n, dtype=np.int64)
        self._seen = 0
        self._foresight = Foresight.of(distinct.rows)

    @staticmethod
    def of(
        ids: Indices, X: NDArray[np.float32], workers: Workers = serial, utility: Float64s | None = None
    ) -> RowShard:
        """Return the shard of some items. O(n) memory: X itself is used, and changed.

        Parameters
        ----------
        ids : int64 array of shape (n,)
            In any order, distinct.
        X : float32 array of shape (n, d), n >= 1
        utility : float64 array of shape (n,), optional
        """
        return RowShard(np.sort(ids), distinct_rows_in_place(ids, X, workers, utility), workers)

    @property
    def n_items(self) -> int:
        """How many items the rows stand for."""
        return int(self._ids.size)

    def propose(self, request: ProposalRequest) -> Indices:
        """Return the rows of highest gain. One pass over the rows."""
        taken = self.taken(request.picked)
        direction = request.score.direction(request.chosen, request.n_chosen)
        gains = all_gains(self.distinct, direction, taken, self._workers)
        return highest_rows(self.distinct, gains, request.score, direction, request.n_chosen, taken, request.size)

    def walk(self, request: ProposalRequest) -> Walk:
        """Return the next ``request.units`` picks where no other shard has rows. At most one pass over them a pick."""
        taken, score, n_chosen = self.taken(request.picked), request.score, request.n_chosen
        return pick_one_by_one(
            self.distinct, score, request.chosen, n_chosen, taken, request.units, request.size, self._workers,
            self._foresight,
        )  # fmt: skip

    def verify(self, request: DraftRequest, shard: int = 0) -> Verification:
        """Return the first turn of a draft at which a row that was not proposed wins. One pass over the rows.

        Parameters
        ----------
        shard : int
            Which of ``request.proposed`` is about this shard.
        """
        taken = self.taken(request.picked)
        outside = taken < self.distinct.copies.size
        outside[request.proposed[shard]] = False
        if not outside.any():
            return Verification(len(request.draft))
        return first_rejection(self.distinct, outside, request.score, taken, request.draft, self._workers, self._sizes)

    def taken(self, picked: Indices) -> Indices:
        """Return how many units of each row are gone. Picks are only ever added, so those seen are not looked up."""
        if picked.size < self._seen:
            self._taken[:], self._seen = 0, 0
        fresh = picked[self._seen :]
        at = np.minimum(np.searchsorted(self._ids, fresh), self._ids.size - 1)
        np.add.at(self._taken, self.distinct.row_of[at[self._ids[at] == fresh]], 1)
        self._seen = picked.size
        return self._taken
