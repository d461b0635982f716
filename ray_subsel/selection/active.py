"""Choose what to label next: uncertain rows, spread over what is not covered yet by labelled ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.hashing import mix
from ray_subsel.core.numeric import array_of, finite_number, whole_number
from ray_subsel.core.types import NO_ITEMS, Float64s, Indices
from ray_subsel.core.unit_rows import check_matrix
from ray_subsel.objectives import FacilityLocation
from ray_subsel.selection.api import select
from ray_subsel.selection.validation import row_numbers

ALL_REPRESENTED, SAMPLE = 16_384, 8_192
"""Rows up to which all are represented, and how many of more are."""


class ActiveLoop:
    r"""Choose batches of rows to label, round after round.

    A batch maximizes the conditional gain of facility location given the labelled rows L, where a row counts as much as
    the model is uncertain of it:

    .. math:: f(S \mid L) = \sum_i c_i \max(0, \max_{j \in S \cup L} w_{ij}) -
        \sum_i c_i \max(0, \max_{j \in L} w_{ij})

    with c_i = (rank of i's uncertainty, in (0, 1])^power, 1 for all where none is given. So a row is worth labelling
    where it is near many rows that the model is unsure of and that no labelled row is near: what is labelled counts as
    covered, and rows of one batch do not repeat each other. Greedy: (1 - 1/e) of the best batch.

    Parameters
    ----------
    X : float array or tensor of shape (n, d)
        All rows, labelled or not.
    labelled : sequence of int
        Rows that have labels.
    power : float, default=1.0
        How much uncertainty counts, >= 0; 0: not at all.
    represented : int, optional
        So many rows without a label, drawn by a hash, stand for all that are to be covered. By default all rows up to
        16,384, else 8,192: a batch then takes O(n r d). It should be some times the rows that will have labels.
    seed : int, default=0
        Of the draw.

    Attributes
    ----------
    labelled, skipped : int64 arrays
        Rows with labels, in the order of their labelling, and rows that shall not be asked for.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> loop = ActiveLoop(X, labelled=[0])
    >>> batch = loop.next_batch(1, uncertainty=[0.1, 0.2, 0.9, 0.8])
    >>> batch.tolist()
    [2]
    >>> loop.label(batch)
    >>> loop.labelled.tolist()
    [0, 2]

    Notes
    -----
    Sources: Nemhauser, Wolsey and Fisher 1978 (greedy); Wei, Iyer and Bilmes, "Submodularity in data subset selection
    and active learning", ICML 2015 (uncertain rows, then a submodular choice among them); here uncertainty weighs the
    rows that are to be covered.
    """

    def __init__(
        self, X: Any, labelled: ArrayLike = (), *, power: float = 1.0, represented: int | None = None, seed: int = 0
    ) -> None:
        self.X = check_matrix(X, "X")
        self.n = int(self.X.shape[0])
        self.labelled: Indices = row_numbers(labelled, "labelled", self.n, None)
        self.skipped: Indices = NO_ITEMS
        self.power = float(finite_number(power, "power", "be a finite number >= 0", least=0.0))
        if represented is not None:
            represented = whole_number(represented, "represented", "be a whole number >= 1", least=1)
        self.represented = represented
        self.seed = whole_number(seed, "seed", "be a whole number >= 0", least=0)

    @property
    def open(self) -> Indices:
        """Rows that may be asked for, ascending."""
        free = np.ones(self.n, dtype=np.bool_)
        free[self.labelled] = False
        free[self.skipped] = False
        return np.flatnonzero(free)

    def next_batch(self, k: int, uncertainty: ArrayLike | None = None) -> Indices:
        """Return the rows to label next, the most valuable first; it may be asked again with another uncertainty.

        Parameters
        ----------
        k : int
            At most as many as are open.
        uncertainty : float array of shape (n,), optional
            Of the model, for every row; only its order counts: :func:`margin_uncertainty`. Labelled rows' is ignored.
        """
        room = self.open.size
        k = whole_number(k, "k", "be a whole number of rows")
        if not 1 <= k <= room:
            raise invalid("k", f"lie between 1 and {room}, the rows without a label", k)
        chosen = select(
            self.X, self.labelled.size + k, recipe="none", objective=self._objective(self._weights(uncertainty)),
            include=self.labelled, exclude=self.skipped, seed=self.seed,
        )  # fmt: skip
        return chosen.indices[self.labelled.size :]

    def label(self, rows: ArrayLike) -> None:
        """Take note that rows have labels now, whether they were asked for or not."""
        self.labelled = np.concatenate((self.labelled, self._new(rows)))

    def skip(self, rows: ArrayLike) -> None:
        """Take note that rows, and their exact copies, shall not be asked for: nobody can label them."""
        self.skipped = np.concatenate((self.skipped, self._new(rows)))

    def _new(self, rows: ArrayLike) -> Indices:
        new = row_numbers(rows, "rows", self.n, None)
        old = np.intersect1d(new, np.concatenate((self.labelled, self.skipped)))
        if old.size:
            raise invalid("rows", "be neither labelled nor skipped before", Verbatim(f"row {old[0]}"))
        return new

    def _objective(self, weights: Float64s) -> FacilityLocation:
        """Return the function, of all rows or of a sample of those without a label."""
        free = self.open
        if self.represented is None and self.n <= ALL_REPRESENTED:
            return FacilityLocation(weights=weights)
        most = SAMPLE if self.represented is None else self.represented
        drawn = np.sort(free[np.argsort(mix(free, self.seed), kind="stable")[:most]])
        return FacilityLocation(represented=self.X[drawn], weights=weights[drawn])

    def _weights(self, uncertainty: ArrayLike | None) -> Float64s:
        """Return c: ranks to the power, equal uncertainty having equal ranks, and 0 where nothing is left to learn."""
        if uncertainty is None:
            return np.ones(self.n)
        given = array_of(uncertainty, "uncertainty", f"be {self.n} numbers")
        if given.shape != (self.n,) or given.dtype.kind not in "iuf":
            shown = Verbatim(f"{given.dtype} of shape {given.shape}")
            raise invalid("uncertainty", f"be {self.n} numbers", shown)
        free = self.open
        if not np.isfinite(given[free]).all():
            row = free[np.flatnonzero(~np.isfinite(given[free]))[0]]
            raise invalid(
                "uncertainty", "be finite where a row has no label", Verbatim(f"NaN or infinity at row {row}")
            )
        weights = np.zeros(self.n)
        _, place, count = np.unique(given[free], return_inverse=True, return_counts=True)
        ranks = np.cumsum(count)[place] / free.size
        weights[free] = ranks**self.power
        return weights


def margin_uncertainty(probabilities: ArrayLike) -> Float64s:
    """Return 1 less the difference of the two largest probabilities of each row.

    Parameters
    ----------
    probabilities : float array of shape (n, classes)
        At least two classes: ``model.predict_proba(X)``.

    Source: Scheffer, Decomain and Wrobel, "Active hidden Markov models for information extraction", IDA 2001.
    """
    given = array_of(probabilities, "probabilities", "have shape (n, classes)")
    if given.ndim != 2 or given.shape[1] < 2 or given.dtype.kind != "f":
        raise invalid("probabilities", "have shape (n, classes), two or more", Verbatim(f"{given.dtype} {given.shape}"))
    largest = np.partition(given.astype(np.float64), given.shape[1] - 2, axis=1)
    return np.asarray(1.0 - (largest[:, -1] - largest[:, -2]))
