"""Select in each of many groups of very different sizes, as ``subsel select --per`` does, and tell the time it takes.

    python jobs/benchmark_per_group.py --out bench/per                      # 1 million rows, 10,000 users, d = 64
    python jobs/benchmark_per_group.py --rows 20000 --groups 200 --out bench/small

The vectors of a user are noisy copies of a few topics, and each row is of one of two classes, which a direction of the
user's own tells apart. Sizes lie between 10 and 10,000, the r-th largest in proportion to 1 / r^1.1.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ray_subsel import cli
from ray_subsel.planning.policy import DEFAULT_POLICY

SMALLEST, LARGEST, POWER = 10, 10_000, 1.1
HERE = {"in_process_bytes": 1 << 50, "in_process_numbers": 1 << 50}
TOPICS = 12
TEST_ROWS = 20
"""Of each user, beside the rows that are chosen from."""
ROWS_A_FILE = 100_000


def sizes_of(rows: int, groups: int) -> NDArray[np.int64]:
    """Return the sizes of the groups, between the smallest and the largest, which sum to ``rows``."""
    shape = 1.0 / np.arange(1, groups + 1) ** POWER
    low, high = 0.0, rows / shape.min()
    for _ in range(100):
        scale = (low + high) / 2
        if np.clip(shape * scale, SMALLEST, LARGEST).sum() < rows:
            low = scale
        else:
            high = scale
    sizes = np.clip(shape * high, SMALLEST, LARGEST).astype(np.int64)
    free = np.flatnonzero(sizes < LARGEST)  # what rounding lost goes to the largest of these
    sizes[free[: max(0, rows - int(sizes.sum()))]] += 1
    return sizes


def write_users(folder: Path, test: Path, rows: int, groups: int, d: int, seed: int) -> None:
    """Write Parquet files with ``vector``, ``user`` and ``label``, the rows of all users mixed, and some to test on."""
    rng = np.random.default_rng(seed)
    sizes = sizes_of(rows, groups)
    user = rng.permutation(np.repeat(np.arange(groups), sizes))
    own = rng.normal(size=(groups, d)).astype(np.float32)
    topics = rng.normal(size=(TOPICS, d)).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, user.size, ROWS_A_FILE)):
        mine = user[start : start + ROWS_A_FILE]
        pq.write_table(rows_of(mine, own, topics, rng), folder / f"rows-{number:03d}.parquet")
    tested = np.repeat(np.arange(groups), TEST_ROWS)
    pq.write_table(rows_of(tested, own, topics, np.random.default_rng([seed, 1])), test)


def rows_of(
    user: NDArray[np.int64], own: NDArray[np.float32], topics: NDArray[np.float32], rng: np.random.Generator
) -> pa.Table:
    """Return a row of each of these users: of one of four topics, on one side of what tells the user's classes."""
    d = own.shape[1]
    topic = (user * 7 + rng.integers(4, size=user.size)) % TOPICS
    side = rng.integers(2, size=user.size)
    X = topics[topic] + (2.0 * side[:, None] - 1.0).astype(np.float32) * 0.5 * own[user]
    X = X + rng.normal(size=X.shape, scale=0.8).astype(np.float32)
    return pa.table(
        {
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(X.astype(np.float32).reshape(-1)), d),
            "user": pa.array([f"user-{one}" for one in user]),
            "label": pa.array([f"class-{one}" for one in side]),
        }
    )


def main() -> int:
    """Write the rows unless they are there, select, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--groups", type=int, default=10_000)
    parser.add_argument("--d", type=int, default=64)
    parser.add_argument("--fraction", type=float, default=0.1)
    parser.add_argument("--objective", default="facility_location")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--here", action="store_true", help="work in this process, on one CPU and without Ray")
    parser.add_argument("--out", required=True, help="folder of the rows and of the run")
    given = parser.parse_args()
    out = Path(given.out)
    data = out / f"users-{given.rows}-{given.groups}-{given.d}-{given.seed}"
    test = data.with_name(f"{data.name}-test.parquet")
    if not test.exists():
        write_users(data, test, given.rows, given.groups, given.d, given.seed)
    run = out / f"run-{data.name}-{given.objective}-{given.fraction:g}"
    began, used = time.perf_counter(), time.process_time()
    command = ["select", str(data), "--vectors", "vector", "--per", "user"]
    command += ["--label", "label", "--quota", "none", "--fraction", f"{given.fraction:g}"]
    policy = dataclasses.replace(DEFAULT_POLICY, **(HERE if given.here else {}))
    status = cli.main([*command, "--objective", given.objective, "--out", str(run)], policy=policy)
    if status:
        return status
    report = json.loads((run / "report.json").read_text())
    sizes = sizes_of(given.rows, given.groups)
    figures = {
        "rows": given.rows, "groups": given.groups, "d": given.d, "fraction": given.fraction,
        "objective": given.objective, "smallest": int(sizes.min()), "largest": int(sizes.max()),
        "chosen": report["selection"]["k"], "packs": report["selection"]["partitions"],
        "seconds": time.perf_counter() - began, "seconds_of_stages": report["seconds"],
        "cpu_seconds": None if not given.here else time.process_time() - used, "peak_bytes": report["peak_bytes"],
    }  # fmt: skip
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
