"""Two toy tasks that a network of random weights learns in seconds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

ANIMALS, FOODS, FILLERS = (
    ["dog", "cat", "bird", "fish"],
    ["milk", "tea", "cake", "bread"],
    ["the", "a", "was", "and", "old", "new"],
)


def _words(rng: np.random.Generator, pool: list[str]) -> str:
    return " ".join([*rng.choice(FILLERS, rng.integers(1, 4)), *rng.choice(pool, 2)])


def _labelled(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 2, n)
    texts = [_words(rng, FOODS if kind else ANIMALS) for kind in kinds]
    return pa.table({"text": texts, "label": ["food" if kind else "animal" for kind in kinds]})


def _stories(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    right = rng.integers(1, 3, n)
    good, bad = [[_words(rng, pool) for _ in range(n)] for pool in (FOODS, ANIMALS)]
    return pa.table(
        {
            "context": [_words(rng, FILLERS) for _ in range(n)],
            "ending1": [g if r == 1 else b for g, b, r in zip(good, bad, right, strict=True)],
            "ending2": [b if r == 1 else g for g, b, r in zip(good, bad, right, strict=True)],
            "label": [str(r) for r in right],
        }
    )


@pytest.fixture(scope="session")
def labelled() -> tuple[pa.Table, pa.Table]:
    return _labelled(96, 0), _labelled(60, 1)


@pytest.fixture(scope="session")
def stories() -> tuple[pa.Table, pa.Table]:
    return _stories(96, 0), _stories(60, 1)
