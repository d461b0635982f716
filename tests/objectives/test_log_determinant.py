"""The log-determinant of more dimensions than items: a row of the factor a pick, all of K once many were asked for."""

import numpy as np
import pytest

from ray_subsel import select
from ray_subsel.objectives import LogDeterminant


@pytest.mark.parametrize("kernel", ["cosine", "shifted_cosine", "rbf"])
@pytest.mark.parametrize("ridge", [1.0, 1e-3])
def test_more_dimensions_than_items_and_more_picks_than_rows_before_all_are_kept(kernel, ridge):
    X = np.random.default_rng(0).standard_normal((40, 90))
    f = LogDeterminant(ridge=ridge, kernel=kernel)
    state, primal = f.init(X), LogDeterminant(ridge=ridge).init(X[:, :20])
    assert type(state) is not type(primal)  # a row of the factor a pick costs less here than a d x d matrix
    for item in range(30):
        gains = f.gains(state)
        after = f.add(state, item)
        assert f.value(after) - f.value(state) == pytest.approx(gains[item], rel=1e-7)
        state = after
    assert f.value(state) == pytest.approx(f.evaluate(X, np.arange(30)), rel=1e-7)
    fast = select(X, 30, objective=f)
    assert fast.indices.tolist() == select(X, 30, objective=f, optimizer="naive").indices.tolist()
