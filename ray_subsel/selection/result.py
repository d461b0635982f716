"""Define what a selection returns."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ray_subsel.config.recipe import Decision
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.filters.neighbours import NEIGHBOURS

if TYPE_CHECKING:
    from ray_subsel.optimizers.speculative.upper_bound import Certificate


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Rows that were left out before anything was chosen, and why; a line each, ascending.

    Attributes
    ----------
    rows : int64 array of shape (p,)
        Rows of X.
    kind : array of str of shape (p,)
        ``near``: near a row of ``against``; ``label_noise``; ``outlier``.
    score : float64 array of shape (p,)
        Of ``near`` the cosine to that row, of ``label_noise`` the weighed share of neighbours with another label, of
        ``outlier`` the mean cosine to the neighbours.
    nearest : int64 array of shape (p,)
        Of ``near`` the row of ``against``, else -1.
    neighbours : int64 array of shape (p, 10)
        Of the other kinds the nearest rows of X; -1 where there are fewer.
    """

    rows: Indices
    kind: NDArray[np.str_]
    score: Float64s
    nearest: Indices
    neighbours: Indices

    @staticmethod
    def of(
        kind: str, rows: Indices, score: Float64s, nearest: Indices | None = None, neighbours: Indices | None = None
    ) -> LeftOut:
        """Return rows of one kind."""
        return LeftOut(
            rows,
            np.full(rows.size, kind, dtype="<U16"),
            score,
            np.full(rows.size, -1, dtype=np.int64) if nearest is None else nearest,
            np.full((rows.size, NEIGHBOURS), -1, dtype=np.int64) if neighbours is None else neighbours,
        )

    @staticmethod
    def concatenate(parts: Sequence[LeftOut]) -> LeftOut:
        """Return all rows of some, which share none."""
        order = np.argsort(np.concatenate([part.rows for part in parts]), kind="stable")
        columns = ("rows", "kind", "score", "nearest", "neighbours")
        return LeftOut(*(np.concatenate([getattr(part, name) for part in parts])[order] for name in columns))

    def __len__(self) -> int:
        return int(self.rows.size)


@dataclass(frozen=True, eq=False)
class Selection:
    """A chosen subset, in the order in which it was chosen.

    Attributes
    ----------
    indices : int64 array of shape (k,)
        Rows of X in rank order. Of a greedy run, every prefix is the result for a smaller k.
    gains : float64 array of shape (k,)
        Gain (utility included) of each item when it was chosen; they sum to ``value``.
    value : float
        f(S) plus the chosen items' utilities.
    objective, optimizer : str
        Names.
    n : int
        Size of the ground set, multiplicities counted.
    certificate : Certificate or None
        How far the value can be from the best possible one, where it was asked for.
    stats : dict
        Counts of the work done (``evaluations``, ``passes``, ...) and ``seconds``.
    decisions : tuple of Decision
        What the recipe decided of what was left open, and why.
    weigh : callable
        Computes :attr:`weights`.
    left_out : LeftOut or None
        Rows that were left out beforehand, where that was asked for.
    groups, ranks : tuple and int64 array of shape (k,), or None
        With ``per``: the group of each chosen row and its rank there; the groups follow each other, sorted.
    """

    indices: Indices
    gains: Float64s
    value: float
    objective: str
    optimizer: str
    n: int
    certificate: Certificate | None = None
    stats: dict[str, float] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    weigh: Callable[[], Indices] | None = field(default=None, repr=False)
    left_out: LeftOut | None = None
    groups: tuple[Hashable, ...] | None = None
    ranks: Indices | None = None

    @cached_property
    def weights(self) -> Indices:
        """Items, multiplicities counted, whose nearest chosen item (by cosine) each one is, int64 of shape (k,).

        Ties go to the lowest rank. They sum to the number of items, before near copies were collapsed, and are computed
        when they are first asked for (:mod:`ray_subsel.partitioned.nearest_chosen`).
        """
        assert self.weigh is not None
        return self.weigh()

    def __len__(self) -> int:
        return int(self.indices.size)

    def __repr__(self) -> str:
        proof = "" if self.certificate is None else f", {self.certificate}"
        return (
            f"Selection({len(self)} of {self.n}, {self.objective} by {self.optimizer}, value={self.value:.6g}{proof})"
        )
