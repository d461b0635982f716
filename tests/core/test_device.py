"""Where products are computed."""

import numpy as np
import pytest

from ray_subsel.core.device import Device, computing_beside, computing_on, device
from ray_subsel.core.errors import ResourceError

torch = pytest.importorskip("torch")


@pytest.fixture
def there():
    return Device(torch.empty(0), least=0)


def test_it_holds_within_its_block_alone(there):
    assert device() is None
    with pytest.raises(ZeroDivisionError), computing_on(there):
        assert device() is there
        1 / 0  # noqa: B018
    assert device() is None


def test_a_full_gpu_is_told_on_a_line(there):
    with (
        pytest.raises(ResourceError, match=r"^the GPU's memory must hold .*; got CUDA out of memory\. Pass X\.cpu\(\)"),
        computing_on(there),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB. See the documentation.")
    assert device() is None


@pytest.mark.parametrize("X", [np.ones((2, 2)), torch.ones(2, 2), torch.eye(2).to_sparse(), [[1.0]]], ids=repr)
def test_without_a_gpu_products_are_numpys(X):
    with computing_beside(X) as found:
        assert device() is None
        assert isinstance(found, np.ndarray) == (not isinstance(X, list) and "sparse" not in repr(X))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", "<i8"])
@pytest.mark.parametrize("layout", ["C", "F", "reversed", "read-only", "vector"])
def test_numbers_come_back_as_they_were_sent(there, dtype, layout):
    X = np.arange(12).reshape(4, 3).astype(dtype)
    X = {"F": np.asfortranarray(X), "reversed": X[::-1], "vector": X.ravel()}.get(layout, X)
    X.flags.writeable = layout != "read-only"
    found = there.fetch(there.send(X))
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(found, X)


def test_a_memory_map_is_sent(there, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((5, 2), dtype=np.float32))
    assert np.array_equal(there.fetch(there.send(np.load(tmp_path / "x.npy", mmap_mode="r"))), np.ones((5, 2)))


def test_what_is_there_is_not_sent_again():
    T = torch.ones(3, 2)
    array = T.numpy()
    there = Device(T[:0], (array, T))
    assert there.send(array) is T
    assert there.send(array.copy()) is not T


def test_parts_cover_all_rows(there):
    assert list(there.parts(5, 1 << 26)) == [(0, 2), (2, 4), (4, 5)]
    assert list(there.parts(2, 1 << 40)) == [(0, 1), (1, 2)]
