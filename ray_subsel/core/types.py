"""Name the array types that every module shares, and tell what counts as a number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Float64s = NDArray[np.float64]
Float32s = NDArray[np.float32]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

NO_ITEMS: Indices = np.zeros(0, dtype=np.int64)


def is_number(value: object, *, whole: bool = False) -> bool:
    """Tell whether a value is a number (a whole one); a bool is not."""
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    return isinstance(value, kinds) and not isinstance(value, bool)
