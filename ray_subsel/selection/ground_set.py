"""What is chosen from: rows and what is known of each, before and after near copies are collapsed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ray_subsel.core.errors import invalid
from ray_subsel.core.types import Float64s, Indices, is_number
from ray_subsel.core.unit_rows import take_rows


@dataclass(frozen=True, eq=False)
class GroundSet:
    """Rows and what is known of each; arrays that were not given are None.

    Attributes
    ----------
    X : array of shape (n, d)
    kept : int64 array of shape (n,) or None
        Which rows of the caller's X these are. None: all of them.
    include, exclude : int64 arrays
        Row numbers of this X.
    counts : int64 array of shape (n,) or None
        How many equal items a row stands for, each of which may be chosen.
    utility, groups, costs : arrays of shape (n,) or None
    weights : int64 array of shape (n,) or None
        After near copies are collapsed: how many items a row represents, itself being one to choose.
    """

    X: Any
    kept: Indices | None
    include: Indices
    exclude: Indices
    counts: Indices | None
    utility: Float64s | None
    groups: Indices | None
    costs: Float64s | None
    weights: Indices | None = None

    @property
    def items(self) -> int:
        """How many items there are, multiplicities counted."""
        return int(self.X.shape[0]) if self.counts is None else int(self.counts.sum())

    @property
    def free(self) -> int:
        """How many of them are not excluded."""
        return self.items - (self.exclude.size if self.counts is None else int(self.counts[self.exclude].sum()))


def without_near_copies(parts: GroundSet, threshold: float, seed: int) -> GroundSet:
    """Return the rows that stay when near copies are collapsed, in their order.

    Of each group stay the rows that ``include`` names, else the lowest row that is not excluded, else its leader. A
    multiplicity says how much a row weighs, no longer how often it may be chosen: equal items are near copies too.
    """
    from ray_subsel.dedup.in_memory import collapse_near

    if not is_number(threshold) or not 0 < threshold <= 1:
        raise invalid("near", "lie in (0, 1]", threshold, "It is a cosine; 0.9 serves sentence embeddings.")
    n = int(parts.X.shape[0])
    leader = collapse_near(parts.X, threshold, seed=seed).leader
    rank = np.ones(n, dtype=np.int64)
    rank[parts.include] = 0
    rank[parts.exclude] = 2
    order = np.lexsort((np.arange(n), rank, leader))
    firsts = order[np.flatnonzero(np.diff(leader[order], prepend=-1))]
    kept = np.union1d(firsts, parts.include)
    counts = np.ones(n, dtype=np.int64) if parts.counts is None else parts.counts
    group_weight = np.bincount(leader, weights=counts, minlength=n).astype(np.int64)
    weights = np.zeros(n, dtype=np.int64)
    weights[firsts] = group_weight[leader[firsts]]
    position = np.full(n, -1, dtype=np.int64)
    position[kept] = np.arange(kept.size)
    exclude = position[parts.exclude]
    return replace(
        parts,
        X=parts.X if kept.size == n else take_rows(parts.X, kept),
        kept=kept,
        include=position[parts.include],
        exclude=exclude[exclude >= 0],
        counts=None,
        utility=None if parts.utility is None else parts.utility[kept],
        groups=None if parts.groups is None else parts.groups[kept],
        costs=None if parts.costs is None else parts.costs[kept],
        weights=weights[kept],
    )
