"""What vectors in half precision cost on a CPU: products of blocks and of vectors in each type, and selections.

    OMP_NUM_THREADS=1 python jobs/half_precision.py

CPU seconds are the least of --rounds. The error is the largest of a product of two unit vectors, against float64. A way
whose library is not there is left out, with a line.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ray_subsel import select
from ray_subsel.core.unit_rows import block_rows, unit_rows
from ray_subsel.synthetic.vectors import n_topics, original_vectors

COLUMNS = 256


def main() -> None:
    """Print a line for each way to multiply, and for each objective."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--d", type=int, default=384)
    parser.add_argument("--k", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    X = original_vectors(np.arange(given.rows), given.d, 0, n_topics(given.rows))[0].astype(np.float32)
    few = X[: min(given.rows, 4 * COLUMNS)]
    exact = unit_rows(few).slice(0, len(few))
    truth = exact @ exact[:COLUMNS].T
    print(f"{'product':<34}{'ms':>9}{'times float32':>15}{'error':>11}")
    usual = None
    for name, multiply in ways(few).items():
        found, seconds = multiply().astype(np.float64), least(multiply, given.rounds)
        usual = usual or seconds
        print(
            f"{name:<34}{1e3 * seconds:>9.2f}{seconds / usual:>15.2f}{np.abs(found - truth).max():>11.1e}", flush=True
        )
    half = X.astype(np.float16)
    print(f"{'selection':<34}{'float32 s':>11}{'float16 s':>11}")
    for objective in ("graph_cut", "facility_location", "log_determinant"):
        taken = [least(lambda Y=Y, f=objective: select(Y, given.k, objective=f), given.rounds) for Y in (X, half)]  # type: ignore[misc]
        print(f"{objective:<34}{taken[0]:>11.3f}{taken[1]:>11.3f}", flush=True)


def ways(X: np.ndarray[Any, np.dtype[np.float32]]) -> dict[str, Callable[[], Any]]:
    """Return the ways to multiply rows with some of them."""
    P, half = np.ascontiguousarray(X[:COLUMNS].T), X.astype(np.float16)
    step = block_rows(X.shape[1])

    def widened() -> Any:
        blocks = [half[at : at + step].astype(np.float32) @ P for at in range(0, len(half), step)]
        return np.concatenate(blocks)

    found: dict[str, Callable[[], Any]] = {
        "numpy, float32": lambda: X @ P,
        "numpy, float16 widened by blocks": widened,
        "numpy, float16": lambda: half @ half[:COLUMNS].T,
    }
    if importlib.util.find_spec("torch") is None:
        print("torch is not installed: no bfloat16")
        return found
    import torch

    brain = torch.from_numpy(X).bfloat16()
    found["torch, bfloat16"] = lambda: (brain @ brain[:COLUMNS].T).float().numpy()
    found["torch, bfloat16 widened"] = lambda: (brain.float() @ torch.from_numpy(P)).numpy()
    return found


def least(call: Callable[[], Any], rounds: int) -> float:
    """Return the least CPU seconds of some calls."""
    seconds = []
    for _ in range(rounds):
        began = time.process_time()
        call()
        seconds.append(time.process_time() - began)
    return min(seconds)


if __name__ == "__main__":
    main()
