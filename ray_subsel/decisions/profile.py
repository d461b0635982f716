"""Measure what a subset is to its corpus: how near it comes to all rows, what repeats it spares, what it is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows

_BLOCK_NUMBERS = 8_000_000
_BLOCK_ROWS = 2_048
MOST_GROUPS = 25
BINS = 10
OTHERS = "(others)"


def coverage(sample: UnitRows, chosen: UnitRows, sizes: Sequence[int]) -> Float64s:
    """Return the mean cosine of the items of a sample to the nearest of the first k chosen ones, for each k.

    Parameters
    ----------
    sample : UnitRows
    chosen : UnitRows
        In rank order.
    sizes : sequence of int
        Values of k, ascending, in [1, chosen.n].
    """
    total = np.zeros(len(sizes))
    targets = np.empty((chosen.n, chosen.d), dtype=np.float32)
    for start, stop in ranges(chosen.n, _BLOCK_ROWS):
        targets[start:stop] = chosen.slice(start, stop)
    at = np.asarray(sizes) - 1
    step = max(1, _BLOCK_NUMBERS // chosen.n)
    for start in range(0, sample.n, step):
        block = sample.slice(start, min(start + step, sample.n)).astype(np.float32)
        cosines = block @ targets.T
        np.maximum.accumulate(cosines, axis=1, out=cosines)
        total += cosines[:, at].sum(axis=0, dtype=np.float64)
    return total / sample.n


def curve_sizes(k: int, most: int = 60) -> list[int]:
    """Return at most some values from 1 to k, evenly spread, with both ends."""
    return [int(one) for one in np.unique(np.linspace(1, k, min(k, most)).round())]


def expected_repeats(groups: Indices, sizes: Sequence[int]) -> list[float]:
    """Return how many of k rows drawn at random repeat an earlier one of their group: k - sum_g (1 - (1 - m_g/N)^k).

    Parameters
    ----------
    groups : int64 array
        m_g, the rows of each group of copies, exact and near ones, single rows included; N is their sum. Two float64 of
        each are held beside it.
    sizes : sequence of int
        Values of k.
    """
    rows = float(groups.sum())
    if rows <= 0:
        return [0.0] * len(sizes)
    missed = groups / rows
    np.minimum(missed, 1.0 - 1e-12, out=missed)
    np.negative(missed, out=missed)
    np.log1p(missed, out=missed)
    repeats, seen = [], np.empty_like(missed)
    for k in sizes:
        np.multiply(missed, k, out=seen)
        np.expm1(seen, out=seen)
        repeats.append(max(0.0, k + float(seen.sum())))
    return repeats


def shares(all_rows: Counter[str], chosen: Counter[str]) -> list[dict[str, Any]]:
    """Return how often each value comes before and after, the most frequent first, the rest as one."""
    names = sorted(all_rows.keys() | chosen.keys(), key=lambda name: (-all_rows[name], name))
    shown = [{"name": name, "before": all_rows[name], "after": chosen[name]} for name in names[:MOST_GROUPS]]
    rest = names[MOST_GROUPS:]
    if rest:
        counts = {"before": sum(all_rows[one] for one in rest), "after": sum(chosen[one] for one in rest)}
        shown.append({"name": f"{OTHERS} {len(rest):,}", **counts})
    return shown


def quartiles(values: Sequence[float] | NDArray[Any]) -> list[float] | None:
    """Return the quartiles, or None of nothing."""
    return [float(one) for one in np.quantile(values, [0.25, 0.5, 0.75])] if len(values) else None


def spread_of(before: Float64s, after: Float64s) -> dict[str, Any] | None:
    """Return how numbers are distributed before and after: quartiles, and counts in at most ten intervals.

    The intervals are equally wide between the 1st and the 99th percentile of the numbers before; the first and the last
    take what lies beyond. None where there is no number before.

    Parameters
    ----------
    before, after : float64 arrays
        NaN is no number; it is counted.
    """
    known = [values[np.isfinite(values)] for values in (before, after)]
    if not known[0].size:
        return None
    low, high = np.quantile(known[0], [0.01, 0.99], overwrite_input=True)  # their order does not matter
    edges = np.linspace(low, high, BINS + 1) if high > low else np.array([low, high])
    inner = edges[1:-1]
    counts = [np.bincount(np.searchsorted(inner, values, side="right"), minlength=inner.size + 1) for values in known]
    names = [f"{a:.4g} to {b:.4g}" for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
    if inner.size:
        names[0], names[-1] = f"below {inner[0]:.4g}", f"{inner[-1]:.4g} and more"
    return {
        "before": quartiles(known[0]),
        "after": quartiles(known[1]),
        "missing": int(before.size - known[0].size),
        "intervals": [
            {"name": name, "before": int(one), "after": int(two)} for name, one, two in zip(names, *counts, strict=True)
        ],
    }
