"""Constraints that are handed from the whole ground set to some of its items."""

import numpy as np
import pytest

from ray_subsel.constraints.base import UNLIMITED, Constraints
from ray_subsel.core.errors import InputError

WHOLE = Constraints(
    include=np.array([4, 1]),
    exclude=np.array([0, 5]),
    quotas=np.array([2, 1]),
    groups=np.array([0, 0, 1, 1, 0, 1]),
    budget=9.0,
    costs=np.arange(1.0, 7.0),
)


def test_some_items_keep_what_is_said_of_them():
    part = WHOLE.take(np.array([1, 3, 4, 5]))
    assert part.include.tolist() == [2, 0], "in the order given"
    assert part.exclude.tolist() == [3]
    assert part.groups.tolist() == [0, 1, 0, 1]
    assert part.costs.tolist() == [2.0, 4.0, 5.0, 6.0]
    assert (part.quotas.tolist(), part.budget) == ([2, 1], 9.0)
    none = WHOLE.take(np.zeros(0, dtype=np.int64))
    assert none.include.size == none.exclude.size == none.groups.size == 0


def test_only_the_columns_that_a_limit_reads_are_bound():
    columns = {"group": np.array([0, 1]), "cost": np.array([1.0, 2.0])}
    assert Constraints(quotas=np.array([1, 1])).for_items(columns).costs is None
    bound = Constraints(budget=2.0).for_items(columns, include=np.array([1]))
    assert bound.groups is None
    assert bound.costs.tolist() == [1.0, 2.0]
    assert bound.include.tolist() == [1]
    assert UNLIMITED.for_items({}).limited is False


def test_items_placed_before_use_up_no_limit():
    limits = Constraints(quotas=np.array([1, 2]), floors=np.array([0, 1])).for_items({"group": np.array([0, 1, 1])})
    behind = limits.after({}, 2)
    assert behind.include.tolist() == [0, 1]
    assert behind.groups.tolist() == [2, 2, 0, 1, 1]
    assert behind.quotas.tolist() == [1, 2, 2]
    assert behind.floors.tolist() == [0, 1, 0]
    priced = Constraints(budget=3.0).for_items({"cost": np.ones(2)}).after({"cost": np.array([5.0])}, 1)
    assert (priced.budget, priced.spent) == (3.0, (-5.0,)), "the first is refunded"
    assert float(priced.spending.plus([5.0]).exact) == 0.0
    assert priced.costs.tolist() == [5.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Constraints(quotas=np.array([1])), "groups must be given with quotas or floors"),
        (Constraints(budget=1.0), "costs and budget must be given together"),
        (Constraints(costs=np.ones(1)), "costs and budget must be given together"),
    ],
)
def test_a_limit_without_its_column_is_named(limits, message):
    with pytest.raises(InputError, match=message):
        limits.check()
