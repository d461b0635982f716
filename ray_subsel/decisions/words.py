"""Put columns of texts together: numbers, decimals and words, line by line."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ray_subsel.core.types import Float64s, Indices


def or_null(values: NDArray[np.int64]) -> pa.Array:
    """Return ids, and nothing in the place of those below zero."""
    return pa.array(values, pa.int64(), mask=values < 0)


def number_words(values: Indices) -> pa.Array:
    """Return whole numbers as texts."""
    return pa.array(values).cast(pa.string())


def decimals(values: Float64s) -> pa.Array:
    """Return numbers with two decimals, as texts."""
    hundredths = np.round(100.0 * np.nan_to_num(values)).astype(np.int64)
    sign = pc.if_else(pa.array(hundredths < 0), "-", "")
    size = np.abs(hundredths)
    return joined(sign, number_words(size // 100), ".", pc.utf8_lpad(number_words(size % 100), 2, "0"))


def joined(*texts: pa.Array | str) -> pa.Array:
    """Return texts and columns of texts put together, line by line."""
    return pc.binary_join_element_wise(*texts, "", null_handling="replace", null_replacement="?")


def in_place(texts: list[tuple[Indices, pa.Array]], size: int) -> pa.Array:
    """Return ``size`` texts.

    Parameters
    ----------
    texts : list of (int64 array, pyarrow array of strings)
        Places in [0, size), each at most once, and their texts; where there is none it is empty.
    size : int
    """
    at = np.full(size, sum(places.size for places, _ in texts))
    last = 0
    for places, _ in texts:
        at[places] = np.arange(last, last + places.size)
        last += places.size
    return pa.concat_arrays([*(text.cast(pa.string()) for _, text in texts), pa.array([""])]).take(pa.array(at))
