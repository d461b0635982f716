"""Choose rows inside scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _get_feature_names, check_consistent_length, check_is_fitted, validate_data

from ray_subsel.core.errors import unknown
from ray_subsel.core.types import Indices, Mask
from ray_subsel.selection.api import select
from ray_subsel.selection.result import Selection

CONTAINERS = ("default", "pandas", "polars")
CLASSES = ("binary", "multiclass")
"""Targets of scikit-learn that are classes."""


class SubsetSelector(BaseEstimator):  # type: ignore[misc]
    """Choose a small subset of the rows to train on.

    It is a sampler, as those of imbalanced-learn, and not a transformer: the transformers of a scikit-learn pipeline
    must return as many rows as they get, since ``y`` is not handed through them, and since ``predict`` must answer for
    every row. A sampler returns fewer rows *with* their ``y``, and only while a pipeline is fitted. So there is
    :meth:`fit_resample` and no ``transform``: put it into ``imblearn.pipeline.make_pipeline``, where ``predict`` passes
    it by. In plain scikit-learn call ``fit(X, y)`` and index with ``get_support(indices=True)``.

    Parameters
    ----------
    k : int, optional
        How many rows.
    fraction : float, default=0.1
        Share of the rows, where ``k`` is not given.
    recipe, objective, lam, near, quotas, optimizer
        As for :func:`ray_subsel.select`.
    random_state : int, RandomState or None, default=0
        Of whatever draws; most selections draw nothing.

    Attributes
    ----------
    selection_ : Selection
        Row numbers in rank order, gains, decisions; ``selection_.explain(row, X)``.
    n_features_in_ : int
    feature_names_in_ : array of str
        Where the columns of X have names.

    Notes
    -----
    Rows are compared by cosine (or by the kernel of an objective of your own): scale features as for a linear model.
    A row of zeros has no cosine: it is never chosen, and a warning tells how many there are.
    Classes in ``y`` are balanced as the recipe decides; a continuous ``y`` is passed through and decides nothing.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> selector = SubsetSelector(k=6).fit(X, y)
    >>> y[selector.get_support(indices=True)].tolist()
    [1, 0, 2, 1, 2, 0]
    >>> few, labels = selector.fit_resample(X, y)
    >>> few.shape, labels.shape
    ((6, 4), (6,))
    """

    def __init__(
        self,
        k: int | None = None,
        *,
        fraction: float = 0.1,
        recipe: Literal["auto", "paper", "none"] = "auto",
        objective: Any = None,
        lam: float | Literal["auto"] | None = None,
        near: float | Literal["none"] | None = None,
        quotas: Any = None,
        optimizer: Any = "greedy",
        random_state: Any = 0,
    ) -> None:
        self.k = k
        self.fraction = fraction
        self.recipe = recipe
        self.objective = objective
        self.lam = lam
        self.near = near
        self.quotas = quotas
        self.optimizer = optimizer
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> SubsetSelector:
        """Choose rows of X.

        Parameters
        ----------
        X : array or data frame of shape (n, d)
        y : array of shape (n,), optional
            Classes are balanced.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For what scikit-learn or :func:`ray_subsel.select` cannot use.
        """
        rows = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=1)
        labels = None
        if y is not None:
            check_consistent_length(X, y)
            labels = np.asarray(y) if type_of_target(y) in CLASSES else None
        state = self.random_state
        seed = state if isinstance(state, int | np.integer) else int(check_random_state(state).randint(2**31 - 1))
        usable = np.flatnonzero(rows.any(axis=1))
        if usable.size < len(rows):
            zero = np.flatnonzero(~rows.any(axis=1))
            warnings.warn(
                f"{zero.size:,} of {len(rows):,} rows are zero and cannot be chosen: the first is row {zero[0]}.",
                stacklevel=2,
            )
        chosen = select(
            rows if usable.size in (0, len(rows)) else rows[usable],  # of zero rows alone select() says what is wrong
            self.k,
            fraction=None if self.k is not None else self.fraction,
            recipe=self.recipe,
            labels=labels if labels is None else labels[usable],
            objective=self.objective,
            lam=self.lam,
            near=self.near,
            quotas=self.quotas,
            optimizer=self.optimizer,
            seed=int(seed),
        )
        self.selection_: Selection = chosen.of_rows(usable, len(rows))
        self._rows = len(rows)
        return self

    def get_support(self, indices: bool = False) -> Mask | Indices:
        """Return which rows were chosen: a mask of shape (n,), or with ``indices`` their numbers in rank order."""
        check_is_fitted(self)
        chosen: Indices = self.selection_.indices
        if indices:
            return chosen
        mask = np.zeros(self._rows, dtype=np.bool_)
        mask[chosen] = True
        return mask

    def fit_resample(self, X: Any, y: Any = None) -> Any:
        """Choose rows, and return them in rank order with their ``y``.

        Parameters
        ----------
        X : array or data frame of shape (n, d)
        y : array or series of shape (n,), optional

        Returns
        -------
        X : of the kind that came, or as :meth:`set_output` says
        y : of the kind that came
            Only where it is given.
        """
        chosen = self.fit(X, y).get_support(indices=True)
        few = self._contained(_safe_indexing(X, chosen), X)
        return few if y is None else (few, _safe_indexing(y, chosen))

    def set_output(self, *, transform: str | None = None) -> SubsetSelector:
        """Say what :meth:`fit_resample` returns X as: "default" (the kind that came), "pandas" or "polars".

        ``sklearn.set_config(transform_output=...)`` says it for all. None changes nothing.
        """
        if transform is not None:
            if transform not in CONTAINERS:
                raise unknown("transform", transform, CONTAINERS)
            self._sklearn_output_config = {"transform": transform}
        return self

    def _contained(self, few: Any, X: Any) -> Any:
        """Return rows in the container that was asked for."""
        config = getattr(self, "_sklearn_output_config", {})
        wanted = config.get("transform", get_config()["transform_output"])
        if wanted == "default" or type(few).__module__.partition(".")[0] == wanted:
            return few
        names = _get_feature_names(X)
        columns = [f"x{at}" for at in range(self.n_features_in_)] if names is None else list(names)
        if wanted == "pandas":
            import pandas as pd

            return pd.DataFrame(np.asarray(few), columns=columns, index=self.get_support(indices=True))
        import polars

        return polars.DataFrame(np.asarray(few), schema=columns)
