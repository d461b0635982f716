"""Texts to vectors in one call."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from ray_subsel.api.kinds import rows_of
from ray_subsel.api.texts import distinct_texts
from ray_subsel.config import CacheConfig, EmbedConfig
from ray_subsel.core.errors import Verbatim, invalid, unknown
from ray_subsel.core.types import Float32s
from ray_subsel.embedders import Embedder, EmbedsTexts, TextList
from ray_subsel.embedders.registry import require
from ray_subsel.planning.embedding_plan import threads_here
from ray_subsel.runtime.kept_vectors import open_kept
from ray_subsel.runtime.progress import bar

AT_ONCE = 8192
"""Texts between two steps of a bar: an encoder sorts as many by length at a time, so that no bit depends on it."""

SETTINGS = tuple(
    field.name for field in dataclasses.fields(EmbedConfig) if field.name not in ("embedder", "vectors_dtype")
)
"""What can be said of an embedder beside its name."""


def embed(
    texts: Any,
    embedder: str | EmbedsTexts = "minilm",
    *,
    cache: bool | str = True,
    progress: bool = False,
    **settings: Any,
) -> Float32s:
    """Turn texts into unit vectors, row i for text i. Equal texts are embedded once.

    Parameters
    ----------
    texts : list of str, or another sequence, array or series of them
    embedder : str or object, default="minilm"
        ``minilm``, ``bert`` (any encoder: give ``model``), ``tfidf``, ``doc2vec``, ``MODULE:CLASS``; or an object with
        a method ``embed(texts)`` that returns an array of shape (len(texts), d).
    cache : bool or str, default=True
        Look up what an encoder has embedded before, and keep what is new: in the folder of the command line's
        ``--cache``, in another one, or (False) not at all.
    progress : bool, default=False
        Show a bar on standard error.
    **settings
        Fields of :class:`ray_subsel.config.EmbedConfig`: ``model``, ``max_length``, ``batch_size``,
        ``embed_precision``, ``vector_size``, ``doc2vec_epochs``, ``seed``.

    Returns
    -------
    float32 array of shape (n, d)
        Rows of norm 1, so that a dot product is a cosine.

    Raises
    ------
    InputError
        For a text that is empty or no str, an unknown embedder or setting, a package that is missing.

    Notes
    -----
    ``tfidf`` and ``doc2vec`` are fitted to these texts: vectors of two calls cannot be compared. An encoder uses one
    thread a CPU, or a GPU where there is one.

    Examples
    --------
    >>> X = embed(["a red bird", "a blue bird", "the train is late"], "tfidf", vector_size=64)
    >>> X.shape, bool(X[0] @ X[1] > X[0] @ X[2])
    ((3, 64), True)
    """
    rows = rows_of(texts)
    if len(rows.names) > 1:
        raise invalid("texts", "be a sequence of texts", Verbatim(f"{len(rows.names)} columns"), "Pass one column.")
    found = distinct_texts(rows, None)
    missing = np.flatnonzero(found.item_of < 0)
    if missing.size:
        raise invalid("texts", "not be empty", Verbatim(f"row {missing[0]} without a text"), "Drop it.")
    return vectors_of(found.texts, embedder, cache=cache, progress=progress, **settings)[found.item_of]


def vectors_of(
    texts: Sequence[str],
    embedder: str | EmbedsTexts,
    *,
    ground: Sequence[str] | None = None,
    cache: bool | str = True,
    progress: bool = False,
    **settings: Any,
) -> Float32s:
    """Return the vectors of distinct texts, float32 of shape (len(texts), d), made in this process.

    An embedder that learns from a corpus learns from ``ground``, by default the texts.
    """
    opened = _opened(texts if ground is None else ground, embedder, cache_config(cache), settings)
    with ExitStack() as stack:
        shown = stack.enter_context(bar("embed", len(texts), "text")) if progress else None
        parts = []
        for start in range(0, len(texts), AT_ONCE):
            some = texts[start : start + AT_ONCE]
            parts.append(_checked(opened.embed(some), len(some)))
            if shown is not None:
                shown.advance(len(some))
    return np.concatenate(parts)


def cache_config(cache: bool | str) -> CacheConfig:
    """Return where embeddings are kept, as a call in Python says it."""
    if isinstance(cache, bool):
        return CacheConfig(no_cache=not cache)
    return CacheConfig(cache=str(cache))


def embed_config(embedder: str, settings: dict[str, Any]) -> EmbedConfig:
    """Return the configuration of an embedder by name; raises InputError for a setting that there is not."""
    for name in settings:
        if name not in SETTINGS:
            raise unknown("setting", name, SETTINGS)
    return EmbedConfig(embedder=embedder, **settings)


def _opened(
    ground: Sequence[str], embedder: str | EmbedsTexts, cache: CacheConfig, settings: dict[str, Any]
) -> EmbedsTexts:
    if not isinstance(embedder, str):
        if not callable(getattr(embedder, "embed", None)) or isinstance(embedder, type):
            raise invalid("embedder", "be a name or an object with embed(texts)", Verbatim(type(embedder).__name__))
        if settings:
            way = "They belong to the object itself."
            raise invalid("settings", "be left out with an embedder of your own", Verbatim(", ".join(settings)), way)
        return embedder
    config = embed_config(embedder, settings)
    kind = config.embedder_class
    require(kind)

    def opens() -> Embedder:
        state = kind.fit(TextList(ground), config) if kind.state_file else None
        gpu = kind.gpus_here() > 0
        return kind.open(config, state, device="cuda" if gpu else "cpu", threads=1 if gpu else threads_here(kind))

    return open_kept(cache, config, opens)


def _checked(vectors: Any, n: int) -> Float32s:
    array = np.asarray(vectors, dtype=np.float32)
    if array.ndim != 2 or len(array) != n or not array.shape[1]:
        raise invalid("embedder", f"return an array of shape ({n}, d)", Verbatim(f"shape {array.shape}"))
    return array
