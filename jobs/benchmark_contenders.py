"""The contenders of the selection benchmark: this package, plain loops, torch, apricot and submodlib."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from benchmark_rows import OURS, PLAIN, Row, Vectors
from numpy.typing import NDArray

LAM, ALPHA, RIDGE = 10.0, 0.25, 1.0
"""The defaults of graph cut, saturated coverage and the log-determinant."""
Ids = NDArray[np.int64]


def positive_similarities(X: Vectors) -> Vectors:
    """Return the n x n matrix of cosines, cut off at zero."""
    W = X @ X.T
    return np.maximum(W, 0, out=W)


def lazy_loop(gains: NDArray[Any], gain: Callable[[int], float], add: Callable[[int], None], k: int) -> Ids:
    """Run lazy greedy: of the greatest bound the gain is computed, until it stays the greatest."""
    heap = [(-bound, i) for i, bound in enumerate(gains.tolist())]
    heapq.heapify(heap)
    picks: list[int] = []
    while len(picks) < k:
        i = heap[0][1]
        now = (-gain(i), i)
        if now <= min(heap[1:3], default=now):
            heapq.heappop(heap)
            picks.append(i)
            add(i)
        else:
            heapq.heapreplace(heap, now)
    return np.array(picks)


def plain_graph_cut(X: Vectors, k: int) -> Ids:
    """Run greedy with one product of X with a vector a pick."""
    total, chosen = X.sum(axis=0, dtype=np.float64), np.zeros(X.shape[1])
    gone = np.zeros(len(X), dtype=np.float32)
    picks = np.empty(k, dtype=np.int64)
    for turn in range(k):
        gains = X @ (total - (2 + LAM) * chosen).astype(np.float32)
        gains += gone
        picks[turn] = best = int(gains.argmax())
        gone[best] = -np.inf
        chosen += X[best]
    return picks


def plain_facility_location(X: Vectors, k: int) -> Ids:
    """Run lazy greedy over the rows of the matrix of similarities."""
    W = positive_similarities(X)
    best, space = np.zeros(len(X), dtype=np.float32), np.empty(len(X), dtype=np.float32)

    def gain(i: int) -> float:
        np.subtract(W[i], best, out=space)
        return float(np.maximum(space, 0, out=space).sum())

    return lazy_loop(W.sum(axis=1), gain, lambda i: void(np.maximum(best, W[i], out=best)), k)


def plain_saturated_coverage(X: Vectors, k: int) -> Ids:
    """Run lazy greedy over the rows of the matrix of similarities."""
    W = positive_similarities(X)
    left = np.float32(ALPHA) * W.sum(axis=1)
    space = np.empty_like(left)

    def add(i: int) -> None:
        np.subtract(left, np.minimum(W[i], left), out=left)

    first = np.array([np.minimum(row, left).sum() for row in W])
    return lazy_loop(first, lambda i: float(np.minimum(W[i], left, out=space).sum()), add, k)


def plain_feature_based(X: Vectors, k: int) -> Ids:
    """Run lazy greedy over the vectors, in float64."""
    amounts = np.zeros(X.shape[1])

    def add(i: int) -> None:
        np.add(amounts, X[i], out=amounts)

    def gain(i: int) -> float:
        return float((np.sqrt(amounts + X[i]) - np.sqrt(amounts)).sum())

    return lazy_loop(np.sqrt(X).sum(axis=1), gain, add, k)


def plain_log_determinant(X: Vectors, k: int) -> Ids:
    """Run greedy with a row of the Cholesky factor a pick (Chen, Zhang, Zhou 2018), in float64."""
    X64 = X.astype(np.float64)
    factor = np.empty((k, len(X)))
    residual, gone = np.ones(len(X)), np.zeros(len(X))
    picks = np.empty(k, dtype=np.int64)
    for turn in range(k):
        picks[turn] = best = int((residual + gone).argmax())
        row = X64 @ X64[best] - factor[:turn, best] @ factor[:turn]
        factor[turn] = row / np.sqrt(RIDGE + residual[best])
        residual -= factor[turn] ** 2
        gone[best] = -np.inf
    return picks


def void(_: object) -> None:
    """Return nothing."""


PLAIN_LOOPS = {
    "graph_cut": plain_graph_cut,
    "facility_location": plain_facility_location,
    "saturated_coverage": plain_saturated_coverage,
    "feature_based": plain_feature_based,
    "log_determinant": plain_log_determinant,
}


def torch_matrix(X: Vectors, k: int) -> Ids:
    """Run the paper's graph cut: the similarity matrix, then a column a pick."""
    import torch

    rows = torch.from_numpy(X)
    W = rows @ rows.T
    gains = W.sum(dim=1) - 1
    picks = torch.empty(k, dtype=torch.int64)
    for turn in range(k):
        best = gains.argmax()
        picks[turn] = best
        gains -= (2 + LAM) * W[best]  # symmetric: a row is the column, and contiguous
        gains[best] = -torch.inf
    return picks.numpy()


def torch_passes(X: Vectors, k: int) -> Ids:
    """Run the plain loop of graph cut in torch."""
    import torch

    rows = torch.from_numpy(X)
    total, chosen = rows.sum(dim=0, dtype=torch.float64), torch.zeros(X.shape[1], dtype=torch.float64)
    gone = torch.zeros(len(X))
    picks = np.empty(k, dtype=np.int64)
    for turn in range(k):
        gains = torch.mv(rows, (total - (2 + LAM) * chosen).float())
        gains += gone
        best = int(gains.argmax())
        picks[turn] = best
        gone[best] = -torch.inf
        chosen += rows[best]
    return picks


def apricot(objective: str, X: Vectors, k: int, optimizer: str) -> Ids:
    """Run apricot, on the matrix of similarities in float64, which it asks for."""
    import apricot as package  # type: ignore[import-untyped,import-not-found,unused-ignore]

    if objective == "feature_based":
        selector = package.FeatureBasedSelection(k, concave_func="sqrt", optimizer=optimizer)
        return np.asarray(selector.fit(X.astype(np.float64)).ranking, dtype=np.int64)
    wide = X.astype(np.float64)
    W = wide @ wide.T
    settings = {"metric": "precomputed", "optimizer": optimizer}
    if objective == "graph_cut":  # alpha = 1 / (1 + lam / 2) ranks as our lam does
        selector = package.GraphCutSelection(k, alpha=1 / (1 + LAM / 2), **settings)
    elif objective == "saturated_coverage":
        selector = package.SaturatedCoverageSelection(k, alpha=ALPHA, **settings)
    elif objective == "facility_location":
        selector = package.FacilityLocationSelection(k, **settings)
    else:
        raise LookupError(f"apricot has no {objective}")
    if objective != "graph_cut":
        np.maximum(W, 0.0, out=W)
    return np.asarray(selector.fit(W).ranking, dtype=np.int64)


def submodlib(objective: str, X: Vectors, k: int) -> Ids:
    """Run submodlib's lazy greedy on the matrix of similarities."""
    import submodlib as package  # type: ignore[import-untyped,import-not-found,unused-ignore]

    n = len(X)
    if objective == "graph_cut":
        f = package.GraphCutFunction(n=n, mode="dense", lambdaVal=1 + LAM / 2, ggsijs=X @ X.T, separate_rep=False)
    elif objective == "facility_location":
        f = package.FacilityLocationFunction(n=n, mode="dense", sijs=positive_similarities(X), separate_rep=False)
    elif objective == "log_determinant":
        W = X @ X.T
        np.fill_diagonal(W, 1.0)  # or rounding decides the first pick, at which all gains tie
        f = package.LogDeterminantFunction(n=n, mode="dense", lambdaVal=RIDGE, sijs=W)
    elif objective == "feature_based":  # it scales each feature to [0, 1], so its picks may be others
        kind = package.functions.featureBased.FeatureBased.squareRoot
        f = package.FeatureBasedFunction(n, X.tolist(), X.shape[1], sparse=False, mode=kind)
    else:
        raise LookupError(f"submodlib has no {objective}")
    picks = f.maximize(
        budget=k, optimizer="LazyGreedy", stopIfZeroGain=False, stopIfNegativeGain=False, show_progress=False
    )
    return np.array([item for item, _ in picks], dtype=np.int64)


def ours(objective: str, X: Vectors, k: int) -> tuple[Ids, float | None]:
    """Run this package; also return how often graph cut read X."""
    from ray_subsel import select

    found = select(X, k, objective=objective)
    return found.indices, found.stats.get("passes")


def choose(contender: str, objective: str, X: Vectors, k: int) -> tuple[Ids, float | None]:
    """Run a contender."""
    name, _, variant = contender.partition("-")
    if contender == OURS:
        return ours(objective, X, k)
    if contender == PLAIN:
        return PLAIN_LOOPS[objective](X, k), None
    if name == "apricot":
        return apricot(objective, X, k, variant or "lazy"), None
    if contender == "submodlib":
        return submodlib(objective, X, k), None
    return {"torch-matrix": torch_matrix, "torch-passes": torch_passes}[contender](X, k), None


def matrix_bytes(contender: str, row: Row) -> float:
    """Return about what the matrices of a contender take: one for each pair of items, or of items and picks."""
    by_pairs = row.objective not in ("graph_cut", "feature_based", "log_determinant")
    if contender == PLAIN:
        return 4.0 * row.n**2 if by_pairs else 8.0 * row.n * row.k if row.objective == "log_determinant" else 0.0
    if contender == "torch-matrix":
        return 4.0 * row.n**2
    if contender in (OURS, "torch-passes") or row.objective == "feature_based":
        return 0.0
    return (16.0 if contender == "submodlib" else 10.0) * row.n**2


def value(objective: str, X: Vectors, ids: Sequence[int]) -> float:
    """Return f of the ids from its formula, in float64 except for the similarities of saturated coverage."""
    chosen = X[list(ids)].astype(np.float64)
    if objective == "graph_cut":
        total, s = X.sum(axis=0, dtype=np.float64), chosen.sum(axis=0)
        return float(total @ s - (1 + LAM / 2) * (s @ s) + LAM / 2 * len(chosen))
    if objective == "feature_based":
        return float(np.sqrt(chosen.sum(axis=0)).sum())
    if objective == "log_determinant":
        return float(np.linalg.slogdet(np.eye(X.shape[1]) + chosen.T @ chosen / RIDGE)[1])
    f = 0.0
    for start in range(0, len(X), 512):
        block = X[start : start + 512]
        if objective == "facility_location":
            f += float(np.maximum(block @ chosen.T, 0).max(axis=1).sum())
        else:
            covered = np.maximum(block @ chosen.T, 0).sum(axis=1)
            whole = np.maximum(block @ X.T, 0).sum(axis=1, dtype=np.float64)
            f += float(np.minimum(covered, ALPHA * whole).sum())
    return f
