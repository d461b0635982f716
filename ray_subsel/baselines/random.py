"""Draw random subsets, of all items and of distinct ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from ray_subsel.baselines.in_turn import started, take_in_turn
from ray_subsel.core.types import Indices
from ray_subsel.optimizers.base import Optimizer, Picks, Problem


@final
@dataclass(frozen=True)
class RandomSubset(Optimizer):
    """k items drawn uniformly without replacement, in random order.

    A row that stands for c equal items counts c times. O(n).
    """

    name: ClassVar[str] = "random"

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        rng = np.random.default_rng(problem.seed)
        rows = np.arange(problem.n)
        units = rows if problem.multiplicity is None else np.repeat(rows, problem.multiplicity)
        return take_in_turn(started(problem), rng.permutation(units).tolist())


@final
@dataclass(frozen=True)
class DeduplicatedRandom(Optimizer):
    """k of the distinct vectors, drawn uniformly; the first of equal rows stands for them.

    Where k exceeds the number of distinct vectors, copies fill up, in random order too. O(n d): rows are compared byte
    by byte.
    """

    name: ClassVar[str] = "random_distinct"

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        rng = np.random.default_rng(problem.seed)
        first = first_of_equals(problem.X, problem.available())
        distinct = np.flatnonzero(first == np.arange(problem.n))
        copies = np.flatnonzero(first != np.arange(problem.n))
        run = started(problem)
        # an included item's copies come last, as other copies do
        fresh = distinct[~np.isin(distinct, first[problem.include])]
        late = np.concatenate([np.setdiff1d(distinct, fresh), copies])
        return take_in_turn(run, np.concatenate([rng.permutation(fresh), rng.permutation(late)]).tolist())


def first_of_equals(X: Any, among: np.ndarray[Any, np.dtype[np.bool_]]) -> Indices:
    """Return for each row the first available row that equals it (itself if none), shape (n,)."""
    first = np.arange(int(X.shape[0]))
    seen: dict[bytes, int] = {}
    for row in range(first.size):
        vector = X[[row]].toarray() if hasattr(X, "tocsr") else X[row]
        key = np.ascontiguousarray(vector + 0.0).tobytes()  # -0.0 equals 0.0
        if among[row]:
            first[row] = seen.setdefault(key, row)
    return first
