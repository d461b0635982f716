"""Quotas by label, budgets, near copies, baselines and every objective through the one call."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from ray_subsel import select
from ray_subsel.baselines import BASELINES
from ray_subsel.constraints.mix import shares_of
from ray_subsel.core.errors import InputError
from ray_subsel.objectives import OBJECTIVES, FacilityLocation, FeatureBased

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 6))
LABELS = np.array(["a"] * 30 + ["b"] * 20 + ["c"] * 10)

pytestmark = pytest.mark.filterwarnings("ignore::ray_subsel.optimizers.GuaranteeWarning")


def chosen_of(selection):
    return {str(label): int((LABELS[selection.indices] == label).sum()) for label in "abc"}


@pytest.mark.parametrize("objective", ["graph_cut", "facility_location"])
def test_quotas_by_wish(objective):
    def shares(k, **wishes):
        selection = select(X, k, objective=objective, groups=LABELS, **wishes)
        assert len(selection) == k
        return chosen_of(selection)

    assert shares(12, quotas="proportional") == {"a": 6, "b": 4, "c": 2}
    assert shares(12, quotas="equal") == {"a": 4, "b": 4, "c": 4}
    assert shares(12, quotas={"a": 0})["a"] == 0
    assert min(shares(12, floors=3).values()) >= 3
    assert shares(12, floors={"c": 9})["c"] >= 9


def test_groups_by_number_do_the_same():
    numbers = np.repeat([0, 1, 2], [30, 20, 10])
    by_number = select(X, 12, objective="facility_location", groups=numbers, quotas=[6, 4, 2])
    by_label = select(X, 12, objective="facility_location", groups=LABELS, quotas="proportional")
    np.testing.assert_array_equal(by_number.indices, by_label.indices)


def test_proportional_counts_what_may_be_chosen():
    selection = select(X, 12, objective="facility_location", groups=LABELS, quotas="equal", exclude=range(50, 58))
    assert chosen_of(selection) == {"a": 5, "b": 5, "c": 2}


def test_quotas_after_near_copies_are_those_of_what_is_left():
    doubled = np.vstack([X, X + 1e-3])
    labels = np.concatenate([LABELS, LABELS])
    selection = select(doubled, 12, objective="facility_location", near=0.95, groups=labels, quotas="proportional")
    assert (selection.indices < 60).all()
    assert chosen_of(selection) == {"a": 6, "b": 4, "c": 2}


@pytest.mark.parametrize("objective", ["graph_cut", "facility_location"])
def test_a_budget_needs_no_k(objective):
    costs = RNG.uniform(5, 50, 60)
    selection = select(X, objective=objective, costs=costs, budget=200.0)
    assert selection.optimizer == "greedy"
    assert 0 < costs[selection.indices].sum() <= 200.0
    assert (selection.gains >= 0).all()


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_by_name(name):
    target = X[:3] if BASELINES[name].takes_target else None
    selection = select(X, 10, optimizer=name, lam=1.0, target=target)
    assert selection.optimizer == name
    assert len(selection) == 10
    assert select(X, 10, lam=1.0, target=target).value >= selection.value


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_by_name(name):
    vectors = np.abs(X) if name == "feature_based" else X
    selection = select(vectors, 8, objective=name)
    assert selection.objective == name
    assert selection.value == pytest.approx(OBJECTIVES[name]().evaluate(vectors, selection.indices))


def test_sparse_features():
    sparse = sp.random_array((50, 30), density=0.2, rng=np.random.default_rng(1), format="csr")
    selection = select(sparse, 5, objective="feature_based")
    np.testing.assert_array_equal(selection.indices, select(sparse.toarray(), 5, objective="feature_based").indices)


def test_exclude_bars_equal_rows_of_sparse_input_too():
    dense = np.array([[0.0, 3.0, 1.0], [0.0, 3.0, 1.0], [1.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    found = select(sp.coo_matrix(dense), 2, objective="feature_based", exclude=[1])
    assert sorted(found.indices.tolist()) == [2, 3]


class Sparse(FeatureBased.__base__):
    """Length of the longest chosen row, of sparse input, in whole numbers and without any flag."""

    name = "sparse"
    takes_sparse = True

    def init(self, X):
        return X.tocsr(), 0

    def gains(self, state, candidates=None):
        lengths = np.diff(state[0].indptr)
        return np.maximum(lengths if candidates is None else lengths[candidates], state[1]) - state[1]

    def add(self, state, item):
        return state[0], max(state[1], int(np.diff(state[0].indptr)[item]))

    def value(self, state):
        return state[1]

    def evaluate(self, X, subset):
        return max(np.diff(X.tocsr().indptr)[subset], default=0)


class SparseSubmodular(Sparse):
    submodular = monotone = True


@pytest.mark.parametrize("kind", [Sparse, SparseSubmodular])
@pytest.mark.parametrize("optimizer", ["greedy", "naive", "lazy", "stochastic", "threshold", "randomized", "random"])
def test_an_objective_of_the_user_s_may_count_in_whole_numbers(kind, optimizer):
    X = sp.csr_array(np.array([[0, 3, 1], [0, 0, 1], [1, 1, 1]]))
    found = select(X, 2, objective=kind(), optimizer=optimizer)
    assert found.value == kind().evaluate(X, found.indices)
    assert found.gains.dtype == np.float64
    if optimizer in ("greedy", "naive", "lazy"):
        assert found.indices.tolist() == [2, 0]


@pytest.mark.parametrize("objective", ["graph_cut", "facility_location", "saturated_coverage"])
def test_multiplicity_is_the_expanded_array(objective):
    counts = np.array([3, 1, 2, 1, 4])
    few = X[:5]
    found = select(few, 9, objective=objective, multiplicity=counts)
    expanded = np.repeat(np.arange(5), counts)
    wanted = select(few[expanded], 9, objective=objective)
    assert found.indices.tolist() == expanded[wanted.indices].tolist()
    np.testing.assert_allclose(found.gains, wanted.gains, atol=1e-9)
    assert np.bincount(found.indices).max() > 1, "a row comes back as often as it counts"


def test_multiplicity_weighs_what_is_represented():
    counts = np.ones(60, dtype=int)
    counts[7] = 1000
    assert select(X, 1, objective="facility_location", multiplicity=counts).indices.tolist() == [7]
    groups = select(
        np.vstack([X, np.tile(X[9], (80, 1))]), 1, objective="facility_location", near=0.99, near_weights=True
    )
    assert groups.indices.tolist() == [9]


def test_an_instance_keeps_its_parameters():
    sample = X[:20]
    selection = select(X, 5, objective=FacilityLocation(represented=sample))
    assert selection.value == pytest.approx(FacilityLocation(represented=sample).evaluate(X, selection.indices))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quotas": "proportional"}, "groups must be given with quotas, floors and a mix"),
        ({"quotas": "fair", "groups": LABELS}, "quotas must be 'balanced', 'proportional', 'equal' or a mapping"),
        ({"quotas": {"z": 3}, "groups": LABELS}, "quotas must name labels that occur"),
        ({"floors": 2, "groups": LABELS[:5]}, "groups must be 60 labels"),
        ({"quotas": {"a": 3}, "floors": "all", "groups": LABELS}, "floors must be a whole number >= 0; got 'all'"),
        ({"quotas": 3, "groups": LABELS}, "quotas must be 'balanced', 'proportional', 'equal', a mapping .*; got 3"),
        ({"optimizer": "exchange"}, "objective must be graph_cut for the exchange optimizer; got 'facility_location'"),
        ({"optimizer": "best"}, "optimizer must be one of greedy, .*random, .*semdedup"),
        ({"optimizer": "budgeted"}, "costs and budget must be given"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        select(X, 5, objective="facility_location", **arguments)


MIXED = np.array(list("abc"))[np.random.default_rng(5).choice(3, size=90, p=[0.6, 0.3, 0.1])]
PRICES = np.random.default_rng(6).integers(1, 9, size=90)


@pytest.mark.parametrize("objective", ["facility_location", "graph_cut"])
@pytest.mark.parametrize("mix", ["uniform", "input", {"a": 0.5, "b": "30%"}, {"c": 0.1}])
def test_shares_of_k_are_met_to_within_one_item(mix, objective):
    X = np.random.default_rng(7).normal(size=(90, 6))
    sizes = np.array([(MIXED == label).sum() for label in "abc"])
    for k in (7, 20, 40):
        chosen = select(X, k, labels=MIXED, mix=mix, objective=objective).indices
        counts = np.array([(MIXED[chosen] == label).sum() for label in "abc"])
        wanted = k * shares_of(mix, ("a", "b", "c"), sizes)
        assert counts.sum() == k
        if (wanted <= sizes).all():
            assert (np.abs(counts - wanted) < 1).all()


@pytest.mark.parametrize("objective", ["facility_location", "graph_cut"])
@pytest.mark.parametrize("mix", ["uniform", "input", {"a": 0.5, "b": "30%"}])
def test_shares_of_a_budget_are_met_to_within_one_item_s_cost(mix, objective):
    X = np.random.default_rng(7).normal(size=(90, 6))
    limits = {"labels": MIXED, "costs": PRICES, "budget": 100, "objective": objective}
    chosen = select(X, mix=mix, **limits).indices
    totals = np.array([PRICES[MIXED == label].sum() for label in "abc"])
    spent = np.array([PRICES[chosen][MIXED[chosen] == label].sum() for label in "abc"])
    sizes = np.array([(MIXED == label).sum() for label in "abc"])
    wanted = np.minimum(100 * shares_of(mix, ("a", "b", "c"), sizes), totals)
    assert spent.sum() <= 100
    assert (spent > wanted - PRICES.max()).all()
    assert (spent < wanted + PRICES.max()).all()


@pytest.mark.parametrize("objective", ["facility_location", "graph_cut"])
@pytest.mark.parametrize("include", [(), (3, 11)])
def test_floors_are_met_under_a_budget_that_barely_pays_for_them(include, objective):
    X = np.random.default_rng(8).normal(size=(90, 6))
    floors = {"a": 4, "c": 6}
    free = np.setdiff1d(np.arange(90), include)
    needed = {label: floor - (MIXED[list(include)] == label).sum() for label, floor in floors.items()}
    least = PRICES[list(include)].sum() + sum(
        np.sort(PRICES[free][MIXED[free] == label])[:floor].sum() for label, floor in needed.items()
    )
    for budget in (least, least + 3, 3 * least):
        chosen = select(
            X, labels=MIXED, floors=floors, costs=PRICES, budget=budget, objective=objective, include=include
        ).indices
        assert PRICES[chosen].sum() <= budget
        assert all((MIXED[chosen] == label).sum() >= floor for label, floor in floors.items())
    with pytest.raises(InputError, match=f"budget must pay for the floors, {least} at least"):
        select(X, labels=MIXED, floors=floors, costs=PRICES, budget=least - 1, objective=objective, include=include)


def test_shares_as_quotas_and_floors():
    X = np.random.default_rng(9).normal(size=(90, 6))
    chosen = select(X, 20, labels=MIXED, floors={"c": "25%"}, quotas={"a": "30%"}).indices
    assert (MIXED[chosen] == "c").sum() >= 5
    assert (MIXED[chosen] == "a").sum() <= 6
    paid = select(
        X, labels=MIXED, floors={"c": "20%"}, quotas={"a": "10%"}, costs=PRICES, budget=100, recipe="none",
        objective="facility_location",
    ).indices  # fmt: skip
    assert PRICES[paid][MIXED[paid] == "a"].sum() <= 10
    assert PRICES[paid][MIXED[paid] == "c"].sum() > 20 - PRICES.max()


def test_the_recipe_balances_and_spends_a_budget():
    X = np.random.default_rng(10).normal(size=(400, 6))
    labels, prices = np.arange(400) % 4, 1 + np.arange(400) % 7
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = select(X, labels=labels, costs=prices, budget=500)
    spent = np.bincount(labels[chosen.indices], weights=prices[chosen.indices])
    assert 490 <= spent.sum() <= 500
    assert spent.max() - spent.min() < prices.max()


@pytest.mark.parametrize("objective", list(OBJECTIVES))
@pytest.mark.parametrize("kind", [np.int64, np.float64])
@pytest.mark.filterwarnings("ignore:.*of the budget of:UserWarning")
def test_a_budget_of_whole_tokens_is_neither_overspent_nor_cut_short_by_one(objective, kind):
    budget = 2_000_000_000
    costs = np.full(40, budget, dtype=kind)
    costs[:4] = 666_666_667, 666_666_667, 666_666_666, 666_666_668  # of three of them 2e9, or 1 or 2 beyond
    rows = np.abs(X[:40])
    for first in ([0, 1], [0, 3], [1, 3]):
        spent = [
            int(costs[row])
            for row in select(
                rows, objective=objective, costs=costs, budget=budget, include=first, exclude=range(4, 40)
            ).indices
        ]
        wanted = budget - sum(spent[:2]) >= 666_666_666
        assert sum(spent) <= budget
        assert len(spent) == 2 + wanted


def test_a_budget_that_is_not_spent_is_said_aloud():
    X = np.random.default_rng(11).normal(size=(30, 6))
    with pytest.warns(UserWarning, match="8 of the budget of 10 is not spent"):
        select(X, costs=np.arange(30) + 2, budget=10, quotas={"a": 1}, labels=["a"] * 30, objective="facility_location",
               exclude=range(1, 29))  # fmt: skip


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"mix": "like"}, "mix must be 'uniform', 'input' or a mapping"),
        ({"mix": {"a": 0.7, "b": "40%"}}, "mix must sum to 1 at most"),
        ({"mix": {"a": 30}}, "mix of 'a' must be a share such as 30%"),
        ({"mix": {"z": 0.1}}, "mix must name labels that occur"),
        ({"mix": "uniform", "floors": 1}, "mix must be given without quotas and floors"),
        ({"floors": {"a": "120%"}}, "must be a share"),
        ({"floors": {"a": "60%", "b": "60%"}, "costs": PRICES, "budget": 9}, "floors must sum to 100 % at most"),
    ],
)
def test_shares_that_make_no_sense_are_named(said, message):
    X = np.random.default_rng(12).normal(size=(90, 3))
    with pytest.raises(InputError, match=message):
        select(X, None if "budget" in said else 10, labels=MIXED, **said)
