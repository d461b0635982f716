"""Compute the similarities of two blocks of rows.

No function here sees more than two blocks: there is no n x n matrix anywhere.

A kernel is a frozen value. ``read`` checks an array once and returns rows that are read block by block; ``of`` turns
two blocks of them into similarities.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import Verbatim, invalid, unknown
from ray_subsel.core.numeric import finite_number
from ray_subsel.core.types import Float64s
from ray_subsel.core.unit_rows import UnitRows, check_matrix, to_float64, unit_rows


class Kernel(abc.ABC):
    """A positive semidefinite similarity of two vectors. Subclasses are final frozen dataclasses."""

    name: ClassVar[str]

    @abc.abstractmethod
    def read(self, X: Any, parameter: str = "X") -> UnitRows:
        """Check X, shape (n, d), and return its rows as :meth:`of` wants them. One pass, X is not copied."""

    @abc.abstractmethod
    def of(self, A: NDArray[Any], B: NDArray[Any]) -> NDArray[Any]:
        """Return the similarities of rows of A, shape (a, d), and of B, shape (b, d): shape (a, b), in A's dtype."""

    @abc.abstractmethod
    def own(self, rows: UnitRows) -> Float64s:
        """Return the similarity of each row with itself, shape (n,)."""

    def single_error(self, d: int) -> float | None:
        """Return how far a similarity in float32 can be from the exact one, or None where there is no such bound."""
        return None

    def affine(self) -> tuple[float, float] | None:
        """Return (slope, shift) where the similarity is slope <a, b> + shift of rows as they are read, else None."""
        return None


@final
@dataclass(frozen=True)
class Cosine(Kernel):
    """<a, b> of unit vectors, in [-1, 1]. Opposite vectors have similarity -1, not 1."""

    name: ClassVar[str] = "cosine"

    def read(self, X: Any, parameter: str = "X") -> UnitRows:
        """Check X and return its rows."""
        return unit_rows(X, parameter=parameter)

    def of(self, A: NDArray[Any], B: NDArray[Any]) -> NDArray[Any]:
        """Return similarities, shape (a, b)."""
        return np.asarray(A @ B.T)

    def own(self, rows: UnitRows) -> Float64s:
        """Return the similarity of each row with itself."""
        return np.ones(rows.n)

    def single_error(self, d: int) -> float | None:
        """Return the error of a float32 similarity."""
        return (d + 12) * 2.0**-24  # d roundings of a dot product of vectors (Higham, 3.5) of norms within 2^-22 of 1

    def affine(self) -> tuple[float, float] | None:
        """Return (slope, shift)."""
        return 1.0, 0.0


@final
@dataclass(frozen=True)
class ShiftedCosine(Kernel):
    """(1 + <a, b>) / 2 of unit vectors, in [0, 1]: no similarity is negative, so none is cut off at zero."""

    name: ClassVar[str] = "shifted_cosine"

    def read(self, X: Any, parameter: str = "X") -> UnitRows:
        """Check X and return its rows."""
        return unit_rows(X, parameter=parameter)

    def of(self, A: NDArray[Any], B: NDArray[Any]) -> NDArray[Any]:
        """Return similarities, shape (a, b)."""
        dots = A @ B.T
        dots += 1.0
        dots *= 0.5
        return np.asarray(dots)

    def own(self, rows: UnitRows) -> Float64s:
        """Return the similarity of each row with itself."""
        return np.ones(rows.n)

    def single_error(self, d: int) -> float | None:
        """Return the error of a float32 similarity."""
        return (d + 14) * 2.0**-24

    def affine(self) -> tuple[float, float] | None:
        """Return (slope, shift)."""
        return 0.5, 0.5


@final
@dataclass(frozen=True)
class RBF(Kernel):
    """exp(-gamma |a - b|^2) of vectors as they are, in (0, 1]; a zero vector is as good as any other.

    Parameters
    ----------
    gamma : float, default=1.0
        > 0, one over a squared length in the units of X. 1.0 suits unit vectors, where |a - b|^2 = 2 - 2 cos.
    """

    name: ClassVar[str] = "rbf"

    gamma: float = 1.0

    def __post_init__(self) -> None:
        finite_number(self.gamma, "gamma", "be a finite number > 0", "1.0 suits unit vectors.", above=0.0)

    def read(self, X: Any, parameter: str = "X") -> UnitRows:
        """Check X and return its rows."""
        return plain_rows(X, parameter=parameter)

    def of(self, A: NDArray[Any], B: NDArray[Any]) -> NDArray[Any]:
        """Return similarities, shape (a, b)."""
        squares = np.sum(A * A, axis=1)[:, None] + np.sum(B * B, axis=1) - 2.0 * (A @ B.T)
        np.maximum(squares, 0.0, out=squares)  # the difference of nearly equal squares may round below zero
        squares *= -self.gamma
        return np.asarray(np.exp(squares))

    def own(self, rows: UnitRows) -> Float64s:
        """Return the similarity of each row with itself."""
        return np.ones(rows.n)


KERNELS: dict[str, type[Kernel]] = {kernel.name: kernel for kernel in (Cosine, ShiftedCosine, RBF)}


def kernel_of(kernel: str | Kernel) -> Kernel:
    """Return the kernel of a name, with its defaults, or the kernel given."""
    if isinstance(kernel, Kernel):
        return kernel
    if kernel not in KERNELS:
        raise unknown("kernel", kernel, KERNELS, also=" or a Kernel")
    return KERNELS[kernel]()


def plain_rows(X: Any, *, parameter: str = "X") -> UnitRows:
    """Check that X is a finite matrix and return its rows as they are (every scale is 1). One pass."""
    X = check_matrix(X, parameter)
    rows = UnitRows(X, np.ones(int(X.shape[0])))
    for start, stop in rows.blocks():
        finite = np.isfinite(to_float64(X[start:stop])).all(axis=1)
        if not finite.all():
            row = start + int(np.flatnonzero(~finite)[0])
            raise invalid(f"row {row} of {parameter}", "be finite", Verbatim("NaN or infinity"), "Drop the row.")
    return rows
