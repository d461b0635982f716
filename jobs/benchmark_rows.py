"""The rows of the selection benchmark, and the vectors that all contenders of a row are given."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

OURS, PLAIN = "ray_subsel", "plain"
Vectors = NDArray[np.float32]
MINILM_D = 384
STORIES_AT_ONCE = 5_000
ONE_HOT = "one-hot"


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


def one_hot(row: Row, seed: int) -> Vectors:
    """Return rows of one feature each, in no order: each of d features as often as any other, or once more."""
    feature = np.random.default_rng(seed).permutation(row.n) % row.d
    X = np.zeros((row.n, row.d), dtype=np.float32)
    X[np.arange(row.n), feature] = 1.0
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
    if row.data == ONE_HOT:
        X = one_hot(row, seed)
    else:
        X = story_vectors(row.n, cache) if row.data == "minilm" else synthetic(row, seed)
    return np.maximum(X, 0) if row.objective == "feature_based" else X
