"""Take memory that costs little when it is first written to.

New memory comes from the system page by page, and of 4 KiB each a page may take longer than to compute what is written
there. numpy asks Linux for pages of 2 MiB where an array has 4 MiB or more; what lies between their bounds gets one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_PAGE, _ASKED = 1 << 21, 1 << 22
_WORTH = 1 << 19


def empty_array(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array as ``numpy.empty`` does; half a MiB or more begins where a large page does."""
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if size < _WORTH:
        return np.empty(shape, dtype=kind)
    memory = np.empty(max(-(-size // _PAGE) * _PAGE + _PAGE, _ASKED), dtype=np.uint8)  # whole pages, wherever it begins
    start = -memory.__array_interface__["data"][0] % _PAGE
    return memory[start : start + size].view(kind).reshape(shape)
