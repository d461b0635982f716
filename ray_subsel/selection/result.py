"""Define what a selection returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.config.recipe import Decision
from ray_subsel.constraints.staging import stages_of_ranks
from ray_subsel.core.errors import invalid
from ray_subsel.core.numeric import whole_number
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.filters.neighbours import NEIGHBOURS
from ray_subsel.selection.explain import RowVectors, explain

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

    def of_rows(self, rows: Indices) -> LeftOut:
        """Return the same, where row i of X is row ``rows[i]`` of another X."""
        neighbours = np.where(self.neighbours < 0, -1, rows[self.neighbours])
        return dataclasses.replace(self, rows=rows[self.rows], neighbours=neighbours)

    def __len__(self) -> int:
        return int(self.rows.size)


@dataclass(frozen=True, eq=False)
class Selection:
    """A chosen subset, in the order in which it was chosen.

    It is a sequence of row numbers, and an index: ``X[chosen]``, ``frame.iloc[chosen]``, ``dataset.select(chosen)``.

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
    full_groups : tuple
        Groups of quotas that hold as many as they may.
    stands_for : int64 array of shape (n,) or None
        The row that stands for each row of X: itself, or the one of which it is a copy. None: no copies were collapsed.
    vectors : RowVectors or None
        What :meth:`explain` computes cosines with: a reference to X, not a copy.

    Examples
    --------
    >>> import numpy as np
    >>> from ray_subsel import select
    >>> X = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9], [1.0, 1.0]])
    >>> chosen = select(X, 2)
    >>> list(chosen), X[chosen].shape, chosen[0]
    ([4, 0], (2, 2), 4)
    >>> print(chosen.explain(3))
    Row 3 was not chosen. The nearest chosen row is 4, number 1, at a cosine of 0.7809.
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
    full_groups: tuple[Hashable, ...] = ()
    stands_for: Indices | None = field(default=None, repr=False)
    vectors: RowVectors | None = field(default=None, repr=False)

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

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices.tolist())

    def __getitem__(self, place: Any) -> Any:
        found = self.indices[place]
        return int(found) if np.ndim(found) == 0 else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Return the row numbers; with this, numpy takes a selection as an index."""
        wanted = self.indices.dtype if dtype is None else np.dtype(dtype)
        if copy is False and wanted != self.indices.dtype:
            raise ValueError(f"a Selection is {self.indices.dtype}: it is {wanted} only as a copy")
        return np.array(self.indices, dtype=wanted) if copy else np.asarray(self.indices, dtype=wanted)

    def __repr__(self) -> str:
        proof = "" if self.certificate is None else f", {self.certificate}"
        return (
            f"Selection({len(self)} of {self.n}, {self.objective} by {self.optimizer}, value={self.value:.6g}{proof})"
        )

    def in_stages(self, sizes: Sequence[int]) -> list[Indices]:
        """Return the chosen rows cut into disjoint stages, by rank; with ``per``, by the rank within each group.

        Parameters
        ----------
        sizes : sequence of int
            They sum to the number of chosen rows; with ``per``, to that of a group (one that has fewer ends earlier).

        Raises
        ------
        InputError
            For sizes that are not whole numbers above 0, or do not sum to what was chosen.

        Examples
        --------
        >>> import numpy as np
        >>> from ray_subsel import select
        >>> chosen = select(np.eye(6) + 0.1, 6)
        >>> [stage.tolist() for stage in chosen.in_stages([1, 2, 3])]
        [[0], [1, 2], [3, 4, 5]]
        """
        ranks = np.arange(len(self)) if self.ranks is None else self.ranks
        total = sum(whole_number(size, "sizes", "be whole numbers of rows", least=1) for size in sizes)
        most = int(ranks.max(initial=-1)) + 1
        if total != most:
            raise invalid("sizes", f"sum to the {most:,} rows that were chosen", total)
        stage = stages_of_ranks(ranks, sizes)
        return [self.indices[stage == number] for number in range(1, len(sizes) + 1)]

    def to_frame(self) -> Any:
        """Return a table with a row for each chosen item: ``rank`` (from 0), ``id`` (row of X) and ``gain``.

        They are named as in the ``selection.parquet`` of a run.

        Returns
        -------
        pandas.DataFrame, or pyarrow.Table where pandas is not installed
        """
        columns = {"rank": np.arange(len(self), dtype=np.int64), "id": self.indices, "gain": self.gains}
        try:
            import pandas as pd
        except ImportError:
            import pyarrow as pa

            return pa.table(columns)
        return pd.DataFrame(columns)

    def of_rows(self, rows: Indices, n: int) -> Selection:
        """Return the same choice, where row i of X is row ``rows[i]`` of n rows."""
        if rows.size == n:
            return self
        stands_for = np.arange(n)
        stands_for[rows] = rows if self.stands_for is None else rows[self.stands_for]
        vectors = self.vectors
        if vectors is not None:
            vector_of = np.full(n, -1, dtype=np.int64)
            vector_of[rows] = np.arange(rows.size) if vectors.vector_of is None else vectors.vector_of
            vectors = RowVectors(vectors.X, vector_of)
        gone = None if self.left_out is None else self.left_out.of_rows(rows)
        return dataclasses.replace(
            self, indices=rows[self.indices], stands_for=stands_for, vectors=vectors, left_out=gone
        )

    def explain(self, row: int, X: Any = None) -> str:
        """Say why a row was chosen, or why not: its rank and gain, the row of which it is a copy, the nearest chosen.

        Parameters
        ----------
        row : int
            A row of X.
        X : array of shape (n, d), optional
            What was selected from, where the selection came without it.

        Returns
        -------
        str
            One or two sentences.

        Raises
        ------
        InputError
            For a row that is not there, or another X.
        """
        return explain(self, row, X)
