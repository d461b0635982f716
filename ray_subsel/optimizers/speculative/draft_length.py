"""Choose how many picks to draft: four times as many after one that was accepted, about what was accepted after others.

Where drafts are not worth their cost, as among vectors without a common direction, picks are made one by one, a pass
each (:mod:`.one_by_one`). Such a walk tells at no cost what a draft would have kept, and drafts begin again when that
is twice what makes them worth it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.optimizers.speculative.ahead import AheadSizes, PassTimes
from ray_subsel.optimizers.speculative.score import MOST_PICKS

WALK = 32
"""The usual :attr:`DraftSizes.walk`."""
_WALKED_NUMBERS = 1 << 21  # of rows that are only walked
_LONG_WALK = 512
_DRAFT_NUMBERS = 3000.0  # of X a microsecond, one pass to propose and a product with some directions to verify
_DRAFT_MICROSECONDS = 400.0  # of a draft and its verification beside passes; sizes only decide which way is taken


@dataclass(frozen=True)
class DraftSizes:
    """Sizes of drafts, which change the time that a run takes and nothing else.

    Attributes
    ----------
    first, most : int
        How many picks to draft in the first round and at most.
    candidates_per_pick : int
        Rows that are proposed for each pick.
    worth : int
        How many picks a draft must keep to cost less than as many picks one by one; at most half of a walk.
    walk : int
        How many picks are made one by one before what a draft would have kept is looked at: at first, and twice as
        many each time that it is not worth its cost.
    """

    first: int = 16
    most: int = MOST_PICKS
    candidates_per_pick: int = 4
    worth: int = 3
    walk: int = WALK

    @staticmethod
    def for_rows(rows: UnitRows, first: int | None = None, candidates_per_pick: int = 3) -> DraftSizes:
        """Return sizes for rows of this process: the Gram matrix stays below an eighth of X, or half a MiB.

        Where ``first`` is left open rows of few numbers are walked.
        """
        bytes_of_x = rows.n * rows.d * (4 if rows.unit_roundoff > 2.0**-30 else 8)
        candidates = max(256, int((bytes_of_x / 8 / 8) ** 0.5))
        most = min(MOST_PICKS, max(64, candidates // candidates_per_pick))
        a_pick = PassTimes(rows.n, rows.d, AheadSizes.for_rows(rows)).hoped()
        worth = (rows.n * rows.d / _DRAFT_NUMBERS + _DRAFT_MICROSECONDS) / a_pick
        if first is None and rows.n * rows.d <= _WALKED_NUMBERS:
            return DraftSizes(1, most, candidates_per_pick, WALK, _LONG_WALK)
        return DraftSizes(16 if first is None else first, most, candidates_per_pick, min(WALK // 2, math.ceil(worth)))

    def candidates(self, length: int) -> int:
        """Return how many rows are proposed for a draft."""
        return max(64, self.candidates_per_pick * length)


USUAL_SIZES = DraftSizes()


class DraftLength:
    """How many picks to draft next.

    Parameters
    ----------
    sizes : DraftSizes

    Attributes
    ----------
    next : int
        1: make picks one by one.
    walk : int
        How many then.
    """

    def __init__(self, sizes: DraftSizes) -> None:
        self.next = min(sizes.first, sizes.most)
        self._most = sizes.most
        self._worth = sizes.worth
        self._first_walk = self.walk = sizes.walk

    def learn(self, drafted: int, accepted: int) -> None:
        """Take note of how many picks of a draft were accepted."""
        if accepted == drafted:
            self.next = min(self._most, max(self.next, 4 * drafted))
        else:
            self.next = min(self._most, (3 * accepted) // 2) if accepted >= self._worth else 1

    def learn_walk(self, kept: int) -> None:
        """Take note of how many picks of a walk a draft would have kept."""
        if kept >= 2 * self._worth:
            self.next, self.walk = min(self._most, (3 * kept) // 2), self._first_walk
        elif kept < self._worth:
            self.walk = max(self.walk, min(_LONG_WALK, 2 * self.walk))
