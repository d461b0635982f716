r"""Keep ridge leverage scores q_i = z_i' (r I + Z_S' Z_S)^{-1} z_i of all items while the chosen set S grows.

Where similarities are <z_a, z_b>, the gain of the log-determinant is log(1 + q_i), whatever the number of chosen items:
all that it needs is one d x d matrix. Its *root* R with R R' = (r I + Z_S' Z_S)^{-1} is kept, updated as in Potter's
square-root filter (Kaminski, Bryson, Schmidt, IEEE Trans. Autom. Control 1971): with v = R' z and a = 1 + |v|^2,

    R <- R - R v v' / (a + sqrt(a)),        q_i <- q_i - <z_i, R v>^2 / a.

q = |R' z|^2 is a sum of squares, so a ridge r costs digits as 1 / sqrt(r) does; with the inverse itself it were 1 / r.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ray_subsel.core.threads import ranges
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows

_TOGETHER = 1 << 22  # multiplications below which items of any age are brought up to date by one product
LOST = 1.0 / 64.0
"""A score of which 1 + q fell to this share is computed anew: a difference has lost its digits."""
_LATEST = 64  # additions that are held as vectors before a product adds them to a matrix


@dataclass(frozen=True, eq=False)
class AffineRows:
    """The vectors z of a kernel slope <x, y> + shift: [sqrt(slope) x, sqrt(shift)], the last only where shift > 0.

    Attributes
    ----------
    rows : UnitRows
    slope, shift : float
        slope > 0, shift >= 0.
    """

    rows: UnitRows
    slope: float
    shift: float

    @property
    def d(self) -> int:
        """The dimension of z."""
        return self.rows.d + (self.shift > 0)

    def take(self, ids: Indices) -> Float64s:
        """Return z of some rows, shape (len(ids), d)."""
        return self._of(self.rows.take(ids))

    def all(self) -> Float64s:
        """Return z of all rows, shape (n, d)."""
        return self._of(self.rows.slice(0, self.rows.n))

    def _of(self, vectors: Float64s) -> Float64s:
        """Return z of unit vectors, which are lost."""
        if self.slope != 1.0:
            vectors *= math.sqrt(self.slope)
        if self.shift > 0:
            vectors = np.concatenate((vectors, np.full((len(vectors), 1), math.sqrt(self.shift))), axis=1)
        return vectors

    def squares(self, ids: Indices, U: Float64s, late: Indices) -> Float64s:
        """Return the sum of <z, u>^2 over the rows u of U but the first ``late``, for each of some z."""
        if self.rows.is_there(ids.size * U.size):
            return self._squares_there(ids, U, late)
        products = self.take(ids) @ U.T
        np.square(products, out=products)
        if late.any():
            products[np.arange(len(U)) < late[:, None]] = 0.0
        return np.asarray(products.sum(axis=1))

    def scores(self, ids: Indices, root: InverseRoot) -> Float64s:
        """Return q of some rows from a root, shape (len(ids),). O(d^2) each."""
        if self.rows.is_there(ids.size * root.matrix.size):
            return self._squares_there(ids, root.matrix.T, np.zeros(ids.size, dtype=np.int64))
        return root.scores(self.take(ids))

    def rows_at_once(self, columns: int) -> int:
        """Return how many z are best multiplied with so many vectors at once."""
        usual = self.rows.rows_per_block(columns)
        return usual if self.rows.device is None else max(usual, (1 << 25) // (self.d + columns))

    def _squares_there(self, ids: Indices, U: Float64s, late: Indices) -> Float64s:
        there = self.rows.device
        assert there is not None
        sent = there.send(np.ascontiguousarray(U))
        products = (self.rows.there.gather(ids) * math.sqrt(self.slope)) @ sent[:, : self.rows.d].T
        if self.shift > 0:
            products += math.sqrt(self.shift) * sent[:, -1]
        if late.any():
            products.masked_fill_(there.send(np.arange(len(U)))[None] < there.send(late)[:, None], 0.0)
        return there.fetch(products.square_().sum(dim=1))


@dataclass(frozen=True, eq=False)
class InverseRoot:
    """R with R R' = (r I + Z_S' Z_S)^{-1}.

    Attributes
    ----------
    matrix : float64 array of shape (d, d)
    """

    matrix: Float64s

    @staticmethod
    def start(d: int, ridge: float) -> InverseRoot:
        """Return the root of the empty set."""
        return InverseRoot(np.eye(d) / math.sqrt(ridge))

    def scores(self, Z: Float64s) -> Float64s:
        """Return q of some vectors, shape (len(Z),). O(d^2) each."""
        products = Z @ self.matrix
        return np.asarray(np.einsum("ij,ij->i", products, products))

    def add(self, z: Float64s) -> tuple[InverseRoot, float, Float64s]:
        """Return the root with z in S, q of z before, and u for which every q_i becomes q_i - <z_i, u>^2. O(d^2)."""
        v = z @ self.matrix
        score = float(v @ v)
        direction = self.matrix @ v
        above = 1.0 + score
        matrix = self.matrix - np.multiply.outer(direction / (above + math.sqrt(above)), v)
        return InverseRoot(matrix), score, direction / math.sqrt(above)


class Inverse:
    """P = (r I + Z_S' Z_S)^{-1}, of which P z is asked for as vectors are added to S.

    Each addition takes w w' from P; the latest are held as vectors. Errors are those of float64 times 1 / r.

    Parameters
    ----------
    d : int
    ridge : float
        r.
    """

    def __init__(self, d: int, ridge: float) -> None:
        self._matrix: Float64s | None = None  # P before the latest additions; None: I / r
        self._ridge = ridge
        self._latest = np.empty((_LATEST, d))
        self._many = 0

    def add(self, z: Float64s) -> tuple[float, Float64s]:
        """Add z to S; return q of it before, and w for which every q_i becomes q_i - <z_i, w>^2. O(d^2)."""
        if self._many == _LATEST:
            self._fold()
        product = z / self._ridge if self._matrix is None else self._matrix @ z
        latest = self._latest[: self._many]
        product -= (latest @ z) @ latest
        score = float(z @ product)
        w = self._latest[self._many]
        np.divide(product, math.sqrt(1.0 + score), out=w)
        self._many += 1
        return score, w

    def _fold(self) -> None:
        """Take the latest additions from the matrix."""
        fallen = self._latest.T @ self._latest
        if self._matrix is None:
            self._matrix = np.eye(len(fallen)) / self._ridge
        self._matrix -= fallen
        self._many = 0


@dataclass(eq=False)
class LeverageCache:
    """The scores of all items for the states of one growing chosen set, each brought up to date when it is asked for.

    A state of another size (somebody went back, or tries alternatives) is answered from its root alone, and its
    children start with what was known then.

    Attributes
    ----------
    vectors : AffineRows
    scores, direct : float64 arrays of shape (n,)
        q as known last, and as it was when it was computed from a root.
    seen : int64 array of shape (n,)
        The size of the chosen set when ``scores`` was known; -1 where it is not known.
    directions : float64 array of shape (2 d, d)
        u of the latest additions, of which those before ``first`` are dropped.
    first, size : int
        Sizes of the set before the first of the directions, and after the last.
    """

    vectors: AffineRows
    scores: Float64s
    direct: Float64s
    seen: Indices
    directions: Float64s
    first: int = 0
    size: int = 0

    @staticmethod
    def start(vectors: AffineRows, own: Float64s, ridge: float) -> LeverageCache:
        """Return the scores of the empty set, where ``own`` are the squared lengths of the vectors."""
        scores = own / ridge
        never = np.zeros(scores.size, dtype=np.int64)
        return LeverageCache(vectors, scores, scores.copy(), never, np.empty((2 * vectors.d, vectors.d)))

    def after(self, size: int, direction: Float64s) -> LeverageCache:
        """Return the cache of a child, by ``direction``, of a state of ``size`` items."""
        cache = self if size == self.size else self._before(size)
        if cache.size - cache.first == cache.directions.shape[0]:
            half = cache.directions.shape[0] // 2  # older ones are never used: direct computation is cheaper
            cache.directions[:half] = cache.directions[half:]
            cache.first += half
        cache.directions[cache.size - cache.first] = direction
        cache.size += 1
        return cache

    def _before(self, size: int) -> LeverageCache:
        """Return a copy that knows nothing of states of more than ``size`` items."""
        seen = np.where(self.seen <= size, self.seen, -1)
        first = min(self.first, size)
        directions = self.directions.copy()
        return replace(
            self, scores=self.scores.copy(), direct=self.direct.copy(), seen=seen, directions=directions,
            first=first if first == self.first else size, size=size,
        )  # fmt: skip

    def of(self, ids: Indices, root: InverseRoot, size: int) -> Float64s:
        """Return q of some items for a state of ``size`` items.

        O(d) for each addition since an item was looked at, at most O(d^2), as matrix products.
        """
        if size != self.size:
            return self._in_blocks(ids, root)
        lag = size - self.seen[ids]
        behind = np.flatnonzero(lag)
        if behind.size:
            some, steps = ids[behind], lag[behind]
            anew = (steps >= self.vectors.d) | (self.seen[some] < self.first)
            following = ~anew
            together = behind.size * int(steps.max()) * self.vectors.d <= _TOGETHER
            group = np.zeros(some.size) if together else np.frexp(steps)[1] // 2
            for alike in np.unique(group[following]):
                self._follow(some[following & (group == alike)])
            lost = 1.0 + self.scores[some] < LOST * (1.0 + self.direct[some])
            fresh = some[anew | lost]
            if fresh.size:
                self.scores[fresh] = self.direct[fresh] = self._in_blocks(fresh, root)
            self.seen[some] = size
        return self.scores[ids]

    def _follow(self, ids: Indices) -> None:
        """Subtract what was added since the items were looked at."""
        step = self.vectors.rows_at_once(self.size - int(self.seen[ids].min()))
        for start in range(0, ids.size, step):
            some = ids[start : start + step]
            begin = int(self.seen[some].min())
            U = self.directions[begin - self.first : self.size - self.first]
            fallen = self.vectors.squares(some, U, self.seen[some] - begin)
            self.scores[some] = np.maximum(self.scores[some] - fallen, 0.0)

    def _in_blocks(self, ids: Indices, root: InverseRoot) -> Float64s:
        """Return q of some items, computed from a root."""
        step = self.vectors.rows_at_once(self.vectors.d)
        parts = [self.vectors.scores(ids[start:stop], root) for start, stop in ranges(ids.size, step)]
        return np.concatenate(parts) if parts else np.zeros(0)
