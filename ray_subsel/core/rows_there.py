"""Multiply rows where they lie on a device; only products come back."""

from __future__ import annotations

from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.device import Device
from ray_subsel.core.types import Float64s, Floats, Indices

Scaled = Literal["before", "after", "never"]
"""Whether rows are multiplied with their scale before a product, their product is, or neither."""


@final
class RowsThere:
    """The rows of X on a device, each times its scale. X is copied there, unless it is there.

    Parameters
    ----------
    there : Device
    X : array of shape (n, d)
    scale : float64 array of shape (n,)
    dtype : numpy dtype
        In which products are computed.
    scaled : {"before", "after", "never"}
    """

    def __init__(self, there: Device, X: NDArray[Any], scale: Float64s, dtype: np.dtype[Any], scaled: Scaled) -> None:
        self._there, self._scale, self._dtype, self._scaled = there, scale, dtype, scaled
        self._rows = there.send(X)
        self._scale_there = there.send(scale[:, None].astype(dtype))

    def multiply(self, p: Floats, out: Floats) -> None:
        """Write the products of all rows and the columns of p, shape (d,) or (d, J), to ``out``."""
        n, d = self._rows.shape
        columns = self._there.send(np.ascontiguousarray(p.reshape(d, -1), dtype=self._dtype))
        for start, stop in self._there.parts(n, d + columns.shape[1]):
            part = slice(start, stop)
            self._there.fetch(self._times(part, columns).reshape(out[part].shape), out[part])

    def products(self, which: slice | Indices, P: Floats) -> Floats:
        """Return the products of some rows and the columns of P, shape (rows, J)."""
        columns = self._there.send(np.ascontiguousarray(P, dtype=self._dtype))
        return self._there.fetch(self._times(which if isinstance(which, slice) else self._there.send(which), columns))

    def gather(self, ids: Indices) -> Any:
        """Return the unit vectors of some rows in float64, shape (len(ids), d), on the device."""
        return self._rows[self._there.send(ids)].double() * self._there.send(self._scale[ids, None])

    def _times(self, which: Any, columns: Any) -> Any:
        rows, scale = self._rows[which].to(columns.dtype), self._scale_there[which]
        if self._scaled == "before":
            return (rows * scale) @ columns
        found = rows @ columns
        return found if self._scaled == "never" else found.mul_(scale)
