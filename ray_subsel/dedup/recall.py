"""Estimate how many near copies were found: recall = |dropped| / |dropped, or with an earlier kept item at >= t|.

The sample is drawn by a hash of the id, so it does not depend on who reads the items. Those of it that were kept are
compared with all kept items, whatever their clusters. Items that were dropped have an earlier kept item: their leader.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.hashing import mix
from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.dedup.buckets import Bucket
from ray_subsel.dedup.pairs import PairFinder

RECALL_SAMPLE = 2000, 10_000
"""Items that recall is measured on, at least and at most; between them a hundredth of all.

Each is compared with all that are kept, so the time for it stays a small part of the whole. Of 10,000 items half of
which are near copies some 4,000 are pairs to be found: enough to tell 99.9 % from 99.8 %.
"""

_STREAM = 0x2ECA
_BLOCK = 1024


def in_recall_sample(ids: Indices, *, n: int, seed: int) -> NDArray[np.bool_]:
    """Return which of n items recall is measured on: those whose hash is low enough."""
    least, most = RECALL_SAMPLE
    wanted = min(most, max(least, n // 100))
    highest = np.uint64(min(2**64 - 1, (wanted << 64) // n))
    return np.asarray(mix(ids, seed + _STREAM) <= highest)


def missed(sample: Bucket, kept: Bucket, threshold: float) -> NDArray[np.bool_]:
    """Return which items of a sample reach an earlier one of some kept items of their label, shape (sample.n,)."""
    found = np.zeros(sample.n, dtype=np.bool_)
    if not sample.n or not kept.n:
        return found
    falling = np.argsort(-sample.ids, kind="stable")  # those that are later than a block's first are the first ones
    both = sample.take(falling).append(kept.take(np.argsort(kept.ids, kind="stable")))
    finder = PairFinder(unit_rows(both.vectors, parameter="vectors", numbers=both.ids), threshold)
    finder.keep(np.arange(sample.n))
    for start in range(sample.n, both.n, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, both.n))
        later = int(np.searchsorted(-both.ids[: sample.n], -both.ids[start]))
        if not later:
            break
        i, j = finder.with_kept(block, later)
        i = block[i]
        found[falling[j[(both.ids[i] < both.ids[j]) & (both.labels[i] == both.labels[j])]]] = True
    return found


@dataclass(frozen=True)
class Recall:
    """How many near copies were found, on a sample.

    Attributes
    ----------
    sample : int
        Items in it.
    found, missed : int
        Those that were dropped, and those that were kept though an earlier kept item reaches the threshold.
    """

    sample: int
    found: int
    missed: int

    @property
    def to_find(self) -> int:
        """Items of the sample that were to be dropped."""
        return self.found + self.missed

    @property
    def share(self) -> float:
        """Found of those to be found; 1 where there are none."""
        return self.found / self.to_find if self.to_find else 1.0
