"""Facility location, saturated coverage, log-determinant and feature-based: numbers by hand, and bad parameters."""

import math

import numpy as np
import pytest
import scipy.sparse as sp

from ray_subsel.core.errors import InputError
from ray_subsel.objectives import FacilityLocation, FeatureBased, LogDeterminant, SaturatedCoverage
from ray_subsel.objectives.kernels import RBF, Cosine, ShiftedCosine, kernel_of

CROSS = np.array([[2.0, 0.0], [0.0, 1.0], [-3.0, 0.0], [1.0, 1.0]])
ROOT = math.sqrt(0.5)


def test_opposite_vectors_are_not_similar():
    opposite = CROSS[[0, 2]] / [[2.0], [3.0]]
    assert Cosine().of(opposite, opposite)[0, 1] == -1.0
    assert ShiftedCosine().of(opposite, opposite)[0, 1] == 0.0
    assert RBF(gamma=0.5).of(opposite, opposite)[0, 1] == pytest.approx(math.exp(-2.0))


def test_rbf_of_an_item_with_itself_is_one_and_zero_vectors_are_welcome():
    X = np.array([[1e3, 1e3], [0.0, 0.0]])
    np.testing.assert_allclose(np.diag(RBF(gamma=1.0).of(X, X)), 1.0)
    FacilityLocation(kernel=RBF()).init(X)


def test_facility_location_by_hand():
    f = FacilityLocation()
    # row 0 represents itself fully, row 3 by 45 degrees, the others not at all
    np.testing.assert_allclose(f.gains(f.init(CROSS)), [1 + ROOT, 1 + ROOT, 1.0, 1 + 2 * ROOT])
    state = f.add(f.init(CROSS), 3)
    np.testing.assert_allclose(f.gains(state)[:3], [1 - ROOT, 1 - ROOT, 1.0])
    assert f.evaluate(CROSS, np.array([3, 2])) == pytest.approx(2 + 2 * ROOT)


def test_facility_location_weights_count_copies():
    weights = [3, 1, 1, 2]
    expanded = np.repeat(CROSS, weights, axis=0)
    first = [0, 3, 4, 5]
    weighted, plain = FacilityLocation(weights=weights), FacilityLocation()
    np.testing.assert_allclose(weighted.gains(weighted.init(CROSS)), plain.gains(plain.init(expanded))[first])


def test_saturated_coverage_by_hand():
    f = SaturatedCoverage(alpha=0.5)
    # row sums of positive cosines: 1 + r, 1 + r, 1, 1 + 2 r; half of them are the caps
    gains = f.gains(f.init(CROSS))
    cap = np.array([1 + ROOT, 1 + ROOT, 1.0, 1 + 2 * ROOT]) / 2
    assert gains[0] == pytest.approx(cap[0] + min(ROOT, cap[3]))
    assert gains[2] == pytest.approx(cap[2])
    everything = f.evaluate(CROSS, np.arange(4))
    assert everything == pytest.approx(cap.sum())


def test_log_determinant_counts_the_item_itself():
    f = LogDeterminant(ridge=0.5)
    assert f.gains(f.init(CROSS))[0] == pytest.approx(math.log(1 + 1 / 0.5))
    state = f.add(f.init(CROSS), 0)
    gains = f.gains(state)
    assert gains[1] == pytest.approx(math.log(3.0)), "an orthogonal item brings all of itself"
    # an opposite item is as redundant as a copy: det [[3, -2], [-2, 3]] = 5
    assert gains[2] == pytest.approx(math.log(5.0) - math.log(3.0))


def test_log_determinant_stays_exact_over_many_picks_of_few_dimensions():
    X = np.random.default_rng(0).standard_normal((60, 4))
    for f in (LogDeterminant(ridge=1e-3), LogDeterminant(ridge=1e-3, kernel=RBF(gamma=0.01))):
        state = f.init(X)
        for item in range(40):
            state = f.add(state, item)
        assert f.value(state) == pytest.approx(f.evaluate(X, np.arange(40)), rel=1e-6)


def test_feature_based_by_hand():
    X = np.array([[4.0, 0.0], [0.0, 9.0], [5.0, 0.0]])
    f = FeatureBased()
    state = f.add(f.init(X), 0)
    np.testing.assert_allclose(f.gains(state)[1:], [3.0, 1.0])
    assert FeatureBased(concave="log").evaluate(X, np.array([0, 2])) == pytest.approx(math.log(10.0))


def test_feature_based_adds_up_duplicate_entries_of_a_sparse_matrix():
    twice = sp.csr_array((np.array([1.0, 3.0]), np.array([0, 0]), np.array([0, 2])), shape=(1, 2))
    f = FeatureBased()
    assert f.gains(f.init(twice))[0] == pytest.approx(2.0)
    assert twice.nnz == 2, "the caller's matrix stays as it is"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FeatureBased().init(-CROSS), r"finite numbers >= 0.*another objective"),
        (lambda: FeatureBased().init(sp.csr_array(-CROSS)), "finite numbers >= 0"),
        (lambda: FeatureBased(concave="square"), "concave must be one of sqrt, log, saturating; got 'square'"),
        (lambda: FeatureBased(weights=[1.0]).init(np.abs(CROSS)), "weights must be 2 numbers, one per feature"),
        (lambda: FeatureBased(weights=[1.0, -1.0]).init(np.abs(CROSS)), "weights must be finite and >= 0"),
        (lambda: FacilityLocation(kernel="dot"), "kernel must be one of cosine, shifted_cosine, rbf"),
        (lambda: FacilityLocation(weights=[1, 2]).init(CROSS), "weights must be 4 numbers, one per represented item"),
        (lambda: FacilityLocation(weights=[1, 2, 3, -1]).init(CROSS), "weights must be finite and >= 0"),
        (lambda: FacilityLocation(represented=np.ones((2, 3))).init(CROSS), "represented must have the 2 columns of X"),
        (lambda: FacilityLocation(represented=np.zeros((2, 2))).init(CROSS), "row 0 of represented must not be zero"),
        (lambda: SaturatedCoverage(alpha=0.0), r"alpha must lie in \(0, 1\]; got 0.0"),
        (lambda: SaturatedCoverage(alpha=float("nan")), "alpha must lie in"),
        (lambda: LogDeterminant(ridge=0.0), "ridge must be a finite number > 0; got 0.0"),
        (lambda: LogDeterminant(ridge=1e-16), "ridge must be at least 1e-15 with kernel 'cosine'; got 1e-16"),
        (lambda: LogDeterminant(ridge=1e-9, kernel="rbf"), "ridge must be at least 1e-08 with kernel 'rbf'; got 1e-09"),
        (lambda: RBF(gamma=-1.0), "gamma must be a finite number > 0"),
        (lambda: kernel_of("linear"), "kernel must be one of"),
    ],
)
def test_bad_parameters_are_named(make, message):
    with pytest.raises(InputError, match=message):
        make()
