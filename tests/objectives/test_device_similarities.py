"""Similarities on a device, against those in memory; a selection there, against one without."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.core.device import Device, computing_on
from ray_subsel.objectives import FacilityLocation, LogDeterminant, SaturatedCoverage
from ray_subsel.objectives.device_similarities import DeviceSimilarities
from ray_subsel.objectives.represented import represent
from ray_subsel.objectives.similarities import KeptSimilarities
from ray_subsel.objectives.similarity_block import similarity_block

torch = pytest.importorskip("torch")


@pytest.fixture
def there():
    """A device: the CPU, by torch."""
    with computing_on(Device(torch.empty(0), least=0)):
        yield


def vectors(n, d, seed, *, positive=False):
    X = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return np.abs(X) * (np.random.default_rng(seed).random((n, d)) < 0.5) + np.eye(n, d) * 0.1 if positive else X


@pytest.mark.parametrize("kernel", ["cosine", "shifted_cosine"])
@pytest.mark.parametrize("most_bytes", [0, 1 << 20])
@pytest.mark.parametrize("own", [True, False])
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 99))
def test_sums_are_those_of_the_whole_matrix(kernel, most_bytes, own, seed):
    X = vectors(23, 7, seed)
    to = represent(X, None if own else vectors(9, 7, seed + 1), None, kernel)
    W = similarity_block(to, np.float32)
    rng = np.random.default_rng(seed)
    low = rng.uniform(-0.2, 0.4, to.m).astype(np.float32)
    high = (low + rng.uniform(0, 0.3, to.m)).astype(np.float32)
    weights, some = rng.random(to.m), rng.permutation(to.m)[:4]
    with computing_on(Device(torch.empty(0), least=0)):
        found = DeviceSimilarities.of(to, most_bytes)
    assert found is not None
    assert found.kept == (most_bytes > 0)
    np.testing.assert_allclose(found.columns(np.array([3, 1])), W[:, [3, 1]].T, atol=1e-6)
    np.testing.assert_allclose(found.pairs(np.array([5, 0, 5]), some[:3]), W[some[:3], [5, 0, 5]], atol=1e-6)
    for items in (None, some):
        parts = [rows.copy() for _, rows in found.rows(items, np.empty((2, to.candidates.n), dtype=np.float32))]
        np.testing.assert_allclose(np.concatenate(parts), W if items is None else W[items], atol=1e-6)
        which = slice(None) if items is None else items
        for top in (high[which], np.full_like(high[which], np.inf)):
            between = np.minimum(np.maximum(W[which], low[which, None]), top[:, None]) - low[which, None]
            sums = found.over(items, low[which], top, weights[which])
            np.testing.assert_allclose(sums, weights[which] @ between.astype(float), atol=1e-5)
    np.testing.assert_allclose(found.positive_sums(), np.maximum(W, 0).sum(axis=1), atol=1e-5)
    sizes, candidates, values = found.entries_above(low, W.size)
    expected = KeptSimilarities(W, own).entries_above(low, W.size)
    np.testing.assert_array_equal(sizes, expected[0])
    np.testing.assert_array_equal(candidates, expected[1])
    np.testing.assert_allclose(values, expected[2], atol=1e-6)
    assert found.entries_above(low, int(sizes.sum()) - 1) is None
    assert found.share_above(low) == KeptSimilarities(W, own).share_above(low) == sizes.sum() / W.size


@pytest.mark.parametrize("most_bytes", [0, 1 << 20])
@pytest.mark.parametrize("own", [True, False])
def test_a_tensor_of_a_narrower_type_that_is_there_is_widened(own, most_bytes):
    X = np.sign(vectors(23, 64, 0)) / np.float32(8)  # of norm 1 and exact in bfloat16
    to = represent(X, None if own else vectors(9, 64, 1), None, "cosine")
    given = X, torch.from_numpy(X).to(torch.bfloat16)
    with computing_on(Device(torch.empty(0, dtype=torch.bfloat16), given, least=0)):
        found = DeviceSimilarities.of(to, most_bytes)
        np.testing.assert_allclose(found.columns(np.arange(23)), similarity_block(to, np.float64).T, atol=1e-6)


def test_zeros_that_are_known_represent_nothing(there):
    to = represent(np.eye(4, dtype=np.float32), None, None, "cosine")
    assert DeviceSimilarities.of(to, 1 << 20, never_zero=True).columns(np.array([2])).tolist() == [[-1, -1, 1, -1]]


def test_without_a_device_and_for_few_products_there_is_none():
    to = represent(vectors(20, 7, 0), None, None, "cosine")
    assert DeviceSimilarities.of(to, 1 << 20) is None
    with computing_on(Device(torch.empty(0))):
        assert DeviceSimilarities.of(to, 1 << 20) is None
    with computing_on(Device(torch.empty(0), least=0)):
        assert DeviceSimilarities.of(represent(vectors(20, 7, 0), None, None, "rbf"), 1 << 20) is None


FUNCTIONS = {
    "facility location": FacilityLocation(),
    "shifted": FacilityLocation(kernel="shifted_cosine"),
    "weighted": FacilityLocation(weights=np.arange(400) % 7),
    "beyond its memory": FacilityLocation(dense_bytes=400_000),
    "saturated coverage": SaturatedCoverage(),
    "saturated early": SaturatedCoverage(alpha=0.03),
    "saturated, shifted": SaturatedCoverage(kernel="shifted_cosine"),
    "saturated, not kept": SaturatedCoverage(dense_bytes=400_000),
    "log-determinant": LogDeterminant(),
    "log-determinant, shifted": LogDeterminant(kernel="shifted_cosine"),
    "graph cut": "graph_cut",
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("k", [30, 400])
def test_the_picks_are_those_of_the_cpu(name, positive, k):
    X = vectors(400, 36, 5, positive=positive).astype(np.float32)
    X[300:] = X[:100]  # copies tie
    usual = select(X, k, objective=FUNCTIONS[name], recipe="none")
    with computing_on(Device(torch.empty(0), least=0)):
        found = select(X, k, objective=FUNCTIONS[name], recipe="none")
    assert found.indices.tolist() == usual.indices.tolist()
    np.testing.assert_allclose(found.gains, usual.gains, atol=1e-9)


@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_near_copies_are_those_of_the_cpu(precision):
    X = vectors(500, 36, 6)
    X[250:] = X[:250] + 0.2 * vectors(250, 36, 7)
    usual = select(X, 40, near=0.9, objective="facility_location", recipe="none")
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        with computing_on(Device(torch.empty(0), least=0)):
            found = select(X, 40, near=0.9, objective="facility_location", recipe="none")
    finally:
        torch.set_float32_matmul_precision(before)
    assert found.indices.tolist() == usual.indices.tolist()
    assert found.stands_for.tolist() == usual.stands_for.tolist()
