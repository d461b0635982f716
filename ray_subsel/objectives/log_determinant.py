"""Score candidates of the log-determinant: log det(I + K_S / r), the volume that the chosen items span."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import invalid
from ray_subsel.core.numeric import finite_number
from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import Float64s, Floats, Indices
from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.objectives.base import Objective, ProblemSize
from ray_subsel.objectives.kernels import Kernel, kernel_of
from ray_subsel.objectives.represented import Represented
from ray_subsel.objectives.ridge_leverage import AffineRows, InverseRoot, LeverageCache
from ray_subsel.objectives.similarity_block import similarity_block


@dataclass(frozen=True, eq=False)
class PrimalState:
    """The value of the log-determinant on a chosen set, for kernels that are affine in the rows' dot product.

    Attributes
    ----------
    root : InverseRoot
        All that the chosen set is to the gains: d x d numbers.
    cache : LeverageCache
    size : int
    value : float
    """

    root: InverseRoot
    cache: LeverageCache
    size: int
    value: float


@dataclass(eq=False)
class KernelRows:
    """Rows of the kernel matrix K, shape (n, n), which is kept where it fits once that many rows were asked for.

    Attributes
    ----------
    kernel : Kernel
    rows : UnitRows
    """

    kernel: Kernel
    rows: UnitRows
    _asked: int = 0
    _block: NDArray[np.float64] | None = None

    def of(self, item: int) -> Float64s:
        """Return the similarities of a row to all, shape (n,)."""
        self._asked += 1
        n = self.rows.n
        if self._block is None and self._asked > _ROWS_BEFORE_BLOCK and 8 * n * n <= _BLOCK_BYTES:
            ones = np.ones(n)
            with block_workers() as workers:
                self._block = similarity_block(
                    Represented(self.kernel, self.rows, self.rows, ones), np.float64, workers
                )
        if self._block is not None:
            return np.asarray(self._block[item], dtype=np.float64)
        vector = self.rows.take(np.array([item]))
        return np.concatenate([self.kernel.of(self.rows.slice(a, b), vector)[:, 0] for a, b in self.rows.blocks()])


@dataclass(frozen=True, eq=False)
class DualState:
    """The value of the log-determinant on a chosen set, and one row of a Cholesky factor for each chosen item.

    Attributes
    ----------
    rows : KernelRows
    factor : tuple of k float64 arrays of shape (n,)
        Row t of the factor of the chosen items' kernel matrix plus ridge, against all n items.
    residual : float64 array of shape (n,)
        K_aa less the squares of item a's column of the factor: what the chosen items do not explain of it.
    value : float
    """

    rows: KernelRows
    factor: tuple[Float64s, ...]
    residual: Float64s
    value: float


LogDeterminantState = PrimalState | DualState
_LEAST_RIDGE = {True: 1e-15, False: 1e-8}  # of affine kernels, and of others, whose errors of 1e-16 are divided by r
_DUAL_RIDGE = 1e-4
_ROWS_BEFORE_BLOCK = 16
_BLOCK_BYTES = 1 << 28
_TIE = 1e-11


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
        r, the variance of noise in units of K_aa; at least 1e-15 for cosine kernels and 1e-8 for others, where float64
        still holds the value: it was compared with arithmetic of 50 digits.
    kernel : str or Kernel, default="cosine"

    Notes
    -----
    Cosine kernels: one d x d matrix whatever k is (:mod:`.ridge_leverage`), O(d^2) a pick and O(d) an item for each
    pick that it has not seen yet; lazy greedy asks for few. O(n + d^2) memory. Other kernels: a row of the Cholesky
    factor a pick, none computed twice, O(n d + n k) a pick, O(n k) memory; gains are then O(1) each, so lazy greedy
    saves nothing.

    Source: Kulesza & Taskar 2012; the incremental factor: Chen, Zhang, Zhou 2018.
    """

    name: ClassVar[str] = "log_determinant"
    label: ClassVar[str] = "log-determinant"
    submodular: ClassVar[bool] = True
    monotone: ClassVar[bool] = True
    exact_over_partitions: ClassVar[bool] = True
    ridge: float = 1.0
    kernel: str | Kernel = "cosine"

    def __post_init__(self) -> None:
        kernel = kernel_of(self.kernel)
        finite_number(self.ridge, "ridge", "be a finite number > 0", "1.0 is a start.", above=0.0)
        least = _LEAST_RIDGE[kernel.affine() is not None]
        if self.ridge < least:
            way = "Below it float64 does not hold the value."
            raise invalid("ridge", f"be at least {least:g} with kernel {kernel.name!r}", self.ridge, way)

    @property
    def rounding(self) -> float:  # type: ignore[override]  # of the class elsewhere, here of the ridge
        """How close gains tie: 1e-11, and more where a small ridge costs more digits."""
        return max(_TIE, 256 * 2.0**-53 / math.sqrt(self.ridge))

    def init(self, X: Floats) -> LogDeterminantState:
        """Return the state of the empty set; raises InputError for an X that cannot be used."""
        kernel = kernel_of(self.kernel)
        rows = kernel.read(X)
        if self.is_primal(rows.n, rows.d):
            return self.primal_state(rows)
        return DualState(KernelRows(kernel, rows), (), kernel.own(rows), 0.0)

    def is_primal(self, n: int, d: int) -> bool:
        """Tell whether what is chosen of n rows of d numbers is one d x d matrix, else rows of a Cholesky factor.

        Such a row costs O(n d), a change of the matrix O(d^2); the former asks for a larger ridge.
        """
        return kernel_of(self.kernel).affine() is not None and (d <= n or self.ridge < _DUAL_RIDGE)

    def primal_state(self, rows: UnitRows) -> PrimalState:
        """Return the state of the empty set in which what is chosen is one d x d matrix; for affine kernels."""
        kernel = kernel_of(self.kernel)
        vectors = affine_rows(kernel, rows)
        cache = LeverageCache.start(vectors, kernel.own(rows), self.ridge)
        return PrimalState(InverseRoot.start(vectors.d, self.ridge), cache, 0, 0.0)

    def gains(self, state: LogDeterminantState, candidates: Indices | None = None) -> Float64s:
        """Return the gains of the candidates."""
        if isinstance(state, PrimalState):
            ids = np.arange(state.cache.scores.size) if candidates is None else candidates
            return np.log1p(state.cache.of(ids, state.root, state.size))
        residual = state.residual if candidates is None else state.residual[candidates]
        return np.log1p(residual / self.ridge)

    @property
    def first_gain(self) -> float:
        """The gain of a unit vector before anything is chosen."""
        return math.log1p(1.0 / self.ridge)

    def unit(self, state: LogDeterminantState) -> float:
        """Return the first gain of a unit vector."""
        return self.first_gain

    def add(self, state: LogDeterminantState, item: int) -> LogDeterminantState:
        """Return the state of S + item."""
        if isinstance(state, PrimalState):
            root, score, direction = state.root.add(state.cache.vectors.take(np.array([item]))[0])
            cache = state.cache.after(state.size, direction)
            return PrimalState(root, cache, state.size + 1, state.value + math.log1p(score))
        column = state.rows.of(item)
        if state.factor:
            factor = np.array(state.factor)
            column = column - factor[:, item] @ factor
        column /= math.sqrt(self.ridge + float(state.residual[item]))
        residual = np.maximum(state.residual - column**2, 0.0)
        value = state.value + float(self.gains(state, np.array([item]))[0])
        return DualState(state.rows, (*state.factor, column), residual, value)

    def value(self, state: LogDeterminantState) -> float:
        """Return f(S)."""
        return state.value

    def evaluate(self, X: Floats, subset: Indices) -> float:
        """Return f(subset) from the formula.

        Affine kernels: sum log(1 + s^2 / r) over the singular values s of the chosen vectors, whose squares no product
        has rounded; O(min(k, d) k d). Others: from the determinant; O(k^2 d + k^3).
        """
        kernel = kernel_of(self.kernel)
        rows, affine, ids = kernel.read(X), kernel.affine(), np.asarray(subset, dtype=np.int64)
        if ids.size == 0:
            return 0.0
        if affine is not None:
            lengths = np.linalg.svd(AffineRows(rows, *affine).take(ids), compute_uv=False)
            return math.fsum(np.log1p(np.square(lengths) / self.ridge).tolist())
        chosen = rows.take(ids)
        matrix = kernel.of(chosen, chosen) / self.ridge
        return float(np.linalg.slogdet(np.eye(chosen.shape[0]) + matrix)[1])

    def rounds(self, size: ProblemSize) -> float:
        """Return about how many rounds mode exact takes: 0.134 k^0.65 n^0.25 d^-0.35 (measured, within a factor of 2).

        A round ends where a gain falls to the highest among items that were not proposed. The more numbers vectors
        have, the less a pick takes from the gains of others.
        """
        return float(max(1.0, 0.134 * size.picks**0.65 * size.items**0.25 * size.d**-0.35))

    def exact_seconds(self, size: ProblemSize, processes: int) -> float:
        """Return about how long mode exact takes over some processes: what they look at, and the driver's picks.

        A round looks at some 5 n^0.82 items, at 7.5 ns a number; a pick takes the driver 0.2 ms and 6 d^2 ns
        (measured).
        """
        looked = self.rounds(size) * min(size.items, 5.0 * size.items**0.82)
        return float(7.5e-9 * size.d * looked / processes + size.picks * (2e-4 + 6e-9 * size.d**2))

    def memory_bytes(self, size: ProblemSize) -> int:
        """Return what it takes beside the vectors: a few numbers an item, and the matrices or the factor."""
        if kernel_of(self.kernel).affine() is None:
            block = 8 * size.items**2
            return int(8 * size.items * (2 * size.picks + 4) + (2 * block if block <= _BLOCK_BYTES else 0))
        return int(8 * 5 * (size.d + 1) ** 2 + 40 * size.items)


def affine_rows(kernel: Kernel, rows: UnitRows) -> AffineRows:
    """Return the vectors whose dot products are the similarities of an affine kernel."""
    affine = kernel.affine()
    assert affine is not None
    return AffineRows(rows, *affine)
