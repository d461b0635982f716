import numpy as np
import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.streaming.grid_rows import GRID, grid_rows


def test_products_are_exact_in_any_order():
    rng = np.random.default_rng(0)
    X = grid_rows(rng.normal(size=(50, 384)).astype(np.float32))
    order = rng.permutation(384)
    exact = X.astype(np.longdouble) @ X.T.astype(np.longdouble)
    assert (X @ X.T == X[:, order] @ X[:, order].T).all()
    assert (X @ X.T == exact).all()
    assert (np.array([X @ x for x in X]) == exact).all()


def test_rows_have_norm_one_and_lie_on_the_grid():
    X = np.random.default_rng(1).normal(size=(20, 7)) * 100
    rows = grid_rows(X)
    assert np.abs(rows - X / np.linalg.norm(X, axis=1)[:, None]).max() <= GRID / 2
    assert (np.rint(rows / GRID) * GRID == rows).all()


def test_a_row_without_direction_is_named():
    with pytest.raises(InputError, match="row 1 of X"):
        grid_rows(np.array([[1.0, 0.0], [0.0, 0.0]]))
