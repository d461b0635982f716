"""Texts to unit vectors, a file an embedder; :mod:`ray_subsel.embedders.registry` lists them by name."""

from __future__ import annotations

from ray_subsel.embedders.base import Embedder, EmbedSettings, EmbedsTexts, FitTexts, TextList, unit_rows
from ray_subsel.embedders.doc2vec import Doc2VecEmbedder, Doc2VecState, load_doc2vec, save_doc2vec, train_doc2vec
from ray_subsel.embedders.encoder import BertEmbedder, MinilmEmbedder
from ray_subsel.embedders.model_files import model_fingerprint, resolve_model
from ray_subsel.embedders.precomputed import normalise_halves, normalise_vectors
from ray_subsel.embedders.registry import EMBEDDERS, build_embedder, find_embedder, model_name
from ray_subsel.embedders.tfidf import (
    TfidfEmbedder,
    TfidfState,
    document_frequencies,
    fit_tfidf,
    load_tfidf,
    save_tfidf,
)

__all__ = [
    "EMBEDDERS",
    "BertEmbedder",
    "Doc2VecEmbedder",
    "Doc2VecState",
    "EmbedSettings",
    "Embedder",
    "EmbedsTexts",
    "FitTexts",
    "MinilmEmbedder",
    "TextList",
    "TfidfEmbedder",
    "TfidfState",
    "build_embedder",
    "document_frequencies",
    "find_embedder",
    "fit_tfidf",
    "load_doc2vec",
    "load_tfidf",
    "model_fingerprint",
    "model_name",
    "normalise_halves",
    "normalise_vectors",
    "resolve_model",
    "save_doc2vec",
    "save_tfidf",
    "train_doc2vec",
    "unit_rows",
]
