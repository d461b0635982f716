"""Rows on a device: their products and they themselves."""

import numpy as np
import pytest

from ray_subsel.core.device import Device
from ray_subsel.core.rows_there import RowsThere

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("scaled", ["before", "after", "never"])
@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_products_and_rows_are_those_of_numpy(scaled, kind):
    rng = np.random.default_rng(0)
    X, P = rng.standard_normal((9, 4)).astype(kind), rng.standard_normal((4, 3))
    scale = np.ones(9) if scaled == "never" else rng.random(9) + 0.5
    working = np.dtype(np.float64 if kind == "float64" else np.float32)
    rows = RowsThere(Device(torch.empty(0)), X, scale, working, scaled)
    truth = (X.astype(np.float64) * scale[:, None]) @ P
    for p, expected in ((P, truth), (P[:, 0], truth[:, 0])):
        out = np.empty(expected.shape, dtype=working)
        rows.multiply(p, out)
        np.testing.assert_allclose(out, expected, atol=1e-5)
    for which in (slice(2, 5), np.array([7, 1, 1])):
        np.testing.assert_allclose(rows.products(which, P), truth[which], atol=1e-5)
    exact = X[[3, 0]].astype(np.float64) * scale[[3, 0], None]
    np.testing.assert_array_equal(rows.gather(np.array([3, 0])).numpy(), exact)
