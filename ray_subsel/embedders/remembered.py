"""Embed each text once: look its vector up, and keep those that are made.

Vectors are kept by the text's hash and by what decides them (:func:`kept_name`), for embedders whose vector of a text
does not depend on a corpus (:attr:`Embedder.kept_by`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from ray_subsel.core.hashing import fingerprint, text_key
from ray_subsel.core.types import Float32s, Mask
from ray_subsel.embedders.base import Embedder, EmbedSettings, EmbedsTexts


class Vectors(Protocol):
    """Where vectors are looked up by :func:`ray_subsel.core.hashing.text_key`, and kept."""

    def find(self, keys: Sequence[bytes]) -> tuple[Mask, Float32s]:
        """Return which keys have a vector, and the vectors of those, in the order of the keys."""

    def add(self, keys: Sequence[bytes], vectors: Float32s) -> None:
        """Keep vectors by key."""


class Remembering:
    """An embedder that embeds no text twice; equal texts get equal vectors.

    Parameters
    ----------
    opens : callable
        Opens the embedder, when the first text comes that is not known: a model is loaded only if it is needed.
    dimension : int
    vectors : Vectors

    Attributes
    ----------
    looked_up : int
        How many distinct texts of each call were known before it, all calls together.

    Notes
    -----
    A network's vector of a text moves by some 1e-7 with the texts that are embedded beside it, so vectors that were
    kept may differ from new ones in their last digits. Those of one corpus, asked again, are the same to the bit.
    """

    def __init__(self, opens: Callable[[], EmbedsTexts], dimension: int, vectors: Vectors) -> None:
        self._opens = opens
        self._opened: EmbedsTexts | None = None
        self._vectors = vectors
        self._dimension = dimension
        self.looked_up = 0

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self._dimension

    def embed(self, texts: Sequence[str]) -> Float32s:
        """Return the unit vectors of the texts, float32 of shape (len(texts), d)."""
        keys = [text_key(text) for text in texts]
        place = {key: at for at, key in enumerate(dict.fromkeys(keys))}
        distinct = list(place)
        found, known = self._vectors.find(distinct)
        if len(known) and known.shape[1] != self._dimension:
            found[:] = False
        self.looked_up += int(found.sum())
        rows = np.empty((len(distinct), self._dimension), dtype=np.float32)
        if found.any():
            rows[found] = known
        if not found.all():
            text_of = dict(zip(keys, texts, strict=True))
            unknown = [key for key, here in zip(distinct, found.tolist(), strict=True) if not here]
            if self._opened is None:
                self._opened = self._opens()
            new = self._opened.embed([text_of[key] for key in unknown])
            self._vectors.add(unknown, new)
            rows[~found] = new
        return rows[[place[key] for key in keys]]


def kept_name(kind: type[Embedder], settings: EmbedSettings) -> str | None:
    """Return the name under which an embedder's vectors are kept, or None where they depend on a corpus.

    It has the embedder's name, for people, and a hash of all that decides a vector. The device is not part of it: what
    a GPU has embedded serves on a CPU.
    """
    if kind.kept_by is None:
        return None
    decides = {name: getattr(settings, name) for name in kind.kept_by}
    found = fingerprint({"identity": kind.identity(settings), "settings": decides})
    shown = "".join(c if c.isalnum() or c in "-_." else "-" for c in kind.name)[:40]
    return f"{shown}-{found}"
