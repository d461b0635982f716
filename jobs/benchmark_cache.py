"""Measure what kept embeddings cost beside embedding: seconds to hash, keep and find 100,000 vectors.

python jobs/benchmark_cache.py [--n 100000] [--d 384]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ray_subsel.core.hashing import text_key
from ray_subsel.embedders.remembered import Remembering
from ray_subsel.storage.vector_files import VectorFiles


class Ready:
    """Hands out vectors that were made before the clock began."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors
        self.dimension = int(vectors.shape[1])

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return as many vectors as there are texts."""
        return self.vectors[: len(texts)]


def main() -> None:
    """Print seconds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--d", type=int, default=384)
    given = parser.parse_args()
    texts = [
        f"sentence {i} about a subject, some hundred characters long as such texts are, number {i}"
        for i in range(given.n)
    ]
    vectors = np.random.default_rng(0).standard_normal((given.n, given.d)).astype(np.float32)
    ready = Ready(vectors)

    def seconds(name: str, work: Callable[[], object]) -> None:
        began = time.process_time(), time.perf_counter()
        work()
        print(f"{name:28} {time.process_time() - began[0]:6.2f} CPU s  {time.perf_counter() - began[1]:6.2f} s")

    with tempfile.TemporaryDirectory() as folder:

        def remembering() -> Remembering:
            return Remembering(lambda: ready, given.d, VectorFiles(Path(folder), "m", 1 << 40, print))

        seconds("hash the texts", lambda: [text_key(text) for text in texts])
        seconds("first question: keep all", lambda: remembering().embed(texts))
        seconds("second question: find all", lambda: remembering().embed(texts))
        some = texts[:: max(1, given.n // 1000)]
        seconds(f"of {len(some):,} texts: find all", lambda: remembering().embed(some))


if __name__ == "__main__":
    main()
