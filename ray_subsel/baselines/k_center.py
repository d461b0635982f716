"""Choose by k-center (farthest first): next comes the item farthest from everything chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from ray_subsel.baselines.in_turn import started, take_one
from ray_subsel.core.exact_sum import exact_total
from ray_subsel.core.types import Float64s
from ray_subsel.core.unit_rows import UnitRows, row_dots, unit_rows
from ray_subsel.optimizers.base import Optimizer, Picks, Problem
from ray_subsel.optimizers.lazy import Run
from ray_subsel.optimizers.ties import first_best, relative_width

_ROUNDING = 1e-12


@final
@dataclass(frozen=True)
class KCenter(Optimizer):
    """Farthest-first traversal of the unit vectors, from the item nearest to their mean.

    The largest distance of an item to its nearest chosen one is at most twice the smallest possible (Gonzalez 1985);
    on the sphere, farthest in distance is lowest in cosine. O(n d) a pick. Ties go to the lowest index. Picks outliers
    first: what k-center is known for.

    Source: Gonzalez 1985; as core-set selection, Sener & Savarese 2018.
    """

    name: ClassVar[str] = "k_center"

    def maximize(self, problem: Problem) -> Picks:
        """Return the picks."""
        run = started(problem)
        rows = unit_rows(problem.X)
        nearest = np.full(rows.n, -np.inf)
        for item in run.indices:
            np.maximum(nearest, cosines(rows, rows.take(np.array([item]))[0]), out=nearest)
        if not run.indices and not run.feasible.exhausted:
            central = cosines(rows, exact_total(rows, problem.multiplicity).vector())
            item = _first_open(run, central)
            if not take_one(run, item):
                return run.picks({})
            nearest = cosines(rows, rows.take(np.array([item]))[0])
        while not run.feasible.exhausted:
            item = _first_open(run, -nearest)
            if not take_one(run, item):
                break
            np.maximum(nearest, cosines(rows, rows.take(np.array([item]))[0]), out=nearest)
        return run.picks({"farthest_cosine": float(nearest.min())})


def cosines(rows: UnitRows, direction: Float64s) -> Float64s:
    """Return the products of all unit rows with a vector, shape (n,); in blocks, equal rows giving equal numbers."""
    return np.concatenate([row_dots(rows.slice(start, stop), direction) for start, stop in rows.blocks()])


def _first_open(run: Run, values: Float64s) -> int:
    """Return the open item of the largest value."""
    values = np.where(run.feasible.open, values, -np.inf)
    return first_best(values, relative_width(float(values.max()), _ROUNDING))
