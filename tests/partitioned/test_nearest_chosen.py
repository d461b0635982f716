"""The nearest chosen item: brute force's, whatever the parts; by cells nearly so."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.partitioned.nearest_chosen import NearestChosen


def brute(X, chosen):
    X, C = (A / np.linalg.norm(A, axis=1, keepdims=True) for A in (X.astype(np.float64), chosen.astype(np.float64)))
    W = X @ C.T
    best = W.max(axis=1, keepdims=True)
    return np.argmax(best - 1e-12 <= W, axis=1), best[:, 0]


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 8), st.integers(1, 12), st.booleans())
def test_it_is_brute_force_s_in_any_parts(seed, n, k, cut, copies):
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(n, 5)).astype(np.float32)
    chosen = draw.normal(size=(k, 5)).astype(np.float32)
    if copies:
        chosen[-1], X[0] = chosen[0], chosen[0]
    found = NearestChosen.of(unit_rows(chosen), n=n)
    assert found.is_exact
    parts = [found.find(unit_rows(X[start : start + cut])) for start in range(0, n, cut)]
    ranks, cosines = (np.concatenate(column) for column in zip(*parts, strict=True))
    expected, best = brute(X, chosen)
    assert ranks.tolist() == expected.tolist()
    np.testing.assert_allclose(cosines, best, atol=1e-12)


def test_equal_chosen_items_count_for_the_first():
    chosen = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    ranks, cosines = NearestChosen.of(unit_rows(chosen[[2, 0, 1]]), n=3).find(unit_rows(chosen))
    assert ranks.tolist() == [1, 1, 0]
    assert cosines.tolist() == [1.0, 1.0, 1.0]


@pytest.fixture(scope="module")
def many():
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(60, 16))
    X = (centres[draw.integers(0, 60, 6000)] + 0.5 * draw.normal(size=(6000, 16))).astype(np.float32)
    return X, X[draw.permutation(6000)[:900]]


def test_by_cells_nearly_all_are_the_nearest_and_none_is_far(many):
    X, chosen = many
    cells = NearestChosen.of(unit_rows(chosen), n=len(X), exact_products=0)
    assert not cells.is_exact
    ranks, cosines = cells.find(unit_rows(X))
    expected, best = brute(X, chosen)
    assert (ranks == expected).mean() > 0.95
    assert (best - cosines).mean() < 0.01
    assert (cosines <= best + 1e-12).all()


def test_by_cells_parts_do_not_matter(many):
    X, chosen = many
    cells = NearestChosen.of(unit_rows(chosen), n=len(X), exact_products=0)
    whole = cells.find(unit_rows(X))[0]
    parts = [cells.find(unit_rows(part))[0] for part in np.array_split(X, 7)]
    assert np.concatenate(parts).tolist() == whole.tolist()


def test_a_chosen_item_is_its_own_nearest(many):
    X, chosen = many
    for products in (0, 10**18):
        ranks, cosines = NearestChosen.of(unit_rows(chosen), n=len(X), exact_products=products).find(unit_rows(chosen))
        np.testing.assert_allclose(cosines, 1.0, atol=1e-12)
        assert (ranks == np.arange(len(chosen))).mean() == 1.0
