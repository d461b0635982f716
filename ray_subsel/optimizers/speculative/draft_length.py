"""Choose how many picks to draft: twice as many after a draft that was accepted, about what was accepted after others.

A draft of one is one pass over the rows; a longer one takes a second pass, to verify it. Where fewer than three picks
of a draft are accepted, as among vectors without a common direction, drafts of one are cheaper: they are made for a
while, and a short draft tries again, after ever longer whiles in vain.
"""

from __future__ import annotations

from dataclasses import dataclass

from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.optimizers.speculative.score import MOST_PICKS

_WORTH_VERIFYING = 3
_TRIAL = 4
_FIRST_WAIT = 4
_LONGEST_WAIT = 64


@dataclass(frozen=True)
class DraftSizes:
    """Sizes of drafts, which change the time that a run takes and nothing else.

    Attributes
    ----------
    first, most : int
        How many picks to draft in the first round and at most.
    candidates_per_pick : int
        Rows that are proposed for each pick.
    """

    first: int = 64
    most: int = MOST_PICKS
    candidates_per_pick: int = 4

    @staticmethod
    def for_rows(rows: UnitRows, first: int = 64, candidates_per_pick: int = 3) -> DraftSizes:
        """Return sizes for rows of this process: the Gram matrix stays below an eighth of X, or half a MiB."""
        bytes_of_x = rows.n * rows.d * (4 if rows.unit_roundoff > 2.0**-30 else 8)
        candidates = max(256, int((bytes_of_x / 8 / 8) ** 0.5))
        return DraftSizes(first, min(MOST_PICKS, max(64, candidates // candidates_per_pick)), candidates_per_pick)

    def candidates(self, length: int) -> int:
        """Return how many rows are proposed for a draft."""
        return max(64, self.candidates_per_pick * length) if length > 1 else 8


USUAL_SIZES = DraftSizes()


class DraftLength:
    """How many picks to draft next.

    Parameters
    ----------
    sizes : DraftSizes

    Attributes
    ----------
    next : int
    """

    def __init__(self, sizes: DraftSizes) -> None:
        self.next = min(sizes.first, sizes.most)
        self._most = sizes.most
        self._wait = _FIRST_WAIT  # drafts of one after the next failure
        self._left = 0  # drafts of one until the next trial

    def learn(self, drafted: int, accepted: int) -> None:
        """Take note of how many picks of a draft were accepted."""
        if self._left:
            self._left -= 1
            self.next = 1 if self._left else min(_TRIAL, self._most)
        elif accepted == drafted or accepted >= _WORTH_VERIFYING:
            longer = max(self.next, 2 * drafted) if accepted == drafted else (3 * accepted) // 2
            self.next = min(self._most, longer)
            self._wait = _FIRST_WAIT
        else:
            self.next, self._left = 1, self._wait
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
