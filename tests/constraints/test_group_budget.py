"""What groups must still be able to buy of a budget."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.constraints.group_budget import GroupBudget, cheapest, totals_of
from ray_subsel.constraints.spending import Spending


@settings(deadline=None, max_examples=150)
@given(
    items=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=7),
    floors=st.tuples(*[st.integers(0, 2)] * 3),
    budget=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_an_item_may_be_bought_if_and_only_if_all_floors_can_still_be_paid(items, floors, budget, seed):
    groups, costs = (np.array(column) for column in zip(*items, strict=True))

    def possible(chosen: set[int]) -> bool:
        """Whether some set of items that holds the chosen ones meets the floors within the budget."""
        rest = [item for item in range(len(items)) if item not in chosen]
        return any(
            (np.bincount(groups[list(have)], minlength=3) >= wanted).all() and costs[list(have)].sum() <= budget
            for n in range(len(rest) + 1)
            for more in itertools.combinations(rest, n)
            if (have := chosen | set(more))
        )

    wanted = np.minimum(floors, np.bincount(groups, minlength=3))
    shared = GroupBudget(Spending(budget), cheapest(costs, groups, wanted), None, None, np.zeros(3))
    assert shared.fits == (possible(set()) or (not wanted.any()))
    if not shared.fits:
        return
    chosen: set[int] = set()
    for item in np.random.default_rng(seed).permutation(len(items)).tolist():
        group = int(groups[item])
        allowed = bool(shared.pays(group, costs[[item]])[0])
        assert allowed == possible(chosen | {item})
        if allowed:
            shared.buy(group, int(costs[item]))
            chosen.add(item)
    assert (np.bincount(groups[list(chosen)], minlength=3) >= wanted).all() if chosen else not wanted.any()


def test_money_that_is_kept_and_money_that_is_the_most():
    shared = GroupBudget(Spending(10), None, np.array([6.0, 0.0]), np.array([np.inf, 3.0]), np.zeros(2))
    assert shared.pays(0, np.array([10, 11])).tolist() == [True, False]
    assert shared.pays(1, np.array([3, 4])).tolist() == [True, False]
    shared.buy(1, 2)
    assert shared.pays(1, np.array([1, 2])).tolist() == [True, False]
    assert shared.pays(0, np.array([8, 9])).tolist() == [True, False]


def test_totals_are_the_same_in_any_order():
    costs = np.array([0.1, 0.2, 0.3, 1e9, 0.1])
    groups = np.array([0, 0, 0, 0, 1])
    order = np.array([3, 1, 4, 0, 2])
    assert totals_of(costs, groups, 2).tolist() == totals_of(costs[order], groups[order], 2).tolist()
