"""Facility location side by side with apricot's lazy greedy, in one run on one machine.

    python jobs/benchmark_facility_location.py --n 20000 --d 128 --k 500

apricot (``pip install apricot-select``) is given the matrix of cosines, cut off at zero as ours is; computing that
matrix is part of its time. Each side runs in a process of its own, so that peak memory is its own too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.objectives import FacilityLocation
from ray_subsel.optimizers import LazyGreedy, Problem


def embeddings(n: int, d: int, seed: int = 0) -> NDArray[np.float32]:
    """Return n unit vectors with a common mean direction and 200 clusters, shape (n, d)."""
    rng = np.random.default_rng(seed)
    mean, centres = rng.standard_normal(d), rng.standard_normal((200, d))
    X = 0.7 * mean + 0.6 * centres[rng.integers(200, size=n)] + rng.standard_normal((n, d))
    return np.asarray(X / np.linalg.norm(X, axis=1, keepdims=True), dtype=np.float32)


def ours(X: NDArray[np.float32], k: int) -> tuple[list[int], float]:
    """Return ids and seconds of this package."""
    started = time.perf_counter()
    picks = LazyGreedy().maximize(Problem(X, FacilityLocation(), k))
    return picks.indices.tolist(), time.perf_counter() - started


def apricot(X: NDArray[np.float32], k: int) -> tuple[list[int], float]:
    """Return ids and seconds of apricot, compilation left out."""
    from apricot import FacilityLocationSelection  # type: ignore[import-untyped,import-not-found,unused-ignore]

    def run(X: NDArray[np.float32], k: int) -> list[int]:
        wide = X.astype(np.float64)
        similarities = wide @ wide.T
        np.maximum(similarities, 0.0, out=similarities)
        fitted = FacilityLocationSelection(k, metric="precomputed", optimizer="lazy").fit(similarities)
        return [int(i) for i in fitted.ranking]

    run(X[:50], 5)
    started = time.perf_counter()
    ids = run(X, k)
    return ids, time.perf_counter() - started


SIDES = {"ray_subsel": ours, "apricot": apricot}


def run_side(side: str, n: int, d: int, k: int) -> dict[str, Any]:
    """Run one side in this process and return its row."""
    X = embeddings(n, d)
    before = _peak_mb()
    ids, seconds = SIDES[side](X, k)
    value = FacilityLocation().evaluate(X, np.array(ids))
    return {"side": side, "seconds": seconds, "extra_mb": _peak_mb() - before, "value": value, "ids": ids}


def benchmark_row(n: int = 20_000, d: int = 128, k: int = 500) -> dict[str, Any]:
    """Run both sides, each in a fresh process, and return one row of a table."""
    sides = {side: _in_process(side, n, d, k) for side in SIDES}
    mine, other = sides["ray_subsel"], sides["apricot"]
    return {
        "work": f"facility location n={n:,} d={d} k={k:,}",
        "against": "apricot lazy, matrix included",
        "seconds": mine["seconds"],
        "against_seconds": other["seconds"],
        "speedup": other["seconds"] / mine["seconds"],
        "extra_mb": mine["extra_mb"],
        "against_extra_mb": other["extra_mb"],
        "value": mine["value"],
        "relative_value_difference": abs(mine["value"] - other["value"]) / other["value"],
        "same_ids": mine["ids"] == other["ids"],
    }


def _in_process(side: str, n: int, d: int, k: int) -> dict[str, Any]:
    command = [sys.executable, os.path.abspath(__file__), f"--n={n}", f"--d={d}", f"--k={k}", f"--side={side}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the row as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20_000, help="items")
    parser.add_argument("--d", type=int, default=128, help="dimensions")
    parser.add_argument("--k", type=int, default=500, help="subset size")
    parser.add_argument("--side", choices=SIDES, help="run this side only, in this process")
    options = parser.parse_args()
    if options.side:
        print(json.dumps(run_side(options.side, options.n, options.d, options.k)))
    else:
        print(json.dumps(benchmark_row(options.n, options.d, options.k), indent=2))


if __name__ == "__main__":
    main()
