"""Apportioning k to groups."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.constraints.apportion import above_floors, balanced, equal, proportional


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=8), data=st.data())
def test_shares_sum_to_k_and_no_group_gives_more_than_it_has(sizes, data):
    sizes = np.array(sizes)
    k = data.draw(st.integers(1, int(sizes.sum())))
    for shares in (proportional(sizes, k), equal(sizes, k)):
        assert shares.sum() == k
        assert (shares <= sizes).all()
        assert (shares >= 0).all()
    assert (np.abs(proportional(sizes, k) - k * sizes / sizes.sum()) < 1).all()
    even = equal(sizes, k)
    assert even[even < sizes].max(initial=0) - even[even < sizes].min(initial=even.max()) <= 1


def test_by_hand():
    sizes = np.array([2, 3, 1])
    assert proportional(sizes, 4).tolist() == [1, 2, 1]
    assert equal(sizes, 4).tolist() == [2, 1, 1]
    # the share of the last is 1: it has its floor of 4, and the others share the rest
    assert above_floors(proportional, np.array([60, 30, 10]), 10, np.array([0, 0, 4])).tolist() == [4, 2, 4]
    assert above_floors(equal, np.array([60, 30, 10]), 10, np.array([0, 6, 0])).tolist() == [2, 6, 2]


@settings(deadline=None, max_examples=50)
@given(sizes=st.lists(st.integers(0, 30), min_size=1, max_size=7), data=st.data())
def test_floors_come_first_and_the_rest_is_apportioned_by_the_rule(sizes, data):
    sizes = np.array(sizes)
    floors = np.array([data.draw(st.integers(0, int(size))) for size in sizes])
    if not sizes.sum():
        return
    k = data.draw(st.integers(max(1, int(floors.sum())), int(sizes.sum())))
    for rule in (proportional, equal):
        shares = above_floors(rule, sizes, k, floors)
        assert shares.sum() == k
        assert (floors <= shares).all()
        assert (shares <= sizes).all()
        at_floor = np.flatnonzero(shares == floors).tolist()
        held = itertools.chain.from_iterable(
            itertools.combinations(at_floor, many) for many in range(len(at_floor) + 1)
        )
        # some are held at their floors, and the others have what the rule gives them of the rest
        assert any(
            np.array_equal(rule(np.delete(sizes, out), k - int(floors[list(out)].sum())), np.delete(shares, out))
            for out in map(list, held)
        )
        if (rule(sizes, k) >= floors).all():
            np.testing.assert_array_equal(shares, rule(sizes, k))


@settings(deadline=None, max_examples=100)
@given(sizes=st.lists(st.integers(0, 30), min_size=1, max_size=7).filter(any), data=st.data())
def test_balanced_quotas_leave_room_for_k_and_differ_by_one_above_the_least_shares(sizes, data):
    sizes = np.array(sizes)
    k = data.draw(st.integers(1, int(sizes.sum())))
    included = np.array([data.draw(st.integers(0, int(size))) for size in sizes])
    while included.sum() > k:
        included[int(np.argmax(included))] -= 1
    quotas = balanced(sizes, k, included)
    assert (quotas <= sizes).all()
    assert (quotas >= included).all()
    assert k <= quotas.sum() < k + sizes.size
    least = np.maximum(included, k * sizes // (2 * sizes.sum()))
    if least.sum() <= k:
        assert (quotas >= least).all()
    else:
        least = included
    level = quotas[(quotas > least) & (quotas < sizes)]
    assert level.size == 0 or level.max() == level.min()
    assert (quotas[(quotas < sizes)] >= level.max(initial=0)).all() or level.size == 0
