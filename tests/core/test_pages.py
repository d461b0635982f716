"""Memory for large arrays begins where a large page does."""

import numpy as np
import pytest

from ray_subsel.core.pages import empty_array


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8])
@pytest.mark.parametrize("shape", [(0,), (3, 5), (1 << 19,), (700, 1000), (3 << 20, 2)])
def test_an_array_is_what_numpy_gives(shape, dtype):
    found = empty_array(shape, dtype)
    assert (found.shape, found.dtype, found.flags.c_contiguous, found.flags.writeable) == (shape, dtype, True, True)
    found[...] = 7
    assert (found == 7).all()
    if found.nbytes >= 1 << 19:
        assert found.ctypes.data % (1 << 21) == 0
