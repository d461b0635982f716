"""Cells at scale: every item in one piece, groups as of one machine, whatever the pieces."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.dedup.buckets import Bucket, join_buckets, plan_buckets
from ray_subsel.dedup.in_memory import collapse_near
from ray_subsel.dedup.settings import NearSettings


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
        assert (plan.task_of(ids, clusters)[inside] == plan.tasks.index(task)).all()
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


def bucket_of(ids, clusters, X):
    return Bucket(ids, clusters, np.zeros_like(ids), np.zeros((len(ids), 0), np.int32), X)


def groups_of(buckets, threshold, most_kept=2000):
    return {
        int(i): (int(leader), float(c))
        for joined in join_buckets(buckets, threshold, most_kept=most_kept)
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
    buckets = [bucket_of(ids[a:b], clusters[a:b], X[a:b]) for a, b in itertools.pairwise(edges) if b > a]
    found = groups_of(buckets, threshold)
    whole = collapse_near(X, NearSettings(threshold))  # one cell: all pairs
    assert [found[int(i)][0] for i in ids] == ids[whole.leader].tolist()
    for i, (leader, cosine) in found.items():
        assert cosine == pytest.approx(float(X[i // 2].astype(float) @ X[leader // 2].astype(float)), abs=1e-6)


@given(seed=st.integers(0, 20), most_kept=st.integers(2, 8))
@settings(deadline=None, max_examples=30)
def test_a_heap_with_more_leaders_than_a_cell_may_have_keeps_the_laws(seed, most_kept):
    X = with_copies(120, seed=seed, noise=0.3)
    ids, clusters = np.arange(120), np.zeros(120, dtype=np.int64)
    found = groups_of(
        [bucket_of(ids[a : a + 40], clusters[a : a + 40], X[a : a + 40]) for a in (0, 40, 80)], 0.8, most_kept
    )
    assert sorted(found) == ids.tolist()
    for i, (leader, cosine) in found.items():
        assert leader <= i
        assert found[leader] == (leader, 1.0)  # no chains
        assert cosine >= 0.8 - 1e-9
        assert cosine == pytest.approx(float(X[i] @ X[leader]), abs=1e-5)


def test_cells_of_one_piece_do_not_mix():
    X = np.repeat(np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32), [2, 1], axis=0)
    found = groups_of([bucket_of(np.array([3, 5, 9]), np.array([1, 0, 1]), X)], 0.9)
    assert {i: leader for i, (leader, _) in found.items()} == {3: 3, 5: 5, 9: 9}
