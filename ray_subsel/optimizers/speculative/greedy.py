"""Exact greedy for graph cut that reads the vectors once per few hundred picks.

A round:

1. gains of all items, one product of X with one vector (:func:`all_gains`);
2. the pool: the items of highest gain (:func:`choose_pool`);
3. J picks inside the pool, as if nothing outside could win (:func:`..speculation.draft_picks`);
4. the first turn at which something outside wins (:func:`..overtake.first_rejection`); the picks before it stand.

Steps 1, 2 and 4 look at one set of rows and at what a driver tells them (t, s, the bet), and hand back little. So
partitions that live in other processes can run them on their rows, and the driver merges: pools by gain, overtakes by
the smallest turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from ray_subsel.core.errors import invalid
from ray_subsel.core.threads import Workers, block_workers
from ray_subsel.core.unit_rows import UnitRows, row_dots, take_rows, unit_rows
from ray_subsel.objectives.graph_cut import GraphCut
from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.speculative.distinct_rows import Ground, all_gains, choose_pool, ground_of, pool_of
from ray_subsel.optimizers.speculative.draft import Draft, draft_picks
from ray_subsel.optimizers.speculative.score import MOST_PICKS, GraphCutScore
from ray_subsel.optimizers.speculative.verify import CHECKPOINTS, first_rejection


@final
@dataclass(frozen=True)
class CertifiedGreedy(Optimizer):
    """The greedy of :class:`ray_subsel.objectives.GraphCut`, pick by pick the same, in far fewer passes over X.

    Parameters
    ----------
    picks, pool : int
        How many picks to speculate in the first round, and how many items of a pool to a pick. Later rounds adapt.
        They change the time it takes and nothing else.
    """

    name: ClassVar[str] = "certified"

    picks: int = 64
    pool: int = 3

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        return certified_picks(problem, self.name, self.picks, self.pool, paced=False)


def certified_picks(problem: Problem, name: str, picks: int, pool: int, *, paced: bool) -> Picks:
    """Run rounds until k items are picked or a gain falls to ``stop_when_gain``."""
    if not isinstance(problem.objective, GraphCut):
        way = "Use optimizer='greedy', which takes the way that suits the objective."
        raise invalid("objective", f"be graph_cut for the {name} optimizer", problem.objective.name, way)
    if problem.constraints.limited:
        raise invalid(
            "optimizer", "know quotas, floors and costs when they are given", name, "Use 'greedy' or 'naive'."
        )
    with block_workers() as workers:
        ground, total = ground_of(problem, workers)
        law = GraphCutScore(total, problem.objective.lam, problem.k if paced else None)
        run = _Run(problem, workers, ground, law)
        run.include()
        run.finish(picks, pool)
    return Picks(np.array(run.ids, dtype=np.int64), np.array(run.gains, dtype=np.float64), run.stats)


class _Run:
    """What rounds change: the picks so far, their sum, what is left of each row, and counts of work."""

    def __init__(self, problem: Problem, workers: Workers, ground: Ground, law: GraphCutScore) -> None:
        self.problem = problem
        self.workers = workers
        self.ground = ground
        self.law = law
        self.taken = np.zeros(ground.rows.n, dtype=np.int64)
        self.chosen = np.zeros(ground.rows.d)
        self.ids: list[int] = []
        self.gains: list[float] = []
        names = ("rounds", "passes", "evaluations", "survivors", "suspects")
        self.stats: dict[str, float] = dict.fromkeys(names, 0.0)

    def include(self) -> None:
        """Take the items that must be in."""
        include, utility = self.problem.include, self.problem.utility
        if include.size == 0:
            return
        vectors = unit_rows(take_rows(self.problem.X, include)).slice(0, include.size)
        sums = np.cumsum(np.concatenate((self.chosen[None], vectors)), axis=0)
        gains = row_dots(vectors, self.law.total - self.law.penalty * sums[:-1]) - 1.0
        self.gains.extend((gains if utility is None else gains + utility[include]).tolist())
        self.ids.extend(include.tolist())
        self.chosen = sums[-1]

    def finish(self, picks: int, pool: int) -> None:
        """Run rounds to the end."""
        problem = self.problem
        most = most_picks(self.ground.rows, pool)
        while len(self.ids) < problem.k:
            wanted = min(picks, problem.k - len(self.ids), most)
            bet, turn = self._round(wanted, pool)
            stopped = self._accept(bet, turn)
            if problem.progress is not None:
                problem.progress(len(self.ids), problem.k)
            if stopped:
                break
            picks = next_picks(picks, wanted, turn)

    def _round(self, wanted: int, pool_share: int) -> tuple[Draft, int]:
        """Return a bet and the turn up to which it is won."""
        ground, law, taken, picked = self.ground, self.law, self.taken, len(self.ids)
        direction = law.direction(self.chosen, picked)
        gains = all_gains(ground, direction, taken, self.workers)
        rows = choose_pool(ground, gains, law, direction, picked, taken, max(64, pool_share * wanted))
        pool = pool_of(ground, rows)
        bet = draft_picks(pool, law, ground.supply, taken, self.chosen, picked, wanted, self.workers)
        outside = gains > -np.inf
        outside[rows] = False
        self._count(rounds=1, passes=1, evaluations=ground.rows.n + rows.size * len(bet))
        if len(bet) <= 1 or not outside.any():
            return bet, len(bet)
        found = first_rejection(ground.rows, outside, ground.utility, law, ground.supply, taken, bet, self.workers)
        evaluations = ground.rows.n * min(len(bet), CHECKPOINTS) + (found.survivors + found.suspects) * len(bet)
        self._count(passes=1, evaluations=evaluations, survivors=found.survivors, suspects=found.suspects)
        return bet, found.turn

    def _count(self, **work: int) -> None:
        for name, amount in work.items():
            self.stats[name] += amount

    def _accept(self, bet: Draft, turn: int) -> bool:
        """Take the first picks of a bet; tell whether a gain fell to the level at which to stop."""
        stop = self.problem.stop_when_gain
        low = np.zeros(0, dtype=np.int64) if stop is None else np.flatnonzero(bet.gains[:turn] <= stop)
        if low.size:
            turn = int(low[0])
        self.ids.extend(bet.ids[:turn].tolist())
        self.gains.extend(bet.gains[:turn].tolist())
        np.add.at(self.taken, bet.rows[:turn], 1)
        self.chosen = bet.sums[turn]
        return bool(low.size)


def most_picks(rows: UnitRows, pool_share: int) -> int:
    """Return how many picks to speculate at most: the pool's Gram matrix stays below an eighth of X, or half a MiB."""
    bytes_of_x = rows.n * rows.d * (4 if rows.unit_roundoff > 2.0**-30 else 8)
    pool = max(256, int(np.sqrt(bytes_of_x / 8 / 8)))
    return min(MOST_PICKS, max(64, pool // pool_share))


def next_picks(picks: int, wanted: int, turn: int) -> int:
    """Return how many picks to speculate next: more after a bet that held, about what held after one that did not."""
    if turn == wanted:
        return min(MOST_PICKS, max(picks, wanted * 2))
    return max(8, (3 * turn) // 2)
