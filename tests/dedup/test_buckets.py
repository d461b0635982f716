"""Cells at scale: every item in one piece, groups as of one machine, whatever the pieces."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.dedup.buckets import Bucket, join_buckets, plan_buckets
from ray_subsel.dedup.clusters import ClusterTree, fit_tree
from ray_subsel.dedup.in_memory import collapse_near


def with_copies(n, d=6, seed=0, noise=0.05):
    """Unit vectors in groups of uneven size; copies lie close to their original."""
    draw = np.random.default_rng(seed)
    originals = draw.normal(size=(max(2, n // 5), d))
    X = originals[(draw.random(n) ** 3 * len(originals)).astype(int)] + noise * draw.normal(size=(n, d))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=30),
    largest=st.integers(3, 25),
)
@settings(deadline=None, max_examples=100)
def test_every_item_is_in_one_piece_of_bounded_size(counts, largest):
    clusters = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    ids = np.arange(clusters.size) * 3 + 7
    plan = plan_buckets(np.array(counts), largest, lambda cluster: ids[clusters == cluster][::-1])
    buckets = plan.bucket_of(ids, clusters)
    assert [bucket for task in plan.tasks for bucket in task] == list(range(plan.n_buckets))
    sizes = np.bincount(buckets, minlength=plan.n_buckets)
    assert sizes.sum() == ids.size
    assert sizes.max(initial=0) <= largest
    for task in plan.tasks:
        inside = np.isin(buckets, list(task))
        if len(task) > 1:  # a heap: one cell, cut by id
            assert len(set(clusters[inside])) == 1
            lows = [ids[buckets == bucket].min() for bucket in task]
            highs = [ids[buckets == bucket].max() for bucket in task]
            assert all(high < low for high, low in zip(highs, lows[1:]))
    for cluster in set(clusters.tolist()):
        tasks = {
            next(i for i, task in enumerate(plan.tasks) if bucket in task) for bucket in buckets[clusters == cluster]
        }
        assert len(tasks) == 1


def groups_of(buckets, threshold, cluster_size=2000):
    return {
        int(i): (int(leader), float(c))
        for joined in join_buckets(buckets, threshold, cluster_size=cluster_size)
        for i, leader, c in zip(joined.ids, joined.leaders, joined.cosine)
    }


@given(
    n=st.integers(2, 150), cuts=st.integers(1, 6), seed=st.integers(0, 50), threshold=st.sampled_from([0.8, 0.95, 1])
)
@settings(deadline=None, max_examples=40)
def test_a_heap_in_pieces_is_the_cell_as_a_whole(n, cuts, seed, threshold):
    X = with_copies(n, seed=seed)
    ids, clusters = np.arange(n) * 2, np.zeros(n, dtype=np.int64)
    edges = [n * cut // cuts for cut in range(cuts + 1)]
    buckets = [Bucket(ids[a:b], clusters[a:b], X[a:b]) for a, b in itertools.pairwise(edges) if b > a]
    found = groups_of(buckets, threshold)
    whole = collapse_near(X, threshold)  # one cell: all pairs
    assert [found[int(i)][0] for i in ids] == ids[whole.leader].tolist()
    for i, (leader, cosine) in found.items():
        assert cosine == pytest.approx(float(X[i // 2].astype(float) @ X[leader // 2].astype(float)), abs=1e-6)


@given(seed=st.integers(0, 20), cluster_size=st.integers(2, 8))
@settings(deadline=None, max_examples=30)
def test_a_heap_with_more_leaders_than_a_cell_may_have_keeps_the_laws(seed, cluster_size):
    X = with_copies(120, seed=seed, noise=0.3)
    ids, clusters = np.arange(120), np.zeros(120, dtype=np.int64)
    found = groups_of(
        [Bucket(ids[a : a + 40], clusters[a : a + 40], X[a : a + 40]) for a in (0, 40, 80)], 0.8, cluster_size
    )
    assert sorted(found) == ids.tolist()
    for i, (leader, cosine) in found.items():
        assert leader <= i
        assert found[leader] == (leader, 1.0)  # no chains
        assert cosine >= 0.8 - 1e-9
        assert cosine == pytest.approx(float(X[i] @ X[leader]), abs=1e-5)


def test_cells_of_one_piece_do_not_mix():
    X = np.repeat(np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32), [2, 1], axis=0)
    found = groups_of([Bucket(np.array([3, 5, 9]), np.array([1, 0, 1]), X)], 0.9)
    assert {i: leader for i, (leader, _) in found.items()} == {3: 3, 5: 5, 9: 9}


def test_a_skewed_cell_gets_centres_of_its_own():
    draw = np.random.default_rng(0)
    # 90 % of the items lie around one direction, spread too widely to be near copies.
    X = draw.normal(size=(4000, 8)) * 0.25
    X[:3600, 0] += 1.0
    X[3600:, 1] -= 1.0
    rows = unit_rows(X.astype(np.float32))
    coarse = fit_tree(rows, n=4000, threshold=0.99, cluster_size=1000, largest=10_000, seed=0)
    assert coarse.splits == {}
    tree = fit_tree(rows, n=4000, threshold=0.99, cluster_size=1000, largest=1100, seed=0)
    sizes = np.bincount(tree.clusters_of(rows), minlength=tree.n_clusters)
    outer = np.bincount(coarse.clusters_of(rows))
    assert tree.splits
    assert tree.n_clusters == sum(len(tree.splits.get(cluster, "1")) for cluster in range(len(tree.centres)))
    assert sizes.sum() == 4000
    assert sizes.max() < outer.max()


def test_cells_do_not_depend_on_the_block():
    X = with_copies(900)
    rows = unit_rows(X)
    tree = fit_tree(rows, n=900, threshold=0.9, cluster_size=60, largest=70, seed=1)
    whole = tree.clusters_of(rows)
    parts = [tree.clusters_of(unit_rows(X[start : start + 37])) for start in range(0, 900, 37)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert isinstance(tree, ClusterTree)
    assert whole.max() < tree.n_clusters
