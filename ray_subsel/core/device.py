"""Say where products of vectors are computed: on the CPU by numpy, or where a torch tensor lies.

Products only dismiss and propose; what decides is computed in float64 from single rows by numpy wherever products come
from. So the ids are the same on every device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import ResourceError, Verbatim, invalid
from ray_subsel.core.tensors import as_array, is_tensor, library, products_are_rough
from ray_subsel.core.threads import Range, ranges

LEAST_PRODUCTS = 1 << 24
"""Multiplications below which to send numbers there and back costs more than to multiply them here."""

_SENT_NUMBERS = 1 << 23  # numbers that are sent at a time


@dataclass(frozen=True, eq=False)
class Device:
    """Where a tensor lies.

    Attributes
    ----------
    like : torch tensor
        Any one there.
    given : (array, tensor) or None
        An array whose numbers are there already.
    least : int
        Products of fewer multiplications are computed on the CPU.
    """

    like: Any
    given: tuple[Any, Any] | None = None
    least: int = LEAST_PRODUCTS

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any] | type[np.floating[Any]]) -> Any:
        """Return an uninitialised tensor there."""
        return self.like.new_empty(shape, dtype=getattr(library(), np.dtype(dtype).name))

    def fill(self, tensor: Any, numbers: NDArray[Any]) -> None:
        """Copy numbers, shape (n, ...), to the first rows of a tensor, some at a time."""
        step = max(1, _SENT_NUMBERS // max(1, numbers[:1].size))
        for start, stop in ranges(len(numbers), step):
            part = np.require(numbers[start:stop], numbers.dtype.newbyteorder("="), ["C", "W"])
            tensor[start:stop].copy_(library().from_numpy(part))

    def send(self, numbers: NDArray[Any]) -> Any:
        """Return an array as a tensor there."""
        if self.given is not None and numbers is self.given[0]:
            return self.given[1]
        tensor = self.empty(numbers.shape, numbers.dtype.newbyteorder("="))
        self.fill(tensor, numbers)
        return tensor

    def fetch(self, tensor: Any, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return a tensor as an array, ``out`` where that is given."""
        if out is None:
            return np.asarray(tensor.cpu().numpy())
        library().from_numpy(out).copy_(tensor)
        return out

    def parts(self, n: int, numbers: int) -> Iterator[Range]:
        """Yield (start, stop) of n rows, as many at once as take some ``2^27`` numbers where each takes ``numbers``."""
        return ranges(n, max(1, (1 << 27) // numbers))

    @property
    def single(self) -> type[np.float32] | type[np.float64]:
        """The type in which products of float32 numbers have the error of float32."""
        return np.float64 if products_are_rough() else np.float32


_device: ContextVar[Device | None] = ContextVar("device", default=None)


def device() -> Device | None:
    """Return where products are computed; None: on the CPU by numpy."""
    return _device.get()


@contextmanager
def computing_on(there: Device) -> Iterator[None]:
    """Compute products there within the block; raises ResourceError where they do not fit."""
    token = _device.set(there)
    try:
        yield
    except library().OutOfMemoryError as error:
        way = "Pass X.cpu(): the rows are the same."
        got = Verbatim(str(error).partition(". ")[0] or "too little")
        raise invalid("the GPU's memory", "hold the vectors and their products", got, way, ResourceError) from error
    finally:
        _device.reset(token)


@contextmanager
def computing_beside(X: Any) -> Iterator[Any]:
    """Yield X as a numpy array; where X is a dense tensor on a GPU, products are computed there within the block."""
    array = as_array(X)
    if isinstance(array, np.ndarray) and is_tensor(X) and X.device.type == "cuda" and X.is_floating_point():
        with computing_on(Device(X.detach()[:0], (array, X.detach()))):
            yield array
    else:
        yield array
