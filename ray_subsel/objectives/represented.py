"""The items that facility location and saturated coverage want represented, and their similarities to candidates.

Either all rows of the ground set, or a matrix of other vectors: a sample that is shared by all partitions keeps the
cost of one gain at O(m d) however large the ground set is, and makes partitions agree on what they maximize.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.objectives.kernels import Kernel, kernel_of

BLOCK_NUMBERS = 1 << 19
"""Similarities that a thread holds at a time: 4 MiB in float64."""
_CANDIDATES = 128


@dataclass(frozen=True, eq=False)
class Represented:
    """m represented items and n candidates.

    Attributes
    ----------
    kernel : Kernel
    candidates : UnitRows
        n rows.
    items : UnitRows
        m rows; the same object as ``candidates`` where the ground set represents itself.
    weights : float64 array of shape (m,)
        How much each represented item counts.
    """

    kernel: Kernel
    candidates: UnitRows
    items: UnitRows
    weights: Float64s

    @property
    def m(self) -> int:
        """Number of represented items."""
        return self.items.n

    def similarities(self, ids: Indices) -> Iterator[tuple[slice, Float64s]]:
        """Yield ``(part of the represented set, similarities)`` in float64, the latter of shape (len(ids), part)."""
        vectors = self.candidates.take(ids)
        step = max(64, BLOCK_NUMBERS // max(ids.size, self.items.d))
        for start in range(0, self.m, step):
            part = slice(start, min(start + step, self.m))
            yield part, self.kernel.of(vectors, self.items.slice(part.start, part.stop))

    def row(self, item: int) -> Float64s:
        """Return the similarities of one candidate to all represented items, shape (m,), in float64."""
        row = np.empty(self.m)
        for part, block in self.similarities(np.array([item])):
            row[part] = block[0]
        return row

    def scores(self, ids: Indices, score: Callable[[Float64s, slice], Float64s]) -> Float64s:
        """Return for each candidate the sum over parts of ``score(similarities, part)``, shape (len(ids),)."""
        scores = np.zeros(ids.size)

        def of_some(start: int, stop: int) -> None:
            for part, block in self.similarities(ids[start:stop]):
                scores[start:stop] += score(block, part)

        with block_workers() as workers:
            workers(of_some, pieces(ids.size))
        return scores


def pieces(n: int) -> list[tuple[int, int]]:
    """Return (start, stop) of consecutive pieces of n candidates, short enough for a block of similarities."""
    return [(start, min(start + _CANDIDATES, n)) for start in range(0, n, _CANDIDATES)]


def represent(X: Any, represented: Floats | None, weights: Any, kernel: str | Kernel) -> Represented:
    """Check all parameters that the objectives with a represented set share, and return it."""
    kind = kernel_of(kernel)
    candidates = kind.read(X)
    items = candidates if represented is None else kind.read(represented, "represented")
    if items.d != candidates.d:
        raise invalid("represented", f"have the {candidates.d} columns of X", Verbatim(f"{items.d} columns"))
    return Represented(kind, candidates, items, _weights(weights, items.n))


def _weights(weights: Any, m: int) -> Float64s:
    if weights is None:
        return np.ones(m)
    given = np.asarray(weights)
    if given.shape != (m,) or given.dtype.kind not in "iuf":
        raise invalid(
            "weights", f"be {m} numbers, one per represented item", Verbatim(f"{given.dtype} of shape {given.shape}")
        )
    if not (np.isfinite(given).all() and (given >= 0).all()):
        raise invalid("weights", "be finite and >= 0", Verbatim("a negative number, NaN or infinity"))
    return given.astype(np.float64)
