"""Score items by their nearest neighbours: how many have another label, and how near they are.

With N(i) the ``NEIGHBOURS`` = 10 items of largest cosine to item i, itself left out and ties going to the lowest place,
and w_ij = max(0, <x_i, x_j>):

    label noise(i) = sum_{j in N(i), y_j != y_i} w_ij / sum_{j in N(i)} w_ij      over neighbours whose label is known
    closeness(i)   = sum_{j in N(i)} <x_i, x_j> / |N(i)|

A label that most neighbours contradict is doubtful (Wilson 1972, "Asymptotic properties of nearest neighbor rules using
edited data"); an item that nothing comes near is an outlier (Ramaswamy, Rastogi and Shim, SIGMOD 2000). What float32
products cannot decide is decided in float64 in one order of operations: scores depend on no block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ray_subsel.core.held_rows import hold
from ray_subsel.core.nearest import nearest_among
from ray_subsel.core.types import Float64s, Indices, Mask
from ray_subsel.core.unit_rows import UnitRows

NEIGHBOURS = 10
ONE_CLUSTER, CLUSTER_ITEMS = 16_384, 4_096
"""Up to so many items all are compared; above, those of a cluster, of about so many."""

UNKNOWN = -1
"""The number of a label that is not known."""

LONELY = -1.0
"""Closeness of an item without neighbours."""

_PRODUCTS = 1 << 21


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest neighbours of some items, by falling cosine and then place.

    Attributes
    ----------
    places : int64 array of shape (n, q)
        -1 where there are fewer.
    cosine : float64 array of shape (n, q)
        0 there.
    """

    places: Indices
    cosine: Float64s

    @property
    def known(self) -> Mask:
        """Which entries are neighbours."""
        return np.asarray(self.places >= 0)

    def label_noise(self, labels: Indices) -> Float64s:
        """Return the weighed share of neighbours with another label, in [0, 1]; 0 where nothing tells.

        Parameters
        ----------
        labels : int64 array of shape (n,)
            Numbers of labels, of the items that places are of; :data:`UNKNOWN`: no vote, and no doubt.
        """
        theirs = np.where(self.known, labels[self.places], UNKNOWN)
        weight = np.where(theirs != UNKNOWN, np.maximum(self.cosine, 0.0), 0.0)
        against = np.where(theirs != labels[:, None], weight, 0.0)
        total = np.add.reduce(weight, axis=1)
        share = np.divide(np.add.reduce(against, axis=1), total, out=np.zeros(total.size), where=total > 0)
        return np.where(labels == UNKNOWN, 0.0, share)

    def closeness(self) -> Float64s:
        """Return the mean cosine to the neighbours; :data:`LONELY` where there is none."""
        count = self.known.sum(axis=1)
        mean = np.divide(np.add.reduce(self.cosine, axis=1), count, out=np.full(count.size, LONELY), where=count > 0)
        return np.asarray(mean, dtype=np.float64)


def nearest_neighbours(rows: UnitRows, neighbours: int = NEIGHBOURS) -> Neighbours:
    """Return the nearest neighbours of each row among all others, O(n^2 d).

    Parameters
    ----------
    rows : UnitRows
        Of one cluster, in ascending order of id.
    neighbours : int
    """
    n = rows.n
    places = np.full((n, neighbours), -1, dtype=np.int64)
    cosine = np.zeros((n, neighbours))
    wanted = min(neighbours, n - 1)
    if wanted < 1:
        return Neighbours(places, cosine)
    vectors = rows.slice(0, n)
    held = hold(vectors.astype(np.float32))
    step = held.rows_at_once(max(1, _PRODUCTS // n))
    for start in range(0, n, step):
        i, j, exact = nearest_among(vectors[start : start + step], vectors, held, wanted + 1)  # one is the row itself
        others = i + start != j
        i, j, exact = i[others], j[others], exact[others]
        rank = np.arange(i.size) - np.searchsorted(i, np.arange(i[-1] + 1))[i]
        own = rank < wanted
        places[i[own] + start, rank[own]], cosine[i[own] + start, rank[own]] = j[own], exact[own]
    return Neighbours(places, cosine)
