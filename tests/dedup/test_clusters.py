"""Clusters and those next to them: no dependence on blocks, skewed data, and the planes between centres."""

import numpy as np
import pytest

from ray_subsel.core.unit_rows import row_dots, unit_rows
from ray_subsel.dedup.clusters import NO_CLUSTER, Centres, fit_centres
from ray_subsel.dedup.settings import NearSettings


def rows_of(n, d=8, seed=0):
    return unit_rows(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


def test_a_skewed_cluster_gets_centres_of_its_own():
    draw = np.random.default_rng(0)
    # 90 % of the items lie around one direction, spread too widely to be near copies.
    X = draw.normal(size=(4000, 8)) * 0.05
    X[:3600, 0] += 1.0
    X[3600:] = draw.normal(size=(400, 8))
    rows = unit_rows(X.astype(np.float32))
    settings = NearSettings(0.9999, exact_items=0, cluster_size=60)
    centres = fit_centres(rows, settings, n=4000)
    sizes = np.bincount(centres.assign(rows, settings.reach)[0], minlength=centres.n_clusters)
    assert sizes.sum() == 4000
    assert sizes.max() < 4000 / 4


def test_centres_that_follow_each_other_are_near_each_other():
    rows = rows_of(3000, d=3)
    centres = fit_centres(rows, NearSettings(0.99, exact_items=0, cluster_size=50), n=3000)
    steps = np.diag(centres.distances, 1)
    assert steps.mean() < 0.5 * centres.distances.mean()
    assert np.unique(centres.vectors, axis=0).shape[0] == centres.n_clusters


def test_where_all_pairs_are_compared_there_is_one_cluster():
    rows = rows_of(500)
    clusters, beside = fit_centres(rows, NearSettings(0.9), n=500).assign(rows, 0.1)
    assert not clusters.any()
    assert beside.shape == (500, 0)


@pytest.mark.parametrize("equal", [False, True], ids=["fitted", "equal centres"])
def test_clusters_and_neighbours_do_not_depend_on_the_block(equal):
    rows = rows_of(900)
    vectors = fit_centres(rows, NearSettings(0.9, exact_items=0, cluster_size=60), n=900).vectors
    centres = Centres(np.concatenate([vectors, vectors]) if equal else vectors)
    whole = centres.assign(rows, 0.2)
    parts = [centres.assign(rows.rows(np.arange(a, min(a + 37, 900))), 0.2) for a in range(0, 900, 37)]
    for place in range(2):
        np.testing.assert_array_equal(np.concatenate([part[place] for part in parts]), whole[place])
    cosines = rows.slice(0, 900) @ centres.vectors.T
    np.testing.assert_array_equal(whole[0], np.round(cosines, 9).argmax(axis=1))


def test_neighbours_are_the_next_centres_whose_plane_is_in_reach():
    rows, reach = rows_of(400), 0.15
    centres = Centres(rows_of(12, seed=1).slice(0, 12))
    clusters, beside = centres.assign(rows, reach)
    for x, own, others in zip(rows.slice(0, 400), clusters, beside.tolist(), strict=True):
        cosines = centres.vectors @ x
        assert own == cosines.argmax()
        order = np.argsort(-cosines)[1:5]
        distance = np.linalg.norm(centres.vectors[own] - centres.vectors, axis=1)
        wanted = [int(c) if cosines[own] - cosines[c] <= reach * distance[c] else NO_CLUSTER for c in order]
        assert others == wanted


@pytest.mark.parametrize("apart", [1.0, 1e-5, 1e-7, 0.0])
def test_clusters_and_neighbours_are_those_of_float64_however_close_centres_lie(apart):
    """Centres come in pairs that differ by more than float32 can be wrong, by as much, by less, and not at all."""
    rows, reach = rows_of(600, d=6), 0.2
    one, other = rows_of(9, d=6, seed=1).slice(0, 9), rows_of(9, d=6, seed=2).slice(0, 9)
    centres = Centres(unit_rows(np.concatenate([one, one + apart * other])).slice(0, 18))
    clusters, beside = centres.assign(rows, reach)
    few = centres.nearest_few(rows.slice(0, 600), 5)
    assert (centres.nearest(rows) == clusters).all()
    vectors = rows.slice(0, 600)
    cosines = np.stack([row_dots(vectors, centre) for centre in centres.vectors], axis=1)
    order = np.argsort(-cosines, axis=1, kind="stable")
    np.testing.assert_array_equal(clusters, order[:, 0])
    np.testing.assert_array_equal(np.sort(few, axis=1), np.sort(order[:, :5], axis=1))
    best = np.take_along_axis(cosines, order[:, :1], axis=1)
    close = best - np.take_along_axis(cosines, order, axis=1) <= reach * centres.distances[clusters[:, None], order]
    np.testing.assert_array_equal(beside, np.where(close, order, NO_CLUSTER)[:, 1:5])
