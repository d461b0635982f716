"""Hold what is chosen from: rows and what is known of each, before and after near copies are collapsed.

An *item* is what is left when copies are collapsed. ``exclude`` bars a row and all its copies: equal rows always, near
ones where near copies are collapsed. ``include`` takes the item of the named row, which is returned as the row that was
named; of several named rows that are one item the first counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ray_subsel.constraints.spending import Costs
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import finite_number
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import check_matrix
from ray_subsel.optimizers.speculative.copies import representatives

T = TypeVar("T", bound=np.generic)


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
    utility : float64 array of shape (n,) or None
    costs : float64 or int64 array of shape (n,) or None
    groups : int64 array of shape (n,) or None
    weights : int64 array of shape (n,) or None
        After near copies are collapsed: how many items a row represents, itself being one to choose.
    quality : float64 array of shape (n,) or None
        NaN where there is none.
    near_recall : float or None
        Share of the near copies that were found, on a sample; None where all pairs were compared, and where none were.
    stands_for : int64 array or None
        After near copies are collapsed: of each row there was before, the row that stands for it.
    """

    X: Any
    kept: Indices | None
    include: Indices
    exclude: Indices
    counts: Indices | None
    utility: Float64s | None
    groups: Indices | None
    costs: Costs | None
    weights: Indices | None = None
    quality: Float64s | None = None
    near_recall: float | None = None
    stands_for: Indices | None = None

    @property
    def n(self) -> int:
        """How many rows there are."""
        return int(self.X.shape[0])

    @property
    def items(self) -> int:
        """How many items there are, multiplicities counted."""
        return self.n if self.counts is None else int(self.counts.sum())

    @property
    def available(self) -> int:
        """How many of them are not excluded."""
        return self.items - (self.exclude.size if self.counts is None else int(self.counts[self.exclude].sum()))

    @property
    def mean_cost(self) -> float | None:
        """The mean cost of a row; None where rows cost nothing."""
        return None if self.costs is None else math.fsum(self.costs.tolist()) / self.n

    def available_copies(self) -> Indices:
        """Return how many items each row may give, shape (n,)."""
        left = np.ones(self.n, dtype=np.int64) if self.counts is None else self.counts.copy()
        left[self.exclude] = 0
        return left

    def rows_of(self, items: Indices) -> Indices:
        """Return the rows of the caller's X that some rows of this X are."""
        return items if self.kept is None else self.kept[items]

    def part_of(self, column: NDArray[T] | None) -> NDArray[T] | None:
        """Return what a column of the caller's rows has for those of this X."""
        return column if column is None or self.kept is None else column[self.kept]

    def without(self, rows: Indices) -> GroundSet:
        """Return what is left without some rows of this X; it has no near copies collapsed yet."""
        assert self.weights is None
        if not rows.size:
            return self
        left = np.setdiff1d(np.arange(self.n), rows)
        position = np.full(self.n, -1, dtype=np.int64)
        position[left] = np.arange(left.size)
        exclude = position[self.exclude]
        return replace(
            self,
            X=self.X[left],
            kept=self.rows_of(left),
            include=position[self.include],
            exclude=exclude[exclude >= 0],
            counts=None if self.counts is None else self.counts[left],
            utility=None if self.utility is None else self.utility[left],
            quality=None if self.quality is None else self.quality[left],
            groups=None if self.groups is None else self.groups[left],
            costs=None if self.costs is None else self.costs[left],
        )


def with_equal_rows(X: Any, rows: Indices) -> Indices:
    """Return some rows of X and all rows that equal one of them byte by byte, ascending. One pass over X."""
    if not rows.size:
        return rows
    if hasattr(X, "tocsr"):
        return _with_equal_sparse_rows(X, rows)
    same = representatives(X, None)
    return np.flatnonzero(np.isin(same, same[rows])).astype(np.int64)


def _with_equal_sparse_rows(X: Any, rows: Indices) -> Indices:
    """Return some rows of a scipy matrix and all that have the same numbers in the same columns, ascending."""
    csr = sp.csr_array(X, copy=True)
    csr.sum_duplicates()
    csr.eliminate_zeros()

    def key(row: int) -> tuple[bytes, bytes]:
        part = slice(int(csr.indptr[row]), int(csr.indptr[row + 1]))
        return csr.indices[part].tobytes(), csr.data[part].tobytes()

    wanted = {key(row) for row in rows.tolist()}
    lengths = np.diff(csr.indptr)
    maybe = np.flatnonzero(np.isin(lengths, lengths[rows]))
    return np.array([row for row in maybe.tolist() if key(row) in wanted], dtype=np.int64)


def without_near_copies(
    ground: GroundSet,
    threshold: float,
    seed: int,
    labels: Indices | None = None,
    values: Float64s | None = None,
) -> GroundSet:
    """Return the items that are left when near copies are collapsed, in order of their rows; of ``labels`` within each.

    Rows lead in order of their numbers or, with ``values``, the highest first (:mod:`ray_subsel.dedup.order`).

    A group with an excluded row is barred as a whole. Another has the vector, group, cost, utility and quality of its
    leader, the first row, and is returned as the row that ``include`` names first, else as the leader. A multiplicity
    says how much a row weighs, no longer how often it may be chosen: equal items are near copies too.
    """
    from ray_subsel.dedup.in_memory import collapse_near
    from ray_subsel.dedup.order import places_in_order
    from ray_subsel.dedup.settings import NearSettings

    way = "It is a cosine; 0.9 serves sentence embeddings."
    threshold = finite_number(threshold, "near", "lie in (0, 1]", way, above=0.0, most=1.0)
    check_matrix(ground.X, "X")  # a sparse one has no cosines here
    n = ground.n
    same = representatives(ground.X, None)  # equal rows are one item, as in a run: clusters are fitted to distinct ones
    if labels is not None:
        _, first, which = np.unique(np.stack([same, labels], axis=1), axis=0, return_index=True, return_inverse=True)
        same = first[which.reshape(-1)]
    turn = np.arange(n) if values is None else places_in_order(values, np.arange(n))
    first = np.full(n, n, dtype=np.int64)
    np.minimum.at(first, same, turn)
    turns, place = np.unique(first[same], return_inverse=True)  # equal rows are led by the first in order
    distinct = np.argsort(turn)[turns]
    X = ground.X if distinct.size == n else ground.X[distinct]
    within = None if labels is None else labels[distinct]
    ids = ground.rows_of(distinct) if values is None else np.arange(distinct.size)
    groups = collapse_near(X, NearSettings(threshold, seed), ids=ids, labels=within)
    leader = distinct[groups.leader][place]
    shown = np.full(n, -1, dtype=np.int64)  # by leader: the row that stands for its group
    leaders = np.unique(leader)
    shown[leaders] = leaders
    named = ground.include[::-1]  # of several rows of a group the first one stays
    shown[leader[named]] = named
    include = np.array(
        list(dict.fromkeys(row for row in ground.include.tolist() if shown[leader[row]] == row)), dtype=np.int64
    )
    barred = np.unique(leader[ground.exclude])
    both = np.intersect1d(barred, leader[include])
    if both.size:
        row = int(ground.rows_of(include[np.isin(leader[include], both)])[0])
        raise invalid("exclude", "share no row with include", Verbatim(f"row {row}, or a copy of it, in both"))
    counts = np.ones(n, dtype=np.int64) if ground.counts is None else ground.counts
    weights = np.bincount(leader, weights=counts, minlength=n).astype(np.int64)[leaders]
    position = np.full(n, -1, dtype=np.int64)
    position[leaders] = np.arange(leaders.size)
    return replace(
        ground,
        X=ground.X if leaders.size == n else ground.X[leaders],
        kept=ground.rows_of(shown[leaders]),
        include=position[leader[include]],
        exclude=position[barred],
        counts=None,
        utility=None if ground.utility is None else ground.utility[leaders],
        quality=None if ground.quality is None else ground.quality[leaders],
        groups=None if ground.groups is None else ground.groups[leaders],
        costs=None if ground.costs is None else ground.costs[leaders],
        weights=weights,
        near_recall=None if groups.recall is None else groups.recall.share,
        stands_for=shown[leader],
    )
