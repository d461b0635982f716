"""Score candidates of the log-determinant: log det(I + K_S / r), the volume that the chosen items span."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from ray_subsel.core.numeric import finite_number
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.objectives.base import Objective, ProblemSize
from ray_subsel.objectives.kernels import Kernel, kernel_of


@dataclass(frozen=True, eq=False)
class LogDeterminantState:
    """The value of the log-determinant on a chosen set, and one row of a Cholesky factor for each chosen item.

    Attributes
    ----------
    rows : UnitRows
    factor : tuple of k float64 arrays
        Row t of the factor of the chosen items' kernel matrix plus ridge, against all n items: as a linear form in the
        rows, shape (d + 1,), where the kernel is affine in their dot product, else as numbers, shape (n,).
    residual : float64 array of shape (n,)
        K_aa less the squares of item a's column of the factor: what the chosen items do not explain of it.
    value : float
    """

    rows: UnitRows
    factor: tuple[Float64s, ...]
    residual: Float64s
    value: float


@final
@dataclass(frozen=True, eq=False)
class LogDeterminant(Objective[LogDeterminantState]):
    r"""Log-determinant of the kernel matrix of the chosen items: diversity, as in determinantal point processes.

    .. math:: f(S) = \log\det(I + K_S / r), \qquad
        f(S + a) - f(S) = \log\Big(1 + \frac{K_{aa} - K_{aS} (K_S + r I)^{-1} K_{Sa}}{r}\Big)

    Monotone and submodular for every ridge r > 0. It ranks as log det(K_S + r I) does, whose gains are lower by the
    constant -log r a pick: the division makes f(empty) = 0 and every gain >= 0. Exact copies keep a positive gain, at
    most log 2 after the first; the smaller r, the less.

    Parameters
    ----------
    ridge : float, default=1.0
        r > 0, the variance of noise in units of K_aa.
    kernel : str or Kernel, default="cosine"

    Notes
    -----
    One row of the Cholesky factor a pick, none computed twice. Cosine kernels: O(n d + k d) a pick, O(n + k d) memory.
    RBF: O(n d + n k) a pick, O(n k) memory. Gains are then O(1) each, so lazy greedy saves nothing.

    Source: Kulesza & Taskar 2012; the incremental factor: Chen, Zhang, Zhou 2018.
    """

    name: ClassVar[str] = "log_determinant"
    label: ClassVar[str] = "log-determinant"
    submodular: ClassVar[bool] = True
    monotone: ClassVar[bool] = True
    rounding: ClassVar[float] = 1e-11

    ridge: float = 1.0
    kernel: str | Kernel = "cosine"

    def __post_init__(self) -> None:
        kernel_of(self.kernel)
        finite_number(self.ridge, "ridge", "be a finite number > 0", "1.0 is a start.", above=0.0)

    def init(self, X: Floats) -> LogDeterminantState:
        """Return the state of the empty set; raises InputError for an X that cannot be used."""
        kernel = kernel_of(self.kernel)
        rows = kernel.read(X)
        own = np.concatenate([kernel.own(rows.slice(start, stop)) for start, stop in rows.blocks()])
        return LogDeterminantState(rows, (), own, 0.0)

    def gains(self, state: LogDeterminantState, candidates: Indices | None = None) -> Float64s:
        """Return the gains of the candidates."""
        residual = state.residual if candidates is None else state.residual[candidates]
        return np.log1p(residual / self.ridge)

    def unit(self, state: LogDeterminantState) -> float:
        """Return the first gain of a unit vector."""
        return math.log1p(1.0 / self.ridge)

    def add(self, state: LogDeterminantState, item: int) -> LogDeterminantState:
        """Return the state of S + item."""
        kernel, rows = kernel_of(self.kernel), state.rows
        length = math.sqrt(self.ridge + float(state.residual[item]))
        vector = rows.take(np.array([item]))
        affine = kernel.affine()
        if affine is None:
            column = np.concatenate([kernel.of(rows.slice(a, b), vector)[:, 0] for a, b in rows.blocks()])
            for row in state.factor:
                column -= row[item] * row
            form = column = column / length
        else:
            slope, shift = affine
            form = np.append(slope * vector[0], shift)
            if state.factor:
                earlier = np.array(state.factor)
                form -= (earlier @ np.append(vector[0], 1.0)) @ earlier
            form /= length
            column = np.concatenate([rows.slice(a, b) @ form[:-1] + form[-1] for a, b in rows.blocks()])
        residual = np.maximum(state.residual - column**2, 0.0)
        value = state.value + float(self.gains(state, np.array([item]))[0])
        return LogDeterminantState(rows, (*state.factor, form), residual, value)

    def value(self, state: LogDeterminantState) -> float:
        """Return f(S)."""
        return state.value

    def evaluate(self, X: Floats, subset: Indices) -> float:
        """Return f(subset) from the determinant; O(k^2 d + k^3).

        For cosine and k > d by det(I_k + Y Y' / r) = det(I_d + Y' Y / r), Sylvester's identity; O(k d^2 + d^3).
        """
        kernel = kernel_of(self.kernel)
        chosen = kernel.read(X).take(np.asarray(subset, dtype=np.int64))
        if chosen.shape[0] == 0:
            return 0.0
        if kernel.affine() == (1.0, 0.0) and chosen.shape[0] > chosen.shape[1]:
            return float(np.linalg.slogdet(np.eye(chosen.shape[1]) + chosen.T @ chosen / self.ridge)[1])
        matrix = kernel.of(chosen, chosen) / self.ridge
        return float(np.linalg.slogdet(np.eye(chosen.shape[0]) + matrix)[1])

    def memory_bytes(self, size: ProblemSize) -> int:
        """Return what it takes beside the vectors: a row of the factor a pick, twice, and the residuals."""
        return int(2 * 8 * (size.d + 1) * size.picks + 24 * size.items)
