"""Run the greedy by clusters on vectors in memory: f(S) = sum_c f_c(S in c)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.dedup.clusters import fit_centres, in_sample
from ray_subsel.optimizers.base import Picks, Problem
from ray_subsel.partitioned.by_clusters import (
    ClusterSequence,
    Request,
    choose_by_clusters,
    cluster_settings,
    first_requests,
    follow,
    places_of,
)


def greedy_by_clusters(problem: Problem, cluster_items: int, weights: Indices | None = None) -> Picks:
    """Return the picks of the greedy by clusters.

    Parameters
    ----------
    problem : Problem
        Its objective is that of rows that count once.
    cluster_items : int
        Items of a usual cluster; none has more than twice as many.
    weights : int64 array of shape (n,) or None
        How many items each row counts as among those to be represented.
    """
    places = places_of(clusters_of(problem.X, cluster_items, problem.seed), 2 * cluster_items)
    limits, done = problem.constraints, 0

    def run(requests: Sequence[Request] | None) -> list[ClusterSequence]:
        nonlocal done
        found = []
        for request in (
            first_requests(places, problem.n, limits.most_picks(problem.k)) if requests is None else requests
        ):
            found.append(_follow(problem, weights, places[request.cluster], request))
            done += 1
            if problem.progress is not None:
                problem.progress(min(problem.k - 1, problem.k * done // max(1, len(places))), problem.k)
        return found

    chosen = choose_by_clusters(run, problem.k, limits, first=problem.include, stop_when_gain=problem.stop_when_gain)
    if problem.progress is not None:
        problem.progress(problem.k, problem.k)
    stats = {"clusters": float(chosen.n_clusters), "rounds": float(chosen.rounds), "exact": float(chosen.exact)}
    return Picks(chosen.ids, chosen.gains, stats)


def clusters_of(X: object, cluster_items: int, seed: int, ids: Indices | None = None) -> Indices:
    """Return the cluster of each row, shape (n,): that of the nearest centre of k-means on a sample drawn by hash."""
    rows = unit_rows(X)
    settings = cluster_settings(cluster_items, seed)
    ids = np.arange(rows.n) if ids is None else ids
    drawn = in_sample(ids, n=rows.n, d=rows.d, cluster_size=settings.cluster_size, seed=seed)
    centres = fit_centres(rows.rows(np.flatnonzero(drawn)), settings, n=rows.n)
    return centres.nearest(rows)


def _follow(problem: Problem, weights: Indices | None, own: Indices, request: Request) -> ClusterSequence:
    """Run the greedy on the rows of one cluster."""
    X = problem.X[own]
    objective = problem.objective if weights is None else problem.objective.weighted(X, weights[own])
    assert objective is not None
    objective = objective.of_items(own)
    part = dataclasses.replace(
        problem,
        X=X,
        objective=objective,
        constraints=problem.constraints.take(own),
        utility=None if problem.utility is None else problem.utility[own],
        multiplicity=None if problem.multiplicity is None else problem.multiplicity[own],
        progress=None,
    )
    return follow(part, own, request)
