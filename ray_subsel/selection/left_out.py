"""Leave rows out of the ground set before anything is chosen: repeats of another set, doubtful labels, outliers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ray_subsel.constraints.labels import Groups
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import finite_number
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.filters.nearest import nearest_reaching
from ray_subsel.filters.neighbours import (
    CLUSTER_ITEMS,
    NEIGHBOURS,
    ONE_CLUSTER,
    UNKNOWN,
    Neighbours,
    nearest_neighbours,
)
from ray_subsel.filters.worst import LABEL_NOISE, OUTLIER, Worst, wanted
from ray_subsel.partitioned.by_clusters import places_of
from ray_subsel.selection.by_clusters import clusters_of
from ray_subsel.selection.ground_set import GroundSet
from ray_subsel.selection.result import LeftOut

NEAR = "near"
USUAL = 0.9


@dataclass(frozen=True)
class Doubts:
    """Which doubtful rows to drop.

    Attributes
    ----------
    label_noise, outliers : float or None
        Shares of the rows.
    labels : int64 array of shape (n,) or None
        Numbers of the labels of all rows of X, ``UNKNOWN`` where there is none.
    """

    label_noise: float | None
    outliers: float | None
    labels: Indices | None

    @staticmethod
    def of(label_noise: float | None, outliers: float | None, labels: ArrayLike | None, n: int) -> Doubts | None:
        """Return what to drop; None where nothing is to be dropped."""
        way = "It is the share of the rows to drop."
        for name, share in (("drop_label_noise", label_noise), ("drop_outliers", outliers)):
            if share is not None:
                finite_number(share, name, "lie in (0, 1]", way, above=0.0, most=1.0)
        if label_noise is None and outliers is None:
            return None
        if label_noise is None:
            return Doubts(None, outliers, None)
        if labels is None:
            shown = Verbatim("labels=None")
            raise invalid("drop_label_noise", "go with labels", shown, "Give each row's label.")
        groups = Groups.of(labels, n, "labels")
        known = np.array([not (name is None or name != name or name == "") for name in groups.names], dtype=np.bool_)
        return Doubts(label_noise, outliers, np.where(known[groups.numbers], groups.numbers, UNKNOWN))


def check_against(against: Any, against_near: float | None, near: float | None) -> float | None:
    """Return the cosine from which a row repeats one of another set; None where there is no other set."""
    if against is None:
        if against_near is not None:
            raise invalid("against_near", "go with against", Verbatim("against=None"), "Give the other set's vectors.")
        return None
    given = near if against_near is None else against_near
    way = "It is a cosine; 0.9 serves sentence embeddings."
    return finite_number(USUAL if given is None else given, "against_near", "lie in (0, 1]", way, above=0.0, most=1.0)


def leave_out(
    whole: GroundSet,
    against: Any,
    threshold: float | None,
    doubts: Doubts | None,
    seed: int,
    least: Callable[[GroundSet], Indices | None],
) -> tuple[GroundSet, LeftOut | None]:
    """Return what is left without repeats of another set and doubtful rows, and what these are; None: none were sought.

    Parameters
    ----------
    threshold : float or None
        Cosine from which a row repeats one of ``against``; None: there is no other set.
    doubts : Doubts or None
    least : callable
        Returns how many rows of each group of a ground set stay; None where no group has a floor.
    """
    left, found = whole, []
    if threshold is not None:
        left, repeats = without_repeats(left, against, threshold)
        found.append(repeats)
    if doubts is not None:
        floors = least(left)
        left, doubtful = without_doubtful(left, doubts, seed, None if floors is None else left.groups, floors)
        found.append(doubtful)
    return left, LeftOut.concatenate(found) if found else None


def without_repeats(ground: GroundSet, against: Any, threshold: float) -> tuple[GroundSet, LeftOut]:
    """Return the ground set without the rows that come near a row of another set, and these.

    Raises
    ------
    InputError
        Where a row that must be chosen is among them, or nothing would be left.
    """
    others = unit_rows(against, parameter="against")
    found = nearest_reaching(unit_rows(ground.X), others, np.arange(others.n), threshold)
    rows: Indices = ground.rows_of(found.places)
    both = np.intersect1d(ground.include, found.places)
    if both.size:
        shown = Verbatim(f"row {ground.rows_of(both)[0]}, which does")
        raise invalid("include", "name no row that comes near one of against", shown)
    if rows.size == ground.n:
        raise invalid("against", "leave rows to choose from", Verbatim(f"all {ground.n} rows near one of it"))
    return ground.without(found.places), LeftOut.of(NEAR, rows, found.cosine, nearest=found.numbers)


def without_doubtful(
    ground: GroundSet, doubts: Doubts, seed: int, groups: Indices | None = None, least: Indices | None = None
) -> tuple[GroundSet, LeftOut]:
    """Return the ground set without doubtful labels and outliers, and these.

    Parameters
    ----------
    groups, least : int64 arrays, optional
        The group of each row, and how many each group keeps; by default one of each label.
    """
    numbers = ground.rows_of(np.arange(ground.n))
    labels = None if doubts.labels is None else doubts.labels[numbers]
    if groups is None and labels is not None:
        groups, least = labels + 1, np.ones(int(labels.max(initial=0)) + 2, dtype=np.int64)
    neighbours = _neighbours(ground, numbers, seed)
    named = np.zeros(ground.n, dtype=np.bool_)
    named[ground.include], named[ground.exclude] = True, True
    to_drop = Worst(numbers, ~named, groups, least)
    parts = []
    if doubts.label_noise is not None:
        assert labels is not None
        noise = neighbours.label_noise(labels)
        parts.append((LABEL_NOISE, noise, to_drop.take(noise, wanted(doubts.label_noise, ground.n), noise > 0)))
    if doubts.outliers is not None:
        close = neighbours.closeness()
        parts.append((OUTLIER, close, to_drop.take(-close, wanted(doubts.outliers, ground.n))))
    dropped = np.concatenate([places for _, _, places in parts])
    if dropped.size == ground.n:
        raise invalid("drop_outliers", "leave rows to choose from", Verbatim(f"all {ground.n} dropped"))
    found = [
        LeftOut.of(kind, numbers[places], score[places], neighbours=_rows(numbers, neighbours, places))
        for kind, score, places in parts
    ]
    return ground.without(np.sort(dropped)), LeftOut.concatenate(found)


def _neighbours(ground: GroundSet, numbers: Indices, seed: int) -> Neighbours:
    """Return the neighbours of each row, within its cluster."""
    rows = unit_rows(ground.X, numbers=numbers)
    if ground.n <= ONE_CLUSTER:
        return nearest_neighbours(rows)
    places = np.full((ground.n, NEIGHBOURS), -1, dtype=np.int64)
    cosine: Float64s = np.zeros((ground.n, NEIGHBOURS))
    clusters = clusters_of(ground.X, CLUSTER_ITEMS, seed, numbers)
    for own in places_of(clusters, 2 * CLUSTER_ITEMS).values():
        found = nearest_neighbours(rows.rows(own))
        places[own], cosine[own] = np.where(found.known, own[found.places], -1), found.cosine
    return Neighbours(places, cosine)


def _rows(numbers: Indices, neighbours: Neighbours, places: Indices) -> Indices:
    """Return the caller's rows that are the neighbours of some rows."""
    near = neighbours.places[places]
    return np.where(near >= 0, numbers[near], -1)
