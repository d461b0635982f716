"""Lay unit vectors out in the plane, so that what is near stays near: for the eye, not for arithmetic.

Up to 200 vectors by their two principal components. More: t-SNE (van der Maaten and Hinton 2008) of at most 500 of
them, the landmarks, on 50 principal components; every other one goes to the mean of its five nearest landmarks,
weighted by exp(cosine / 0.05). Same vectors, same places.
"""

from __future__ import annotations

import warnings

import numpy as np

from ray_subsel.core.hashing import mix
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows

PLAIN = 200
LANDMARKS = 500
_COMPONENTS = 50
_STEPS = 350
_NEIGHBOURS = 5
_WARMTH = 0.05
_STREAM = 0x3A95  # another stream of hashes than those of partitions and samples


def project(rows: UnitRows, ids: Indices) -> Float64s:
    """Return a place in [0, 1] x [0, 1] for each row, shape (n, 2).

    Parameters
    ----------
    rows : UnitRows
        At most some ten thousand.
    ids : int64 array of shape (n,)
        Decide which are landmarks, by a hash.
    """
    vectors = rows.slice(0, rows.n)
    components = _principal(vectors, _COMPONENTS)
    if rows.n <= PLAIN:
        return _scaled(components[:, :2])
    if rows.n <= LANDMARKS:
        return _scaled(_tsne(components))
    landmarks = np.sort(np.argsort(mix(ids, _STREAM), kind="stable")[:LANDMARKS])
    places = np.empty((rows.n, 2))
    places[landmarks] = _tsne(components[landmarks])
    others = np.setdiff1d(np.arange(rows.n), landmarks)
    for start in range(0, others.size, 4096):
        some = others[start : start + 4096]
        cosines = vectors[some] @ vectors[landmarks].T
        near = np.argpartition(-cosines, _NEIGHBOURS - 1, axis=1)[:, :_NEIGHBOURS]
        weights = np.exp((np.take_along_axis(cosines, near, axis=1) - 1.0) / _WARMTH)
        weights /= weights.sum(axis=1, keepdims=True)
        places[some] = (weights[:, :, None] * places[landmarks][near]).sum(axis=1)
    return _scaled(places)


def _principal(vectors: Float64s, most: int) -> Float64s:
    """Return the coordinates along the axes of largest variance, two at least, the sign of each axis fixed."""
    centred = vectors - vectors.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, np.argsort(-values, kind="stable")][:, :most]
    largest = axes[np.argmax(np.abs(axes), axis=0), np.arange(axes.shape[1])]
    found = centred @ (axes * np.sign(largest))
    return found if found.shape[1] >= 2 else np.column_stack((found, np.zeros(len(found))))


def _tsne(components: Float64s) -> Float64s:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30.0, (len(components) - 1) / 3.0)
    start = components[:, :2] / max(1e-12, float(components[:, 0].std())) * 1e-4
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TSNE(
            2, perplexity=perplexity, init=start, learning_rate="auto", random_state=0, max_iter=_STEPS, n_jobs=1
        )
        return np.asarray(model.fit_transform(components), dtype=np.float64)


def _scaled(places: Float64s) -> Float64s:
    """Return places moved and scaled into the unit square, a few far ones onto its border, both axes alike."""
    low, high = np.quantile(places, 0.002, axis=0), np.quantile(places, 0.998, axis=0)
    width = float((high - low).max())
    if width <= 0:
        return np.full_like(places, 0.5)
    return np.asarray(np.clip(0.5 + 0.96 * (places - (low + high) / 2) / width, 0.0, 1.0))
