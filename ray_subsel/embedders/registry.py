"""List the embedders by name, and find those from outside the package.

A new one is its own file and a line here. One of another package is named as ``MODULE:CLASS``, or registered as an
entry point of the group ``ray_subsel.embedders``.
"""

from __future__ import annotations

from typing import Any

from ray_subsel.core.errors import InputError
from ray_subsel.core.extras import need
from ray_subsel.core.plugins import find_class
from ray_subsel.embedders.base import Embedder, EmbedSettings
from ray_subsel.embedders.doc2vec import Doc2VecEmbedder
from ray_subsel.embedders.encoder import BertEmbedder, MinilmEmbedder
from ray_subsel.embedders.tfidf import TfidfEmbedder

EMBEDDERS: dict[str, type[Embedder]] = {
    embedder.name: embedder for embedder in (MinilmEmbedder, BertEmbedder, Doc2VecEmbedder, TfidfEmbedder)
}
GROUP = "ray_subsel.embedders"


def find_embedder(name: str) -> type[Embedder]:
    """Return the class of the embedder that a name stands for: one of the table, ``MODULE:CLASS``, an entry point.

    Raises
    ------
    InputError
        When there is none, or it cannot be imported or used.
    """
    if name == "precomputed":  # what reports say of ready vectors
        raise InputError("embedder must be left out for ready vectors; got 'precomputed'. Use --vectors COLUMN.")
    return find_class("embedder", name, EMBEDDERS, GROUP, Embedder)


def require(kind: type[Embedder]) -> None:
    """Raise InputError, naming the extra, where what an embedder needs is not installed; before any work."""
    need(f"embed with {kind.name}", *kind.libraries)


def model_name(settings: EmbedSettings) -> str | None:
    """Return the hub name or folder of the encoder that settings ask for, or None where no encoder is involved."""
    return find_embedder(settings.embedder).encoder(settings)


def build_embedder(settings: EmbedSettings, *, device: str = "cpu", state: Any = None, threads: int = 1) -> Embedder:
    """Return the embedder that settings name, ready to embed.

    Raises
    ------
    InputError
        When the model cannot be had, or ``state`` is not what its ``fit`` returned.
    """
    kind = find_embedder(settings.embedder)
    require(kind)
    return kind.open(settings, state, device=device, threads=threads)


def catalogue() -> str:
    """Return the names of the package's embedders, each with a few words, for a sentence."""
    return ", ".join(f"{name} ({one.help})" if one.help else name for name, one in EMBEDDERS.items())


def users(setting: str) -> str:
    """Return the names of the package's embedders that read a setting, for a sentence."""
    return " and ".join(name for name, one in EMBEDDERS.items() if setting in one.uses)
