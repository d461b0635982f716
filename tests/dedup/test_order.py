"""The order in which items lead."""

import numpy as np

from ray_subsel.dedup.order import places_in_order


def test_the_highest_first_ties_to_the_lowest_id_and_none_last():
    places = places_in_order(np.array([1.0, 3.0, -np.inf, 3.0, 2.0]), np.array([9, 8, 1, 7, 5]))
    assert places.tolist() == [3, 1, 4, 0, 2]
