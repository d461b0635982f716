"""From texts to unit vectors."""

from __future__ import annotations

from ray_subsel.config import EmbedConfig
from ray_subsel.core.errors import invalid
from ray_subsel.embedders.base import Embedder, unit_rows
from ray_subsel.embedders.doc2vec import Doc2VecEmbedder, Doc2VecState, load_doc2vec, save_doc2vec, train_doc2vec
from ray_subsel.embedders.encoder import BertEmbedder
from ray_subsel.embedders.model_files import model_fingerprint, resolve_model
from ray_subsel.embedders.precomputed import normalise_vectors
from ray_subsel.embedders.tfidf import (
    TfidfEmbedder,
    TfidfState,
    document_frequencies,
    fit_tfidf,
    load_tfidf,
    save_tfidf,
)

__all__ = [
    "BertEmbedder",
    "Doc2VecEmbedder",
    "Doc2VecState",
    "Embedder",
    "TfidfEmbedder",
    "TfidfState",
    "build_embedder",
    "document_frequencies",
    "fit_tfidf",
    "load_doc2vec",
    "load_tfidf",
    "model_fingerprint",
    "model_name",
    "normalise_vectors",
    "resolve_model",
    "save_doc2vec",
    "save_tfidf",
    "train_doc2vec",
    "unit_rows",
]


def model_name(config: EmbedConfig) -> str | None:
    """Return the name of the encoder that a configuration asks for, or None where no encoder is involved."""
    return {"minilm": "minilm", "bert": config.model}.get(config.embedder)


def build_embedder(
    config: EmbedConfig, *, device: str = "cpu", state: Doc2VecState | TfidfState | None = None, threads: int = 1
) -> Embedder:
    """Return the embedder that a configuration names.

    Parameters
    ----------
    config : EmbedConfig
        ``precomputed`` has no texts to embed and is refused: see :func:`normalise_vectors`.
    device : str
        ``cpu`` or ``cuda``; encoders only.
    state : Doc2VecState or TfidfState, optional
        What :func:`train_doc2vec` or :func:`fit_tfidf` returned; doc2vec and tfidf need it, the others refuse it.
    threads : int
        CPU threads of an encoder.

    Raises
    ------
    InputError
        When the model cannot be had, or ``state`` does not fit the name.
    """
    name = model_name(config)
    kinds: dict[str, type] = {"doc2vec": Doc2VecState, "tfidf": TfidfState}
    if type(state) is not kinds.get(config.embedder, type(None)):
        raise invalid(
            "state",
            "be given for doc2vec and tfidf, each its own, and for nothing else",
            f"{type(state).__name__} for {config.embedder}",
        )
    if name is not None:
        return BertEmbedder(
            name, batch_size=config.batch_size, max_length=config.max_length, device=device, threads=threads
        )
    if isinstance(state, Doc2VecState):
        return Doc2VecEmbedder(state)
    if state is not None:
        return TfidfEmbedder(state)
    raise invalid("embedder", "turn texts into vectors", config.embedder, "Ready vectors go through normalise_vectors.")
