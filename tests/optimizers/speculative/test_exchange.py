"""Exchange leaves no swap that raises f, and keeps to the constraints."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.constraints.base import Constraints
from ray_subsel.core.errors import InputError
from ray_subsel.objectives import GraphCut
from ray_subsel.optimizers import CertifiedGreedy, Exchange, PacedGreedy
from tests.optimizers.speculative.problems import SETTINGS, cloud, problem, value


def test_paced_and_exchange_raise_f_beyond_the_mean():
    X = cloud(0, n=600, d=16)
    greedy, paced, best = (o.maximize(problem(X, 100)) for o in (CertifiedGreedy(), PacedGreedy(), Exchange()))
    assert value(X, greedy) < value(X, paced) < value(X, best)


@SETTINGS
@given(
    st.integers(0, 10**6), st.integers(1, 8), st.sampled_from([0.0, 1.0, 10.0]), st.sampled_from(["paced", "greedy"])
)
def test_no_single_swap_is_left(seed, k, lam, start):
    X = cloud(seed, n=9, d=3, mean=0.3)
    found = Exchange(start=start).maximize(problem(X, k, lam))
    assert len(set(found.indices.tolist())) == k
    worth = value(X, found, lam)
    assert found.gains.sum() == pytest.approx(worth, abs=1e-9)
    for rank, other in itertools.product(range(k), set(range(9)) - set(found.indices.tolist())):
        swapped = found.indices.copy()
        swapped[rank] = other
        assert GraphCut(lam).evaluate(X, swapped) <= worth + 1e-8


def test_the_best_swap_is_found_wherever_it_hides():
    X = cloud(3, n=400, d=8)
    usual = Exchange(swaps=15).maximize(problem(X, 80))
    assert np.array_equal(Exchange(swaps=15, look=1).maximize(problem(X, 80)).indices, usual.indices)
    assert usual.stats["swaps"] >= 2


def test_exchange_keeps_to_includes_excludes_utilities_and_multiplicities():
    X = cloud(4, n=60, d=4)
    include, exclude = np.array([59, 3]), np.arange(10, 30)
    utility = np.linspace(-5, 5, 60)
    counts = np.tile([1, 2, 3], 20)
    limits = Constraints(include=include, exclude=exclude)
    found = Exchange().maximize(problem(X, 25, constraints=limits, utility=utility, multiplicity=counts))
    assert found.indices[:2].tolist() == [59, 3]
    assert not set(found.indices.tolist()) & set(exclude.tolist())
    assert (np.bincount(found.indices, minlength=60) <= counts).all()
    assert found.stats["swaps"] >= 1


def test_no_swaps_is_the_start():
    X = cloud(5)
    assert np.array_equal(
        Exchange(swaps=0).maximize(problem(X, 30)).indices, PacedGreedy().maximize(problem(X, 30)).indices
    )


def test_everything_chosen_leaves_nothing_to_swap():
    assert Exchange().maximize(problem(cloud(6, n=20), 20)).stats["swaps"] == 0


def test_bad_parameters_are_named():
    with pytest.raises(InputError, match="start must be one of paced, greedy; got 'random'"):
        Exchange(start="random")
    with pytest.raises(InputError, match="swaps must be at least 0; got -1"):
        Exchange(swaps=-1)
    with pytest.raises(InputError, match="look must be at least 1; got 0"):
        Exchange(look=0)
