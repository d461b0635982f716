"""Propose the rows of highest gain: gain(x) = <x, t - (2 + lam) s> - 1 for all rows, in one product with one vector."""

from __future__ import annotations

import numpy as np

from ray_subsel.core.threads import Workers, ranges, serial
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import row_dots
from ray_subsel.optimizers.speculative.distinct_rows import DistinctRows
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.verify import rounding

_EXACT_ROWS = 4096


def all_gains(distinct: DistinctRows, direction: Float64s, taken: Indices, workers: Workers = serial) -> Floats:
    """Return all gains to within :func:`rounding`; minus infinity where no unit is left. One pass over X.

    Parameters
    ----------
    distinct : DistinctRows
    direction : float64 array of shape (d,)
        :meth:`GraphCutScore.direction`.
    taken : int64 array of shape (n,)
        Units of each row that are gone.
    """
    rows = distinct.rows
    gains = np.empty(rows.n, dtype=rows.working_dtype)
    rows.multiplier(gains, workers)(direction)
    gains -= 1
    if distinct.utility is not None:
        gains += distinct.utility.astype(gains.dtype)
    gains[taken >= distinct.copies.size] = -np.inf
    return gains


def highest_rows(
    distinct: DistinctRows,
    gains: Floats,
    score: GraphCutScore,
    direction: Float64s,
    picked: int,
    taken: Indices,
    size: int,
) -> Indices:
    """Return the rows of the ``size`` largest gains, and what is needed for the best item to be among them."""
    n_open = int(np.count_nonzero(gains > -np.inf))
    if n_open <= size:
        return np.flatnonzero(gains > -np.inf)
    limit = np.partition(gains, gains.size - size)[gains.size - size]
    above = np.flatnonzero(gains > limit)
    level = np.flatnonzero(gains == limit)[: size - above.size]
    highest = np.concatenate((above, level))
    noise = float(rounding(distinct.rows, np.sqrt(np.array([direction @ direction])), distinct.most_utility)[0])
    contenders = np.flatnonzero(gains >= gains.max() - 2 * noise - score.tie(picked))
    if contenders.size > highest.size:
        highest = np.union1d(highest, _undominated(distinct, contenders, score, direction, picked, taken))
    return highest


def _undominated(
    distinct: DistinctRows,
    contenders: Indices,
    score: GraphCutScore,
    direction: Float64s,
    picked: int,
    taken: Indices,
) -> Indices:
    """Return, among more contenders than are proposed, those that no other beats by gain and by id at once.

    The item of largest gain and the one that wins a tie with it are among them; also where rows of another process
    have a larger gain yet, so that fewer of these tie with it.
    """
    exact = exact_gains(distinct, contenders, direction)
    tied = exact >= exact.max() - score.tie(picked)
    contenders, exact = contenders[tied], exact[tied]
    ids = distinct.copies.units(contenders, taken[contenders])
    order = np.lexsort((ids, -exact))
    lowest = np.minimum.accumulate(ids[order])
    return np.asarray(contenders[order[ids[order] == lowest]], dtype=np.int64)


def exact_gains(distinct: DistinctRows, which: Indices, direction: Float64s) -> Float64s:
    """Return <x, direction> - 1 and the utility of some rows in float64: what decides between them."""
    if which.size <= _EXACT_ROWS:
        exact = row_dots(distinct.rows.take(which), direction)
    else:
        parts = ranges(which.size, _EXACT_ROWS)
        exact = np.concatenate([row_dots(distinct.rows.take(which[start:stop]), direction) for start, stop in parts])
    exact -= 1.0
    if distinct.utility is not None:
        exact += distinct.utility[which]
    return exact
