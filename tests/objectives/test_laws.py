"""The laws of the contract, for every objective in one list."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.objectives import (
    OBJECTIVES,
    FacilityLocation,
    FeatureBased,
    GraphCut,
    LogDeterminant,
    SaturatedCoverage,
)
from ray_subsel.objectives.kernels import RBF, ShiftedCosine
from ray_subsel.objectives.target import Target

SETTINGS = settings(deadline=None, max_examples=20)
SAMPLE = np.random.default_rng(99).standard_normal((6, 5))

CASES = {
    "graph_cut": GraphCut(),
    "graph_cut_without_penalty": GraphCut(lam=0.0),
    "facility_location": FacilityLocation(),
    "facility_location_shifted": FacilityLocation(kernel=ShiftedCosine()),
    "facility_location_rbf": FacilityLocation(kernel=RBF(gamma=0.3)),
    "facility_location_of_a_sample": FacilityLocation(represented=SAMPLE, weights=[1, 2, 0, 3, 1.5, 1]),
    "facility_location_with_a_target": FacilityLocation(target=Target.of(SAMPLE, 0.4, 11, [1, 2, 1, 3, 1, 1])),
    "facility_location_of_a_target_alone": FacilityLocation(target=Target.of(SAMPLE, 1.0, 11)),
    "saturated_coverage": SaturatedCoverage(alpha=0.3),
    "saturated_coverage_of_a_sample": SaturatedCoverage(represented=SAMPLE, weights=np.arange(6), alpha=1.0),
    "feature_based_sqrt": FeatureBased(),
    "feature_based_log": FeatureBased(concave="log", weights=[1, 0, 2, 1, 1]),
    "feature_based_saturating": FeatureBased(concave="saturating"),
    "log_determinant": LogDeterminant(),
    "log_determinant_small_ridge": LogDeterminant(ridge=0.05, kernel="shifted_cosine"),
    "log_determinant_rbf": LogDeterminant(ridge=0.5, kernel=RBF(gamma=0.2)),
}


def test_every_objective_is_in_the_list():
    assert {f.name for f in CASES.values()} == set(OBJECTIVES)


def ground_set(f, seed, dtype=np.float64, n=11):
    X = np.random.default_rng(seed).standard_normal((n, 5))
    X[7] = X[2]  # an exact copy
    if isinstance(f, FeatureBased):
        X = np.maximum(X, 0.0)
    return X.astype(dtype)


def order(seed, n=11):
    return np.random.default_rng(seed + 1000).permutation(n)


@pytest.mark.parametrize("name", CASES)
@SETTINGS
@given(seed=st.integers(0, 10_000), dtype=st.sampled_from([np.float32, np.float64]))
def test_value_is_the_sum_of_gains_and_equals_the_formula(name, seed, dtype):
    f = CASES[name]
    X = ground_set(f, seed, dtype)
    state = f.init(X)
    assert f.value(state) == 0.0
    chosen = []
    for item in order(seed):
        outside = np.setdiff1d(np.arange(len(X)), chosen)
        gains, before = f.gains(state), f.value(state)
        np.testing.assert_allclose(f.gains(state, outside), gains[outside], rtol=1e-9, atol=1e-9)
        child = f.add(state, int(item))
        assert f.value(state) == before, "add must not change its state"
        assert f.value(child) - before == pytest.approx(gains[item], abs=1e-8)
        state = child
        chosen.append(int(item))
        assert f.value(state) == pytest.approx(f.evaluate(X, np.array(chosen)), abs=1e-7)


@pytest.mark.parametrize("name", [name for name, f in CASES.items() if f.submodular])
@SETTINGS
@given(seed=st.integers(0, 10_000))
def test_gains_never_grow(name, seed):
    f = CASES[name]
    X = ground_set(f, seed)
    state, outside = f.init(X), np.arange(len(X))
    gains = f.gains(state)
    for item in order(seed)[:-1]:
        state = f.add(state, int(item))
        outside = outside[outside != item]
        now = f.gains(state)
        assert (now[outside] <= gains[outside] + 1e-9).all()
        gains = now


@pytest.mark.parametrize("name", [name for name, f in CASES.items() if f.monotone])
@SETTINGS
@given(seed=st.integers(0, 10_000))
def test_no_gain_is_negative_where_monotone(name, seed):
    f = CASES[name]
    X = ground_set(f, seed)
    state = f.init(X)
    for item in order(seed):
        assert f.gains(state)[item] >= -1e-12
        state = f.add(state, int(item))


@pytest.mark.parametrize("name", CASES)
@SETTINGS
@given(seed=st.integers(0, 10_000))
def test_bounds_and_outlook_are_never_below_gains(name, seed):
    f = CASES[name]
    X = ground_set(f, seed, np.float32, n=40)
    state = f.init(X)
    for item in order(seed, 40)[:12]:
        gains = f.gains(state)
        some = order(seed + 1, 40)[:15]
        assert (f.bounds(state) >= gains - 1e-9).all()
        assert (f.bounds(state, some) >= gains[some] - 1e-9).all()
        cheap_bounds = f.cheap_bounds(state)
        assert cheap_bounds is None or (cheap_bounds >= gains - 1e-9).all()
        state = f.add(state, int(item))


@pytest.mark.parametrize("name", CASES)
def test_a_state_can_be_continued_in_two_ways(name):
    f = CASES[name]
    X = ground_set(f, 3, n=40)
    root = f.add(f.init(X), 4)
    f.bounds(root)
    left = f.add(f.add(root, 0), 1)
    f.bounds(left)
    f.bounds(left)
    right = f.add(f.add(root, 9), 8)
    assert (f.bounds(right) >= f.gains(right) - 1e-9).all()
    assert (f.bounds(root) >= f.gains(root) - 1e-9).all()
    for state, subset in ((left, [4, 0, 1]), (right, [4, 9, 8]), (f.add(root, 0), [4, 0])):
        assert f.value(state) == pytest.approx(f.evaluate(X, np.array(subset)), abs=1e-8)
        few = np.array([11, 12])
        np.testing.assert_allclose(f.gains(state, few), f.gains(state)[few], atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_a_tensor_is_the_same_as_an_array(name):
    torch = pytest.importorskip("torch")
    f = CASES[name]
    X = ground_set(f, 5, np.float32)
    state, tensor_state = f.add(f.init(X), 3), f.add(f.init(torch.from_numpy(X)), 3)
    np.testing.assert_allclose(f.gains(tensor_state), f.gains(state), atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_vectors_with_nan_are_refused(name):
    X = ground_set(CASES[name], 5)
    X[3, 1] = np.nan
    with pytest.raises(InputError, match="finite"):
        CASES[name].init(X)


@pytest.mark.parametrize("name", [name for name in CASES if "rbf" not in name and "feature" not in name])
def test_a_zero_vector_has_no_cosine(name):
    X = ground_set(CASES[name], 5)
    X[3] = 0.0
    with pytest.raises(InputError, match="row 3 of X must not be zero"):
        CASES[name].init(X)


@SETTINGS
@given(seed=st.integers(0, 10_000), name=st.sampled_from(["sqrt", "log", "saturating"]))
def test_sparse_features_are_the_same_as_dense_ones(seed, name):
    f = FeatureBased(concave=name)
    X = ground_set(f, seed)
    dense, sparse = f.init(X), f.init(sp.csr_array(X))
    for item in order(seed)[:5]:
        np.testing.assert_allclose(f.gains(sparse), f.gains(dense), atol=1e-12)
        dense, sparse = f.add(dense, int(item)), f.add(sparse, int(item))
        assert f.value(sparse) == pytest.approx(f.value(dense))
    assert f.evaluate(sp.coo_array(X), order(seed)[:5]) == pytest.approx(f.value(dense))
