"""Choose by similarity to the queries of a target alone: what is usual where there is one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from ray_subsel.baselines.in_turn import started, take_in_turn, take_one
from ray_subsel.baselines.k_center import cosines
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import UnitRows, row_dots, unit_rows
from ray_subsel.objectives.target import Target
from ray_subsel.optimizers.base import Optimizer, Picks, Problem


@final
@dataclass(frozen=True)
class MostSimilar(Optimizer):
    """The k items of greatest mean similarity to the queries. O(n d). Ties go to the lowest index."""

    name: ClassVar[str] = "most_similar"
    takes_target: ClassVar[bool] = True

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        target = _target_of(problem, self.name)
        similar = cosines(unit_rows(problem.X), target.mean())
        return take_in_turn(started(problem), _with_copies(problem, np.argsort(-similar, kind="stable")))


@final
@dataclass(frozen=True)
class RoundRobin(Optimizer):
    """RDS+: the queries take turns, and each takes the most similar item that is left.

    O(n Q d) time, and O(Q (k + n / 100)) memory. Ties go to the lowest index; the first query begins.

    Source: Ivison et al. 2025, "Large-scale data selection for instruction tuning" (arXiv 2503.01807), RDS+.
    """

    name: ClassVar[str] = "round_robin"
    takes_target: ClassVar[bool] = True

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        target = _target_of(problem, self.name)
        rows, run = unit_rows(problem.X), started(problem)
        nearest = [_Nearest(rows, query) for query in target.rows.slice(0, target.n)]
        for query in itertools.cycle(nearest):
            if run.feasible.exhausted:
                break
            item = query.next(run.feasible.open)
            if item is None or not take_one(run, item):
                break
        return run.picks({})


class _Nearest:
    """The items in order of similarity to one query, looked up a few at a time."""

    def __init__(self, rows: UnitRows, query: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        self.rows, self.query = rows, query
        self.order: Indices = np.zeros(0, dtype=np.int64)
        self.at = 0

    def next(self, is_open: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int | None:
        """Return the most similar open item; None where none is open."""
        while True:
            while self.at < self.order.size:
                item = int(self.order[self.at])
                if is_open[item]:
                    return item
                self.at += 1  # what has closed never opens again
            left = np.flatnonzero(is_open)
            if not left.size:
                return None
            similar = np.concatenate(
                [row_dots(self.rows.slice(start, stop), self.query) for start, stop in self.rows.blocks()]
            )[left]
            some = max(64, self.rows.n // 100)
            if left.size > some:
                level = np.partition(similar, similar.size - some)[similar.size - some]
                left, similar = left[similar >= level], similar[similar >= level]
            self.order, self.at = left[np.argsort(-similar, kind="stable")], 0


def _with_copies(problem: Problem, order: Indices) -> Indices:
    """Return rows in an order, each as often as it may be chosen."""
    return order if problem.multiplicity is None else np.repeat(order, problem.multiplicity[order])


def _target_of(problem: Problem, name: str) -> Target:
    if problem.target is None:
        raise invalid("target", f"be given for the {name} optimizer", Verbatim("none"), "Give the queries' vectors.")
    return problem.target
