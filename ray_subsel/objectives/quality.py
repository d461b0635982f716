r"""Turn a score of each item into what is added to f when the item is chosen: f(S) + w' \sum_{i in S} u_i.

u is the rank of the score, from 0 (lowest) to 1 (highest); equal scores share the mean of their ranks, and an item
without a score has 0.5. So the unit and the shape of a score do not matter, nor does an outlier.

w' = w g, where g is about what a pick adds to f. So the same w means about the same on any corpus, for any objective
and any k. With R random items of the ground set, drawn by a hash of their ids:

- monotone objectives: g = f(R) / k, of k random items R: what one adds on average, its relevance to a target included.
  R has at most 20,000 items where f saturates (facility location, saturated coverage), and at most 2,000, with k of
  their number, for others;
- graph cut: g = the median of |f({i})| over 1,000 random i, since f(R) may be 0.

The first gains of a function that saturates are no such unit: they are n times the mean similarity, and the gain of
pick r is about that over r, so one and the same w would be nothing at k = 10 and all that counts at k = 1,000.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.hashing import mix
from ray_subsel.core.numeric import finite_number
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.objectives.base import Objective
from ray_subsel.objectives.represented import RepresentingObjective

WEIGHT = 0.3
"""w, where none is given."""
MISSING = 0.5
"""u of an item without a score."""

RANDOM_STREAM, REFERENCE_STREAM = 0x5EA5, 0x5EA6
"""Added to the seed, so that the random items and those that they are compared with are drawn independently."""
REFERENCE = 2_000
_SATURATING, _OTHER, _FIRST_GAINS = 20_000, 2_000, 1_000


@dataclass(frozen=True, eq=False)
class Ranks:
    """Scores as ranks.

    Attributes
    ----------
    u : float64 array of shape (n,)
    missing : int
        Items without a score.
    """

    u: Float64s
    missing: int


def rank_transform(scores: Float64s) -> Ranks:
    """Return the ranks of scores in [0, 1]: (mean rank - 1) / (m - 1) of m scores; NaN is no score.

    Examples
    --------
    >>> rank_transform(np.array([10.0, 30.0, np.nan, 20.0, 20.0])).u.tolist()
    [0.0, 1.0, 0.5, 0.5, 0.5]
    """
    there = ~np.isnan(scores)
    if not there.any():
        raise invalid("quality", "hold at least one number", Verbatim("none"), "Leave it out.")
    u = np.full(scores.size, MISSING)
    _, which, times = np.unique(scores[there], return_inverse=True, return_counts=True)
    m = int(times.sum())
    before = np.cumsum(times) - times
    if m > 1:
        u[there] = ((before + (times - 1) / 2.0) / (m - 1))[which.reshape(-1)]
    return Ranks(u, int(scores.size - m))


def weight_of(weight: Any, parameter: str = "quality_weight") -> float:
    """Return w, checked: a finite number above 0."""
    way = "At 1 the best item is worth an average pick more than the worst."
    return float(finite_number(weight, parameter, "be a finite number above 0", way, above=0.0))


def drawn_by_hash(ids: Indices, wanted: int, seed: int) -> Indices:
    """Return the places of the items of the lowest hashes, in ascending order."""
    if wanted >= ids.size:
        return np.arange(ids.size)
    return np.sort(np.argsort(mix(ids, seed), kind="stable")[:wanted])


def random_items(objective: Objective[Any], n: int, k: int) -> int:
    """Return how many random items the unit is measured with."""
    if not objective.monotone:
        return min(n, _FIRST_GAINS)
    return min(n, k, _SATURATING if isinstance(objective, RepresentingObjective) else _OTHER)


def gain_unit(objective: Objective[Any], X: Floats, rows: Indices, k: int, relevance: float = 0.0) -> float:
    """Return g, what a pick adds to f on average; 1 where that is 0.

    Parameters
    ----------
    objective : Objective
        f. The value of a set of rows must be that of the whole ground set's f.
    X : float array of shape (m, d)
    rows : int64 array
        The random items.
    k : int
    relevance : float
        The mean relevance of the ground set's items to a target.
    """
    if objective.monotone:
        number = k if isinstance(objective, RepresentingObjective) else rows.size
        found = float(objective.evaluate(X, rows)) / number
    else:
        found = float(np.median(np.abs(objective.gains(objective.init(X), rows))))
    found += objective.relevance_weight * relevance
    return float(f"{found:.6g}") if found > 0.0 else 1.0  # rounded: no order of a sum shows


def unit_function(objective: Objective[Any], n: float, reference: Callable[[], Floats]) -> Objective[Any]:
    """Return f against a sample that stands for n items, where f compares items with each other; else f itself.

    Parameters
    ----------
    reference : callable
        Returns the unit vectors of the sample, called where they are needed.
    """
    if objective.clustered and isinstance(objective, RepresentingObjective) and objective.represented is None:
        return objective.standing_for(reference(), n)
    return objective
