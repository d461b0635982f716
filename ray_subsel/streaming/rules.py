"""Decide about newcomers: :class:`Swap`, or :class:`ThreeSieves`."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import numpy as np

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import finite_number, whole_number
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.streaming.functions import StreamFunction
from ray_subsel.streaming.kept import Kept
from ray_subsel.streaming.limits import GroupLimits

_NARROW, _WIDE = 8, 256  # newcomers that are judged together: few after an exchange, more while nothing happens


@dataclass(frozen=True, eq=False)
class Newcomers:
    """Rows of a stream in their order.

    Attributes
    ----------
    X : float64 array of shape (b, d)
        On the grid.
    ids, arrivals, groups : int64 arrays of shape (b,)
    utilities : float64 array of shape (b,)
    """

    X: Float64s
    ids: Indices
    arrivals: Indices
    groups: Indices
    utilities: Float64s

    def __len__(self) -> int:
        return len(self.X)

    def part(self, start: int, stop: int) -> Newcomers:
        """Return some of them."""
        where = slice(start, stop)
        return Newcomers(
            self.X[where], self.ids[where], self.arrivals[where], self.groups[where], self.utilities[where]
        )  # fmt: skip


@dataclass(eq=False)
class Stream:
    """A function, the kept items, and what limits them.

    Attributes
    ----------
    function : StreamFunction
    kept : Kept
    near : float or None
    limits : GroupLimits or None
    level : float64 array of shape (2,)
        What a rule remembers between newcomers.
    refused_near : int
        Newcomers that would have been accepted, had no kept item been as near.
    accepted, evicted, replaced : lists of int
        Decisions since they were taken away.
    """

    function: StreamFunction
    kept: Kept
    near: float | None
    limits: GroupLimits | None
    level: Float64s
    refused_near: int = 0
    accepted: list[int] = field(default_factory=list)
    evicted: list[int] = field(default_factory=list)
    replaced: list[int] = field(default_factory=list)

    def is_near(self, x: Float64s) -> bool:
        """Tell whether a kept item is a near copy, and count the newcomer if so."""
        kept = self.kept.vectors
        found = self.near is not None and bool(len(kept)) and float((kept @ x).max()) >= self.near
        self.refused_near += found
        return found

    def room(self, group: int) -> bool:
        """Tell whether an item of a group may join without another going."""
        if self.kept.full:
            return False
        return self.limits is None or self.kept.counts.get(group, 0) < self.limits.most(group)

    def may_go(self, group: int) -> Indices:
        """Return the places of items for which one of a group may come."""
        held = self.kept.groups[: self.kept.size]
        if self.limits is None or self.kept.counts.get(group, 0) < self.limits.most(group):
            return np.arange(self.kept.size)
        return np.flatnonzero(held == group)

    def add(self, look: Any, new: Newcomers, at: int) -> None:
        """Accept a newcomer."""
        self._put(new, at, self.kept.size)
        self.replaced.append(-1)
        self.function.added(look, at, self.kept.vectors)

    def replace(self, look: Any, new: Newcomers, at: int, place: int) -> None:
        """Accept a newcomer for a kept item."""
        out = self.kept.store[place].copy()
        self.replaced.append(len(self.evicted))
        self.evicted.append(int(self.kept.ids[place]))
        self._put(new, at, place)
        self.function.replaced(look, at, place, out, self.kept.vectors)

    def _put(self, new: Newcomers, at: int, place: int) -> None:
        self.accepted.append(int(new.ids[at]))
        self.kept.put(
            place, new.X[at], int(new.ids[at]), int(new.arrivals[at]), float(new.utilities[at]), int(new.groups[at])
        )


class Rule(abc.ABC):
    """How a stream decides. Subclasses are final frozen dataclasses that hold parameters only."""

    name: ClassVar[str]

    def check(self, function: StreamFunction, stream: Stream) -> None:
        """Raise InputError where the rule does not go with the function or the limits."""
        del function, stream

    def start(self, function: StreamFunction, k: int) -> Float64s:
        """Return what the rule remembers before the first newcomer, shape (2,)."""
        del function, k
        return np.zeros(2)

    @abc.abstractmethod
    def judge(self, stream: Stream, new: Newcomers) -> None:
        """Decide about newcomers between two steps, one after the other."""


@final
@dataclass(frozen=True)
class Swap(Rule):
    r"""Fill k places, then let a newcomer take the place of the item whose exchange raises f most, if it does enough.

    x replaces argmax_j f(S - j + x) where f(S - j + x) - f(S) > c f(S) / k, in units of what a kept item is worth.

    Parameters
    ----------
    least_rise : float, default=0.0
        c >= 0. For c = 1 the kept set of a monotone submodular f is worth at least a quarter of the best k items of
        the stream, in any order; no deterministic rule that never lowers f has a larger ratio under quotas. With a
        smaller c exchanges are more frequent, f is higher in practice (``docs/streaming.md``) and nothing is proven
        beyond f never falling. Graph cut is not monotone: there is no constant for it.

    Notes
    -----
    The ratio holds for one f. Where facility location represents a sample of the stream, f is an estimate that
    changes with the sample; with given ``represented`` items it is fixed.

    Sources: Chakrabarti and Kale, "Submodular maximization meets streaming", Math. Program. 2015; Buchbinder, Feldman
    and Schwartz, "Online submodular maximization with preemption", SODA 2015 (the rule, c = 1); Chan, Huang, Jiang,
    Kang and Tang, "Online submodular maximization with free disposal", SODA 2017 (that 1/4 is the most for partition
    matroids); Gomes and Krause, "Budgeted nonparametric learning from data streams", ICML 2010 (c = 0).
    """

    name: ClassVar[str] = "swap"
    least_rise: float = 0.0

    def __post_init__(self) -> None:
        finite_number(self.least_rise, "least_rise", "be a finite number >= 0", "1 has a guarantee.", least=0.0)

    def judge(self, stream: Stream, new: Newcomers) -> None:
        """Decide about newcomers, one after the other."""
        look = stream.function.look(new.X)
        at, width = 0, _NARROW
        while at < len(new):
            if not stream.kept.full:
                self._decide(stream, look, new, at)
                at += 1
                continue
            stop = min(at + width, len(new))
            found = self._next(stream, look, new, at, stop)
            at, width = found if found >= 0 else stop, _NARROW if found >= 0 else min(2 * width, _WIDE)

    def _next(self, stream: Stream, look: Any, new: Newcomers, at: int, stop: int) -> int:
        """Return where to go on after the first exchange of a part, or -1 where there is none."""
        kept = stream.kept
        worth = stream.function.worth(kept.size)
        levels = worth * (self.least_rise - new.utilities[at:stop] + kept.utilities[: kept.size].min())
        bounds = stream.function.bounds(look, slice(at, stop), kept.vectors, float(levels.min()))
        for place in np.flatnonzero(bounds > levels).tolist():
            if self._decide(stream, look, new, at + place):
                return at + int(place) + 1
        return -1

    def _decide(self, stream: Stream, look: Any, new: Newcomers, at: int) -> bool:
        """Accept a newcomer or not, by exact rises."""
        group = int(new.groups[at])
        if stream.room(group):
            if stream.is_near(new.X[at]):
                return False
            stream.add(look, new, at)
            return True
        places = stream.may_go(group)
        if not places.size:
            return False
        kept = stream.kept
        worth = stream.function.worth(kept.size)
        rises = stream.function.rises(look, at, kept.vectors)
        rises = (rises + worth * (new.utilities[at] - kept.utilities[: kept.size]))[places]
        best = int(np.argmax(rises))
        if not rises[best] > self.least_rise * worth or stream.is_near(new.X[at]):
            return False
        stream.replace(look, new, at, int(places[best]))
        return True


@final
@dataclass(frozen=True)
class ThreeSieves(Rule):
    r"""Accept a newcomer whose gain reaches a level, and lower the level after T refusals in a row; nobody goes.

    The level is (v / 2 - f(S)) / (k - |S|), where v guesses the best value: it starts at a bound of f and is divided by
    1 + epsilon after ``refusals`` newcomers in a row were refused.

    Parameters
    ----------
    epsilon : float, default=0.1
        In (0, 1).
    refusals : int, default=1000
        T. If the chance that a row of the stream reaches the level is above -log(alpha) / T, a level is given up
        wrongly with a probability of at most alpha.

    Notes
    -----
    For a monotone submodular f and rows drawn independently of one distribution the kept set is worth at least
    (1 - epsilon)(1 - 1/e) of the best value with probability (1 - alpha)^k; in a sorted or drifting stream it promises
    nothing. It may keep fewer than k. O(1) evaluations a row, nothing kept but the chosen ones.

    Source: Buschjaeger, Honysz, Pfahler, Morik, "Very fast streaming submodular function maximization", ECML 2021.
    """

    name: ClassVar[str] = "three_sieves"
    epsilon: float = 0.1
    refusals: int = 1000

    def __post_init__(self) -> None:
        finite_number(self.epsilon, "epsilon", "lie in (0, 1)", above=0.0, most=math.nextafter(1.0, 0.0))
        whole_number(self.refusals, "refusals", "be a whole number >= 1", least=1)

    def check(self, function: StreamFunction, stream: Stream) -> None:
        """Raise InputError for a function without a bound, and for quotas."""
        if not function.monotone or function.most(1) is None:
            way = "Use rule='swap' for graph cut."
            raise invalid("rule", "be 'swap' for an objective that is not monotone", "three_sieves", way)
        if stream.limits is not None:
            raise invalid("quotas", "go with rule='swap'", Verbatim("rule='three_sieves'"))

    def start(self, function: StreamFunction, k: int) -> Float64s:
        """Return the first guess, and no refusals."""
        return np.array([function.most(k) or 0.0, 0.0])

    def judge(self, stream: Stream, new: Newcomers) -> None:
        """Decide about newcomers, one after the other."""
        if new.utilities.any():
            raise invalid("utility", "go with rule='swap'", Verbatim("rule='three_sieves'"))
        look = stream.function.look(new.X)
        at, width = 0, _NARROW
        while at < len(new) and not stream.kept.full:
            stop = min(at + width, len(new))
            after = self._next(stream, look, new, at, stop)
            width = _NARROW if after < stop else min(2 * width, _WIDE)
            at = after

    def _next(self, stream: Stream, look: Any, new: Newcomers, at: int, stop: int) -> int:
        """Return where to go on: after the first newcomer of a part that was accepted, or behind the part."""
        kept, function = stream.kept, stream.function
        value, places = function.value(kept.size), len(kept.store) - kept.size
        lowest = (stream.level[0] / (1.0 + self.epsilon) ** (stop - at) / 2.0 - value) / places
        gains = function.gains(look, slice(at, stop), kept.vectors, lowest)
        for place, gain in enumerate(gains.tolist()):
            enough = gain > 0.0 and gain >= (stream.level[0] / 2.0 - value) / places
            if enough and not stream.is_near(new.X[at + place]):
                stream.add(look, new, at + place)
                stream.level[1] = 0.0
                return at + place + 1
            stream.level[1] += 1.0
            if stream.level[1] >= self.refusals:
                stream.level[:] = stream.level[0] / (1.0 + self.epsilon), 0.0
        return stop


RULES: dict[str, type[Rule]] = {Swap.name: Swap, ThreeSieves.name: ThreeSieves}
"""By name, with their defaults."""
