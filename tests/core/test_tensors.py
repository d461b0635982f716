"""Tensors as arrays."""

import numpy as np
import pytest

from ray_subsel.core.tensors import as_array, is_tensor

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int64"])
def test_numbers_that_numpy_has_stay_where_they_are(kind):
    T = torch.arange(6).reshape(2, 3).to(getattr(torch, kind))
    found = as_array(T)
    assert found.dtype == kind
    T[0, 0] = 5
    assert found[0, 0] == 5


@pytest.mark.parametrize("kind", ["bfloat16", "float8_e4m3fn"])
def test_other_floats_become_float32_exactly(kind):
    T = torch.linspace(-3, 3, 20).reshape(4, 5).to(getattr(torch, kind))
    found = as_array(T)
    assert found.dtype == np.float32
    assert np.array_equal(found, T.double().numpy())


def test_gradients_and_views_are_numbers_too():
    T = torch.arange(20.0, requires_grad=True).reshape(4, 5).T
    assert np.array_equal(as_array(T), np.arange(20.0).reshape(4, 5).T)


def test_what_is_no_dense_tensor_comes_back():
    X, sparse = np.ones((2, 2)), torch.eye(3).to_sparse()
    assert as_array(X) is X
    assert as_array(sparse) is sparse
    assert is_tensor(sparse)
    assert not is_tensor(X)
