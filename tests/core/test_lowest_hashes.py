"""Ids that come in pieces are drawn as from all of them at once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.core.hashing import mix
from ray_subsel.core.lowest_hashes import LowestHashes


@given(st.lists(st.lists(st.integers(0, 2**40), max_size=30), max_size=8), st.integers(0, 40), st.integers(0, 2**20))
def test_pieces_do_not_matter(pieces, size, seed):
    whole = np.array([one for piece in pieces for one in piece], dtype=np.int64)
    order = np.argsort(mix(whole, seed), kind="stable")
    for highest in (False, True):
        drawn = LowestHashes(size, seed, highest=highest)
        for piece in pieces:
            drawn.add(np.array(piece, dtype=np.int64))
        expected = order[::-1] if highest else order
        assert drawn.ids.tolist() == whole[expected][:size].tolist()


def test_no_more_than_the_drawn_are_held():
    drawn = LowestHashes(10, 1)
    for start in range(0, 10_000, 100):
        drawn.add(np.arange(start, start + 100))
        assert drawn.ids.size == 10
