"""Apportioning k to groups."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.constraints.apportion import equal, proportional


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
