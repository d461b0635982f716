"""Compare candidates with represented items, as facility location and saturated coverage do.

Either all rows of the ground set, or a matrix of other vectors: a sample that is shared by all partitions keeps the
cost of one gain at O(m d) however large the ground set is, and makes partitions agree on what they maximize.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar, final

import numpy as np

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.objectives.base import GroundSummary, Objective, ProblemSize, Vectors
from ray_subsel.objectives.kernels import Kernel, kernel_of
from ray_subsel.objectives.scaled import ScaledObjective
from ray_subsel.objectives.target import Target

S = TypeVar("S")

BLOCK_NUMBERS = 1 << 19
"""Similarities that a thread holds at a time: 4 MiB in float64."""
CHANGE = 2.5e-9
"""Seconds in which a gain follows the change of a represented item's similarity (measured)."""

DENSE_BYTES = 1 << 30
"""Up to this size all similarities are kept: 16,384 items in float32."""

FEW_DIMENSIONS = 8
"""Up to so many a product of float64 costs little, and items lie so close that float32 would not tell them apart."""

_CANDIDATES = 128


def is_double(d: int, numbers: int, most_bytes: int) -> bool:
    """Tell whether similarities of vectors of d numbers are kept in float64 though float32 would bound them."""
    return d <= FEW_DIMENSIONS and 8 * numbers <= most_bytes


class RepresentingObjective(Objective[S]):
    """An objective that compares candidates with represented items: all rows, or over partitions a random sample."""

    needs_reference: ClassVar[bool] = True
    comparisons: ClassVar[float]
    """How often the greedy compares an item with all that are represented (measured)."""

    similarity_bytes: ClassVar[int]
    """Of one similarity, where all are kept."""

    represented: Floats | None
    weights: Any
    kernel: str | Kernel
    dense_bytes: int

    @abc.abstractmethod
    def representing(self, items: Vectors, statistics: Float64s | None) -> Objective[Any]:
        """Return the objective that represents these items, given the statistics of the ground set."""

    def represented_items(self, n: int) -> int:
        """Return n, or the number of the items that were given."""
        return n if self.represented is None else int(self.represented.shape[0])

    def without_target(self) -> RepresentingObjective[S]:
        """Return the objective that represents items alone."""
        return self

    def standing_for(self, items: Vectors, n: float) -> Objective[Any]:
        """Return the objective that represents these items, which stand for n together."""
        return replace(self, represented=items, weights=np.full(len(items), n / len(items)))  # type: ignore[type-var]

    def weighted(self, X: Any, weights: Indices) -> Objective[S] | None:
        """Return the objective in which each row counts as many represented items; None where others are given."""
        del X
        if self.represented is not None or self.weights is not None:
            return None
        return replace(self, weights=weights)  # type: ignore[type-var]

    def cluster_items(self, n: int) -> int | None:
        """Return a quarter of the items whose similarities are kept, where n are more; None where others are given."""
        most = math.isqrt(self.dense_bytes // self.similarity_bytes)
        free = self.represented is None and self.weights is None and kernel_of(self.kernel).affine() is not None
        return max(1, most // 4) if self.clustered and free and n > most else None

    def block_bytes(self, size: ProblemSize, *, doubles: bool = False) -> int:
        """Return what all similarities take, as :meth:`Represented.block_error` has it, or float64 where it fits."""
        numbers = size.items * size.represented
        if doubles and 8 * numbers <= self.dense_bytes:
            return 8 * numbers
        single = kernel_of(self.kernel).single_error(size.d) is not None
        return numbers * (4 if single and not is_double(size.d, numbers, self.dense_bytes) else 8)

    def scaled(self, ground: GroundSummary) -> ScaledObjective:
        """Return the objective of the reference sample."""
        assert ground.reference is not None
        found = self if ground.target is None else self.with_target(None, ground.target)
        assert isinstance(found, RepresentingObjective)
        return ScaledCoverage(found, ground.reference, ground.statistics, ground.own)

    def multiplications(self, size: ProblemSize) -> float:
        """Return about how many the greedy takes: each item against the sample."""
        return float(size.items) * size.reference * size.d

    def seconds(self, size: ProblemSize) -> float:
        """Return about how long the greedy takes: products of matrices, then changes of gains, which grow as log k."""
        changes = CHANGE * size.items * size.reference * math.log1p(size.picks) * (1.2 if size.constrained else 1.0)
        return self.comparisons * self.multiplications(size) / 2.5e10 + changes


@final
@dataclass(frozen=True, eq=False)
class ScaledCoverage(ScaledObjective):
    """Facility location or saturated coverage of a sample.

    Attributes
    ----------
    objective : RepresentingObjective
    items : float32 array of shape (r, d)
        The unit vectors to be represented.
    statistics : float64 array of shape (r,) or None
        For saturated coverage: the sum of each one's positive similarities to the whole ground set.
    own : bool
        Whether a partition represents its own items in round 1 instead.
    """

    objective: RepresentingObjective[Any]
    items: Vectors
    statistics: Float64s | None = None
    own: bool = False

    def full(self) -> Objective[Any]:
        """Return the function against the sample."""
        return self.objective.representing(self.items, self.statistics)

    def scaled(self, share: float, given: Vectors) -> Objective[Any]:
        """Return the function against the sample, saturated at a share of what saturates it."""
        del given
        return self.objective.representing(self.items, None if self.statistics is None else self.statistics * share)

    def for_partition(self, share: float, given: Vectors) -> Objective[Any]:
        """Return what a partition maximizes: as a reducer, or the function of its own items."""
        return self.objective if self.own else self.scaled(share, given)

    def about(self) -> dict[str, Any]:
        """Return what is represented."""
        return {"represented": len(self.items), "represented_in_partitions": "own items" if self.own else "the sample"}

    def warnings(self, gains: Float64s, n: int) -> list[str]:
        """Return what to know of picks that added nothing."""
        del n
        useless = int((gains <= 0).sum())
        if not useless:
            return []
        return [
            f"{useless:,} picks added nothing: the {len(self.items):,} represented items had all that they can have. "
            "Use a larger --represented or a smaller k."
        ]


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

    @cached_property
    def most_weight(self) -> float:
        """The largest weight."""
        return float(self.weights.max())

    @property
    def mirrored(self) -> bool:
        """Whether the items represent themselves and count alike: each one's sums are those over it as a candidate."""
        return self.items is self.candidates and bool((self.weights == 1.0).all())

    def block_error(self, most_bytes: int) -> float | None:
        """Return how far similarities that are kept in float32 may be wrong; None where they are kept in float64.

        They are where the kernel has no such bound, and where vectors are short and a block of float64 fits.
        """
        short = is_double(self.items.d, self.m * self.candidates.n, most_bytes)
        return None if short else self.kernel.single_error(self.items.d)

    def sums(self) -> tuple[Float64s, Float64s] | None:
        """Return the sum of each represented item's similarities, and the weighted sum of each candidate's.

        None where some may be negative, which count as 0: else each sum is the similarity to a sum of vectors.
        """
        affine = self.kernel.affine()
        if affine is None or not (affine[1] >= affine[0] or self.never_negative):
            return None
        slope, shift = affine

        def over(rows: UnitRows, to: UnitRows, weights: Float64s | None) -> Float64s:
            total, found = np.zeros(to.d), np.empty(rows.n)
            for start, stop in to.blocks():
                block = to.slice(start, stop)
                total += np.add.reduce(block, axis=0) if weights is None else weights[start:stop] @ block
            for start, stop in rows.blocks():
                found[start:stop] = rows.slice(start, stop) @ total
            return slope * found + shift * (to.n if weights is None else float(weights.sum()))

        of_items = over(self.items, self.candidates, None)
        if self.mirrored:
            return of_items, of_items.copy()
        return of_items, over(self.candidates, self.items, self.weights)

    @property
    def never_negative(self) -> bool:
        """Whether no number of any vector is negative: a product of two is 0 only where all its terms are."""
        return all(
            bool((rows.X[start:stop] >= 0.0).all())
            for rows in {id(rows): rows for rows in (self.items, self.candidates)}.values()
            for start, stop in rows.blocks()
        )

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
            workers(of_some, candidate_ranges(ids.size))
        return scores


def candidate_ranges(n: int) -> list[tuple[int, int]]:
    """Return (start, stop) of consecutive ranges of n candidates, short enough for a block of similarities."""
    return [(start, min(start + _CANDIDATES, n)) for start in range(0, n, _CANDIDATES)]


def represent(
    X: Any, represented: Floats | None, weights: Any, kernel: str | Kernel, target: Target | None = None
) -> Represented:
    """Check all parameters that the objectives with a represented set share, and return it.

    With a target, items count 1 - a times as much, and its queries are represented beside them.
    """
    kind = kernel_of(kernel)
    candidates = kind.read(X)
    items = candidates if represented is None else kind.read(represented, "represented")
    if items.d != candidates.d:
        raise invalid("represented", f"have the {candidates.d} columns of X", Verbatim(f"{items.d} columns"))
    counted = _weights(weights, items.n)
    if target is None:
        return Represented(kind, candidates, items, counted)
    counted *= 1.0 - target.share
    if target.share < 1.0:
        if not target.n:
            return Represented(kind, candidates, items, counted)
        return Represented(kind, candidates, _stacked(items, target.rows), np.append(counted, target.weights))
    if target.n:
        return Represented(kind, candidates, target.rows, target.weights)
    return Represented(kind, candidates, candidates.rows(np.zeros(1, dtype=np.int64)), np.zeros(1))


def _stacked(items: UnitRows, queries: UnitRows) -> UnitRows:
    """Return the rows of both, one above the other, in one array."""
    return UnitRows(np.concatenate((items.X, queries.X)), np.concatenate((items.scale, queries.scale)))


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
