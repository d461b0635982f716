"""Time, memory and recall of the collapse of near copies, in memory, on vectors half of which are noisy copies.

    python jobs/benchmark_near.py                       # 40,000 and 200,000 x 384, some minutes on two quiet cores
    python jobs/benchmark_near.py --rows 1000000        # as large as memory allows
    python jobs/benchmark_near.py --rows 40000 --clusters   # clusters also where all pairs would be compared

Vectors are those of :mod:`ray_subsel.synthetic.vectors`: a common direction, topics, and noise. A copy has a cosine of
about 0.91 to its original and 0.83 to another copy of it, so at the threshold of 0.85 which copies join depends on
which are kept. Seconds are of the CPU, memory the peak of the process beyond the vectors.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np
from numpy.typing import NDArray

from ray_subsel.dedup.in_memory import collapse_near
from ray_subsel.dedup.settings import NearSettings
from ray_subsel.synthetic.vectors import n_topics, near_vectors, original_vectors

STRENGTH = 0.45


def main() -> None:
    """Print a line of figures for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[40_000, 200_000])
    parser.add_argument("--d", type=int, default=384)
    parser.add_argument("--near", type=float, default=0.85)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clusters", action="store_true", help="do not compare all pairs, however few the rows")
    given = parser.parse_args()
    for n in given.rows:
        X, origins = corpus(n, given.d, given.seed)
        exact = {"exact_items": 0} if given.clusters else {}
        before, began, wall = _peak_mb(), time.process_time(), time.perf_counter()
        groups = collapse_near(X, NearSettings(given.near, given.seed, **exact))
        found = {
            "n": n,
            "d": given.d,
            "near": given.near,
            "cpu_s": round(time.process_time() - began, 1),
            "wall_s": round(time.perf_counter() - wall, 1),
            "extra_mb": round(_peak_mb() - before),
            "origins": origins,
            "kept": int(groups.leaders.size),
            "recall": None if groups.recall is None else round(groups.recall.share, 5),
            "missed": None if groups.recall is None else groups.recall.missed,
            "recall_of": None if groups.recall is None else groups.recall.to_find,
        }
        print(json.dumps(found), flush=True)


def corpus(n: int, d: int, seed: int) -> tuple[NDArray[np.float32], int]:
    """Return n vectors in random order, half of them noisy copies of the rest, and how many originals there are."""
    originals = n - n // 2
    rng = np.random.default_rng(seed)
    place = rng.permutation(n)
    X = np.empty((n, d), dtype=np.float32)
    X[place[:originals]] = original_vectors(np.arange(originals), d, seed, n_topics(originals))[0]
    sources = rng.integers(originals, size=n // 2)
    step = 1 << 16
    for start in range(0, n // 2, step):
        rows = np.arange(originals + start, originals + min(start + step, n // 2))
        X[place[rows]] = near_vectors(X[place[sources[rows - originals]]], rows, seed, STRENGTH)
    return X, originals


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
