"""Ties are those of f's own gains: no constant in the utilities and no unit of cost or weight makes or breaks one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.objectives import FacilityLocation, FeatureBased, GraphCut, LogDeterminant, SaturatedCoverage
from ray_subsel.optimizers import Problem
from ray_subsel.optimizers.ties import first_best, relative_width, tie_width

pytestmark = pytest.mark.filterwarnings("ignore::ray_subsel.optimizers.GuaranteeWarning")

OBJECTIVES = [GraphCut(1.0), FacilityLocation(), SaturatedCoverage(), FeatureBased(), LogDeterminant()]


def cloud(n=40, d=5, seed=0):
    return np.abs(np.random.default_rng(seed).standard_normal((n, d))) + 0.01


def test_by_hand():
    assert first_best(np.array([-np.inf, 0.9, 1.0, 1.0]), 0.0) == 2
    assert first_best(np.array([-np.inf, 0.9, 1.0, 1.0]), 0.2) == 1
    assert relative_width(-5.0, 0.1) == 0.5
    assert relative_width(0.0, 0.1, unit=1e-9) == pytest.approx(1e-10)


def test_a_utility_does_not_widen_ties():
    f = FacilityLocation()
    X = cloud()
    state = f.init(X)
    widths = [
        tie_width(Problem(X, f, 3, utility=utility), state, 7, gain)
        for utility, gain in ((None, 2.0), (np.full(40, 1e8), 1e8 + 2.0))
    ]
    assert widths[0] == pytest.approx(widths[1])


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda f: f.name)
@pytest.mark.parametrize("optimizer", ["greedy", "naive", "lazy", "stochastic"])
@pytest.mark.parametrize("constant", [1e8, -1e12, 3.0])
def test_a_constant_in_the_utilities_changes_no_pick(objective, optimizer, constant):
    X = cloud()
    utility = np.random.default_rng(1).integers(0, 3, 40) * 0.25  # constants keep these exactly
    for some in (np.zeros(40), utility):
        alone = select(X, 12, objective=objective, optimizer=optimizer, utility=some)
        raised = select(X, 12, objective=objective, optimizer=optimizer, utility=some + constant)
        assert raised.indices.tolist() == alone.indices.tolist()
        np.testing.assert_allclose(raised.gains, alone.gains + constant, rtol=1e-15, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["certified", "paced", "exchange"])
def test_nor_of_graph_cut_s_own_optimizers(optimizer):
    X = cloud()
    alone = select(X, 20, optimizer=optimizer, recipe="none")
    assert (
        select(X, 20, optimizer=optimizer, utility=np.full(40, 1e9), recipe="none").indices.tolist()
        == alone.indices.tolist()
    )


def test_stopping_goes_by_the_gain_with_its_utility():
    X = cloud()
    alone = select(X, 40, lam=1.0, stop_when_gain=2.0)
    assert 0 < len(alone) < 40
    for optimizer in ("greedy", "naive", "lazy"):
        raised = select(
            X, 40, lam=1.0, optimizer=optimizer, utility=np.full(40, 1024.0), stop_when_gain=1026.0, include=[3]
        )
        assert len(raised) == len(select(X, 40, lam=1.0, stop_when_gain=2.0, include=[3]))


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12])
def test_the_unit_of_an_objective_changes_no_pick(scale):
    X = cloud()
    base = select(X, 15, objective=FacilityLocation()).indices.tolist()
    scaled = FacilityLocation(weights=np.full(40, scale))
    for optimizer in ("lazy", "naive"):
        assert select(X, 15, objective=scaled, optimizer=optimizer).indices.tolist() == base
    base = select(X, 15, objective=FeatureBased()).indices.tolist()
    assert select(X, 15, objective=FeatureBased(weights=np.full(5, scale))).indices.tolist() == base
    assert select(X * scale**2, 15, objective=FeatureBased()).indices.tolist() == base
    base = select(X, 15, objective=SaturatedCoverage()).indices.tolist()
    assert select(X, 15, objective=SaturatedCoverage(weights=np.full(40, scale))).indices.tolist() == base


def test_gains_of_a_wide_ridge_are_told_apart():
    X = cloud(d=3)
    ranks = select(X, 3, objective=LogDeterminant(ridge=1e6), optimizer="naive").indices.tolist()
    exact = [
        max(
            range(40), key=lambda i: (round(_wide(X, [*ranks[:rank], i]), 18), -i) if i not in ranks[:rank] else (-1, 0)
        )
        for rank in range(3)
    ]
    assert ranks == exact


def _wide(X, chosen):
    """log det(I + K / r) to second order in 1 / r = 1e-6, less the first order, which all share: -|K|^2 / 2 r^2."""
    U = X[chosen] / np.linalg.norm(X[chosen], axis=1, keepdims=True)
    return 10.0 - float(((U @ U.T) ** 2).sum()) / 2e6


UNITS = st.integers(-12, 12)
COSTS = st.one_of(
    st.lists(st.integers(1, 9), min_size=14, max_size=14),
    st.lists(st.integers(1, 90).map(lambda tenths: tenths / 10), min_size=14, max_size=14),
    st.lists(st.floats(0.5, 9.0), min_size=14, max_size=14),
)


@settings(deadline=None, max_examples=60)
@given(costs=COSTS, power=UNITS, whole=st.integers(2, 30), which=st.sampled_from(OBJECTIVES), seed=st.integers(0, 99))
def test_the_unit_of_costs_changes_no_pick(costs, power, whole, which, seed):
    X = np.repeat(cloud(7, 3, seed), 2, axis=0)  # each row twice: equal gains at different costs
    costs = np.array(costs, dtype=np.float64)
    wanted = select(X, objective=which, costs=costs, budget=whole).indices.tolist()
    for scaled, budget in (
        (costs * 10.0**power, whole * 10.0**power),
        (costs / 10.0**power, whole / 10.0**power),
        (costs * 2.0**power, whole * 2.0**power),
    ):
        assert select(X, objective=which, costs=scaled, budget=budget).indices.tolist() == wanted
