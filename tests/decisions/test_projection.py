"""Places in the plane: the same for the same vectors, inside the square, near for what is near."""

import numpy as np
import pytest

from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.decisions.projection import project


def blobs(n, seed=0):
    draw = np.random.default_rng(seed)
    which = np.arange(n) % 5
    return (4.0 * draw.normal(size=(5, 12))[which] + draw.normal(size=(n, 12))).astype(np.float32), which


@pytest.mark.parametrize("n", [2, 50, 300, 1300])
def test_places_are_the_same_again_and_in_the_square(n):
    X, _ = blobs(n)
    places = project(unit_rows(X), np.arange(n))
    assert places.shape == (n, 2)
    assert places.min() >= 0.0
    assert places.max() <= 1.0
    assert np.array_equal(places, project(unit_rows(X), np.arange(n)))


@pytest.mark.parametrize("n", [150, 300, 1300])
def test_what_is_near_stays_near(n):
    X, which = blobs(n)
    places = project(unit_rows(X), np.arange(n))
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + 9.0 * np.eye(n)
    assert (which[distances.argmin(axis=1)] == which).mean() > 0.9


def test_equal_vectors_and_one_dimension_have_places():
    assert project(unit_rows(np.ones((4, 3), dtype=np.float32)), np.arange(4)).tolist() == [[0.5, 0.5]] * 4
    line = project(unit_rows(np.array([[1.0], [-1.0], [1.0]], dtype=np.float32)), np.arange(3))
    assert line[0].tolist() == line[2].tolist() != line[1].tolist()
