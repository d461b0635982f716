"""List the selection methods that an experiment compares, one line each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import invalid, unknown
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.dedup.in_memory import collapse_near
from ray_subsel.dedup.settings import NearSettings
from ray_subsel.embedders.base import Float32s
from ray_subsel.experiments.embedder_choices import OWN, near_threshold
from ray_subsel.experiments.samples import Sample
from ray_subsel.selection.api import select


@dataclass(frozen=True)
class Method:
    """How a subset is chosen.

    Attributes
    ----------
    name, label : str
        For commands, and for people.
    chooser : str
        ``all``, ``random``, ``auto`` (the recipe of :func:`ray_subsel.select`), or a name that it knows: an objective
        or a baseline.
    collapse : str
        What is made one item before choosing: ``nothing``, ``exact`` copies, ``near`` copies (cosine >= 0.9; see
        :func:`ray_subsel.experiments.embedder_choices.near_threshold`), or near copies as the ``recipe`` has them.
    embedder : str
        Whose vectors it sees: ``encoder``, which a cell may exchange for another chooser, or ``doc2vec``.
    lam : float or "auto"
        Penalty of graph cut.
    balanced : bool
        Whether the classes of the labels have equal shares of k, as far as they reach.
    """

    name: str
    label: str
    chooser: str
    collapse: str = "nothing"
    embedder: str = OWN
    lam: float | str = 10.0
    balanced: bool = False

    @property
    def nested(self) -> bool:
        """Whether a smaller subset is the beginning of a larger one: what it does depends on k otherwise."""
        return self.lam != "auto" and not (self.balanced and self.chooser != "random")

    @property
    def sees_vectors(self) -> bool:
        """Whether it needs vectors at all."""
        return self.chooser not in ("all", "random") or self.collapse in ("near", "recipe")

    @property
    def takes_choosers(self) -> bool:
        """Whether it matters to it whose vectors choose: it sees some, and has none of its own."""
        return self.sees_vectors and self.embedder == OWN


METHODS = {
    method.name: method
    for method in (
        Method("full", "everything", "all"),
        Method("random", "random", "random"),
        Method("random-distinct", "random, exact copies collapsed", "random", "exact"),
        Method("semdedup-random", "random, near copies collapsed (SemDeDup)", "random", "near"),
        Method("k-center", "k-center", "k_center"),
        Method("graph-cut-keep", "graph cut, copies kept (paper)", "graph_cut"),
        Method("graph-cut-doc2vec", "graph cut on Doc2Vec, copies kept (paper)", "graph_cut", embedder="doc2vec"),
        Method("graph-cut", "graph cut, exact copies collapsed", "graph_cut", "exact"),
        Method("facility-location", "facility location, copies kept", "facility_location"),
        Method("near-graph-cut", "graph cut, near copies collapsed", "graph_cut", "near"),
        Method("near-facility-location", "facility location, near copies collapsed", "facility_location", "near"),
        Method("random-balanced", "random, classes balanced", "random", balanced=True),
        Method("auto", "auto", "auto", "recipe", balanced=True),
    )
}


def method_named(name: str) -> Method:
    """Return a method by its name; ``NAME@L`` is graph cut's method with lambda = L (a number, or auto).

    Raises
    ------
    InputError
        For a name that is none, and for a lambda where there is no penalty.
    """
    base, _, lam = name.partition("@")
    if base not in METHODS:
        raise unknown("method", name, METHODS)
    method = METHODS[base]
    if not lam:
        return method
    if method.chooser != "graph_cut":
        raise invalid("method", "be a graph cut where @ gives a lambda", name)
    try:
        value = lam if lam == "auto" else float(lam)
    except ValueError:
        raise invalid("method", "give a number or auto after @", name) from None
    return Method(name, f"{method.label}, λ = {lam}", method.chooser, method.collapse, method.embedder, value)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Rows in the order in which a method takes them.

    Attributes
    ----------
    rows : int64 array of shape (k,)
    seconds : float64 array of shape (k,)
        Time until each was taken, collapsing counted; embedding not.
    chosen : int
        How many of them the method chose: those after it fill up at random, when collapsing left fewer rows than
        asked for.
    """

    rows: Indices
    seconds: Float64s
    chosen: int


def rank(
    method: Method, sample: Sample, vectors: Callable[[], Float32s], k: int, seed: int, near: float | None = None
) -> Ranking:
    """Rank k rows of a sample.

    Parameters
    ----------
    method : Method
    sample : Sample
    vectors : callable
        Returns the (N, d) unit vectors that the method's embedder gives; called only when they are needed.
    k : int
        At most N; ``full`` ranks all rows in their order.
    seed : int
        Of random orders.
    near : float, optional
        Cosine from which rows count as near copies; by default that of the method's embedder, or of a recipe none.

    Notes
    -----
    Of a method that is ``nested`` the first rows are the ranking for any smaller k.
    """
    rows_in_all = len(sample.texts)
    if method.chooser == "all":
        return Ranking(np.arange(rows_in_all), np.zeros(rows_in_all), rows_in_all)
    if not 1 <= k <= rows_in_all:
        raise invalid("size", f"ask for 1 to {rows_in_all} rows", k)
    X = vectors() if method.sees_vectors else np.zeros((rows_in_all, 1), dtype=np.float32)
    began = time.perf_counter()
    ground = _ground(method, sample, X, near)
    rng = np.random.default_rng([seed, 3])
    classes = _classes(sample) if method.balanced else None
    wanted = min(k, int(ground.size))
    times: list[tuple[int, float]] = []
    if method.chooser == "random":
        picked = rng.permutation(ground)
        if classes is not None:
            picked = picked[_in_turn(classes[picked])]
        picked = picked[:wanted]
    else:

        def note(done: int, _: int) -> None:
            times.append((done, time.perf_counter() - began))

        labels = None if classes is None else classes[ground]
        picked = ground[_select(method, X[ground] if ground.size < rows_in_all else X, wanted, seed, note, labels)]
    ended = time.perf_counter() - began
    rest = rng.permutation(np.setdiff1d(np.arange(rows_in_all), picked))[: k - picked.size]
    seconds = np.full(k, ended)
    for done, second in reversed(times):
        seconds[:done] = second
    return Ranking(np.concatenate([picked, rest]).astype(np.int64), seconds, int(picked.size))


def _classes(sample: Sample) -> NDArray[np.str_] | None:
    """Return the class of each row; None for stories, whose label tells which ending is right."""
    return None if "ending1" in sample.table.column_names else np.array(sample.table["label"].to_pylist())


def _in_turn(labels: NDArray[np.str_]) -> Indices:
    """Return places such that the classes take turns: all first rows of a class, then all second ones."""
    order = np.argsort(labels, kind="stable")
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    turn = np.empty(labels.size, dtype=np.int64)
    turn[order] = np.arange(labels.size) - np.repeat(starts, counts)
    return np.argsort(turn, kind="stable").astype(np.int64)


def _ground(method: Method, sample: Sample, X: Float32s, near: float | None) -> Indices:
    if near is None and method.collapse == "near":
        near = near_threshold(method.embedder)
    if method.collapse == "nothing" or (method.collapse == "recipe" and near is None):
        return np.arange(len(sample.texts))
    if method.collapse == "exact":
        return np.unique(sample.lead)
    assert near is not None
    return collapse_near(X, NearSettings(near)).leaders


def _select(
    method: Method,
    X: Float32s,
    k: int,
    seed: int,
    note: Callable[[int, int], None],
    labels: NDArray[np.str_] | None = None,
) -> Indices:
    if method.chooser == "graph_cut":
        return select(X, k, lam=method.lam, seed=seed, progress=note).indices  # type: ignore[arg-type]
    if method.chooser == "facility_location":
        return select(X, k, objective="facility_location", optimizer="lazy", seed=seed, progress=note).indices
    if method.chooser == "auto":
        return select(X, k, labels=labels, seed=seed, progress=note).indices
    return select(X, k, optimizer=method.chooser, seed=seed, progress=note, recipe="none").indices
