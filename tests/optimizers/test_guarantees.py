"""Every optimizer against the best subset of all, found by trying them, and against what constraints demand."""

import itertools
import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.baselines import BASELINES
from ray_subsel.constraints.base import Constraints
from ray_subsel.core.errors import InputError
from ray_subsel.objectives import FacilityLocation, GraphCut, LogDeterminant, SaturatedCoverage
from ray_subsel.objectives.target import Target
from ray_subsel.optimizers import (
    OPTIMIZERS,
    BudgetedGreedy,
    GuaranteeWarning,
    LazyGreedy,
    NaiveGreedy,
    Problem,
    QuotaGreedy,
    RandomizedGreedy,
    StochasticGreedy,
    ThresholdGreedy,
)

SETTINGS = settings(deadline=None, max_examples=15)
MONOTONE = [FacilityLocation(), SaturatedCoverage(alpha=0.4), LogDeterminant(ridge=0.3)]
GENERIC = [name for name in OPTIMIZERS if name not in ("budgeted", "quotas", "certified", "paced", "exchange")]


def cloud(seed, n=8, d=3, shift=0.0):
    return np.random.default_rng(seed).standard_normal((n, d)) + shift


def best_value(problem, feasible=lambda subset: True, sizes=None):
    f, n = problem.objective, problem.n
    sizes = range(problem.k + 1) if sizes is None else sizes
    subsets = itertools.chain.from_iterable(itertools.combinations(range(n), size) for size in sizes)
    return max(f.evaluate(problem.X, np.array(s, dtype=np.int64)) for s in subsets if feasible(s))


def value(problem, picks):
    assert picks.indices.size == np.unique(picks.indices).size, "no item twice"
    assert picks.indices.min(initial=0) >= 0
    total = math.fsum(picks.gains.tolist())
    assert total == pytest.approx(problem.objective.evaluate(problem.X, picks.indices), abs=1e-8)
    return total


@pytest.mark.parametrize("f", MONOTONE, ids=lambda f: f.name)
@SETTINGS
@given(seed=st.integers(0, 10_000), k=st.integers(1, 5))
def test_deterministic_guarantees(f, seed, k):
    problem = Problem(cloud(seed), f, k)
    best = best_value(problem, sizes=[k])
    for optimizer, share in ((NaiveGreedy(), 1 - 1 / math.e), (LazyGreedy(), 1 - 1 / math.e),
                             (ThresholdGreedy(epsilon=0.05), 1 - 1 / math.e - 0.05)):  # fmt: skip
        picks = optimizer.maximize(problem)
        assert picks.indices.size == k
        assert value(problem, picks) >= share * best - 1e-9


@pytest.mark.parametrize("f", MONOTONE, ids=lambda f: f.name)
def test_guarantees_in_expectation(f):
    X = cloud(4)
    best = best_value(Problem(X, f, 3), sizes=[3])
    for optimizer, share in (
        (StochasticGreedy(epsilon=0.1), 1 - 1 / math.e - 0.1),
        (RandomizedGreedy(), 1 - 1 / math.e),
    ):
        values = []
        for seed in range(60):
            problem = Problem(X, f, 3, seed=seed)
            values.append(value(problem, optimizer.maximize(problem)))
        assert np.mean(values) >= share * best


def test_randomized_reaches_its_share_where_more_can_be_worse():
    # cosines >= 0: graph cut is submodular, not monotone; lam = 0 makes it non-negative, the cut of a graph
    X = np.abs(cloud(2, n=8))
    f = GraphCut(lam=0.0)
    best = best_value(Problem(X, f, 6))
    values = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GuaranteeWarning)
        for seed in range(80):
            problem = Problem(X, f, 6, seed=seed)
            picks = RandomizedGreedy().maximize(problem)
            assert (picks.gains >= 0).all()
            values.append(value(problem, picks))
    assert np.mean(values) >= best / math.e
    assert max(values) <= best + 1e-9


@pytest.mark.parametrize("f", MONOTONE, ids=lambda f: f.name)
@SETTINGS
@given(seed=st.integers(0, 10_000), budget=st.floats(1.0, 8.0))
def test_budgeted_guarantee(f, seed, budget):
    costs = np.random.default_rng(seed).uniform(0.3, 4.0, 8)
    problem = Problem(cloud(seed), f, 8, Constraints(costs=costs, budget=budget))
    best = best_value(problem, lambda s: costs[list(s)].sum() <= budget)
    picks = BudgetedGreedy().maximize(problem)
    assert costs[picks.indices].sum() <= budget + 1e-6
    assert value(problem, picks) >= (1 - 1 / math.e) / 2 * best - 1e-9


def test_budgeted_is_saved_by_each_of_its_greedies():
    # a trifle of great gain per cost, then the real thing that no longer fits: by gain wins
    X = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    problem = Problem(X, FacilityLocation(), 4, Constraints(costs=np.array([0.1, 10.0, 10.0, 10.0]), budget=10.0))
    assert BudgetedGreedy().maximize(problem).indices.tolist() == [1]
    # one item that eats the budget against many that fit: by ratio wins
    X = np.vstack([np.eye(4), [[1.0, 1.0, 0.0, 0.0]]])
    problem = Problem(X, FacilityLocation(), 5, Constraints(costs=np.array([1.0, 1, 1, 1, 4]), budget=4.0))
    assert sorted(BudgetedGreedy().maximize(problem).indices.tolist()) == [0, 1, 2, 3]


def test_a_budget_met_exactly_is_met():
    problem = Problem(np.eye(3), FacilityLocation(), 3, Constraints(costs=np.full(3, 0.1), budget=0.1 * 3))
    assert BudgetedGreedy().maximize(problem).indices.size == 3


@pytest.mark.parametrize("f", MONOTONE, ids=lambda f: f.name)
@SETTINGS
@given(seed=st.integers(0, 10_000))
def test_quota_guarantee(f, seed):
    groups = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    quotas, floors = np.array([2, 1, 2]), np.array([0, 1, 1])
    X = cloud(seed)

    def within(subset):
        sizes = np.bincount(groups[list(subset)], minlength=3) if subset else np.zeros(3)
        return (sizes <= quotas).all()

    problem = Problem(X, f, 4, Constraints(groups=groups, quotas=quotas))
    picks = QuotaGreedy().maximize(problem)
    assert picks.indices.size == 4
    assert within(tuple(picks.indices))
    assert value(problem, picks) >= best_value(problem, within, sizes=[4]) / 2 - 1e-9

    def enough(subset):
        return within(subset) and (np.bincount(groups[list(subset)], minlength=3) >= floors).all()

    problem = Problem(X, f, 4, Constraints(groups=groups, quotas=quotas, floors=floors))
    picks = QuotaGreedy().maximize(problem)
    assert enough(tuple(picks.indices))
    assert value(problem, picks) >= best_value(problem, enough, sizes=[4]) / 2 - 1e-9


def aimed(X):
    """Return a target for the optimizers that look at one."""
    return Target.of(X[:3], 1.0, len(X))


@pytest.mark.parametrize("name", [*GENERIC, *BASELINES])
def test_constraints_hold_for_everyone(name):
    optimizer = (OPTIMIZERS | BASELINES)[name]()
    X = cloud(1, n=40, d=4)
    groups, costs = np.arange(40) % 3, np.random.default_rng(1).uniform(1, 5, 40)
    include, exclude = np.array([5, 3]), np.array([0, 7, 9])
    if True:
        quota = optimizer.maximize(
            Problem(X, FacilityLocation(), 12, Constraints(include=include, exclude=exclude, groups=groups,
                    quotas=np.array([5, 4, 6]), floors=np.array([2, 3, 4])), target=aimed(X))
        )  # fmt: skip
        cost = optimizer.maximize(
            Problem(
                X,
                FacilityLocation(),
                37,
                Constraints(include=include, exclude=exclude, costs=costs, budget=20.0),
                target=aimed(X),
            )
        )
    for picks in (quota, cost):
        assert picks.indices.size == np.unique(picks.indices).size
        assert not np.isin(exclude, picks.indices).any()
        assert np.isin(include, picks.indices).all()
        if name != "budgeted":
            assert picks.indices[:2].tolist() == [5, 3]
    sizes = np.bincount(groups[quota.indices], minlength=3)
    if name != "randomized":  # whose dummies may leave places empty
        assert quota.indices.size == 12
        assert (sizes >= [2, 3, 4]).all()
    assert (sizes <= [5, 4, 6]).all()
    assert costs[cost.indices].sum() <= 20.0 + 1e-6


@pytest.mark.parametrize("name", [*GENERIC, *BASELINES])
@pytest.mark.parametrize("n", [1, 6])
def test_k_may_be_n(name, n):
    optimizer = (OPTIMIZERS | BASELINES)[name]()
    X = cloud(0, n=n)
    picks = optimizer.maximize(Problem(X, FacilityLocation(), n, seed=3, target=aimed(X)))
    if name != "randomized":
        assert sorted(picks.indices.tolist()) == list(range(n))


@pytest.mark.parametrize("name", [*GENERIC, *BASELINES])
def test_zero_gains_do_not_make_an_item_come_twice(name):
    X = np.repeat(np.eye(3), 4, axis=0)
    picks = (OPTIMIZERS | BASELINES)[name]().maximize(Problem(X, FacilityLocation(), 9, target=aimed(X)))
    assert np.unique(picks.indices).size == picks.indices.size
    if name in ("naive", "lazy", "greedy"):
        assert picks.indices.tolist() == [0, 4, 8, 1, 2, 3, 5, 6, 7], "ties go to the lowest index"


@pytest.mark.parametrize("name", [*GENERIC, *BASELINES])
def test_stop_when_gain_keeps_what_gains_more(name):
    X = np.repeat(np.eye(3), 4, axis=0)
    problem = Problem(X, FacilityLocation(), 9, stop_when_gain=0.0, seed=1, target=aimed(X))
    picks = (OPTIMIZERS | BASELINES)[name]().maximize(problem)
    assert (picks.gains > 0).all()
    assert 1 <= picks.indices.size <= 3
    if name in ("naive", "lazy", "greedy", "threshold"):
        assert picks.indices.tolist() == [0, 4, 8], "gains of 4 are no reason to stop"


@pytest.mark.parametrize("name", ["stochastic", "randomized", "random", "random_distinct", "semdedup"])
def test_the_seed_decides(name):
    optimizer = (OPTIMIZERS | BASELINES)[name]()
    runs = [optimizer.maximize(Problem(cloud(0, n=60), FacilityLocation(), 8, seed=s)).indices for s in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert runs[0].tolist() != runs[2].tolist()


def test_the_sample_of_stochastic_greedy_never_is_empty():
    problem = Problem(cloud(0, n=10), FacilityLocation(), 10)
    picks = StochasticGreedy(epsilon=0.999).maximize(problem)
    assert sorted(picks.indices.tolist()) == list(range(10))


def test_the_sample_of_stochastic_greedy_has_the_size_of_the_paper():
    problem = Problem(cloud(0, n=100), FacilityLocation(), 10)
    picks = StochasticGreedy(epsilon=0.1).maximize(problem)
    assert picks.stats["evaluations"] == 10 * math.ceil(100 / 10 * math.log(10))


@pytest.mark.parametrize(
    ("optimizer", "problem", "message"),
    [
        (LazyGreedy(), {"objective": GraphCut()}, "assumes gains that never grow.*'graph_cut' may"),
        (ThresholdGreedy(), {"objective": GraphCut()}, "for monotone functions only; 'graph_cut' is not"),
        (StochasticGreedy(), {"objective": GraphCut()}, "for monotone functions only"),
        (RandomizedGreedy(), {"objective": GraphCut()}, "1/e does not hold"),
        (
            BudgetedGreedy(),
            {"objective": GraphCut(), "costs": np.ones(8), "budget": 2.0},
            "for monotone functions only",
        ),
        (StochasticGreedy(), {"costs": np.ones(8), "budget": 2.0}, "respects costs.*Use optimizer='budgeted'"),
        (LazyGreedy(), {"costs": np.ones(8), "budget": 2.0}, "respects costs"),
        (RandomizedGreedy(), {"groups": np.zeros(8, int), "quotas": np.array([3])}, "respects quotas.*'quotas'"),
    ],
    ids=lambda case: getattr(case, "name", None),
)
def test_a_guarantee_that_does_not_hold_is_named(optimizer, problem, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.maximize(problem_of(**problem))  # an optimizer warns of nothing itself
    assert any(re.search(message, caveat) for caveat in optimizer.caveats(problem_of(**problem)))


def test_select_warns_where_it_is_called():
    with pytest.warns(GuaranteeWarning, match="for monotone functions only; 'graph_cut' is not") as caught:
        select(cloud(0), 3, optimizer="stochastic", recipe="none")
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        select(cloud(0), 3, recipe="none")


def problem_of(objective=FacilityLocation(), **constraints):  # noqa: B008
    return Problem(cloud(0), objective, 3, Constraints(**constraints))


@pytest.mark.parametrize(
    ("optimizer", "problem", "message"),
    [
        (BudgetedGreedy(), {}, "costs and budget must be given for optimizer 'budgeted'"),
        (QuotaGreedy(), {}, "quotas must be given for optimizer 'quotas'"),
        (LazyGreedy(), {"quotas": np.array([3])}, "groups must be given with quotas or floors"),
        (LazyGreedy(), {"costs": np.ones(8)}, "costs and budget must be given together"),
        (QuotaGreedy(), {"groups": np.arange(8) % 2, "floors": np.array([5, 0])}, "floor of group 0 must be at most"),
        (QuotaGreedy(), {"groups": np.arange(8) % 2, "floors": np.array([2, 2])}, "floors must sum to at most k = 3"),
        (QuotaGreedy(), {"groups": np.arange(8) % 2, "quotas": np.array([0, 3]), "include": np.array([2])},
         "include must fit the quotas.*row 2"),
    ],
)  # fmt: skip
def test_impossible_demands_are_named(optimizer, problem, message):
    with pytest.raises(InputError, match=message):
        optimizer.maximize(problem_of(**problem))


@pytest.mark.parametrize("kind", [StochasticGreedy, ThresholdGreedy])
@pytest.mark.parametrize("epsilon", [0.0, 1.0, float("nan")])
def test_epsilon_lies_between_zero_and_one(kind, epsilon):
    with pytest.raises(InputError, match=r"epsilon must lie in \(0, 1\)"):
        kind(epsilon=epsilon)
