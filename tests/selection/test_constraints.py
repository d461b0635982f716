"""Quotas by label, budgets, near copies, baselines and every objective through the one call."""

import numpy as np
import pytest
import scipy.sparse as sp

from ray_subsel import select
from ray_subsel.baselines import BASELINES
from ray_subsel.core.errors import InputError
from ray_subsel.objectives import OBJECTIVES, FacilityLocation

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
    selection = select(X, 10, optimizer=name, lam=1.0)
    assert selection.optimizer == name
    assert len(selection) == 10
    assert select(X, 10, lam=1.0).value >= selection.value


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
        ({"quotas": "proportional"}, "groups must be given with quotas and floors"),
        ({"quotas": "fair", "groups": LABELS}, "quotas must be 'proportional', 'equal' or a mapping"),
        ({"quotas": {"z": 3}, "groups": LABELS}, "quotas must name labels that occur"),
        ({"floors": 2, "groups": LABELS[:5]}, "groups must be 60 labels"),
        ({"optimizer": "best"}, "optimizer must be one of greedy, .*random, .*semdedup"),
        ({"optimizer": "budgeted"}, "costs and budget must be given"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        select(X, 5, objective="facility_location", **arguments)
