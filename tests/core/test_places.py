"""Whether and where values stand among others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.core.places import is_in, places_among

WHOLE = st.integers(-(2**62), 2**62)


@given(st.lists(WHOLE, unique=True, min_size=1), st.lists(WHOLE), st.data())
def test_a_value_that_is_there_is_found_and_another_is_seen_to_be_none(stored, others, data):
    known = data.draw(st.lists(st.sampled_from(stored)))
    values, there = np.array(known + others, dtype=np.int64), np.array(stored, dtype=np.int64)
    found = places_among(values, there)
    assert found.shape == values.shape
    np.testing.assert_array_equal(there[found] == values, np.isin(values, there))


def test_no_values_have_no_places():
    none = np.zeros(0, dtype=np.int64)
    assert places_among(none, none).size == places_among(none, np.array([3])).size == 0


@given(st.lists(WHOLE), st.lists(WHOLE), st.data())
def test_values_among_ascending_ones_are_told(stored, others, data):
    known = data.draw(st.lists(st.sampled_from(stored))) if stored else []
    values, there = np.array(known + others, dtype=np.int64), np.sort(np.array(stored, dtype=np.int64))
    np.testing.assert_array_equal(is_in(values, there), np.isin(values, there))
