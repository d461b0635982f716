r"""Hold a target: queries that the chosen items shall resemble, as vectors, and how much they count.

Letters: n items of the ground set, Q queries q with counts c_q, C = sum of c_q, a the target's weight in (0, 1].

Each query has the weight a (n / C) c_q, so that all of them together count a n, as the items do at a = 0:

- graph cut: t becomes :math:`(1-a)\,t + a \frac{n}{C} \sum_q c_q q`;
- facility location: items are represented with weight 1 - a, queries with theirs, and each chosen item j adds
  :math:`\eta\, a \frac{n}{C} r_j`, where :math:`r_j = \max_q \langle x_j, q\rangle` is its relevance. At a = 1 this is
  the mutual information of facility location, FLQMI.

Sources: Iyer et al., ALT 2021; Kothawade et al., "PRISM", AAAI 2022 (FLQMI).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.exact_sum import exact_total
from ray_subsel.core.numeric import array_of, finite_number
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows, row_dots, unit_rows

WEIGHT = 1.0
"""a, where none is given."""
ETA = 1.0
"""How much relevance counts beside the coverage of the queries."""

_TIE = 1e-12
COLUMNS = 4096
"""Queries that are compared with a block of items at a time."""


@dataclass(frozen=True, eq=False)
class Target:
    """Queries and their weights.

    Attributes
    ----------
    rows : UnitRows
        Q unit vectors.
    counts : int64 array of shape (Q,)
        c_q, at least 1.
    each : float
        a n / C, the weight of a query that counts once.
    share : float
        a; items of the ground set count 1 - a.
    nearest : int64 array of shape (Q,) or None
        The most similar item of each, once that is known: a query belongs to its cluster.
    """

    rows: UnitRows
    counts: Indices
    each: float
    share: float
    nearest: Indices | None = None

    @staticmethod
    def of(vectors: Any, share: float, n: float, counts: Any = None, parameter: str = "target") -> Target:
        """Return the target of some vectors.

        Parameters
        ----------
        vectors : float array of shape (Q, d)
        share : float
            a.
        n : float
            Items of the ground set, as often as each counts.
        counts : int array of shape (Q,), optional
            c_q; 1 each by default.
        parameter : str
            What errors call the vectors.
        """
        rows = unit_rows(vectors, parameter=parameter)
        c = np.ones(rows.n, dtype=np.int64) if counts is None else np.asarray(counts, dtype=np.int64)
        return Target(rows, c, share * n / int(c.sum()), share)

    @property
    def n(self) -> int:
        """How many queries."""
        return self.rows.n

    @property
    def weights(self) -> Float64s:
        """The weight of each query, a (n / C) c_q, shape (Q,)."""
        return np.asarray(self.each * self.counts, dtype=np.float64)

    def total(self, t: Float64s) -> Float64s:
        """Return t with the queries mixed in: (1 - a) t + a (n / C) sum of c_q q, shape (d,)."""
        return np.asarray((1.0 - self.share) * t + self.each * exact_total(self.rows, self.counts).vector())

    def mean(self) -> Float64s:
        """Return the mean of the queries as often as each counts, shape (d,)."""
        return np.asarray(exact_total(self.rows, self.counts).vector() / int(self.counts.sum()))

    def of_items(self, ids: Indices) -> Target:
        """Return the queries whose nearest item is one of these (ascending ids)."""
        assert self.nearest is not None
        at = np.minimum(np.searchsorted(ids, self.nearest), ids.size - 1)
        mine = np.flatnonzero(ids[at] == self.nearest)
        return replace(self, rows=self.rows.rows(mine), counts=self.counts[mine], nearest=self.nearest[mine])


@dataclass(frozen=True, eq=False)
class Relevance:
    """How similar some items are to the queries.

    Attributes
    ----------
    greatest, mean : float64 arrays of shape (n,)
        r_j, and the similarity to the mean of the queries.
    best, nearest : float64 and int64 arrays of shape (Q,)
        The greatest similarity of each query to an item, and the first such item.
    """

    greatest: Float64s
    mean: Float64s
    best: Float64s
    nearest: Indices


def relevance(items: UnitRows, target: Target, ids: Indices | None = None) -> Relevance:
    """Compare items with queries; O(n Q d), without an n x Q matrix.

    A similarity that is kept is computed anew in one fixed order of operations: it does not depend on which items are
    compared together.

    Parameters
    ----------
    items : UnitRows
    target : Target
    ids : int64 array of shape (n,), optional
        What items are called, ascending; their positions by default.
    """
    if items.d != target.rows.d:
        raise invalid("target", f"hold vectors of the {items.d} dimensions of the items", target.rows.d)
    queries = target.rows.slice(0, target.n)
    greatest, place = np.full(items.n, -np.inf), np.zeros(items.n, dtype=np.int64)
    best, nearest = np.full(target.n, -np.inf), np.zeros(target.n, dtype=np.int64)
    for start, stop in items.blocks(min(COLUMNS, target.n)):
        block = items.slice(start, stop)
        for first in range(0, target.n, COLUMNS):
            part = slice(first, min(first + COLUMNS, target.n))
            products = block @ queries[part].T
            top = products.max(axis=1)
            found = first + np.argmax(products >= top[:, None] - _TIE, axis=1)
            better = top > greatest[start:stop] + _TIE
            greatest[start:stop][better], place[start:stop][better] = top[better], found[better]
            high = products.max(axis=0)
            rows = start + np.argmax(products >= high - _TIE, axis=0)
            higher = high > best[part] + _TIE
            best[part][higher], nearest[part][higher] = high[higher], rows[higher]
        greatest[start:stop] = row_dots(block, queries[place[start:stop]])
    if items.n:
        best = row_dots(queries, items.take(nearest))
    mean = target.mean()
    means = [row_dots(items.slice(start, stop), mean) for start, stop in items.blocks()]
    return Relevance(greatest, np.concatenate([np.zeros(0), *means]), best, nearest if ids is None else ids[nearest])


TargetOf = Callable[[float], Target]
"""Returns the target where so many items are represented, each as often as it counts."""


def nearest_of(parts: Sequence[tuple[Float64s, Indices]]) -> Indices:
    """Return the most similar item of each query, shape (Q,), of the best similarities and their items in some parts.

    Of equally similar items the lowest id.
    """
    best = np.array([similarities for similarities, _ in parts])
    ids = np.array([items for _, items in parts])
    tied = best >= best.max(axis=0) - _TIE
    return np.asarray(np.where(tied, ids, np.iinfo(np.int64).max).min(axis=0), dtype=np.int64)


def share_of(weight: Any, parameter: str = "target_weight") -> float:
    """Return a, checked: a number in (0, 1]."""
    way = "1 is the target alone; leave the target out for none."
    return float(finite_number(weight, parameter, "lie in (0, 1]", way, above=0.0, most=1.0))


def query_vectors(vectors: Any, d: int, parameter: str = "target") -> Any:
    """Return the vectors of a target, checked against the dimension of the items."""
    given = vectors if hasattr(vectors, "layout") else array_of(vectors, parameter, "be a matrix of floats")
    unit_rows(given, parameter=parameter)
    if int(given.shape[1]) != d:
        shown = Verbatim(f"{given.shape[1]} columns")
        raise invalid(parameter, f"have the {d} columns of X", shown, "Embed both with one encoder.")
    return given
