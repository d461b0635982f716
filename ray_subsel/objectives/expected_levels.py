"""Foretell how many represented items of saturated coverage come near to be saturated, from a sample of them."""

from __future__ import annotations

import numpy as np

from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float64s
from ray_subsel.objectives.represented import Represented

_CANDIDATES, _AT_ONCE = 1024, 512  # that are looked at, at most, and together
_PROBES, _PROBED = 96, 1 << 16  # represented items whose levels are foretold, at most, and numbers of their vectors


def expected_levels(to: Represented, alpha: float, everything: Float64s | None, picks: int) -> float:
    """Estimate which share of all levels come to matter, from a few.

    Until one does, gains are sums over all represented items, and greedy takes the largest: so are here those over one
    half of the sample, and the other half tells what they cover.
    """
    probes = np.unique(np.linspace(0, to.m - 1, min(_PROBES, max(1, _PROBED // to.items.d), to.m)).astype(np.int64))
    n = to.candidates.n
    some = np.unique(np.linspace(0, n - 1, min(_CANDIDATES, n)).astype(np.int64))
    share = some.size / n
    W = np.empty((probes.size, some.size), dtype=np.float32)
    vectors = to.items.take(probes).astype(np.float32)
    for start, stop in ranges(some.size, _AT_ONCE):
        W[:, start:stop] = to.kernel.of(vectors, to.candidates.single(some[start:stop]))
    np.maximum(W, 0.0, out=W)
    whole = np.add.reduce(W, axis=1) if everything is None else everything[probes] * share
    picks = max(1, round(picks * share))
    covered = np.empty(probes.size)
    for half in (slice(0, None, 2), slice(1, None, 2)):
        other = slice(1 - half.start, None, 2)
        sums = to.weights[probes[half]] @ W[half]
        covered[other] = np.add.reduce(W[other][:, np.argpartition(-sums, picks - 1)[:picks]], axis=1)
    return float(np.mean(covered > alpha * whole - share))
