"""Quotas from labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.constraints.apportion import equal, group_limits, proportional
from ray_subsel.core.errors import InputError

LABELS = ["b", "a", "b", "c", "b", "a"]


def test_labels_become_numbers():
    groups, quotas, floors = group_limits(LABELS, 3, {"b": 1, "c": 0}, {"a": 2})
    assert groups.tolist() == [1, 0, 1, 2, 1, 0]
    assert quotas.tolist() == [2, 1, 0], "a label without a quota may give all it has"
    assert floors.tolist() == [2, 0, 0]


def test_one_floor_for_all():
    _, quotas, floors = group_limits(LABELS, 3, None, 1)
    assert quotas is None
    assert floors.tolist() == [1, 1, 1]


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
    assert group_limits(LABELS, 4, "proportional")[1].tolist() == [1, 2, 1]
    assert group_limits(LABELS, 4, "equal")[1].tolist() == [2, 1, 1]


@pytest.mark.parametrize(
    ("quotas", "floors", "message"),
    [
        ({"z": 1}, None, r"quotas must name labels that occur \('a', 'b', 'c'\); got 'z'"),
        (None, {"z": 1}, "floors must name labels that occur"),
        ({"a": -1}, None, "quota of 'a' must be a whole number >= 0; got -1"),
        (None, 1.5, "floors must be a whole number >= 0; got 1.5"),
        ("fair", None, "quotas must be 'proportional', 'equal' or a mapping"),
        ({"a": 0, "b": 1}, None, "quotas must leave room for k = 3 items; got room for 2"),
    ],
)
def test_bad_wishes_are_named(quotas, floors, message):
    with pytest.raises(InputError, match=message):
        group_limits(LABELS, 3, quotas, floors)
