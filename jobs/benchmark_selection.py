"""Time and memory of selection against plain loops and other packages, side by side in one run.

    python jobs/benchmark_selection.py                                  # five objectives on three kinds of vectors
    python jobs/benchmark_selection.py --n 5000 20000 50000 100000 --threads 1 2 --out benchmark.json    # hours
    python jobs/benchmark_selection.py --peers /tmp/peers/bin/python    # with apricot and submodlib, where they are
    python jobs/benchmark_selection.py --rows graph-40k-2k growth       # rows that have a name of their own
    python jobs/benchmark_selection.py --rows growth --d 32 --k 500     # how CPU seconds grow with n

Every contender of a row runs in a process of its own on the same vectors, so that its peak memory is its own; the
contenders take turns, and the median of the turns counts. "CPU" is the seconds of all its threads, "wall" those of the
clock; "ratio" is its CPU over that of ray_subsel: above 1, ray_subsel is faster. "ids" tells whether it picked the same
items in the same order, or how many of its first picks are the same and how much of ray_subsel's f it reaches.
"memory" is the peak beyond the vectors.

The plain loop is what one would write in 15 lines of numpy: lazy greedy over the dense matrix of similarities for
facility location and saturated coverage, over the vectors for feature-based functions, one pass over the vectors a
pick for graph cut, a row of the Cholesky factor a pick for the log-determinant. Feature-based functions take amounts:
negative coordinates of the vectors are set to 0 for them.

Vectors: structured (a common direction, as text embeddings have, and clusters), centred (clusters alone), gaussian
(neither), copies (structured, half of them exact copies), positive and positive-copies (no negative similarity, which
apricot's graph cut asks for), minilm (all-MiniLM-L6-v2 on generated stories, embedded once and kept in --cache).

The other packages (pip install apricot-select submodlib-py, in an environment of their own) are run by --peers PYTHON.
What cannot run is in the table with the reason. apricot compiles its loops anew for each selection, some 1 to 3 s at
any size: where that matters, the seconds that it takes for 500 rows stand beside it.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LAM, ALPHA, RIDGE = 10.0, 0.25, 1.0
"""The defaults of graph cut, saturated coverage and the log-determinant."""
OURS, PLAIN = "ray_subsel", "plain"
OBJECTIVES = ("graph_cut", "facility_location", "saturated_coverage", "feature_based", "log_determinant")
SIZES = {5_000: (128, 500), 20_000: (384, 1_000), 50_000: (64, 5_000), 100_000: (384, 5_000)}
"""d and k of the sizes, where nothing else is asked for."""
MINILM_D = 384
STORIES_AT_ONCE = 5_000
SMALL = 500
"""Rows on which a contender runs twice first, so that libraries are loaded; the second time is told."""
TURN_SECONDS = 20.0
"""A contender whose first turn takes longer has no other."""
Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """What synthetic vectors look like: the length of their common direction and of their clusters' centres."""

    mean: float
    centres: float = 0.6
    copies: bool = False


SHAPES = {
    "structured": Shape(1.0),
    "centred": Shape(0.0),
    "gaussian": Shape(0.0, centres=0.0),
    "copies": Shape(1.0, copies=True),
    "positive": Shape(2.0),
    "positive-copies": Shape(2.0, copies=True),
}


@dataclass(frozen=True)
class Row:
    """One selection and the contenders that make it."""

    objective: str
    data: str
    n: int
    d: int
    k: int
    contenders: tuple[str, ...] = (OURS,)
    threads: int = 1
    name: str = "grid"


GRID = (OURS, PLAIN, "apricot", "submodlib")
APRICOTS = (OURS, PLAIN, "apricot-naive", "apricot", "apricot-two-stage")
CORES = os.cpu_count() or 1
NAMED = (
    Row("graph_cut", "copies", 40_000, 384, 2_000, (OURS, "torch-matrix"), CORES, "graph-40k-2k"),
    Row("graph_cut", "copies", 40_000, 384, 4_000, (OURS, "torch-matrix"), CORES, "graph-40k-4k"),
    Row("graph_cut", "positive-copies", 5_000, 128, 500, APRICOTS, CORES, "graph-5k"),
    Row("graph_cut", "positive", 5_000, 128, 500, APRICOTS, CORES, "graph-5k-untied"),
    Row("graph_cut", "copies", 100_000, 384, 5_000, (OURS, PLAIN, "torch-passes"), CORES, "graph-100k-5k"),
    Row("graph_cut", "copies", 100_000, 384, 10_000, (OURS, PLAIN, "torch-passes"), CORES, "graph-100k-10k"),
    Row("graph_cut", "centred", 20_000, 128, 600, (OURS, PLAIN, "torch-passes"), CORES, "graph-20k-centred"),
    Row("graph_cut", "gaussian", 50_000, 64, 5_000, (OURS, PLAIN), 1, "graph-50k-gaussian"),
    Row("graph_cut", "copies", 1_000_000, 384, 100_000, (OURS,), CORES, "graph-1m"),
    Row("facility_location", "structured", 20_000, 128, 500, (OURS, PLAIN, "apricot"), CORES, "facility-20k"),
)
GROWTH = (10_000, 31_623, 100_000, 316_228, 1_000_000)


def synthetic(row: Row, seed: int) -> Vectors:
    """Return the unit vectors of a row, float32 of shape (n, d). A mean of 1 gives a mean cosine of 0.4 or more."""
    n, d, shape = row.n, row.d, SHAPES[row.data]
    rng = np.random.default_rng(seed)
    distinct = n - n // 2 if shape.copies else n
    places = rng.permutation(n)
    mean = rng.standard_normal(d)
    mean *= shape.mean / np.linalg.norm(mean)
    centres = shape.centres * rng.standard_normal((max(8, int(np.sqrt(n) / 2)), d)) / np.sqrt(d)
    X = np.empty((n, d), dtype=np.float32)
    for start in range(0, distinct, 16_384):
        some = places[start : min(start + 16_384, distinct)]
        rows = mean + centres[rng.integers(0, len(centres), some.size)]
        rows += rng.standard_normal(rows.shape) / np.sqrt(d)
        X[some] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    sources = places[rng.integers(0, distinct, n - distinct)]
    for start in range(0, n - distinct, 16_384):
        X[places[distinct + start : distinct + start + 16_384]] = X[sources[start : start + 16_384]]
    return X


def story_texts(n: int, at_once: int = STORIES_AT_ONCE) -> list[str]:
    """Return n distinct stories, each with its right ending; fewer are the first of more."""
    from ray_subsel.synthetic.stories import make_stories

    texts: dict[str, None] = {}
    seed = 0
    while len(texts) < n:
        stories = make_stories(at_once, seed)
        texts |= dict.fromkeys(" ".join((*story.sentences, story.endings[story.right - 1])) for story in stories)
        seed += 1
    return list(texts)[:n]


def story_vectors(n: int, cache: Path) -> Vectors:
    """Return MiniLM's vectors of n stories; those that the cache has not are embedded and added to it."""
    kept = cache / "minilm-stories.npy"
    X = np.load(kept) if kept.is_file() else np.empty((0, MINILM_D), dtype=np.float32)
    if len(X) < n:
        from ray_subsel.config import EmbedConfig
        from ray_subsel.embedders import build_embedder

        embedder = build_embedder(EmbedConfig(embedder="minilm"))
        texts = story_texts(n)
        cache.mkdir(parents=True, exist_ok=True)
        while len(X) < n:
            print(f"embedding stories: {len(X):,} of {n:,}", file=sys.stderr, flush=True)
            X = np.concatenate([X, embedder.embed(texts[len(X) : len(X) + 2_000])])
            part = kept.with_suffix(".part")
            with part.open("wb") as stream:
                np.save(stream, X)
            part.replace(kept)
    return X[:n]


def vectors(row: Row, seed: int, cache: Path) -> Vectors:
    """Return what all contenders of a row are given."""
    X = story_vectors(row.n, cache) if row.data == "minilm" else synthetic(row, seed)
    return np.maximum(X, 0) if row.objective == "feature_based" else X


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


@dataclass
class Measured:
    """What the turns of one contender took and found, or why there are none."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    small_cpu: float = 0.0
    extra_mb: float = 0.0
    peak_mb: float = 0.0
    passes: float | None = None
    missing: str | None = None
    ids: list[int] = field(default_factory=list)


def measure(row: Row, contender: str, file: str) -> dict[str, Any]:
    """Run one turn of a contender in this process: twice small, then in earnest."""
    X = np.load(file)
    few, some = X[:SMALL].copy(), min(20, row.k)
    choose(contender, row.objective, few, some)
    small = time.process_time()
    choose(contender, row.objective, few, some)
    small = time.process_time() - small
    before = _memory_mb("VmRSS")
    _reset_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    ids, passes = choose(contender, row.objective, X, row.k)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = _memory_mb("VmHWM")
    memory = {"extra_mb": peak - before, "peak_mb": peak}
    return {"cpu": cpu, "wall": wall, "small_cpu": small, **memory, "passes": passes, "ids": ids.tolist()}


def _memory_mb(name: str) -> float:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # not Linux: the peak of the whole process
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit if name == "VmHWM" else 0.0
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(name))


def _reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _free_bytes() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))


def one_turn(row: Row, contender: str, file: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run :func:`measure` in a process of its own; where that fails, return why."""
    needs = matrix_bytes(contender, row)
    if needs > 0.7 * _free_bytes():
        return {"missing": f"its matrix takes {needs / 2**30:.0f} GiB"}
    threads = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), str(row.threads)
    )
    python = options.peers if contender.partition("-")[0] in ("apricot", "submodlib") else sys.executable
    order = json.dumps({"row": asdict(row), "contender": contender, "file": str(file)})
    try:
        done = subprocess.run(
            [python, __file__, "--one", order],
            capture_output=True,
            text=True,
            env={**os.environ, **threads},
            check=False,
            timeout=options.limit,
        )
    except subprocess.TimeoutExpired:
        return {"missing": f"not done after {options.limit:.0f} s"}
    except OSError as error:
        return {"missing": f"{python}: {error.strerror}"}
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        return {"missing": last[0][:120]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compare(
    row: Row, options: argparse.Namespace, keep: Callable[[dict[str, Any]], None] = lambda report: None
) -> dict[str, Any]:
    """Return the report of one row; it is handed to ``keep`` after each turn."""
    found = {contender: Measured() for contender in row.contenders}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        file = Path(folder) / "vectors.npy"
        X = vectors(row, options.seed, options.cache)
        np.save(file, X)
        for turn in range(options.repeats):
            for contender, result in found.items():
                if result.missing or (turn and result.wall[0] > TURN_SECONDS):
                    continue
                one = one_turn(row, contender, file, options)
                result.missing = one.get("missing")
                if result.missing is None:
                    result.cpu.append(one["cpu"])
                    result.wall.append(one["wall"])
                    result.extra_mb = max(result.extra_mb, one["extra_mb"])
                    result.peak_mb = max(result.peak_mb, one["peak_mb"])
                    result.passes, result.ids, result.small_cpu = one["passes"], one["ids"], one["small_cpu"]
                keep(report_of(row, found, X if turn == 0 else None))
        return report_of(row, found, X)


def report_of(row: Row, found: dict[str, Measured], X: Vectors | None) -> dict[str, Any]:
    """Return what was found so far, ready for JSON; f is compared only where ids differ and X is given."""
    mine = found[OURS]
    results = []
    for contender, result in found.items():
        one: dict[str, Any] = {"contender": contender, **asdict(result)}
        one["ids"] = result.ids[:5]
        if result.cpu:
            one["median_cpu"], one["median_wall"] = statistics.median(result.cpu), statistics.median(result.wall)
            if mine.cpu:
                one["ratio"] = one["median_cpu"] / statistics.median(mine.cpu)
                one["same_ids"] = result.ids == mine.ids
                pairs = zip(result.ids, mine.ids, strict=False)
                one["same_prefix"] = next((at for at, (a, b) in enumerate(pairs) if a != b), len(mine.ids))
                if not one["same_ids"] and X is not None:
                    one["f_ratio"] = value(row.objective, X, result.ids) / value(row.objective, X, mine.ids)
        results.append(one)
    return {**asdict(row), "vectors_mb": row.n * row.d * 4 / 2**20, "results": results}


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


HEAD = (
    f"{'objective':<19}{'vectors':<16}{'n':>9}{'d':>5}{'k':>8}{'thr':>4}  {'contender':<18}{'CPU s':>9}{'wall s':>9}"
    f"{'ratio':>8}{'memory MB':>11}  ids"
)


def show(report: dict[str, Any]) -> None:
    """Print a row of the table, a line for each contender."""
    r = report
    place = f"{r['objective']:<19}{r['data']:<16}{r['n']:>9,}{r['d']:>5}{r['k']:>8,}{r['threads']:>4}"
    for one in report["results"]:
        start = f"{place}  {one['contender']:<18}"
        place = " " * len(place)
        if one["missing"]:
            print(f"{start}{'-':>9}  {one['missing']}", flush=True)
            continue
        ratio = f"{one['ratio']:.2f}" if "ratio" in one else "-"
        print(
            f"{start}{one['median_cpu']:>9.3f}{one['median_wall']:>9.3f}{ratio:>8}{one['extra_mb']:>11,.0f}  "
            f"{_notes(one, report['k'])}",
            flush=True,
        )


def _notes(one: dict[str, Any], k: int) -> str:
    if one["contender"] == OURS:
        return "" if one["passes"] is None else f"{1000 * one['passes'] / k:.1f} passes over X per 1,000 picks"
    if "same_ids" not in one:
        return ""
    note = "same"
    if not one["same_ids"]:
        note = f"first {one['same_prefix']:,} the same, f x {one.get('f_ratio', float('nan')):.6f}"
    compiles = one["contender"].startswith("apricot") and one["small_cpu"] > 0.1 * one["median_cpu"]
    return f"{note}; {one['small_cpu']:.1f} CPU s for {SMALL} rows" if compiles else note


def summary(reports: Sequence[dict[str, Any]]) -> list[str]:
    """Return in how many rows this package is as fast as the plain loop, and three times as fast as the best peer."""
    lines = []
    for target, names in ((1.0, (PLAIN,)), (3.0, ("apricot", "submodlib"))):
        ratios = {}
        for report in reports:
            rivals = [one for one in report["results"] if one["contender"] in names and "ratio" in one]
            if rivals:
                row = f"{report['objective']}, {report['data']}, n = {report['n']:,}, {report['threads']} thr."
                ratios[row] = min(one["ratio"] for one in rivals)
        late = [f"{row}: {ratio:.2f}" for row, ratio in ratios.items() if ratio < target]
        if ratios:
            against = "the plain loop" if names == (PLAIN,) else "the best of " + " and ".join(names)
            lines.append(f"{len(ratios) - len(late)} of {len(ratios)} rows at least {target:g}x {against}")
            lines += [f"  below: {row}" for row in late]
    return lines


def grid(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of the grid, the small ones first."""
    for n in options.n or [5_000]:
        usual = SIZES.get(n, (384, max(1, n // 20)))
        for data in options.data:
            d = MINILM_D if data == "minilm" else options.d or usual[0]
            for objective in options.objectives:
                for threads in options.threads:
                    yield Row(objective, data, n, d, options.k or usual[1], tuple(options.contenders), threads)


def exponents(reports: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return for each objective the exponent of the CPU seconds over n in the rows of the growth."""
    points: dict[str, list[tuple[float, float]]] = {}
    for report in reports:
        if report["name"] == "growth" and "median_cpu" in report["results"][0]:
            points.setdefault(report["objective"], []).append((report["n"], report["results"][0]["median_cpu"]))
    fits = {objective: np.log(np.array(some)).T for objective, some in points.items() if len(some) > 1}
    return {objective: float(np.polyfit(n, seconds, 1)[0]) for objective, (n, seconds) in fits.items()}


def rows_of(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows that are asked for."""
    if "grid" in options.rows:
        yield from grid(options)
    for row in NAMED:
        if row.name in options.rows:
            yield replace(row, n=max(2, row.n // options.shrink), k=max(1, row.k // options.shrink))
    if "growth" in options.rows:
        for objective in options.objectives:
            for size in options.n or GROWTH:
                n = size // options.shrink
                k = options.k or max(1, n // 100)
                yield Row(objective, "copies", n, options.d or 384, k, (OURS,), options.threads[0], "growth")


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    names = ["grid", *(row.name for row in NAMED), "growth"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=names,
        default=["grid"],
        metavar="ROW",
        help="grid (the default): all combinations of the options below; growth: this package alone on vectors half of "
        f"which are copies, n (10,000 to a million) and k (n / 100), with exponents of its CPU seconds; or rows by "
        f"name: {', '.join(names[1:-1])}",
    )
    add: Callable[..., Any] = parser.add_argument
    add("--objectives", nargs="+", choices=OBJECTIVES, default=OBJECTIVES, metavar="NAME", help=", ".join(OBJECTIVES))
    kinds = [*SHAPES, "minilm"]
    usual = ["structured", "centred", "minilm"]
    add("--data", nargs="+", choices=kinds, default=usual, metavar="KIND", help=f"vectors: {', '.join(kinds)}")
    add("--n", nargs="+", type=int, help="items; default: 5000, usually 5000 20000 50000 100000")
    add("--d", type=int, help="dimensions of synthetic vectors; default: by n")
    add("--k", type=int, help="how many are chosen; default: by n")
    add("--threads", nargs="+", type=int, default=[1], help="threads that a contender may use; usually 1 2")
    add("--contenders", nargs="+", default=list(GRID), metavar="NAME", help=f"in the grid; default: {' '.join(GRID)}")
    add("--peers", default=sys.executable, metavar="PYTHON", help="interpreter that has apricot and submodlib")
    add(
        "--repeats", type=int, default=3, help=f"turns of each contender; one where it takes above {TURN_SECONDS:.0f} s"
    )
    add("--limit", type=float, default=900.0, metavar="SECONDS", help="a turn that takes longer is given up")
    add("--shrink", type=int, default=1, metavar="N", help="divide the sizes of named rows by this, for a quick look")
    add("--cache", type=Path, default=Path(tempfile.gettempdir()) / "ray-subsel-benchmark", help="folder of vectors")
    add("--seed", type=int, default=0, help="of synthetic vectors")
    add("--out", type=Path, metavar="FILE", help="JSON of all turns, written anew after each")
    add("--one", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if OURS not in options.contenders:
        options.contenders = [OURS, *options.contenders]
    return options


def write(out: Path, reports: Sequence[dict[str, Any]], command: Sequence[str]) -> None:
    """Write all that is known, whole or not at all."""
    content = {"command": list(command), "cores": CORES, "exponents": exponents(reports), "rows": list(reports)}
    part = out.with_name(out.name + ".part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(out)


def main() -> None:
    """Run the rows that are asked for."""
    options = options_of()
    if options.one:
        order = json.loads(options.one)
        print(json.dumps(measure(Row(**order["row"]), order["contender"], order["file"])))
        return
    reports: list[dict[str, Any]] = []

    def keep(report: dict[str, Any]) -> None:
        if options.out:
            write(options.out, [*reports, report], sys.argv[1:])

    print(HEAD)
    for row in rows_of(options):
        report = compare(row, options, keep)
        show(report)
        keep(report)
        reports.append(report)
    for objective, exponent in exponents(reports).items():
        print(f"growth of {objective}: CPU seconds ~ n^{exponent:.2f} at k = {options.k or 'n / 100'}")
    print("\n".join(summary(reports)))


if __name__ == "__main__":
    main()
