"""Embed each text once and keep its vector."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from ray_subsel.core.errors import InputError
from ray_subsel.core.hashing import KEY_BYTES, text_key
from ray_subsel.embedders.base import EmbedsTexts, Float32s
from ray_subsel.storage.run_directory import RunDir


class Memory:
    """An embedder that remembers; equal texts get equal vectors.

    Parameters
    ----------
    embedder : EmbedsTexts

    Notes
    -----
    Memory: d floats a distinct text since :meth:`forget`. A network's vector of a text moves by some 1e-7 with the
    texts that are embedded beside it, so figures made from these vectors may differ in their last digits where
    an experiment was interrupted.
    """

    def __init__(self, embedder: EmbedsTexts) -> None:
        self._embedder = embedder
        self._rows: dict[bytes, Float32s] = {}

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self._embedder.dimension

    def embed(self, texts: Sequence[str]) -> Float32s:
        """Return the unit vectors of the texts, float32 of shape (len(texts), d)."""
        keys = [text_key(text) for text in texts]
        unknown = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._rows}
        if unknown:
            self._rows.update(zip(unknown, self._embedder.embed(list(unknown.values())), strict=True))
        return np.array([self._rows[key] for key in keys], dtype=np.float32).reshape(len(keys), self.dimension)

    def known(self) -> frozenset[bytes]:
        """Return the keys of all texts it knows."""
        return frozenset(self._rows)

    def forget(self, all_but: frozenset[bytes]) -> None:
        """Forget other texts than these."""
        self._rows = {key: row for key, row in self._rows.items() if key in all_but}

    def save(self, run: RunDir, name: str) -> None:
        """Write all it knows as one NumPy archive (no pickle)."""
        stream = io.BytesIO()
        rows = np.array(list(self._rows.values()), dtype=np.float32).reshape(-1, self.dimension)
        np.savez(stream, keys=np.frombuffer(b"".join(self._rows), dtype=np.uint8), rows=rows)
        run.write_bytes(name, stream.getvalue())

    def load(self, run: RunDir, name: str) -> None:
        """Read what :meth:`save` wrote."""
        try:
            with np.load(io.BytesIO(run.read_bytes(name)), allow_pickle=False) as archive:
                keys, rows = archive["keys"].tobytes(), archive["rows"]
        except Exception as error:  # a damaged archive fails in zipfile, zlib or numpy
            raise InputError(f"{run.path(name)} must be a whole archive ({error}). Delete it and run again.") from error
        cut = [keys[i : i + KEY_BYTES] for i in range(0, len(keys), KEY_BYTES)]
        if len(cut) != len(rows) or rows.shape[1:] != (self.dimension,):
            raise InputError(f"{run.path(name)} must hold a vector a text. Delete it and run again.")
        self._rows.update(zip(cut, rows, strict=True))
