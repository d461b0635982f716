"""Time and memory of the selection engine against what else there is, side by side in one run.

    python jobs/benchmark_selection.py                     # every row, some ten minutes on two quiet cores
    python jobs/benchmark_selection.py --rows graph-40k-2k graph-5k --json benchmark.json
    python jobs/benchmark_selection.py --quick             # a tenth of every size, to see that it runs

Each contender runs in a process of its own on the same synthetic embeddings: unit vectors with a common direction, as
BERT's have, in clusters, half of them exact copies of others. Memory is the peak beyond the embeddings. The rows that
compare with apricot need the extra ``ray-subsel[benchmark]``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LAM = 10.0
FACILITY = "facility-20k"
Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """A selection, the contenders that make it, and the speed-up to reach over the best of the others."""

    name: str
    n: int
    d: int
    k: int
    rivals: tuple[str, ...]
    target: float | None
    copies: bool = True
    mean: float = 1.0
    extra_mb: float | None = None


ROWS = (
    Row("graph-40k-2k", 40_000, 384, 2_000, ("torch-matrix",), 15.0, extra_mb=60.0),
    Row("graph-40k-4k", 40_000, 384, 4_000, ("torch-matrix",), 4.0),
    Row("graph-5k", 5_000, 128, 500, ("apricot-naive", "apricot-lazy", "apricot-two-stage"), 20.0, mean=2.0),
    Row(
        "graph-5k-untied",
        5_000,
        128,
        500,
        ("apricot-naive", "apricot-lazy", "apricot-two-stage"),
        20.0,
        copies=False,
        mean=2.0,
    ),
    Row("graph-100k-5k", 100_000, 384, 5_000, ("numpy-passes", "torch-passes"), 20.0),
    Row("graph-100k-10k", 100_000, 384, 10_000, ("numpy-passes", "torch-passes"), 8.0),
    Row("graph-20k-centred", 20_000, 128, 600, ("numpy-passes", "torch-passes"), 0.4, copies=False, mean=0.0),
    Row("graph-1m", 1_000_000, 384, 100_000, (), None),
)
GROWTH = tuple(Row(f"growth-{n}", n, 384, n // 100, (), None) for n in (10_000, 31_623, 100_000, 316_228, 1_000_000))


@dataclass(frozen=True)
class Measured:
    """What one contender took and found."""

    contender: str
    seconds: float
    extra_mb: float
    peak_mb: float
    value: float
    largest: float
    ids_head: list[int]
    ids_hash: str
    passes: float | None = None


def embeddings(row: Row, seed: int, n: int | None = None) -> Vectors:
    """Return n unit vectors; with ``copies`` half of them repeat others. A mean of 1 gives a mean cosine of 0.4.

    apricot refuses negative similarities; a mean of 2 leaves none.
    """
    n, d = n or row.n, row.d
    rng = np.random.default_rng(seed)
    distinct = n - n // 2 if row.copies else n
    places = rng.permutation(n)
    mean = rng.standard_normal(d)
    mean *= row.mean / np.linalg.norm(mean)
    centres = 0.6 * rng.standard_normal((max(8, int(np.sqrt(n) / 2)), d)) / np.sqrt(d)
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


def ours(X: Vectors, k: int) -> tuple[Ids, float | None]:
    """Run the certified exact greedy."""
    from ray_subsel import select

    found = select(X, k, lam=LAM)
    return found.indices, found.stats["passes"]


def torch_matrix(X: Vectors, k: int) -> tuple[Ids, float | None]:
    """Run the paper's algorithm: the similarity matrix, then a column a pick."""
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
    return picks.numpy(), None


def numpy_passes(X: Vectors, k: int) -> tuple[Ids, float | None]:
    """Run the matrix-free greedy with one product of X with a vector a pick, in numpy."""
    total, chosen = X.sum(axis=0, dtype=np.float64), np.zeros(X.shape[1])
    gone = np.zeros(len(X), dtype=np.float32)
    picks = np.empty(k, dtype=np.int64)
    for turn in range(k):
        gains = X @ (total - (2 + LAM) * chosen).astype(np.float32)
        gains += gone
        best = int(gains.argmax())
        picks[turn] = best
        gone[best] = -np.inf
        chosen += X[best]
    return picks, None


def torch_passes(X: Vectors, k: int) -> tuple[Ids, float | None]:
    """Run the same in torch."""
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
    return picks, None


def apricot(optimizer: str) -> Callable[[Vectors, int], tuple[Ids, float | None]]:
    """Return apricot's graph cut by one of its optimizers, on the cosine matrix in float64, which it asks for."""

    def run(X: Vectors, k: int) -> tuple[Ids, float | None]:
        from apricot import GraphCutSelection

        W = X.astype(np.float64) @ X.T.astype(np.float64)
        # alpha = 1 / (1 + lam / 2) ranks as our lam does
        selector = GraphCutSelection(k, metric="precomputed", alpha=1 / (1 + LAM / 2), optimizer=optimizer)
        return np.asarray(selector.fit(W).ranking, dtype=np.int64), None

    return run


CONTENDERS: dict[str, Callable[[Vectors, int], tuple[Ids, float | None]]] = {
    "ray_subsel": ours,
    "torch-matrix": torch_matrix,
    "numpy-passes": numpy_passes,
    "torch-passes": torch_passes,
    "apricot-naive": apricot("naive"),
    "apricot-lazy": apricot("lazy"),
    "apricot-two-stage": apricot("two-stage"),
}


def measure(row: Row, contender: str, seed: int, repeats: int) -> Measured:
    """Run one contender in this process: once small to load libraries, then in earnest."""
    CONTENDERS[contender](embeddings(row, seed, n=500), 50)
    X = embeddings(row, seed)
    seconds = np.inf
    before = _memory_mb("VmRSS")
    _reset_peak()
    for turn in range(repeats):
        started = time.perf_counter()
        ids, passes = CONTENDERS[contender](X, row.k)
        took = time.perf_counter() - started
        seconds = min(seconds, took)
        if turn == 0 and took > 20:
            break
    peak = _memory_mb("VmHWM")
    values = path_values(X, ids)
    return Measured(
        contender,
        seconds,
        peak - before,
        peak,
        float(values[-1]),
        float(values.max()),
        ids[:5].tolist(),
        f"{hash(ids.tobytes()):x}",
        passes,
    )


def path_values(X: Vectors, ids: Ids) -> NDArray[np.float64]:
    """Return f after each pick, in float64."""
    total, chosen = X.sum(axis=0, dtype=np.float64), np.zeros(X.shape[1])
    values = np.empty(len(ids))
    for turn, i in enumerate(ids):
        chosen += X[i]
        values[turn] = total @ chosen - (1 + LAM / 2) * (chosen @ chosen) + LAM / 2 * (turn + 1)
    return values


def _memory_mb(field: str) -> float:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # not Linux: the peak of the whole process, embeddings' making included
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit if field == "VmHWM" else 0.0
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(field))


def _reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def in_fresh_process(row: Row, contender: str, seed: int, repeats: int) -> Measured | None:
    """Run :func:`measure` in a process of its own; None where a library is missing or the run fails, which is said."""
    order = json.dumps({"row": asdict(row), "contender": contender, "seed": seed, "repeats": repeats})
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, __file__, "--one", order], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        print(f"  {row.name}: {contender} did not run: {last[0]}", file=sys.stderr)
        return None
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def compare(row: Row, seed: int, repeats: int) -> dict[str, object]:
    """Return the report of one row."""
    results = [in_fresh_process(row, name, seed, repeats) for name in ("ray_subsel", *row.rivals)]
    found = [result for result in results if result is not None]
    if not found or found[0].contender != "ray_subsel":
        raise SystemExit(f"{row.name}: ray_subsel did not run")
    mine, rivals = found[0], found[1:]
    report: dict[str, object] = {**asdict(row), "results": [asdict(result) for result in found]}
    if rivals:
        best = min(rivals, key=lambda result: result.seconds)
        report["best_rival"] = best.contender
        report["speedup"] = best.seconds / mine.seconds
        report["value_difference"] = max(abs(r.value - mine.value) for r in rivals) / max(mine.largest, 1.0)
        report["same_ids"] = {rival.contender: rival.ids_hash == mine.ids_hash for rival in rivals}
    report["x_mb"] = row.n * row.d * 4 / 2**20
    return report


def show(report: dict[str, object]) -> None:
    """Print a row of the table."""
    results = report["results"]
    assert isinstance(results, list)
    for result in results:
        mine = result["contender"] == "ray_subsel"
        notes = []
        if mine and "speedup" in report:
            reached = "reached" if report["speedup"] >= (report["target"] or 0) else "MISSED"  # type: ignore[operator]
            notes.append(f"{report['speedup']:.1f}x ({report['target']}x: {reached})")
            notes.append(f"f differs by {report['value_difference']:.1e}")
        if mine and result["passes"] is not None:
            notes.append(f"{1000 * result['passes'] / report['k']:.1f} passes per 1,000 picks")  # type: ignore[operator]
        if not mine:
            notes.append("same ids" if report["same_ids"][result["contender"]] else "other ids")  # type: ignore[index]
        print(
            f"{report['name']:<16} {result['contender']:<18} {result['seconds']:9.3f} s  +{result['extra_mb']:8.0f} MB"
            f"  {', '.join(notes)}",
            flush=True,
        )


def growth(seed: int, repeats: int, scale: int) -> dict[str, object]:
    """Measure n = 10^4 ... 10^6 at k = 1 % and fit the exponent of the time."""
    rows = [replace(row, n=row.n // scale, k=row.k // scale) for row in GROWTH]
    reports = []
    for row in rows:
        reports.append(compare(row, seed, repeats))
        show(reports[-1])
    seconds = [report["results"][0]["seconds"] for report in reports]  # type: ignore[index]
    exponent = float(np.polyfit(np.log([row.n for row in rows]), np.log(seconds), 1)[0])
    print(f"growth: seconds ~ n^{exponent:.2f} at k = n / 100")
    return {"name": "growth", "exponent": exponent, "rows": reports}


def facility_location(quick: bool) -> dict[str, object] | None:
    """Run the benchmark of facility location, which stands by itself."""
    script = Path(__file__).with_name("benchmark_facility_location.py")
    sizes = ["--n", "2000", "--k", "50"] if quick else ["--n", "20000", "--k", "500"]
    done = subprocess.run(
        [sys.executable, str(script), *sizes, "--d", "128"], capture_output=True, text=True, check=False
    )
    print(done.stdout.rstrip() if done.returncode == 0 else f"{FACILITY}: did not run: {done.stderr.strip()[-300:]}")
    return {"name": FACILITY, "output": done.stdout} if done.returncode == 0 else None


def main() -> None:
    """Run the rows that are asked for."""
    names = [row.name for row in ROWS] + [FACILITY, "growth"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=names, default=names, metavar="ROW", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="a tenth of every n and k")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest counts; one where it takes above 20 s")
    parser.add_argument("--json", type=Path, help="write the results here too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        order = json.loads(options.one)
        row = Row(**{**order["row"], "rivals": tuple(order["row"]["rivals"])})
        print(json.dumps(asdict(measure(row, order["contender"], order["seed"], order["repeats"]))))
        return
    scale = 10 if options.quick else 1
    reports: list[dict[str, object]] = []
    for row in ROWS:
        if row.name in options.rows:
            reports.append(compare(replace(row, n=row.n // scale, k=row.k // scale), options.seed, options.repeats))
            show(reports[-1])
    if FACILITY in options.rows and (facility := facility_location(options.quick)) is not None:
        reports.append(facility)
    if "growth" in options.rows:
        reports.append(growth(options.seed, options.repeats, scale))
    if options.json:
        options.json.write_text(json.dumps({"threads": os.cpu_count(), "rows": reports}, indent=2) + "\n")


if __name__ == "__main__":
    main()
