"""The contract of every embedder: texts go in, unit vectors come out, row i for text i.

An embedder's answer for a text depends on the text and on the embedder only: not on the process, nor on the texts that
come with it (up to the rounding of float32 for networks, where one list of texts always gives the same bits).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import InputError, invalid

Float32s = NDArray[np.float32]


class Embedder(Protocol):
    """Anything with a dimension that turns texts into unit vectors."""

    @property
    def dimension(self) -> int:
        """d, the length of each vector."""

    def embed(self, texts: Sequence[str]) -> Float32s:
        """Return the L2-normalised vectors of the texts, float32 of shape (len(texts), d), in their order."""


def unit_rows(vectors: NDArray[np.floating], what: str = "vector") -> Float32s:
    """Return the rows divided by their Euclidean norms (taken in float64) as a new float32 array.

    Parameters
    ----------
    vectors : array of shape (n, d)
    what : str
        What a row is called in errors.

    Raises
    ------
    InputError
        When a row has a zero, NaN or infinite norm; it is named by its position, counted from 0.
    """
    if vectors.ndim != 2:
        raise invalid(f"{what}s", "have a shape (n, d)", vectors.shape)
    wide = vectors.astype(np.float64)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if bad.size:
        position = int(bad[0])
        norm = "only zeros" if norms[position] == 0 else "NaN, infinity or a number too large"
        more = f" ({bad.size} of {len(norms)} rows are like that)" if bad.size > 1 else ""
        raise InputError(
            f"{what} {position} must be finite and not zero; it holds {norm}{more}. "
            "Cosine similarity needs a direction: remove or correct the row."
        )
    rows: Float32s = (wide / norms[:, None]).astype(np.float32)
    return rows
