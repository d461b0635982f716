"""Name the array types that every module shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Float64s = NDArray[np.float64]
Float32s = NDArray[np.float32]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

VECTOR_DTYPES = ("float32", "float16")
"""Of the vectors on disk; in memory they are float32."""

NO_ITEMS: Indices = np.zeros(0, dtype=np.int64)
