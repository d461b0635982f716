"""Graph cut: two forms of one function, and what is known of it in closed form."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.objectives.graph_cut import GraphCut, random_value

SETTINGS = settings(deadline=None, max_examples=40)


def cloud(seed, n=9, d=4):
    return np.random.default_rng(seed).standard_normal((n, d))


def double_sum(X, subset, lam):
    """f(S) from its definition, term by term."""
    U = X / np.linalg.norm(X, axis=1, keepdims=True)
    inside, outside = list(subset), sorted(set(range(len(X))) - set(subset))
    to_rest = sum(U[i] @ U[j] for i in outside for j in inside)
    return to_rest - lam * sum(U[a] @ U[b] for a, b in itertools.combinations(inside, 2))


def grown(f, X, items):
    state = f.init(X)
    for item in items:
        state = f.add(state, item)
    return state


def test_four_points_by_hand():
    X = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    f = GraphCut(lam=10.0)
    empty = f.init(X)
    assert f.value(empty) == 0
    # t = (1, 1): <x, t> - 1
    assert f.gains(empty).tolist() == [0.0, 0.0, 0.0, -2.0]
    one = f.add(empty, 0)
    assert f.gains(one, np.array([1, 2, 3])).tolist() == [
        -12.0,
        0.0,
        10.0,
    ]  # opposite vectors attract: cosine, not its square
    assert f.value(f.add(one, 3)) == pytest.approx(double_sum(X, [0, 3], 10.0))


@SETTINGS
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 3.0, 10.0, 100.0]), st.integers(0, 6))
def test_value_gains_and_formula_agree(seed, lam, size):
    X = cloud(seed)
    items = np.random.default_rng(seed).permutation(9)[: size + 1]
    f = GraphCut(lam)
    before = grown(f, X, items[:-1])
    after = f.add(before, int(items[-1]))
    assert f.value(after) == pytest.approx(double_sum(X, items, lam), abs=1e-9)
    assert f.evaluate(X, items) == pytest.approx(double_sum(X, items, lam), abs=1e-9)
    gain = f.gains(before, items[-1:])[0]
    assert gain == pytest.approx(f.value(after) - f.value(before), abs=1e-9)
    assert f.gains(before)[items[-1]] == gain


@SETTINGS
@given(st.integers(0, 10**6), st.floats(0, 50))
def test_gains_never_grow_where_no_cosine_is_negative(seed, lam):
    X = np.abs(cloud(seed))
    f = GraphCut(lam)
    smaller, larger = grown(f, X, [0, 1]), grown(f, X, [0, 1, 2, 3])
    assert (f.gains(larger, np.arange(4, 9)) <= f.gains(smaller, np.arange(4, 9)) + 1e-9).all()


def test_adding_leaves_the_old_state_as_it_was():
    f, X = GraphCut(), cloud(0)
    state = f.add(f.init(X), 2)
    gains, value = f.gains(state), f.value(state)
    f.add(state, 3)
    assert np.array_equal(f.gains(state), gains)
    assert f.value(state) == value


def test_a_gain_does_not_depend_on_what_else_is_asked():
    X = cloud(1, n=300, d=37).astype(np.float32)
    f = GraphCut()
    state = grown(f, X, [5, 7])
    alone = [f.gains(state, np.array([i]))[0] for i in range(300)]
    assert np.array_equal(f.gains(state), alone)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 7.0, 1e30])
def test_length_of_rows_does_not_matter(scale):
    X = cloud(2)
    f = GraphCut()
    assert f.gains(f.init(X * scale)) == pytest.approx(f.gains(f.init(X)), rel=1e-12)


def test_given_total_replaces_the_sum_of_the_rows():
    X = cloud(3)
    U = X / np.linalg.norm(X, axis=1, keepdims=True)
    f = GraphCut(4.0, total=U.sum(axis=0))
    part = f.init(X[:4])
    assert f.gains(part) == pytest.approx(GraphCut(4.0).gains(GraphCut(4.0).init(X))[:4])
    assert f.evaluate(X[:4], np.array([0, 2])) == pytest.approx(f.value(grown(f, X[:4], [0, 2])))


@pytest.mark.parametrize("k", [0, 1, 3, 7])
def test_expected_value_of_a_random_subset_is_the_mean_over_all(k):
    X = cloud(4, n=7)
    f = GraphCut(3.0)
    mean = np.mean([double_sum(X, s, 3.0) for s in itertools.combinations(range(7), k)])
    assert random_value(f.init(X).total, 7, k, 3.0) == pytest.approx(mean, abs=1e-9)


def test_expected_value_for_one_item():
    assert random_value(np.array([1.0, 0.0]), 1, 1, 10.0) == pytest.approx(0.0)


@pytest.mark.parametrize("lam", [-1.0, float("nan"), float("inf"), "10", None, True])
def test_bad_lambda_is_named(lam):
    with pytest.raises(InputError, match=r"^lam must be a finite number >= 0, or 'auto'; got .+"):
        GraphCut(lam)


@pytest.mark.parametrize(
    ("total", "match"), [(np.zeros(3), r"total must have shape \(4,\)"), (np.full(4, np.nan), "total must be finite")]
)
def test_bad_total_is_named(total, match):
    with pytest.raises(InputError, match=match):
        GraphCut(total=total).init(cloud(0))


@pytest.mark.parametrize("k", [-1, 10])
def test_expected_value_refuses_impossible_sizes(k):
    with pytest.raises(InputError, match=r"k must lie in \[0, 9\]"):
        random_value(np.ones(2), 9, k, 1.0)
