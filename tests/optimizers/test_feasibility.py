"""FeasibleSet against brute force: an item is open just where some feasible set holds it and what is chosen."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.constraints.base import Constraints
from ray_subsel.core.errors import InputError
from ray_subsel.objectives import FacilityLocation
from ray_subsel.optimizers import Problem
from ray_subsel.optimizers.feasibility import FeasibleSet


def completions(limits, n, k):
    """Return all sets that the constraints allow: of k items with floors, of at most k without."""
    free = [i for i in range(n) if i not in limits.exclude.tolist()]
    sizes = [k] if limits.floors is not None else range(k + 1)
    for subset in itertools.chain.from_iterable(itertools.combinations(free, size) for size in sizes):
        counts = np.zeros(limits.n_groups) if limits.groups is None else np.bincount(
            limits.groups[list(subset)], minlength=limits.n_groups)  # fmt: skip
        within = limits.quotas is None or (counts <= limits.quotas).all()
        enough = limits.floors is None or (counts >= limits.floors).all()
        paid = limits.costs is None or limits.costs[list(subset)].sum() <= limits.budget
        if within and enough and paid:
            yield set(subset)


@st.composite
def cases(draw):
    n, groups = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    items = draw(st.permutations(range(n)))
    included = draw(st.integers(0, min(2, n)))
    excluded = draw(st.integers(0, min(2, n - max(1, included))))
    k = draw(st.integers(max(1, included), n - excluded))
    kind = draw(st.sampled_from(["quotas", "floors", "both", "budget", "quotas and budget", "none"]))
    limits = {
        "include": np.array(items[:included], dtype=np.int64),
        "exclude": np.array(items[included : included + excluded], dtype=np.int64),
    }
    numbers = st.lists(st.integers(0, 4), min_size=groups, max_size=groups).map(np.array)
    if kind not in ("budget", "none"):
        limits["groups"] = np.array(draw(st.lists(st.integers(0, groups - 1), min_size=n, max_size=n)))
    if "quotas" in kind or kind == "both":
        limits["quotas"] = draw(numbers)
    if kind in ("floors", "both"):
        limits["floors"] = draw(numbers)
    if "budget" in kind:
        limits["costs"] = np.array(draw(st.lists(st.integers(1, 5), min_size=n, max_size=n)), dtype=np.float64)
        limits["budget"] = float(draw(st.integers(1, 12)))
    return n, k, Constraints(**limits)


@settings(deadline=None, max_examples=300)
@given(case=cases(), data=st.data())
def test_an_item_is_open_where_a_feasible_set_has_it(case, data):
    n, k, limits = case
    possible = [s for s in completions(limits, n, k) if set(limits.include.tolist()) <= s]
    problem = Problem(np.eye(n), FacilityLocation(), k, limits)
    chosen = set()
    try:
        left = FeasibleSet.of(problem)
        for item in limits.include.tolist():
            left.take(item, forced=True)
            chosen.add(item)
    except InputError:
        assert not possible
        return
    if limits.floors is not None and not possible:
        return  # quotas that do not reach k: ConstraintSpec.resolve refuses them
    assert possible
    while not left.exhausted:
        holds = set().union(*(s - chosen for s in possible if chosen <= s))
        assert set(np.flatnonzero(left.open).tolist()) == holds
        item = data.draw(st.sampled_from(np.flatnonzero(left.open).tolist()))
        left.take(item)
        chosen.add(item)
    assert chosen in possible


def test_equal_items_are_counted():
    problem = Problem(np.eye(2), FacilityLocation(), 4, multiplicity=np.array([3, 1]))
    left = FeasibleSet.of(problem)
    for _ in range(3):
        left.take(0)
    assert left.open.tolist() == [False, True]


def test_an_included_item_that_does_not_fit_is_named():
    limits = Constraints(groups=np.zeros(3, dtype=np.int64), quotas=np.array([1]))
    left = FeasibleSet.of(Problem(np.eye(3), FacilityLocation(), 3, limits))
    left.take(1, forced=True)
    with pytest.raises(InputError, match="include must fit the quotas, floors and budget; got row 2 that does not"):
        left.take(2, forced=True)
