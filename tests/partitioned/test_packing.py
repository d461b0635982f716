"""Packs hold every group once, are about equally full however skewed the sizes, and the fullest comes first."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.partitioned.packing import pack


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(1, 800))
def test_no_pack_is_above_the_mean_by_more_than_the_largest_group(sizes, capacity):
    sizes = np.array(sizes)
    found = pack(sizes, capacity)
    packs = max(1, -(-int(sizes.sum()) // capacity))
    loads = np.bincount(found, weights=sizes, minlength=packs)
    assert found.min() >= 0
    assert loads.size == packs
    assert (np.diff(loads) <= 0).all()
    assert loads.max() <= sizes.sum() / packs + sizes.max()


def test_one_large_group_is_alone():
    found = pack(np.array([1000, *[1] * 100]), 110)
    assert (found[1:] != found[0]).all()
