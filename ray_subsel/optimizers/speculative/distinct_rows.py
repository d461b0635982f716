"""The rows that a certified greedy chooses from: their supply of ids, their gains, the pool of the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ray_subsel.core.exact_sum import exact_total
from ray_subsel.core.threads import Workers, ranges, serial
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import UnitRows, is_tensor, row_dots, unit_rows
from ray_subsel.objectives.graph_cut import GraphCut
from ray_subsel.optimizers.base import Problem
from ray_subsel.optimizers.speculative.copies import Supply, representatives, supply_of
from ray_subsel.optimizers.speculative.draft import Pool
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.verify import rounding

_COMPACT_BELOW = 0.75


@dataclass(frozen=True, eq=False)
class Ground:
    """The rows to choose from, distinct where copying them costs no more than half of X.

    Attributes
    ----------
    rows : UnitRows
    supply : Supply
    utility : float64 array of shape (n,) or None
        Of the rows that ``rows`` holds.
    """

    rows: UnitRows
    supply: Supply
    utility: Float64s | None


def ground_of(problem: Problem, workers: Workers = serial) -> tuple[Ground, Float64s]:
    """Return the rows to choose from after must-includes and exclusions, and t."""
    objective = problem.objective
    assert isinstance(objective, GraphCut)
    X, counts = problem.X, np.ones(problem.n, dtype=np.int64)
    if problem.multiplicity is not None:
        counts = problem.multiplicity.copy()
    same = representatives(X, problem.utility, workers=workers)
    utility, original = problem.utility, np.arange(problem.n)
    distinct = np.flatnonzero(same == original)
    if distinct.size < _COMPACT_BELOW * problem.n and not is_tensor(X) and not isinstance(X, np.memmap):
        rows = unit_rows(X[distinct], numbers=distinct, workers=workers)
        same = np.searchsorted(distinct, same)
        utility = None if utility is None else utility[distinct]
        weights = np.bincount(same, weights=counts, minlength=rows.n).astype(np.int64)
    else:
        rows = unit_rows(X, workers=workers)
        weights = counts
    total = (
        exact_total(rows, weights, workers=workers).vector()
        if objective.total is None
        else objective.given_total(rows.d)
    )
    counts = counts.copy()
    counts[problem.exclude] = 0
    np.subtract.at(counts, problem.include, 1)
    return Ground(rows, supply_of(same, counts, rows.n), utility), total


def all_gains(ground: Ground, direction: Float64s, taken: Indices, workers: Workers = serial) -> Floats:
    """Return all gains to within :func:`rounding`; minus infinity where nothing is left. One pass over X."""
    rows = ground.rows
    P = np.ascontiguousarray(direction[:, None])
    gains = np.empty(rows.n, dtype=np.float32 if rows.unit_roundoff > 2.0**-30 else np.float64)

    def fill(start: int, stop: int) -> None:
        gains[start:stop] = rows.products(slice(start, stop), P)[:, 0]

    workers(fill, ranges(rows.n, max(1024, (1 << 20) // rows.d)))
    gains -= 1
    if ground.utility is not None:
        gains += ground.utility.astype(gains.dtype)
    gains[taken >= ground.supply.size] = -np.inf
    return gains


def choose_pool(
    ground: Ground, gains: Floats, law: GraphCutScore, direction: Float64s, picked: int, taken: Indices, size: int
) -> Indices:
    """Return the rows of the ``size`` largest gains, and what is needed for the best item to be among them."""
    open_rows = int(np.count_nonzero(gains > -np.inf))
    if open_rows <= size:
        return np.flatnonzero(gains > -np.inf)
    limit = np.partition(gains, gains.size - size)[gains.size - size]
    above = np.flatnonzero(gains > limit)
    level = np.flatnonzero(gains == limit)[: size - above.size]
    pool = np.concatenate((above, level))
    most = 0.0 if ground.utility is None else float(np.abs(ground.utility).max())
    noise = float(rounding(ground.rows, np.sqrt(np.array([direction @ direction])), most)[0])
    contenders = np.flatnonzero(gains >= gains.max() - 2 * noise - law.tie(picked))
    if contenders.size > pool.size:
        pool = np.union1d(pool, _winners(ground, contenders, law, direction, picked, taken))
    return pool


def _winners(
    ground: Ground, contenders: Indices, law: GraphCutScore, direction: Float64s, picked: int, taken: Indices
) -> Indices:
    """Return, among more contenders than a pool holds, those that no other beats by gain and by id at once.

    The item of largest gain and the one that wins a tie with it are among them; also where rows of another process
    have a larger gain yet, so that fewer of these tie with it.
    """
    exact = np.concatenate(
        [
            row_dots(ground.rows.take(contenders[start : start + 4096]), direction)
            for start in range(0, contenders.size, 4096)
        ]
    )
    exact -= 1.0
    if ground.utility is not None:
        exact += ground.utility[contenders]
    tied = exact >= exact.max() - law.tie(picked)
    contenders, exact = contenders[tied], exact[tied]
    ids = ground.supply.units(contenders, taken[contenders])
    order = np.lexsort((ids, -exact))
    lowest = np.minimum.accumulate(ids[order])
    return np.asarray(contenders[order[ids[order] == lowest]], dtype=np.int64)


def pool_of(ground: Ground, rows: Indices) -> Pool:
    """Return the pool that consists of some rows."""
    utility = np.zeros(rows.size) if ground.utility is None else ground.utility[rows]
    return Pool(rows, ground.rows.take(rows), utility)
