"""Rank items by gains that are kept up in memory: argmax over open items of f(S + i) - f(S), or of that per cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, final

import numpy as np

from ray_subsel.constraints.spending import picks_expected
from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.objectives.base import Objective
from ray_subsel.objectives.dense_gains import DenseGains
from ray_subsel.optimizers.base import Problem
from ray_subsel.optimizers.feasibility import FeasibleSet
from ray_subsel.optimizers.item_keys import ItemKeys
from ray_subsel.optimizers.known_picks import KnownPicks
from ray_subsel.optimizers.speculative.copies import representatives
from ray_subsel.optimizers.ties import relative_width, tie_width_in

_COMPACT_BELOW = 0.75  # share of distinct rows


@final
@dataclass(eq=False)
class DenseRanking:
    """The items by their gains: those that could win are evaluated in float64, once until a pick changes them.

    Bounds are brought up to date one by one, until that has cost as much as it does for all at once, or a part of it
    where for the last picks it was in vain: so about twice the cheaper of the two is spent at most, whether few items
    compete for a pick or all of them.

    Attributes
    ----------
    problem : Problem
    feasible : FeasibleSet
    scale : float64 array of shape (n,) or None
        What gains are multiplied with before they are compared.
    gains : DenseGains
        Of q candidates.
    candidate : int64 array of shape (n,)
        Which of them each item is: equal rows have one gain.
    """

    one_thread: ClassVar[bool] = True
    problem: Problem
    feasible: FeasibleSet
    scale: Float64s | None
    gains: DenseGains
    candidate: Indices
    evaluations: int = 0
    # what the gain of each candidate does not exceed: the last that was seen of it
    _known: Float64s = field(init=False)
    _gain_of: Indices = field(init=False)  # the pick before which that was the gain; -1 where it is not
    _bound_of: Indices = field(init=False)  # the pick before which its bound was up to date
    _rounding: float = field(init=False)
    _keys: ItemKeys = field(init=False)
    _pick: int = field(init=False, default=0)
    _still: int = field(init=False, default=0)  # gains of this pick and later ones are those of now
    _settled: int = field(init=False, default=0)  # the pick before which all bounds were up to date
    _looked: int = field(init=False, default=0)  # at bounds since then
    _unsettled: int = field(init=False, default=0)  # looks that cost what it costs to bring all up to date
    _run: KnownPicks = field(init=False, default_factory=KnownPicks)

    def __post_init__(self) -> None:
        q = self.gains.W.n
        self._known = np.full(q, np.inf)
        self._gain_of = np.full(q, -1)
        self._bound_of = np.zeros(q, dtype=np.int64)
        self._rounding = self.problem.objective.rounding
        self._keys = ItemKeys(self.candidate, q, self.problem.utility, self.scale)
        self._keys.put_all(self.gains.bounds())

    @staticmethod
    def start(problem: Problem, feasible: FeasibleSet, scale: Float64s | None) -> DenseRanking | None:
        """Return the ranking before the first pick; None where the objective has no such gains, or W does not fit."""
        if type(problem.objective).dense_gains is Objective.dense_gains:
            return None  # it has none; X, which may be sparse, need not be looked at
        with block_workers() as workers:
            same = representatives(problem.X, None, workers=workers)
        picks = _expected_picks(problem)
        distinct = np.flatnonzero(same == np.arange(problem.n))
        if distinct.size < _COMPACT_BELOW * problem.n:
            X, candidate = problem.X[distinct], np.searchsorted(distinct, same)
            objective = problem.objective.weighted(X, np.bincount(candidate))
            gains = None if objective is None else objective.dense_gains(X, min(picks, distinct.size))
            if gains is not None:
                gains.unit = 1.0  # of an item; copies of it do not make others tie
                return DenseRanking(problem, feasible, scale, gains, candidate)
        gains = problem.objective.dense_gains(problem.X, picks)
        return None if gains is None else DenseRanking(problem, feasible, scale, gains, same)

    def gain(self, item: int) -> float:
        """Return the marginal gain of an item, its utility included."""
        self._end_run()
        own = 0.0 if self.problem.utility is None else float(self.problem.utility[item])
        return self.gains.levels.gain(int(self.candidate[item])) + own

    def take(self, item: int) -> None:
        """Choose an item."""
        if not self.feasible.open[item]:
            self._keys.values[item] = -np.inf
        if self._run.items:
            if self._run.take(item):
                if self.feasible.open[item]:  # it may be the next again
                    self._end_run()
                return
            self._end_run()
        candidate = int(self.candidate[item])
        if self._gain_of[candidate] >= self._still and self._known[candidate] == 0.0:
            return  # it changes no level
        before = self.gains.levels.moved
        self.gains.take(candidate)
        self._note(before)

    def _note(self, before: int) -> None:
        """Note that items were chosen, before which some levels had moved."""
        if self.gains.levels.moved == before == 0:
            return
        self._pick += 1
        self._still = self._pick
        self._unsettled = self.gains.unsettled
        if not self._unsettled:
            self._settle()

    def best(self) -> tuple[int, float]:
        """Return the open item of largest key, the lowest of several, and its gain."""
        free = self.feasible.open
        if self._run.items:
            found = self._run.next(free)
            if found is not None:
                return found[0], self._known_gain(found[0]) if found[1] is None else found[1]
            self._end_run()
        while not self._run.items:
            keys = self._keys.values
            top = int(keys.argmax())
            if not free[top]:
                keys[top] = -np.inf
            elif self._gain_of[self.candidate[top]] < self._still:
                self._look(top)
            else:
                level = float(keys[top]) - self._tie_width(top)
                if level <= 0.0 and self.problem.utility is None:  # gains are not negative: all that are open tie
                    first = int(free.argmax())
                    if self._gain_of[self.candidate[first]] < self._still:
                        self._evaluate(int(self.candidate[first]))
                    return first, self._known_gain(first)
                close = (keys >= level).nonzero()[0]
                if close.size > 1:
                    close = close[free[close]]
                    waiting = close[self._gain_of[self.candidate[close]] < self._still]
                    if waiting.size:
                        self._look(int(waiting[np.argmax(keys[waiting])]))
                        continue
                    self._start_run(close, float(keys[top]))
                elif self._plain and self._foresee(top):
                    continue
                return int(close[0]), self._known_gain(int(close[0]))
        return self._run.items[0], self._run.gains[0]

    def _start_run(self, tied: Indices, key: float) -> None:
        """Let items that tie be the next picks, in order, where picks of some change no gain of the others."""
        if not self.gains.levels.several or not self._plain:
            return
        some = tied[: self._run.most]
        self._run.start(some, self._keys.values[some], key, self.gains.levels.apart(self.candidate[some]))

    @property
    def _plain(self) -> bool:
        """Whether keys are gains of the objective."""
        return self.scale is None and self.problem.utility is None

    def _foresee(self, top: int) -> bool:
        """Look for the next picks among the items of largest keys, until another could win; tell whether to go on."""
        most = self.gains.foresees(int(self.candidate[top]))
        if not (most and self._run.due()):
            return False
        if self._pick != self._settled:
            self._settle()
        keys, most = self._keys.values, min(most, self._run.among)
        some, outside = np.arange(keys.size), -np.inf
        if most < keys.size:
            order = keys.argpartition(keys.size - most - 1)[-most - 1 :]
            some, outside = np.sort(order[1:]), float(keys[order[0]])
        some = some[self.feasible.open[some]]
        ready = self.gains.levels.ready(self.candidate[some])
        if not ready.all():
            outside = max(outside, float(keys[some[~ready]].max()))
            some = some[ready]
        candidates = self.candidate[some]
        found = self.gains.levels.foresight(candidates) if some.size else None
        if found is None:
            return self._run.foresee([], [])
        self._know(candidates, found.gains)
        places, gains = found.picks(outside, self._rounding, self.gains.unit)
        return self._run.foresee(some[places].tolist() if places else [], gains)

    def _end_run(self) -> None:
        """Bring up to date what the picks of a run have changed."""
        taken = self._run.end()
        if taken:
            before = self.gains.levels.moved
            self.gains.take_run(self.candidate[taken])
            self._note(before)

    def _known_gain(self, item: int) -> float:
        utility = self.problem.utility
        return float(self._known[self.candidate[item]]) + (0.0 if utility is None else float(utility[item]))

    def _tie_width(self, item: int) -> float:
        """Return by how much a key may be below an item's and still tie with it."""
        if self.scale is None and self.problem.utility is None:
            return relative_width(self._known_gain(item), self._rounding, self.gains.unit)
        return tie_width_in(self.problem, self.gains.unit, item, self._known_gain(item), self.scale)

    def _look(self, item: int) -> None:
        """Learn more of the gain of an item that could win: its bound, or itself."""
        candidate = int(self.candidate[item])
        if self._pick == self._settled:
            if self.gains.levels.several:
                self._evaluate_tied(item)
            else:
                self._evaluate(candidate)
        elif 0 < self._unsettled <= self._looked:
            self._settle()  # by which the gain may be known, too
        elif self._pick == self._bound_of[candidate]:
            self._evaluate(candidate)
        elif self.gains.blurs:
            self._tighten(candidate)
        else:
            self._looked += 1
            self._evaluate(candidate)

    def _evaluate(self, candidate: int) -> None:
        """Compute the gain of a candidate."""
        wanted = self.gains.levels.wants(candidate)
        if wanted:
            items = 2 * wanted if self._keys.copies else wanted  # itself is one of them
            others = self._keys.highest(items, self._gain_of[self.candidate] < self._still) if wanted > 1 else NO_ITEMS
            others = others[others != candidate]
            if others.size >= wanted:
                others = np.sort(others[np.argsort(-self._known[others], kind="stable")[: wanted - 1]])
            some = np.append(others, candidate)
            self.gains.levels.expect(some)
            gains = self.gains.levels.gains_seen(some)
            if gains is not None:
                self._know(some, gains)
                return
        self._known[candidate], self._gain_of[candidate] = self.gains.levels.gain(candidate), self._pick
        self._bound_of[candidate] = self._pick
        self.evaluations += 1
        self._keys.put_one(candidate, float(self._known[candidate]))

    def _know(self, candidates: Indices, gains: Float64s) -> None:
        """Take in the gains of candidates, of which some may be known."""
        self.evaluations += int(np.count_nonzero(self._gain_of[candidates] < self._still))
        self._known[candidates], self._gain_of[candidates], self._bound_of[candidates] = gains, self._pick, self._pick
        self._keys.put(candidates, gains)

    def _evaluate_tied(self, item: int) -> None:
        """Compute the gain of an item, and those of all whose keys tie with its."""
        width = self._rounding * self.gains.unit  # at most that of its gain
        items = (self.feasible.open & (self._keys.values >= self._keys.values[item] - width)).nonzero()[0]
        some = np.unique(self.candidate[items]) if self._keys.copies else items
        some = some[self._gain_of[some] < self._still]
        self._know(some, self.gains.levels.gains(some))

    def _tighten(self, candidate: int) -> None:
        """Bring the bound of a candidate up to date, and of as many others as are best looked at with it."""
        if self.gains.together == 1:
            self._looked += 1
            bound = float(self.gains.bounds_now(np.array([candidate]))[0])
            self._known[candidate] = min(self._known[candidate], bound)
            self._bound_of[candidate] = self._pick
            self._keys.put_one(candidate, float(self._known[candidate]))
            return
        others = self._keys.highest(self.gains.together - 1)
        some = np.union1d([candidate], others[self._bound_of[others] != self._pick])
        self._looked += some.size
        self._known[some] = np.minimum(self._known[some], self.gains.bounds_now(some))
        self._bound_of[some] = self._pick
        self._keys.put(some, self._known[some])

    def _settle(self) -> None:
        """Bring all bounds up to date: what no pick has changed since it was known is known still."""
        changed = self.gains.settle()
        if changed is None:
            self._gain_of[self._gain_of < self._pick] = -1
            self._keys.put_all(self.gains.bounds())
        else:
            # with the pick itself nothing has been looked at yet
            self._gain_of[changed if not self._looked else changed[self._gain_of[changed] < self._pick]] = -1
            self._keys.put(changed, self.gains.bounds(changed))
        self._still, self._settled, self._looked, self._unsettled = 0, self._pick, 0, 0


def _expected_picks(problem: Problem) -> int:
    """Return about how many items will be chosen."""
    costs = problem.constraints.costs
    return picks_expected(problem.k, problem.constraints.budget, None if costs is None else float(costs.mean()))
