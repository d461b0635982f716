"""Near copies across clusters: the fixed point is the sequential rule, whatever was decided first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.dedup.borders import (
    Clusters,
    Edges,
    Hosts,
    Round,
    Side,
    decide,
    edges_between,
    join_orphans,
    mend_borders,
)
from ray_subsel.dedup.buckets import Bucket, join_within_clusters, plan_buckets
from ray_subsel.dedup.pairs import fit_sketch

SETTINGS = settings(deadline=None, max_examples=60)


def in_order(ids, pairs):
    """The definition: in order of id, kept unless an earlier kept one is a neighbour; else it joins the first."""
    leader = {}
    for item in ids:
        first = next(
            (other for other in ids if other < item and leader[other] == other and (item, other) in pairs), item
        )
        leader[item] = first
    return [leader[item] for item in ids]


@SETTINGS
@given(pairs=st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25))
def test_items_are_decided_as_in_order(pairs):
    a, b = (np.array([3 * pair[side] for pair in sorted(pairs)], dtype=np.int64) for side in (0, 1))
    edges = Edges.of(a, b, (np.maximum(a, b) + np.minimum(a, b) / 100.0))
    assert (edges.later > edges.earlier).all()
    groups = decide(np.arange(0, 30, 3), edges)
    both = {(3 * x, 3 * y) for x, y in pairs} | {(3 * y, 3 * x) for x, y in pairs}
    assert groups.leaders.tolist() == in_order(range(0, 30, 3), both)
    joined = ~groups.leads
    np.testing.assert_allclose(groups.cosine[joined], groups.ids[joined] + groups.leaders[joined] / 100.0)
    assert (groups.cosine[~joined] == 1).all()


def bucket_of(n, seed, clusters, labels=1, d=3):
    """Items in clusters at random, so that near copies lie in all of them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(max(2, n // 3), d))[rng.integers(max(2, n // 3), size=n)] + 0.25 * rng.normal(size=(n, d))
    where = rng.integers(clusters, size=n)
    beside = np.stack([(where + step) % clusters for step in range(1, clusters)], axis=1).astype(np.int32)
    beside[rng.random(beside.shape) < 0.3] = -1
    return Bucket(np.arange(n) * 2 + 5, where, rng.integers(labels, size=n), beside, X)


def reaching(bucket, threshold, *, same_cluster):
    """All pairs that are to be found."""
    U = bucket.vectors / np.linalg.norm(bucket.vectors, axis=1, keepdims=True)
    found = set()
    for i in range(bucket.n):
        for j in range(bucket.n):
            same = bucket.clusters[i] == bucket.clusters[j]
            near = bucket.clusters[j] in bucket.neighbours[i] or bucket.clusters[i] in bucket.neighbours[j]
            if (
                i != j
                and bucket.labels[i] == bucket.labels[j]
                and U[i] @ U[j] >= threshold
                and (same_cluster if same else near)
            ):
                found.add((int(bucket.ids[i]), int(bucket.ids[j])))
    return found


@SETTINGS
@given(seed=st.integers(0, 999), same_cluster=st.booleans(), cut=st.integers(0, 30))
def test_edges_are_the_pairs_of_neighbouring_clusters(seed, same_cluster, cut):
    bucket = bucket_of(30, seed, 4, labels=2)
    wanted = {pair for pair in reaching(bucket, 0.9, same_cluster=same_cluster) if pair[0] > pair[1]}
    parts = [bucket.take(np.arange(cut)), bucket.take(np.arange(cut, 30))]
    sides = [Side.of(part) for part in parts if part.n]
    edges = Edges.union(
        edges_between(left, right, 0.9, same_cluster=same_cluster)
        for place, left in enumerate(sides)
        for right in sides[place:]
    )
    assert list(zip(edges.later.tolist(), edges.earlier.tolist(), strict=True)) == sorted(wanted)
    vector = dict(zip(bucket.ids.tolist(), bucket.vectors, strict=True))
    for later, earlier, cosine in zip(edges.later.tolist(), edges.earlier.tolist(), edges.cosine, strict=True):
        x, y = vector[later], vector[earlier]
        assert cosine == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


@SETTINGS
@given(seed=st.integers(0, 999), largest=st.integers(2, 20))
def test_guests_of_each_task_give_all_edges(seed, largest):
    bucket = bucket_of(30, seed, 12)
    bucket = Bucket(bucket.ids, bucket.clusters, bucket.labels, bucket.neighbours[:, :2], bucket.vectors)
    counts = np.bincount(bucket.clusters, minlength=12)
    plan = plan_buckets(counts, largest, lambda cluster: bucket.ids[bucket.clusters == cluster])
    home = plan.task_of(bucket.ids, bucket.clusters)
    places, tasks = plan.guests(bucket.clusters, bucket.neighbours)
    near = {
        (i, task)
        for i in range(30)
        for task, buckets in enumerate(plan.tasks)
        if task != home[i] and np.isin(plan.first[bucket.neighbours[i][bucket.neighbours[i] >= 0]], buckets).any()
    }
    assert set(zip(places.tolist(), tasks.tolist(), strict=True)) == near
    assert sorted(zip(tasks, places, strict=True)) == list(zip(tasks, places, strict=True))
    found = []
    for task in set(home.tolist()):
        side = Side.of(bucket.take(home == task))
        hosts = Hosts(side, 0.2)
        found.append(hosts.edges(side))
        if (tasks == task).any():
            found.append(hosts.edges(Side.of(bucket.take(places[tasks == task]))))
    side, edges = Side.of(bucket), Edges.union(found)
    whole = edges_between(side, side, 0.2, same_cluster=False)
    for column in ("later", "earlier", "cosine"):
        np.testing.assert_array_equal(getattr(edges, column), getattr(whole, column))


@pytest.mark.parametrize("threshold", [0.9, 0.3])  # with 0.3 most pairs pass a sketch
def test_hosts_that_are_sketched_find_the_same_pairs(threshold, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 15)) @ rng.normal(size=(15, 96)) / 10 + 0.3 * rng.normal(size=(5000, 96))
    X[4500:] = X[:500] + 0.12 * rng.normal(size=(500, 96))
    where = rng.integers(3, size=5000)
    beside = ((where + 1) % 3)[:, None].astype(np.int32)
    bucket = Bucket(np.arange(5000), where, np.zeros(5000, np.int64), beside, X.astype(np.float32))
    side, guests = Side.of(bucket.take(np.arange(4500))), Side.of(bucket.take(np.arange(4500, 5000)))
    sketched = Hosts(side, threshold).edges(guests)
    assert (fit_sketch(side.rows, threshold) is not None) == (threshold == 0.9)
    U = side.rows.slice(0, 4500)
    cosines = guests.rows.slice(0, 500) @ U.T
    pairs = np.argwhere((cosines >= threshold) & (where[:4500] == beside[4500:]))
    assert sketched.later.size == len(pairs) > 50
    assert set(zip(sketched.later.tolist(), sketched.earlier.tolist(), strict=True)) == {
        (4500 + int(i), int(j)) for i, j in pairs
    }
    monkeypatch.setattr("ray_subsel.dedup.pairs.SKETCHED", 10**9)
    plain = Hosts(side, threshold).edges(guests)
    for column in ("later", "earlier", "cosine"):
        np.testing.assert_array_equal(getattr(sketched, column), getattr(plain, column))


class Held(Clusters):
    """Clusters of one bucket."""

    def __init__(self, bucket, threshold):
        self.bucket, self.threshold = bucket, threshold
        self.groups = join_within_clusters(bucket, threshold, most_kept=bucket.n)
        self.known = bucket.take(self.groups.leads)

    def leaders(self):
        return self.known.ids

    def edges(self):
        side = Side.of(self.known)
        return edges_between(side, side, self.threshold, same_cluster=False)

    def led_by(self, leaders):
        return self.groups.ids[np.isin(self.groups.leaders, leaders) & ~self.groups.leads]

    def join(self, number, orphans, kept) -> Round:
        some = self.bucket.take(np.isin(self.bucket.ids, orphans))
        found = join_orphans(some, [self.known], kept, self.threshold, most_kept=some.n)
        both = self.known.append(some.take(found.groups.leads))
        self.known = both.take(np.argsort(both.ids))
        return found


@SETTINGS
@given(seed=st.integers(0, 9999), clusters=st.integers(2, 5), labels=st.integers(1, 2), most=st.integers(1, 40))
def test_the_fixed_point_is_the_sequential_rule_over_all_compared_pairs(seed, clusters, labels, most):
    bucket = bucket_of(40, seed, clusters, labels)
    held = Held(bucket, 0.85)
    mended = mend_borders(held, most=most)
    groups = mended.apply(held.groups)
    pairs = reaching(bucket, 0.85, same_cluster=True)
    exact = in_order(bucket.ids.tolist(), pairs)
    np.testing.assert_array_equal(groups.leads, np.array(exact) == bucket.ids)
    np.testing.assert_array_equal(mended.kept, bucket.ids[groups.leads])
    for item, leader in zip(groups.ids.tolist(), groups.leaders.tolist(), strict=True):
        assert item == leader or ((item, leader) in pairs and leader < item)
    U = bucket.vectors / np.linalg.norm(bucket.vectors, axis=1, keepdims=True)
    at = np.searchsorted(bucket.ids, groups.leaders)
    np.testing.assert_allclose(groups.cosine, (U * U[at]).sum(axis=1))
