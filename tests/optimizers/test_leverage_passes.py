"""Greedy of the log-determinant by passes over all rows: the picks and gains of the definition."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.objectives import LogDeterminant
from ray_subsel.objectives.kernels import Kernel
from ray_subsel.optimizers import NaiveGreedy, Problem
from ray_subsel.optimizers.leverage_passes import CACHED_BYTES, picks_by_passes, suits_passes


def by_passes(X, f, k, **more):
    rows = unit_rows(X)
    assert suits_passes(rows, f)
    return picks_by_passes(rows, f, k, **more)


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 200),
    d=st.integers(1, 10),
    seed=st.integers(0, 1000),
    copies=st.sampled_from([0.0, 0.5, 0.97]),
    ridge=st.sampled_from([10.0, 1.0, 0.02]),
    kernel=st.sampled_from(["cosine", "shifted_cosine"]),
    share=st.sampled_from([0.2, 1.0]),
)
def test_the_picks_are_those_of_the_definition(n, d, seed, copies, ridge, kernel, share):
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(n, d)) + 0.3
    X = X[np.where(draw.random(n) < copies, draw.integers(n, size=n), np.arange(n))].astype(np.float32)
    f, k = LogDeterminant(ridge=ridge, kernel=kernel), math.ceil(share * n)
    found, naive = by_passes(X, f, k), NaiveGreedy().maximize(Problem(X=X, objective=f, k=k))
    assert found.indices.tolist() == naive.indices.tolist()
    np.testing.assert_allclose(found.gains, naive.gains, rtol=1e-9, atol=1e-12)
    assert math.fsum(found.gains) == pytest.approx(f.evaluate(X, found.indices), rel=1e-10)


def test_a_thousand_picks_of_few_dimensions_lose_no_digits():
    X = np.random.default_rng(0).normal(size=(1_500, 5)).astype(np.float32)
    f = LogDeterminant(ridge=0.02)
    found = by_passes(X, f, 1_000)
    assert math.fsum(found.gains) == pytest.approx(f.evaluate(X, found.indices), rel=1e-12)
    assert found.indices.tolist() == NaiveGreedy().maximize(Problem(X=X, objective=f, k=1_000)).indices.tolist()


def test_it_stops_before_a_low_gain_and_tells_how_far_it_is():
    X = np.random.default_rng(0).normal(size=(300, 8))
    f = LogDeterminant()
    whole = by_passes(X, f, 150)
    told = []
    part = by_passes(X, f, 150, stop_when_gain=float(whole.gains[100]), progress=lambda size, k: told.append((size, k)))
    assert part.indices.tolist() == whole.indices[:100].tolist()
    assert told == [(64, 150)]
    by_passes(X, f, 128, progress=lambda size, k: told.append((size, k)))
    assert told[1:] == [(64, 128), (128, 128)]


@pytest.mark.parametrize(("n", "d", "ridge", "suits"), [(100, 4, 1.0, True), (100, 4, 0.01, False)])
def test_where_digits_would_be_lost_it_is_not_taken(n, d, ridge, suits):
    assert suits_passes(unit_rows(np.ones((n, d))), LogDeterminant(ridge=ridge)) is suits


def test_similarities_of_rows_with_themselves_count():
    class Large(Kernel):
        name = "large"

        def read(self, X, parameter="X"):
            return unit_rows(X, parameter=parameter)

        def of(self, A, B):
            return 100.0 * (A @ B.T)

        def own(self, rows):
            return np.full(rows.n, 100.0)

        def affine(self):
            return 100.0, 0.0

    rows = unit_rows(np.ones((100, 4)))
    assert suits_passes(rows, LogDeterminant(ridge=1.0))
    assert not suits_passes(rows, LogDeterminant(ridge=1.0, kernel=Large()))


def test_rows_that_do_not_fit_are_not_taken():
    rows = unit_rows(np.ones((CACHED_BYTES // 8 // 100 + 1, 100), dtype=np.float32))
    assert not suits_passes(rows, LogDeterminant())
