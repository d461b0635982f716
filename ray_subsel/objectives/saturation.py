"""Keep up what is left until each represented item of saturated coverage is saturated: its level, which only falls.

A level counts where it is below the highest similarity of its item. Until then its exact value does not matter, so it
is only bounded from below, by sums in W's precision, and computed in float64 once it may matter, or soon will. In many
selections it never does, and hardly a similarity but those of the picks is computed in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices, Mask
from ray_subsel.objectives.constant_gains import ConstantGains
from ray_subsel.objectives.early_gains import EarlyGains
from ray_subsel.objectives.exact_similarities import ExactSimilarities, doubles_pay
from ray_subsel.objectives.levels import Change, Levels
from ray_subsel.objectives.represented import Represented
from ray_subsel.objectives.similarities import Similarities, upward

_FORESEEN = 128  # candidates among which picks are foreseen
_SOON = 32  # levels that are computed together with those that matter


@final
@dataclass(eq=False)
class Saturation(Levels):
    """What is left until each represented item is saturated.

    Attributes
    ----------
    to : Represented
    W : Similarities
    error : float
        Of the similarities in W; 0 where they are those of float64.
    exact : ExactSimilarities or None
        None where W is exact.
    alpha : float
    highest : float64 array of shape (m,)
        No similarity of a represented item is above it.
    until, begun : float64 arrays of shape (m,)
        What is left, now and before the first pick; where ``known`` is false, numbers that it is not below.
    known : bool array of shape (m,)
    settled : float64 array of shape (m,)
        ``until`` when the sums over W were brought up to date; infinity where it was above ``highest``.
    level, passed : arrays of shape (m,), of W's dtype
        ``until`` and ``settled``, less the error, not rounded down: a gain is at most the sum of similarities up to the
        levels, and of the errors.
    weights : array of shape (m,) of W's dtype
    none : float
        A similarity in W at or below it is 0 or less.
    picks : int
        About how many candidates will be chosen.
    early : EarlyGains or None
        By which gains are known, and coverage bounded, while no level is below a similarity; None where W is exact.
    """

    rise: ClassVar[bool] = False

    to: Represented
    W: Similarities
    error: float
    exact: ExactSimilarities | None
    alpha: float
    highest: Float64s
    until: Float64s
    begun: Float64s
    known: Mask
    settled: Float64s
    level: NDArray[Any]
    passed: NDArray[Any]
    weights: NDArray[Any]
    none: float = 0.0
    picks: int = 0
    early: EarlyGains | None = None
    _taken: int = 0
    _moved: int = 0
    _slack: float | None = None  # that of the time before no level was below a similarity is as good
    _seen: tuple[int, Indices | slice, Float64s] | None = None
    _idle: bool = True  # whether no level is below a similarity
    _done: bool = False  # whether all is saturated: nothing gains any more

    def start(self) -> None:
        """Bring the levels up to date before the first pick."""
        self._count()
        self.settle()

    def left(self) -> Change:
        """Return the intervals from 0 to the levels."""
        return Change(None, np.zeros_like(self.level), self.level)

    @property
    def slack(self) -> float:
        """What the error of W can make of a gain: at most the error for each item, and what is left of it."""
        if not self.error:
            return 0.0
        if self._slack is None:
            self._slack = float(np.minimum(self.until, self.error) @ self.to.weights)
        return self._slack

    def bounds(self, columns: NDArray[Any]) -> Float64s:
        """Return numbers that gains do not exceed."""
        covered = np.maximum(np.minimum(columns, self.level), 0.0) @ self.weights
        return np.asarray(covered * (1.0 + columns.shape[1] * float(np.finfo(columns.dtype).eps)) + self.slack)

    def gain(self, item: int) -> float:
        """Return the marginal gain of a candidate in float64."""
        if self._done:
            return 0.0
        early = self._early_now
        if early is not None:
            if item not in early.gains:
                early.expect(np.array([item]))
            return early.gains[item]
        items, covered = self._covered(item)
        return float(covered @ self.to.weights[items])

    def take(self, item: int) -> None:
        """Choose a candidate."""
        if self._early_now is not None:
            self._take_early([item])
            return
        items, covered = self._covered(item)
        self._seen, self._taken = None, self._taken + 1
        if covered.any():
            self.until[items] -= covered
            self._count()
            self._done = not self.until.any()

    def foresees(self, item: int) -> int:
        """Return among how many candidates to look while gains are constant."""
        del item
        return 0 if self._early_now is None else _FORESEEN

    def ready(self, items: Indices) -> Mask:
        """Return whose gains are known."""
        assert self.early is not None
        return np.array([item in self.early.gains for item in items.tolist()])

    def foresight(self, items: Indices) -> ConstantGains:
        """Return the gains of some candidates while they are constant."""
        early, places = self.early, items.tolist()
        assert early is not None
        room = self.begun - self.highest
        known = np.array([early.gains[item] for item in places])
        return ConstantGains(known, lambda chosen: early.constant([places[place] for place in chosen], room))

    def take_run(self, items: Indices) -> None:
        """Choose candidates, before each of which gains were constant."""
        self._take_early(items.tolist())

    def _take_early(self, items: list[int]) -> None:
        """Choose candidates while no level is below a similarity."""
        early = self.early
        assert early is not None
        early.take(items)
        self._taken += len(items)
        self.until = self.begun - early.covered
        if (self.until < self.highest).any():
            early.tighten()
            self.until = self.begun - early.covered
            if self.known.any() and (self.until < self.highest).any():
                early.settle()
                self.until = self.begun - early.covered
        self._count()

    def wants(self, item: int) -> int:
        """Return how many candidates a product takes, where this one's similarities are not there yet."""
        early = self._early_now
        if early is not None:
            return 0 if item in early.gains else early.together(self.picks)
        if self._done or self.exact is None or self.exact.expects(item) or self._few(item):
            return 0
        return self.exact.together()

    def expect(self, items: Indices) -> None:
        """Compute the similarities of candidates by one product."""
        if self._early_now is not None:
            self._early_now.expect(items)
            return
        assert self.exact is not None
        self._seen = None  # rows may be written over
        self.exact.expect(items)

    def gains_seen(self, items: Indices) -> Float64s | None:
        """Return the gains of candidates that were looked at together."""
        early = self._early_now
        return None if early is None else np.array([early.gains[item] for item in items.tolist()])

    @property
    def _early_now(self) -> EarlyGains | None:
        return self.early if self._idle else None

    @property
    def moved(self) -> int:
        """How many levels have moved since they were settled."""
        return self._moved

    def settle(self) -> Change:
        """Return how far levels have moved since this was called last."""
        items = np.flatnonzero((self.until < self.settled) & (self.until < self.highest))
        low, high = self.level[items], self.passed[items]
        self.settled[items], self.passed[items], self._moved = self.until[items], low, 0
        return Change(items, low, high, blurred=bool((low == high).any()))

    def _count(self) -> None:
        """Bring the levels up to date; what has come to matter is computed exactly."""
        low = (self.until < self.highest).nonzero()[0]
        if not low.size:
            return
        if self._early_now is not None:
            self._early_now.end()
        self._slack, self._idle = None, False
        fresh = low[~self.known[low]]
        if fresh.size and self.exact is not None:
            if self._doubles_pay() and self.W.become_exact():
                self._go_on_exact()
                self._count()
                return
            self._learn(self.exact, fresh)
            low = low[self.until[low] < self.highest[low]]
        self.level[low] = self._raised(self.until[low])
        self._moved = int(np.count_nonzero(self.until[low] < self.settled[low]))

    def _doubles_pay(self) -> bool:
        """Tell whether to compute all in float64, if picks go on to cover as much as they did."""
        left = self.picks - self._taken if self.picks > self._taken else self._taken
        until = self.until - (self.begun - self.until) * (left / max(1, self._taken))
        return doubles_pay(self.to, left, int(np.count_nonzero(~self.known & (until < self.highest))))

    def _learn(self, exact: ExactSimilarities, fresh: Indices) -> None:
        """Compute levels that have come to matter, and some that will soon: few at a time would cost more."""
        soon = (~self.known & (self.until < 2.0 * self.highest)).nonzero()[0]
        most = max(_SOON, 2 * fresh.size)
        if soon.size > most:
            soon = np.sort(soon[np.argpartition(self.until[soon] - self.highest[soon], most - 1)[:most]])
        items, sums, covered = np.union1d(fresh, soon), np.zeros(self.to.m), np.zeros(self.to.m)
        assert self.early is not None
        early = np.array(self.early.picks, dtype=np.int64)
        for part, candidates, rows in exact.item_rows(items):
            sums[items[part]] += rows.sum(axis=1)
            first, last, _ = candidates.indices(self.W.n)
            covered[items[part]] += rows[:, early[(early >= first) & (early < last)] - first].sum(axis=1)
            self.W.hold(items[part], candidates, rows)
        self._begin(items, sums, covered)

    def _begin(self, items: Indices, sums: Float64s, covered: Float64s) -> None:
        """Take in the sums of all similarities of some items, and of those to early picks: levels are known by them."""
        more = self.alpha * sums[items] - self.begun[items]
        self.until[items] += more
        self.begun[items] += more
        assert self.early is not None
        self.until[items] += self.early.covered[items] - covered[items]
        self.known[items] = True

    def _go_on_exact(self) -> None:
        """Compute all levels that are not known: W is float64 now."""
        assert self.early is not None
        covered = np.zeros(self.to.m)
        for item in self.early.picks:
            covered += np.maximum(self.W.column(item), 0.0)
        self._begin((~self.known).nonzero()[0], self.W.positive_sums(), covered)
        self.exact, self.error, self.none = None, 0.0, 0.0
        self.weights = self.to.weights
        self.level = np.where(self.level < np.inf, self.until, np.inf)
        self.passed = np.where(self.passed < np.inf, self.settled, np.inf)

    def _raised(self, until: Float64s) -> NDArray[Any]:
        """Return what is left, less the error, in W's precision and not rounded down."""
        return until if self.exact is None else upward(np.maximum(until - self.error, 0.0))

    def _covered(self, item: int) -> tuple[Indices | slice, Float64s]:
        """Return represented items, and what one candidate adds to the coverage of each; to others it adds nothing."""
        if self._seen is None or self._seen[0] != item:
            if self.exact is None:
                self._see(item, slice(None), self.W.column(item))
            elif self.exact.expects(item) or not self._few(item):
                self._see(item, slice(None), self.exact.row(item))
        assert self._seen is not None
        return self._seen[1:]

    def _few(self, item: int) -> bool:
        """Look at one candidate where it adds to the coverage of few, and W tells which; else return false."""
        if self.exact is None or not self.W.kept:
            return False
        items = ((self.W.column(item) > self.none) & (self.until > 0.0)).nonzero()[0]
        if 4 * items.size > self.to.m:
            return False
        self._see(item, items, self.exact.some(item, items))
        return True

    def _see(self, item: int, items: Indices | slice, similarities: NDArray[Any]) -> None:
        covered = np.maximum(similarities, 0.0)
        self._seen = item, items, np.asarray(np.minimum(covered, self.until[items], out=covered), dtype=np.float64)
