"""Vectors near those of another set: as by all products, however both sets are cut."""

import numpy as np
import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.filters.nearest import NOTHING_NEAR, Nearest, nearest_reaching


def sets(n=300, m=120, d=12, seed=0):
    draw = np.random.default_rng(seed)
    V = draw.normal(size=(m, d))
    X = np.concatenate([draw.normal(size=(n - 60, d)), V[draw.integers(m, size=60)] + 0.2 * draw.normal(size=(60, d))])
    return X[draw.permutation(n)].astype(np.float32), V.astype(np.float32)


def test_as_by_all_products():
    X, V = sets()
    X[5], V[40] = V[7], V[7]  # equal ones: the lower number
    found = nearest_reaching(unit_rows(X), unit_rows(V), np.arange(120) * 2, 0.9)
    unit = [(one / np.linalg.norm(one, axis=1, keepdims=True)).astype(np.float64) for one in (X, V)]
    products = unit[0] @ unit[1].T
    places = np.flatnonzero(products.max(axis=1) >= 0.9)
    assert found.places.tolist() == places.tolist()
    assert len(places) > 40
    assert found.numbers.tolist() == (2 * products[places].argmax(axis=1)).tolist()
    assert np.allclose(found.cosine, products.max(axis=1)[places], atol=1e-6)
    assert found.numbers[found.places == 5] == 14


@pytest.mark.parametrize("cuts", [1, 3, 7])
def test_the_same_in_pieces(cuts):
    X, V = sets()
    whole = nearest_reaching(unit_rows(X), unit_rows(V), np.arange(120), 0.85)
    found = NOTHING_NEAR
    for rows in np.array_split(np.arange(300), cuts):
        for others in np.array_split(np.arange(120), cuts):
            near = nearest_reaching(unit_rows(X[rows]), unit_rows(V[others]), others, 0.85)
            found = found.merged(Nearest(near.places + rows[0], near.numbers, near.cosine))
    for name in ("places", "numbers", "cosine"):
        assert np.array_equal(getattr(found, name), getattr(whole, name))


def test_a_threshold_of_one_is_equal_directions():
    X, V = sets()
    X[17] = 3 * V[3]
    assert nearest_reaching(unit_rows(X), unit_rows(V), np.arange(120), 1.0).places.tolist() == [17]


def test_another_dimension_is_named():
    with pytest.raises(InputError, match="against must have vectors of 12 numbers; got vectors of 3"):
        nearest_reaching(unit_rows(sets()[0]), unit_rows(np.eye(3)), np.arange(3), 0.9)
