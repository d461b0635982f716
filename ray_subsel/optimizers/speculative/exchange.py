"""Exchange chosen items: one out, one in, while that raises f."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from ray_subsel.core.errors import unknown
from ray_subsel.core.exact_sum import summed_unit_rows
from ray_subsel.core.numeric import whole_number
from ray_subsel.core.threads import Workers, block_workers
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import row_dots
from ray_subsel.objectives.graph_cut import GraphCut
from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.speculative.copies import copies_of
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows
from ray_subsel.optimizers.speculative.greedy import CertifiedGreedy, check_goes_with
from ray_subsel.optimizers.speculative.paced import PacedGreedy
from ray_subsel.optimizers.speculative.propose import all_gains
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.verify import rounding

_STARTS: dict[str, type[CertifiedGreedy] | type[PacedGreedy]] = {"paced": PacedGreedy, "greedy": CertifiedGreedy}


@final
@dataclass(frozen=True)
class Exchange(Optimizer):
    """Graph cut: start from a greedy's subset and make the best swap, again and again.

    Putting j in the place of i changes f by ``g_j - g_i - (2 + lam) (1 - w_ij)`` with g = <x, t - (2 + lam) s>, so only
    outside items of high g and chosen items of low g need to be looked at, and a bound on the rest says when the best
    pair is certain. The newcomer takes the leaver's rank. Items of ``include`` stay.

    Like ``paced``, this raises f, which is not the same as a better subset.

    Parameters
    ----------
    swaps : int, default=100
        At most so many; two passes over X each.
    start : {"paced", "greedy"}, default="paced"
    look : int, default=128
        How many outside and chosen items to pair first; four times as many until the best swap is certain. Changes the
        time it takes and nothing else.
    """

    name: ClassVar[str] = "exchange"
    graph_cut_only: ClassVar[bool] = True

    swaps: int = 100
    start: str = "paced"
    look: int = 128

    def __post_init__(self) -> None:
        if self.start not in _STARTS:
            raise unknown("start", self.start, _STARTS)
        whole_number(self.swaps, "swaps", "be at least 0", least=0)
        whole_number(self.look, "look", "be at least 1", least=1)

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        check_goes_with(problem, self.name)
        problem, shift = problem.centred()
        picks = _STARTS[self.start]().maximize(problem)
        with block_workers() as workers:
            chosen = _Chosen(problem, picks.indices, workers)
            made = 0
            while made < self.swaps and chosen.swap(self.look):
                made += 1
        stats = {**picks.stats, "swaps": float(made)}
        return Picks(chosen.ids, chosen.gains() if made else picks.gains, stats).raised(shift)


class _Chosen:
    """The chosen items, in rank order, while they are exchanged."""

    def __init__(self, problem: Problem, ids: Indices, workers: Workers) -> None:
        objective = problem.objective
        assert isinstance(objective, GraphCut)
        counts = np.ones(problem.n, dtype=np.int64) if problem.multiplicity is None else problem.multiplicity.copy()
        rows, summed = summed_unit_rows(problem.X, counts, workers=workers)
        total = summed.vector()
        counts[problem.exclude] = 0
        each = np.arange(rows.n)
        self.distinct = DistinctRows(rows, copies_of(each, counts, rows.n), problem.utility, each)
        self.score = GraphCutScore(total if objective.total is None else objective.given_total(rows.d), objective.lam)
        self.workers = workers
        self.ids = ids.copy()
        self.taken = np.bincount(ids, minlength=rows.n)
        self.vectors = rows.take(ids)
        self.utility = np.zeros(ids.size) if problem.utility is None else problem.utility[ids]
        self.fixed = problem.include.size

    def gains(self) -> Float64s:
        """Return the gains of f, and utilities, in rank order."""
        sums = np.cumsum(np.concatenate((np.zeros((1, self.vectors.shape[1])), self.vectors)), axis=0)
        return row_dots(self.vectors, self.score.directions(sums[:-1], 0)) - 1.0 + self.utility

    def swap(self, look: int) -> bool:
        """Make the best swap; return whether there was one that raises f."""
        distinct, score = self.distinct, self.score
        direction = score.direction(self.vectors.sum(axis=0), self.ids.size)
        outside = all_gains(distinct, direction, self.taken, self.workers).astype(np.float64)
        noise = float(rounding(distinct.rows, np.sqrt(np.array([direction @ direction])), distinct.most_utility)[0])
        inside = row_dots(self.vectors, direction) - 1.0 + self.utility
        inside[: self.fixed] = np.inf
        while True:
            rows, rest_outside = _extreme(-outside, look)
            ranks, rest_inside = _extreme(inside, look)
            if rows.size == 0 or ranks.size == 0:
                return False
            gain, row, rank, best_in, worst_out = self._best_pair(rows, ranks, direction, inside)
            unseen = max(-rest_outside + noise - worst_out, best_in - rest_inside)
            certain = max(gain, 0.0) >= unseen
            if certain or (rest_outside == np.inf and rest_inside == np.inf):
                break
            look *= 4
        if gain <= score.tie(self.ids.size):
            return False
        self.taken[self.ids[rank]] -= 1
        self.taken[row] += 1
        self.ids[rank] = row
        self.vectors[rank] = distinct.rows.take(np.array([row]))[0]
        self.utility[rank] = 0.0 if distinct.utility is None else distinct.utility[row]
        return True

    def _best_pair(
        self, rows: Indices, ranks: Indices, direction: Float64s, inside: Float64s
    ) -> tuple[float, int, int, float, float]:
        """Return the best swap's gain, row in and rank out, and the best gain in and the worst out that were seen."""
        vectors = self.distinct.rows.take(rows)
        gains = row_dots(vectors, direction) - 1.0
        if self.distinct.utility is not None:
            gains += self.distinct.utility[rows]
        change = gains[:, None] - inside[ranks] - self.score.penalty * (1.0 - vectors @ self.vectors[ranks].T)
        tied = np.argwhere(change >= change.max() - self.score.tie(self.ids.size))
        order = np.lexsort((ranks[tied[:, 1]], rows[tied[:, 0]]))  # the lowest row in, the lowest rank out
        into, out = tied[order[0]]
        best, worst = float(gains.max()), float(inside[ranks].min())
        return float(change[into, out]), int(rows[into]), int(ranks[out]), best, worst


def _extreme(values: Float64s, size: int) -> tuple[Indices, float]:
    """Return the positions of the ``size`` smallest finite values, and a bound below which no other value lies."""
    finite = np.flatnonzero(values < np.inf)
    if finite.size <= size:
        return finite, np.inf
    limit = float(np.partition(values[finite], size)[size])
    below = finite[values[finite] < limit]
    level = finite[values[finite] == limit][: size - below.size]
    return np.concatenate((below, level)), limit
