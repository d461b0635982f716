r"""Maximize a coverage function over all items by clusters: f(S) = \sum_c f_c(S \cap c), w_ij = 0 across clusters.

With no similarity across clusters a pick in one changes no gain in another. So the greedy on f *is* the merge, by gain,
of the clusters' own greedy sequences: a process needs one cluster at a time, k has no limit, and the answer for a
smaller k is a prefix.

A cluster hands over its first picks, somewhat more than its share of k (:func:`follow`); the merge (:func:`merge`) asks
those for more that it has used up. Quotas and floors close groups of items: at the level of gain at which the merge
closes a group, every cluster is told to do without it and goes its way again. What closes in the last of a few such
rounds is skipped. Pure functions: :func:`choose_by_clusters` is given what runs the clusters.

Source: functions that decompose over parts, Mirzasoleiman et al., JMLR 2016, section 4.4, with clusters as the parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.constraints.base import UNLIMITED, Constraints
from ray_subsel.constraints.group_budget import GroupBudget
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.dedup.settings import NearSettings
from ray_subsel.optimizers.base import Problem
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.lazy import Picked, rank_items

_SHARE, _LEAST = 1.5, 16
_PART_BITS = 24
_TIE = 1e-11
_CLOSINGS = 4
"""Rounds in which clusters are told what closes."""


@dataclass(frozen=True, eq=False)
class Request:
    """What a cluster is asked for.

    Attributes
    ----------
    cluster : int
    picks : int
        To hand over beside those that must be chosen.
    closes : float64 array of shape (G,) or None
        Below this key (gain, or gain per cost) no item of a group may be chosen any more; -inf: it does not close.
    along : int64 array or None
        Choose the items of these ids, in this order, and nothing else.
    """

    cluster: int
    picks: int
    closes: Float64s | None = None
    along: Indices | None = None


@dataclass(frozen=True, eq=False)
class ClusterSequence:
    """The first picks of a cluster's greedy, those that had to be chosen first.

    Attributes
    ----------
    cluster, size : int
        Its number, and how many items it has.
    ids : int64 array of shape (p,)
    gains, keys : float64 arrays of shape (p,)
        Marginal gains within the cluster, and what they are ranked by.
    groups : int64 array of shape (p,)
    costs : array of shape (p,)
    included : int
        How many had to be chosen.
    complete : bool
        Whether nothing more could be picked.
    """

    cluster: int
    size: int
    ids: Indices
    gains: Float64s
    keys: Float64s
    groups: Indices
    costs: NDArray[Any]
    included: int
    complete: bool

    @property
    def offered(self) -> int:
        """How many picks did not have to be chosen."""
        return int(self.ids.size) - self.included


def _below(key: float) -> float:
    """Return the lowest key that rounding cannot tell from a key."""
    return key - _TIE * max(1.0, abs(key)) if math.isfinite(key) else key


def first_picks(size: int, n: int, k: int) -> int:
    """Return how many picks a cluster hands over at first: half more than its share of k of n items."""
    return min(size, _LEAST + math.ceil(_SHARE * k * size / max(1, n)))


def cluster_settings(cluster_items: int, seed: int) -> NearSettings:
    """Return the settings of clusters: in the sample that they are fitted to, items of cosine 0.95 count once."""
    return NearSettings(0.95, seed, cluster_size=max(2, cluster_items), exact_items=0)


def cut(clusters: Indices, largest: int) -> Indices:
    """Return numbers of clusters of which none has more than so many items: a larger one is cut in order of its items.

    Parameters
    ----------
    clusters : int64 array of shape (n,)
        The cluster of each item, all items of a cluster being there, in ascending order of id.
    largest : int
    """
    order = np.argsort(clusters, kind="stable")
    starts = np.flatnonzero(np.diff(clusters[order], prepend=-1))
    sizes = np.diff(np.append(starts, clusters.size))
    parts = -(-sizes // largest)
    place = np.arange(clusters.size) - np.repeat(starts, sizes)
    numbers = np.empty(clusters.size, dtype=np.int64)
    numbers[order] = (clusters[order] << _PART_BITS) + place * np.repeat(parts, sizes) // np.repeat(sizes, sizes)
    return numbers


def places_of(clusters: Indices, largest: int) -> dict[int, Indices]:
    """Return the places of the items of each cluster, ascending, by the numbers of :func:`cut`."""
    if not clusters.size:
        return {}
    numbers = cut(clusters, largest)
    order = np.argsort(numbers, kind="stable")
    found, starts = np.unique(numbers[order], return_index=True)
    return dict(zip(found.tolist(), np.split(order, starts[1:]), strict=True))


def first_requests(places: Mapping[int, Indices], n: int, k: int) -> list[Request]:
    """Ask each cluster for its :func:`first_picks`, where about k of n items are chosen."""
    return [Request(cluster, first_picks(own.size, n, k)) for cluster, own in places.items()]


def follow(problem: Problem, ids: Indices, request: Request) -> ClusterSequence:
    """Run the greedy on one cluster.

    Parameters
    ----------
    problem : Problem
        Of the cluster's items, with those to include and to exclude, and the groups and costs that matter; its limits
        are those of the merge and are not looked at.
    ids : int64 array of shape (n,)
        What the items are called in the answer, ascending.
    request : Request
    """
    limits = problem.constraints
    n, included = problem.n, limits.include.size
    free = replace(UNLIMITED, include=limits.include, exclude=limits.exclude)
    problem = replace(problem, constraints=free, k=included + request.picks, stop_when_gain=None)
    feasible = FeasibleSet.of(problem)
    scale = None if limits.costs is None else 1.0 / limits.costs
    ranking = rank_items(problem, feasible, scale, lazy=problem.objective.submodular)
    picked = Picked(problem, feasible)
    groups = np.zeros(n, dtype=np.int64) if limits.groups is None else limits.groups
    for item in limits.include.tolist():
        picked.take(item, ranking.gain(item), forced=True)
        ranking.take(item)
    for item in () if request.along is None else np.searchsorted(ids, request.along).tolist():
        picked.take(item, ranking.gain(item))
        ranking.take(item)
    while request.along is None and not feasible.exhausted:
        item, gain = ranking.best()
        key = gain if scale is None else gain * float(scale[item])
        if request.closes is not None and key < _below(float(request.closes[groups[item]])):
            feasible.open &= groups != groups[item]
            continue
        picked.take(item, gain)
        ranking.take(item)
    places = np.array(picked.indices, dtype=np.int64)
    gains = np.array(picked.gains, dtype=np.float64)
    costs = np.ones(places.size) if limits.costs is None else limits.costs[places]
    keys = gains if scale is None else gains * scale[places]
    complete = not feasible.open.any()
    return ClusterSequence(request.cluster, n, ids[places], gains, keys, groups[places], costs, included, complete)


@dataclass(frozen=True, eq=False)
class Merged:
    """The merge of some sequences, as far as they go.

    Attributes
    ----------
    sequences, places : int64 arrays of shape (k,)
        Which sequence each pick comes of, and its place there, in the order of the picks.
    short : list of int
        Sequences that may have more to offer.
    passed : list of int
        Sequences of which an item was passed over: later gains of theirs count on it and are too low.
    passed_full : bool
        Whether one was because its group may have no more.
    closes : float64 array of shape (G,)
        The key below which nothing of a group was taken because it may not be.
    """

    sequences: Indices
    places: Indices
    short: list[int]
    passed: list[int]
    passed_full: bool
    closes: Float64s


def merge(
    found: Sequence[ClusterSequence], k: int, constraints: Constraints = UNLIMITED, stop_when_gain: float | None = None
) -> Merged:
    """Take k items by key: those that had to be chosen, then the best that the constraints allow.

    Ties go to the lowest id. O(p log p) for p items that are offered.

    Parameters
    ----------
    found : sequence of ClusterSequence
    k : int
        The included items count.
    constraints : Constraints
        Quotas, floors and the budget; groups and costs are those of the sequences.
    stop_when_gain : float, optional
    """
    forced = [(number, place) for number, one in enumerate(found) for place in range(one.included)]
    offers = _Offers.of(found)
    state = _Merge(k, constraints, max(1, constraints.n_groups))
    for number, place in forced:
        state.take(int(found[number].groups[place]), found[number].costs[place].item(), forced=True)
    taken = list(forced)
    passed: set[int] = set()
    full, lowest = False, math.inf
    for at in offers.order.tolist():
        if state.slots == 0 or state.spent:
            break
        number, place = int(offers.sequences[at]), int(offers.places[at])
        one = found[number]
        if stop_when_gain is not None and one.gains[place] <= stop_when_gain:
            break
        lowest = float(offers.keys[at])
        group, cost = int(one.groups[place]), one.costs[place].item()
        if state.full(group) or not state.pays(group, cost):
            passed.add(number)
            full = full or state.full(group)
            continue
        state.take(group, cost)
        state.close(lowest)
        taken.append((number, place))
    else:
        lowest = -math.inf if state.slots and not state.spent else lowest
    short = [
        number
        for number, one in enumerate(found)
        if not one.complete and (one.offered == 0 or float(np.min(one.keys[one.included :])) >= _below(lowest))
    ]
    where = np.array(taken, dtype=np.int64).reshape(-1, 2)
    return Merged(where[:, 0], where[:, 1], short, sorted(passed), full, state.closes)


@dataclass(frozen=True, eq=False)
class _Offers:
    """All items that are offered, and the order in which the merge looks at them."""

    sequences: Indices
    places: Indices
    keys: Float64s
    order: Indices

    @staticmethod
    def of(found: Sequence[ClusterSequence]) -> _Offers:
        sequences, places, keys = [NO_ITEMS], [NO_ITEMS], [np.zeros(0)]
        for number, one in enumerate(found):
            own = np.minimum.accumulate(one.keys[one.included :])  # rounding aside, they fall already
            sequences.append(np.full(own.size, number))
            places.append(np.arange(one.included, one.ids.size))
            keys.append(own)
        key, place = np.concatenate(keys), np.concatenate(places)
        level = _levels(key)
        ends = np.cumsum([own.size for own in keys[1:]])[:-1]
        ids = [_rising(one.ids[one.included :], own) for one, own in zip(found, np.split(level, ends), strict=True)]
        return _Offers(
            np.concatenate(sequences), place, key, np.lexsort((place, np.concatenate([NO_ITEMS, *ids]), level))
        )


def _levels(keys: Float64s) -> Indices:
    """Return numbers by which keys fall; those that differ by no more than rounding have one."""
    order = np.argsort(-keys, kind="stable")
    falling = keys[order]
    level = np.empty(keys.size, dtype=np.int64)
    level[order] = np.cumsum(-np.diff(falling, prepend=falling[:1]) > _TIE * np.maximum(1.0, np.abs(falling)))
    return level


def _rising(ids: Indices, level: Indices) -> Indices:
    """Return ids of which no later one of the same level is lower: a cluster's order stays among ties."""
    starts = np.flatnonzero(np.diff(level, prepend=-1) != 0)
    if starts.size == ids.size:
        return ids
    return np.concatenate([np.maximum.accumulate(run) for run in np.split(ids, starts[1:])])


@dataclass(eq=False)
class _Merge:
    """What may still be taken."""

    slots: int
    constraints: Constraints
    n_groups: int
    quotas: Indices | None = field(init=False)
    floors: Indices | None = field(init=False)
    closes: Float64s = field(init=False)
    shared: GroupBudget | None = field(init=False)

    def __post_init__(self) -> None:
        limits = self.constraints
        self.quotas = None if limits.quotas is None else limits.quotas.copy()
        self.floors = None if limits.floors is None else limits.floors.copy()
        self.closes = np.full(self.n_groups, -np.inf)
        self.spending = limits.spending
        self.shared = None
        if limits.shares_budget and self.spending is not None:
            aside = None if limits.cheapest is None else [list(costs) for costs in limits.cheapest]
            self.shared = GroupBudget(self.spending, aside, limits.kept, limits.most, np.zeros(self.n_groups))

    def pays(self, group: int, cost: float) -> bool:
        """Whether the budget, and what the group may spend of it, pays for an item besides."""
        if self.shared is not None:
            return bool(self.shared.pays(group, np.array([cost]))[0])
        return self.spending is None or self.spending.pays_for(cost)

    @property
    def spent(self) -> bool:
        """Whether what is left of the budget pays for nothing."""
        least = self.constraints.least_cost
        return self.spending is not None and least is not None and not self.spending.pays_for(least)

    def full(self, group: int) -> bool:
        """Whether a group may have no more items."""
        if self.quotas is not None and self.quotas[group] <= 0:
            return True
        return self.floors is not None and self.floors[group] <= 0 and int(self.floors.sum()) >= self.slots

    def take(self, group: int, cost: float, *, forced: bool = False) -> None:
        self.slots -= 1
        if self.quotas is not None:
            self.quotas[group] -= 1
        if self.floors is not None:
            self.floors[group] = max(0, self.floors[group] - 1)
        if self.spending is not None:
            self.spending = self.spending.plus([cost])
        if self.shared is not None:
            self.shared.buy(group, cost, aside=not forced)

    def close(self, key: float) -> None:
        """Note which groups the last pick, of this key, has closed."""
        if self.quotas is None and self.floors is None:
            return
        for group in np.flatnonzero(self.closes == -np.inf).tolist():
            if self.full(group):
                self.closes[group] = key


@dataclass(frozen=True, eq=False)
class ChosenByClusters:
    """The answer, in the order of the picks.

    Attributes
    ----------
    ids : int64 array of shape (k,)
    clusters : int64 array of shape (k,)
    gains : float64 array of shape (k,)
        Marginal gains within the clusters; they sum to f of all items.
    rounds : int
    exact : bool
        Whether these are the picks of the greedy on f, given what the constraints allow: false where an item that a
        cluster had picked was passed over at the end.
    n_clusters : int
    """

    ids: Indices
    clusters: Indices
    gains: Float64s
    rounds: int
    exact: bool
    n_clusters: int

    @property
    def value(self) -> float:
        """The value of f."""
        return math.fsum(self.gains.tolist())


def choose_by_clusters(
    run: Callable[[Sequence[Request] | None], Sequence[ClusterSequence]],
    k: int,
    constraints: Constraints = UNLIMITED,
    *,
    first: Indices = NO_ITEMS,
    stop_when_gain: float | None = None,
) -> ChosenByClusters:
    """Choose k items by clusters.

    Parameters
    ----------
    run : callable
        Answers some requests, each for another cluster, in any order; ``None`` asks every cluster for
        :func:`first_picks`.
    k : int
    constraints : Constraints
        Of the whole problem.
    first : int64 array
        The ids of included items, in the order in which the answer is to begin.
    stop_when_gain : float, optional
    """
    found = {one.cluster: one for one in run(None)}
    wanted = {one.cluster: one.offered for one in found.values()}
    closes: Float64s | None = None
    rounds, closings = 1, 0
    while True:
        sequences = [found[cluster] for cluster in sorted(found)]
        merged = merge(sequences, k, constraints, stop_when_gain)
        due = [sequences[number].cluster for number in merged.short]
        if due:
            for cluster in due:
                wanted[cluster] = min(found[cluster].size, 2 * wanted[cluster] + 1)
        elif closings < _CLOSINGS and _tells_more(closes, merged):
            closes, closings, due = _told(closes, merged, last=closings == _CLOSINGS - 1), closings + 1, sorted(found)
        elif _closed_too_much(merged, k, closes, stop_when_gain):
            closes, closings, due = None, _CLOSINGS, sorted(found)
        else:
            break
        found |= {one.cluster: one for one in run([Request(cluster, wanted[cluster], closes) for cluster in due])}
        rounds += 1
    answer = _answer(sequences, merged, first, rounds, exact=not merged.passed and _agree(closes, merged))
    return _true_gains(answer, run, [sequences[number] for number in merged.passed])


def _agree(closes: Float64s | None, merged: Merged) -> bool:
    """Tell whether no cluster was told to do without a group above the level at which the merge has closed it."""
    if closes is None:
        return True
    return all(new >= _below(told) for told, new in zip(closes.tolist(), merged.closes.tolist(), strict=True))


def _tells_more(closes: Float64s | None, merged: Merged) -> bool:
    """Tell whether clusters that knew which groups are closed would make other picks."""
    if closes is None and not np.isfinite(merged.closes).any():
        return False  # what was passed over was too dear, and no group is closed
    return merged.passed_full or not _agree(closes, merged)


def _told(closes: Float64s | None, merged: Merged, *, last: bool) -> Float64s:
    """Return the levels to tell next; the last time a group may rather be passed over than be missed."""
    return np.minimum(closes, merged.closes) if last and closes is not None else merged.closes


def _closed_too_much(merged: Merged, k: int, closes: Float64s | None, stop_when_gain: float | None) -> bool:
    told = closes is not None and bool(np.isfinite(closes).any())
    return told and len(merged.places) < k and stop_when_gain is None


def _answer(
    found: Sequence[ClusterSequence], merged: Merged, first: Indices, rounds: int, *, exact: bool
) -> ChosenByClusters:
    pairs = list(zip(merged.sequences.tolist(), merged.places.tolist(), strict=True))
    ids = np.array([found[s].ids[p] for s, p in pairs], dtype=np.int64)
    gains = np.array([found[s].gains[p] for s, p in pairs], dtype=np.float64)
    clusters = np.array([found[s].cluster for s, _ in pairs], dtype=np.int64)
    order = np.arange(ids.size)
    if first.size:
        rank = {int(one): place for place, one in enumerate(first)}
        order[: first.size] = np.argsort([rank[int(one)] for one in ids[: first.size]], kind="stable")
    return ChosenByClusters(ids[order], clusters[order], gains[order], rounds, exact, len(found))


def _true_gains(
    answer: ChosenByClusters,
    run: Callable[[Sequence[Request] | None], Sequence[ClusterSequence]],
    passed: Sequence[ClusterSequence],
) -> ChosenByClusters:
    """Return the answer with the gains of what was chosen, where a cluster had counted on an item passed over."""
    if not passed:
        return answer
    gains = answer.gains.copy()
    own = {one.cluster: np.flatnonzero(answer.clusters == one.cluster) for one in passed}
    asked = [
        Request(one.cluster, own[one.cluster].size - one.included, along=answer.ids[own[one.cluster]][one.included :])
        for one in passed
    ]
    for one in run(asked):
        gains[own[one.cluster]] = one.gains
    return replace(answer, gains=gains)
