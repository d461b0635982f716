"""Near copies: the guarantee, the order, and independence of how the work is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.device import Device, computing_on
from ray_subsel.core.errors import InputError
from ray_subsel.dedup.in_memory import collapse_near
from ray_subsel.dedup.settings import NearSettings

SETTINGS = settings(deadline=None, max_examples=20)


def with_near_copies(seed, n=300, d=16, noise=0.1):
    """Return n / 2 vectors and a noisy copy of a random one of them for each, shuffled, and the origins."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((n // 2, d))
    origin = np.concatenate([np.arange(n // 2), rng.integers(n // 2, size=n - n // 2)])
    X = base[origin] + np.where(np.arange(n) < n // 2, 0, noise)[:, None] * rng.standard_normal((n, d))
    order = rng.permutation(n)
    return X[order], origin[order]


def in_turn(X, threshold):
    """The definition: join the first kept item whose cosine reaches the threshold, else be kept."""
    U = X / np.linalg.norm(X, axis=1, keepdims=True)
    leader, kept = [], []
    for i in range(len(U)):
        first = next((j for j in kept if U[i] @ U[j] >= threshold - 1e-12), None)
        if first is None:
            kept.append(i)
        leader.append(i if first is None else first)
    return np.array(leader)


def check(X, groups, threshold):
    """Assert what is promised whatever the clusters."""
    U = X / np.linalg.norm(X, axis=1, keepdims=True)
    n = len(U)
    leader, leaders = groups.leader, groups.leaders
    assert (leader <= np.arange(n)).all()
    np.testing.assert_array_equal(leader[leaders], leaders)
    np.testing.assert_array_equal(np.unique(leader), leaders)
    assert ((U * U[leader]).sum(axis=1) >= threshold - 1e-9).all(), "everyone resembles its leader"


def clustered(threshold, **settings):
    """Return settings under which clusters are made, however few the rows."""
    return NearSettings(threshold, exact_items=0, **settings)


@SETTINGS
@given(seed=st.integers(0, 10_000), threshold=st.sampled_from([0.2, 0.8, 0.95, 1.0]), single=st.booleans())
def test_all_pairs_are_the_definition(seed, threshold, single):
    X = with_near_copies(seed)[0].astype(np.float32 if single else np.float64)
    X[40:60] = X[:20]  # exact copies, which join at a threshold of 1 too
    groups = collapse_near(X, NearSettings(threshold))
    np.testing.assert_array_equal(groups.leader, in_turn(X.astype(np.float64), threshold))
    check(X.astype(np.float64), groups, threshold)
    assert groups.recall is None


@SETTINGS
@given(seed=st.integers(0, 10_000), bucket=st.integers(1, 400))
def test_all_pairs_are_compared_whatever_is_worked_on_at_once(seed, bucket):
    X = with_near_copies(seed, n=120)[0]
    groups = collapse_near(X, NearSettings(0.9, cluster_size=2, bucket_numbers=bucket))
    np.testing.assert_array_equal(groups.leader, in_turn(X, 0.9))


@SETTINGS
@given(seed=st.integers(0, 10_000), threshold=st.sampled_from([0.5, 0.9]), cluster_size=st.integers(2, 80))
def test_the_guarantee_holds_for_any_clusters(seed, threshold, cluster_size):
    X, _ = with_near_copies(seed, n=200, d=6)
    groups = collapse_near(X, clustered(threshold, cluster_size=cluster_size, seed=seed))
    check(X, groups, threshold)
    assert groups.recall.sample == 200


@SETTINGS
@given(seed=st.integers(0, 10_000), threshold=st.sampled_from([0.5, 0.8, 0.95]), cluster_size=st.integers(60, 150))
def test_few_clusters_that_are_all_neighbours_are_the_definition(seed, threshold, cluster_size):
    """With few clusters and the full reach each looks into all others that can hold a copy, so nothing is missed."""
    X, _ = with_near_copies(seed, n=300, d=6, noise=0.3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray_subsel.dedup.settings.REACH", 1.0)
        groups = collapse_near(X, clustered(threshold, cluster_size=cluster_size, seed=seed))
    exact = in_turn(X, threshold)
    np.testing.assert_array_equal(groups.leaders, np.unique(exact))
    check(X, groups, threshold)
    assert groups.recall.missed == 0
    assert groups.recall.found == 300 - np.unique(exact).size


@SETTINGS
@given(seed=st.integers(0, 10_000), exact=st.booleans())
def test_within_labels_is_each_label_by_itself(seed, exact):
    X, _ = with_near_copies(seed, n=200, d=6)
    labels = np.random.default_rng(seed).integers(3, size=200) * 7 - 7
    settings = NearSettings(0.9) if exact else clustered(0.9, cluster_size=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray_subsel.dedup.settings.REACH", 1.0)
        groups = collapse_near(X, settings, labels=labels)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        np.testing.assert_array_equal(np.isin(own, groups.leaders), in_turn(X[own], 0.9) == np.arange(own.size))
        assert (labels[groups.leader[own]] == label).all()


def test_clusters_find_nearly_all_near_copies():
    X, origin = with_near_copies(0, n=6000, d=32)
    exact = collapse_near(X, NearSettings(0.9))
    groups = collapse_near(X, clustered(0.9, cluster_size=200))
    np.testing.assert_array_equal(origin[groups.leader], origin)
    dropped = 6000 - exact.leaders.size
    assert 6000 - groups.leaders.size > 0.999 * dropped
    missed = np.setdiff1d(groups.leaders, exact.leaders).size
    assert groups.recall.share == pytest.approx(1 - missed / dropped, abs=0.002)


def test_recall_tells_what_is_missed(monkeypatch):
    X, _ = with_near_copies(0, n=1800, d=8, noise=0.3)
    monkeypatch.setattr("ray_subsel.dedup.clusters.Centres.assign.__defaults__", (0,))
    groups = collapse_near(X, clustered(0.9, cluster_size=50))
    U = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosines = np.tril(U[groups.leaders] @ U[groups.leaders].T, -1)
    assert groups.recall.sample == 1800
    assert groups.recall.missed == (cosines >= 0.9).any(axis=1).sum() > 10
    assert groups.recall.found == 1800 - groups.leaders.size
    assert groups.recall.share < 0.99


def test_by_hand():
    X = np.array([[1.0, 0.0], [0.0, 2.0], [0.9, 0.1], [0.1, 0.9], [5.0, 0.0]])
    groups = collapse_near(X, NearSettings(0.9), multiplicity=[1, 10, 100, 1000, 10000])
    assert groups.leader.tolist() == [0, 1, 0, 1, 0]
    assert groups.leaders.tolist() == [0, 1]
    assert groups.multiplicity.tolist() == [10101, 1010]
    assert collapse_near(X, NearSettings(0.9)).multiplicity.tolist() == [3, 2]
    assert collapse_near(X, NearSettings(0.9), labels=np.array([0, 0, 0, 1, 1])).leader.tolist() == [0, 1, 0, 3, 4]


def test_opposite_vectors_are_no_copies():
    assert collapse_near(np.array([[1.0, 1.0], [-1.0, -1.0]]), NearSettings(0.5)).leaders.tolist() == [0, 1]


@pytest.mark.parametrize("exact", [True, False])
def test_a_heap_of_copies_larger_than_a_cluster_is_one_group(exact):
    X = np.vstack([np.random.default_rng(0).standard_normal((30, 8)), np.ones((500, 8))])
    settings = NearSettings(0.99) if exact else clustered(0.99, cluster_size=20)
    assert (collapse_near(X, settings).leader[30:] == 30).all()


def test_the_result_does_not_depend_on_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    X = with_near_copies(6, n=1500, d=24)[0].astype(np.float32)
    with threadpoolctl.threadpool_limits(1):
        one = collapse_near(X, clustered(0.9, cluster_size=100))
    with threadpoolctl.threadpool_limits(2):
        two = collapse_near(X, clustered(0.9, cluster_size=100))
    np.testing.assert_array_equal(one.leader, two.leader)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_rows(n):
    assert collapse_near(np.eye(3)[:n], NearSettings(0.9)).leader.tolist() == list(range(n))
    assert collapse_near(np.eye(3)[:n], clustered(0.9, cluster_size=2)).leader.tolist() == list(range(n))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"multiplicity": [1, 2]}, "multiplicity must be 3 integers >= 1"),
        ({"multiplicity": [1, 2, 0]}, "multiplicity must be 3 integers >= 1"),
        ({"X": np.zeros((3, 2))}, "row 0 of X must not be zero"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"X": np.eye(3)} | change
    with pytest.raises(InputError, match=message):
        collapse_near(arguments.pop("X"), NearSettings(0.9), **arguments)


@pytest.mark.parametrize("clustered_too", [False, True])
def test_a_device_finds_the_same_groups(clustered_too):
    torch = pytest.importorskip("torch")
    X = with_near_copies(3, n=900, d=24)[0].astype(np.float32)
    settings = clustered(0.9, cluster_size=60) if clustered_too else NearSettings(0.9)
    usual = collapse_near(X, settings)
    with computing_on(Device(torch.empty(0), least=0)):
        found = collapse_near(X, settings)
    np.testing.assert_array_equal(found.leader, usual.leader)
    assert found.recall == usual.recall
