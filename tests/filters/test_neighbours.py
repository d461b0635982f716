"""Nearest neighbours and what they tell: as by all products, and doubtful labels found far above chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.filters.neighbours import LONELY, UNKNOWN, Neighbours, nearest_neighbours


def by_hand(X, q):
    """Return places and cosines of the nearest, by all products in float64."""
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    products = unit @ unit.T
    found = []
    for i, row in enumerate(products):
        others = [j for j in range(len(X)) if j != i]
        found.append(sorted(others, key=lambda j: (-round(row[j], 9), j))[:q])
    return found, products


@given(st.integers(1, 10), st.integers(1, 4), st.integers(0, 1000), st.booleans())
def test_as_by_hand(n, q, seed, copies):
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(n, 3))
    if copies:
        X = X[draw.integers(max(1, n // 2), size=n)]  # ties go to the lowest place
    found = nearest_neighbours(unit_rows(X), q)
    places, products = by_hand(X, q)
    for i in range(n):
        own = found.places[i][found.known[i]]
        assert own.tolist() == places[i]
        assert np.allclose(found.cosine[i][: len(own)], products[i][own])
        assert (found.places[i][len(own) :] == -1).all()


def test_many_rows_in_many_blocks():
    X = np.random.default_rng(0).normal(size=(5000, 8)).astype(np.float32)
    found = nearest_neighbours(unit_rows(X), 10)
    some = np.random.default_rng(1).choice(5000, 50, replace=False)
    unit = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float64)
    for i in some.tolist():
        products = unit @ unit[i]
        products[i] = -2
        assert found.places[i].tolist() == np.argsort(-products, kind="stable")[:10].tolist()


def test_the_formulas():
    found = Neighbours(np.array([[1, 2, 3], [0, 2, -1], [-1, -1, -1], [0, 1, 2]]),
                       np.array([[0.9, 0.6, 0.5], [0.9, 0.3, 0.0], [0.0, 0.0, 0.0], [0.5, -0.5, -0.5]]))  # fmt: skip
    labels = np.array([0, 0, 1, UNKNOWN])
    noise = found.label_noise(labels)
    assert noise == pytest.approx([0.6 / 1.5, 0.3 / 1.2, 0.0, 0.0])  # row 3 has no label: no vote, no doubt
    assert found.closeness() == pytest.approx([2.0 / 3, 0.6, LONELY, -0.5 / 3])


@pytest.mark.parametrize("classes", [5, 30])
def test_flipped_labels_are_found(classes):
    draw = np.random.default_rng(0)
    n, d, flipped = 2000, 32, 200
    truth = draw.integers(classes, size=n)
    X = draw.normal(size=(classes, d))[truth] + 0.6 * draw.normal(size=(n, d))
    labels = truth.copy()
    wrong = draw.choice(n, flipped, replace=False)
    labels[wrong] = (truth[wrong] + draw.integers(1, classes, size=flipped)) % classes
    noise = nearest_neighbours(unit_rows(X)).label_noise(labels)
    worst = np.argsort(-noise, kind="stable")[:flipped]
    assert len(np.intersect1d(worst, wrong)) > 0.9 * flipped  # by chance it is a tenth


def test_far_rows_are_found():
    draw = np.random.default_rng(0)
    X = draw.normal(size=16) + 0.5 * draw.normal(size=(500, 16))
    X[::50] = draw.normal(size=(10, 16))
    close = nearest_neighbours(unit_rows(X)).closeness()
    assert len(np.intersect1d(np.argsort(close)[:10], np.arange(0, 500, 50))) >= 9
