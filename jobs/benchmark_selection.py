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
apricot's graph cut asks for), one-hot (one feature each: all gains tie), minilm (all-MiniLM-L6-v2 on generated stories,
embedded once and kept in --cache).

The other packages (pip install apricot-select submodlib-py, in an environment of their own) are run by --peers PYTHON.
What cannot run is in the table with the reason. apricot compiles its loops anew for each selection, some 1 to 3 s at
any size: where that matters, the seconds that it takes for 500 rows stand beside it.
"""

from __future__ import annotations

import argparse
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
from benchmark_contenders import choose, matrix_bytes, value
from benchmark_rows import MINILM_D, ONE_HOT, OURS, PLAIN, SHAPES, Row, Vectors, vectors
from benchmark_table import HEAD, SMALL, exponents, show, summary

OBJECTIVES = ("graph_cut", "facility_location", "saturated_coverage", "feature_based", "log_determinant")
SIZES = {5_000: (128, 500), 20_000: (384, 1_000), 50_000: (64, 5_000), 100_000: (384, 5_000)}
"""d and k of the sizes, where nothing else is asked for."""
TURN_SECONDS = 20.0
"""A contender whose first turn takes longer has no other."""
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


def grid(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of the grid, the small ones first."""
    for n in options.n or [5_000]:
        usual = SIZES.get(n, (384, max(1, n // 20)))
        for data in options.data:
            d = MINILM_D if data == "minilm" else options.d or usual[0]
            for objective in options.objectives:
                for threads in options.threads:
                    yield Row(objective, data, n, d, options.k or usual[1], tuple(options.contenders), threads)


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
    kinds = [*SHAPES, ONE_HOT, "minilm"]
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
