"""The bound holds, and is tight where it can be."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.constraints.base import Constraints
from ray_subsel.core.errors import InputError
from ray_subsel.objectives import GraphCut
from ray_subsel.objectives.graph_cut import random_value
from ray_subsel.optimizers import Problem
from ray_subsel.optimizers.speculative.upper_bound import Certificate, certify

SETTINGS = settings(deadline=None, max_examples=40)


def cloud(seed, n, d, mean=0.5):
    return np.random.default_rng(seed).standard_normal((n, d)) + mean


@SETTINGS
@given(
    st.integers(0, 10**6), st.integers(1, 9), st.sampled_from([0.0, 1.0, 10.0]), st.sampled_from([0.0, 5.0]),
    st.booleans(), st.integers(1, 30),
)  # fmt: skip
def test_no_subset_beats_the_bound(seed, k, lam, size, constrained, iterations):
    X = cloud(seed, 9, 3)
    rng = np.random.default_rng(seed)
    utility = size * rng.standard_normal(9)
    include, exclude = (np.array([4]), np.array([0, 7])) if constrained and k <= 7 else (np.array([], int),) * 2
    f = GraphCut(lam)
    problem = Problem(X=X, objective=f, k=k, utility=utility, constraints=Constraints(include=include, exclude=exclude))
    allowed = [
        np.array(s) for s in itertools.combinations(range(9), k) if set(include) <= set(s) and not set(exclude) & set(s)
    ]
    values = [f.evaluate(X, s) + utility[s].sum() for s in allowed]
    proof = certify(problem, allowed[0], iterations=iterations)
    assert proof.bound >= max(values) - 1e-9
    assert proof.value == pytest.approx(values[0], abs=1e-9)
    assert proof.random_value == pytest.approx(np.mean(values), abs=1e-9)
    assert proof.iterations <= iterations


def test_below_the_mean_greedy_is_proved_nearly_best():
    X = cloud(1, 2000, 16, mean=1.0)
    found = select(X, 100, certificate=True, recipe="none")
    assert found.certificate.value == pytest.approx(found.value)
    assert found.certificate.closed > 0.99
    assert 0 <= found.certificate.gap < 0.01 * (found.certificate.bound - found.certificate.random_value)
    assert "% of random's shortfall closed" in repr(found)


def test_auto_lambda_reaches_the_corpus_mean():
    X = cloud(2, 1000, 8, mean=1.0)
    found = select(X, 250, lam="auto", optimizer="exchange", certificate=True)
    U = X / np.linalg.norm(X, axis=1, keepdims=True)
    assert np.linalg.norm(U[found.indices].mean(axis=0) - U.mean(axis=0)) < 1e-2
    assert found.certificate.closed > 0.99


def test_more_iterations_never_loosen_the_bound():
    X = cloud(3, 300, 6)
    problem = Problem(X=X, objective=GraphCut(), k=60)
    chosen = select(X, 60, recipe="none").indices
    bounds = [certify(problem, chosen, iterations=i, tolerance=0.0).bound for i in (1, 3, 10, 90)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] < bounds[0]


def test_multiplicities_are_the_expanded_array():
    X = cloud(4, 20, 3)
    counts = np.random.default_rng(4).integers(1, 5, 20)
    short = select(X, 12, multiplicity=counts, certificate=True, recipe="none").certificate
    long = select(np.repeat(X, counts, axis=0), 12, certificate=True, recipe="none").certificate
    assert short.random_value == pytest.approx(long.random_value)
    assert short.bound == pytest.approx(long.bound)
    expanded = GraphCut().init(np.repeat(X, counts, axis=0)).total
    assert short.random_value == pytest.approx(random_value(expanded, int(counts.sum()), 12, 10.0))


def test_everything_chosen_is_best():
    proof = select(cloud(5, 12, 3), 12, certificate=True, recipe="none").certificate
    assert proof.gap == pytest.approx(0, abs=1e-9)


def test_identical_rows_leave_no_room():
    proof = select(np.ones((6, 2)), 3, certificate=True, recipe="none").certificate
    assert proof.gap == pytest.approx(0, abs=1e-9)
    assert proof.closed == pytest.approx(1, abs=1e-6)


def test_only_graph_cut_has_one():
    with pytest.raises(InputError, match="certificate must go with the graph_cut objective"):
        select(np.abs(cloud(6, 10, 3)), 2, objective="facility_location", certificate=True)


def test_words():
    assert str(Certificate(9.0, 10.0, 8.0, 3)) == "within 1 of the best, 50.0 % of random's shortfall closed"
