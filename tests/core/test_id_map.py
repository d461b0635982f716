"""A map of ids in arrays is a dictionary."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.core.id_map import IdMap


@given(
    st.dictionaries(st.integers(0, 30), st.tuples(st.integers(0, 99), st.floats(-1, 1))), st.lists(st.integers(-1, 40))
)
def test_it_answers_as_a_dictionary(known, asked):
    keys = np.array(list(known), dtype=np.int64)
    values = np.array([value for value, _ in known.values()], dtype=np.int64)
    more = np.array([beside for _, beside in known.values()], dtype=np.float64)
    ids = np.array(asked, dtype=np.int64)
    found, beside = IdMap.of(keys, values, more).get(ids)
    assert found.tolist() == [known[one][0] if one in known else -1 for one in asked]
    assert np.array_equal(beside, [known[one][1] if one in known else np.nan for one in asked], equal_nan=True)
    assert IdMap.of(keys, values).get(ids)[0].tolist() == found.tolist()
