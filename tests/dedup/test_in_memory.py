"""Near copies: the guarantee, the order, and independence of how the work is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.core.unit_rows import UnitRows, unit_rows
from ray_subsel.dedup.clusters import assign_clusters, fit_clusters
from ray_subsel.dedup.in_memory import collapse_near
from ray_subsel.dedup.leader_clustering import join_leaders

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
    """Assert everything that is promised."""
    U = X / np.linalg.norm(X, axis=1, keepdims=True)
    n = len(U)
    leader, leaders = groups.leader, groups.leaders
    assert (leader <= np.arange(n)).all()
    np.testing.assert_array_equal(leader[leaders], leaders)
    np.testing.assert_array_equal(np.unique(leader), leaders)
    np.testing.assert_array_equal(groups.cluster, groups.cluster[leader])
    assert ((U * U[leader]).sum(axis=1) >= threshold - 1e-9).all(), "everyone resembles its leader"
    for cluster in np.unique(groups.cluster):
        kept = leaders[groups.cluster[leaders] == cluster]
        cosines = U[kept] @ U[kept].T
        np.fill_diagonal(cosines, -1)
        assert cosines.max(initial=-1) < threshold, "no two kept of one cell at or above the threshold"


@SETTINGS
@given(seed=st.integers(0, 10_000), threshold=st.sampled_from([0.2, 0.8, 0.95, 1.0]), single=st.booleans())
def test_one_cell_is_the_definition(seed, threshold, single):
    X = with_near_copies(seed)[0].astype(np.float32 if single else np.float64)
    X[40:60] = X[:20]  # exact copies, which join at a threshold of 1 too
    groups = collapse_near(X, threshold)
    np.testing.assert_array_equal(groups.leader, in_turn(X.astype(np.float64), threshold))
    check(X.astype(np.float64), groups, threshold)


@SETTINGS
@given(seed=st.integers(0, 10_000), threshold=st.sampled_from([0.5, 0.9]), cluster_size=st.integers(2, 80))
def test_the_guarantee_holds_for_any_cells(seed, threshold, cluster_size):
    X, _ = with_near_copies(seed, n=200, d=6)
    check(X, collapse_near(X, threshold, cluster_size=cluster_size, seed=seed), threshold)


def test_cells_find_nearly_all_near_copies():
    X, origin = with_near_copies(0, n=3000, d=32)
    groups = collapse_near(X, 0.9, cluster_size=200)
    assert np.unique(groups.cluster).size > 5
    redundant = 3000 - np.unique(origin).size
    assert 3000 - groups.leaders.size > 0.95 * redundant
    np.testing.assert_array_equal(origin[groups.leader], origin)


def test_by_hand():
    X = np.array([[1.0, 0.0], [0.0, 2.0], [0.9, 0.1], [0.1, 0.9], [5.0, 0.0]])
    groups = collapse_near(X, 0.9, multiplicity=[1, 10, 100, 1000, 10000])
    assert groups.leader.tolist() == [0, 1, 0, 1, 0]
    assert groups.leaders.tolist() == [0, 1]
    assert groups.multiplicity.tolist() == [10101, 1010]
    assert collapse_near(X, 0.9).multiplicity.tolist() == [3, 2]


def test_opposite_vectors_are_no_copies():
    assert collapse_near(np.array([[1.0, 1.0], [-1.0, -1.0]]), 0.5).leaders.tolist() == [0, 1]


def test_a_heap_of_copies_larger_than_a_cell_is_one_group():
    X = np.vstack([np.random.default_rng(0).standard_normal((30, 8)), np.ones((500, 8))])
    groups = collapse_near(X, 0.99, cluster_size=20)
    assert (groups.leader[30:] == 30).all()


def test_a_cell_with_too_many_kept_items_is_split():
    vectors = unit_rows(np.random.default_rng(0).standard_normal((400, 8))).slice(0, 400)
    leader, part = join_leaders(vectors, 0.999, cluster_size=50)
    assert np.bincount(part).max() <= 2 * 256 + 50
    assert part.max() >= 1
    np.testing.assert_array_equal(leader, np.arange(400))


def test_equal_vectors_that_cannot_be_split_are_grouped_all_the_same():
    vectors = np.tile(unit_rows(np.ones((1, 4))).slice(0, 1), (10, 1))
    leader, _ = join_leaders(vectors, 1.0, cluster_size=2)
    assert (leader == 0).all()


def test_groups_do_not_depend_on_blocks_or_parts():
    X = with_near_copies(5, n=1200, d=24)[0].astype(np.float32)
    rows = unit_rows(X)
    centres = fit_clusters(rows, 0.9, cluster_size=150)
    clusters = assign_clusters(rows, centres)
    parts = np.array_split(np.arange(1200), 7)
    in_parts = np.concatenate([assign_clusters(UnitRows(X[part], rows.scale[part]), centres) for part in parts])
    np.testing.assert_array_equal(in_parts, clusters)
    vectors = rows.take(np.arange(1200))
    whole, again = (join_leaders(vectors, 0.9, block_size=size)[0] for size in (256, 13))
    np.testing.assert_array_equal(again, whole)


def test_the_result_does_not_depend_on_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    X = with_near_copies(6, n=1500, d=24)[0].astype(np.float32)
    with threadpoolctl.threadpool_limits(1):
        one = collapse_near(X, 0.9, cluster_size=100)
    with threadpoolctl.threadpool_limits(2):
        two = collapse_near(X, 0.9, cluster_size=100)
    np.testing.assert_array_equal(one.leader, two.leader)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_rows(n):
    assert collapse_near(np.eye(3)[:n], 0.9, cluster_size=2).leader.tolist() == list(range(n))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 0.0}, r"threshold must be a cosine in \(0, 1\]; got 0.0"),
        ({"threshold": 1.1}, "threshold must be a cosine"),
        ({"threshold": float("nan")}, "threshold must be a cosine"),
        ({"cluster_size": 1}, "cluster_size must be a whole number >= 2; got 1"),
        ({"multiplicity": [1, 2]}, "multiplicity must be 3 integers >= 1"),
        ({"multiplicity": [1, 2, 0]}, "multiplicity must be 3 integers >= 1"),
        ({"X": np.zeros((3, 2))}, "row 0 of X must not be zero"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"X": np.eye(3), "threshold": 0.9} | change
    with pytest.raises(InputError, match=message):
        collapse_near(arguments.pop("X"), arguments.pop("threshold"), **arguments)
