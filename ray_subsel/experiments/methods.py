"""List the selection methods that an experiment compares, one line each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

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
        ``all``, ``random`` or a name that :func:`ray_subsel.select` knows: an objective, or a baseline.
    collapse : str
        What is made one item before choosing: ``nothing``, ``exact`` copies, ``near`` copies (cosine >= 0.9; see
        :func:`ray_subsel.experiments.embedder_choices.near_threshold`).
    embedder : str
        Whose vectors it sees: ``encoder``, which a cell may exchange for another chooser, or ``doc2vec``.
    lam : float or "auto"
        Penalty of graph cut.
    """

    name: str
    label: str
    chooser: str
    collapse: str = "nothing"
    embedder: str = OWN
    lam: float | str = 10.0

    @property
    def sees_vectors(self) -> bool:
        """Whether it needs vectors at all."""
        return self.chooser not in ("all", "random") or self.collapse == "near"

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


def rank(method: Method, sample: Sample, vectors: Callable[[], Float32s], k: int, seed: int) -> Ranking:
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

    Notes
    -----
    Except for lambda = auto, which depends on k, the first rows are the ranking for any smaller k.
    """
    rows_in_all = len(sample.texts)
    if method.chooser == "all":
        return Ranking(np.arange(rows_in_all), np.zeros(rows_in_all), rows_in_all)
    if not 1 <= k <= rows_in_all:
        raise invalid("size", f"ask for 1 to {rows_in_all} rows", k)
    X = vectors() if method.sees_vectors else np.zeros((rows_in_all, 1), dtype=np.float32)
    began = time.perf_counter()
    ground = _ground(method, sample, X)
    rng = np.random.default_rng([seed, 3])
    wanted = min(k, int(ground.size))
    times: list[tuple[int, float]] = []
    if method.chooser == "random":
        picked = rng.permutation(ground)[:wanted]
    else:

        def note(done: int, _: int) -> None:
            times.append((done, time.perf_counter() - began))

        picked = ground[_select(method, X[ground] if ground.size < rows_in_all else X, wanted, seed, note)]
    ended = time.perf_counter() - began
    rest = rng.permutation(np.setdiff1d(np.arange(rows_in_all), picked))[: k - picked.size]
    seconds = np.full(k, ended)
    for done, second in reversed(times):
        seconds[:done] = second
    return Ranking(np.concatenate([picked, rest]).astype(np.int64), seconds, int(picked.size))


def _ground(method: Method, sample: Sample, X: Float32s) -> Indices:
    if method.collapse == "nothing":
        return np.arange(len(sample.texts))
    if method.collapse == "exact":
        return np.unique(sample.lead)
    assert method.collapse == "near"
    return collapse_near(X, NearSettings(near_threshold(method.embedder))).leaders


def _select(method: Method, X: Float32s, k: int, seed: int, note: Callable[[int, int], None]) -> Indices:
    if method.chooser == "graph_cut":
        return select(X, k, lam=method.lam, seed=seed, progress=note).indices  # type: ignore[arg-type]
    if method.chooser == "facility_location":
        return select(X, k, objective="facility_location", optimizer="lazy", seed=seed, progress=note).indices
    return select(X, k, optimizer=method.chooser, seed=seed, progress=note, recipe="none").indices
