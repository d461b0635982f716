"""Embed each text once and keep its vector."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ray_subsel.core.errors import InputError
from ray_subsel.core.hashing import KEY_BYTES
from ray_subsel.core.types import Float32s, Mask
from ray_subsel.embedders import EmbedsTexts
from ray_subsel.embedders.remembered import Remembering
from ray_subsel.storage.run_directory import RunDir


@dataclass(frozen=True)
class _Sealed:
    """What stands for an embedder when all texts are known."""

    dimension: int

    def embed(self, texts: Sequence[str]) -> Float32s:
        raise KeyError(f"{len(texts)} texts are not known")


def _same(embedder: EmbedsTexts) -> EmbedsTexts:
    return embedder


class _Known:
    """Vectors by key, in memory."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.rows: dict[bytes, Float32s] = {}

    def find(self, keys: Sequence[bytes]) -> tuple[Mask, Float32s]:
        found = np.array([key in self.rows for key in keys], dtype=np.bool_)
        rows = [self.rows[key] for key in keys if key in self.rows]
        return found, np.array(rows, dtype=np.float32).reshape(-1, self.dimension)

    def add(self, keys: Sequence[bytes], vectors: Float32s) -> None:
        self.rows.update(zip(keys, vectors, strict=True))


class Memory(Remembering):
    """An embedder that remembers in memory, and can be saved.

    Parameters
    ----------
    embedder : EmbedsTexts

    Notes
    -----
    Memory: d floats a distinct text since :meth:`forget`. Figures made from these vectors may differ in their last
    digits where an experiment was interrupted.
    """

    def __init__(self, embedder: EmbedsTexts) -> None:
        self._known = _Known(embedder.dimension)
        super().__init__(partial(_same, embedder), embedder.dimension, self._known)

    def known(self) -> frozenset[bytes]:
        """Return the keys of all texts it knows."""
        return frozenset(self._known.rows)

    def forget(self, all_but: frozenset[bytes]) -> None:
        """Forget other texts than these."""
        self._known.rows = {key: row for key, row in self._known.rows.items() if key in all_but}

    def sealed(self) -> Memory:
        """Return a memory of what it knows, without the embedder: small to send, and asked for nothing else."""
        alone = Memory(_Sealed(self.dimension))
        alone._known.rows = self._known.rows
        return alone

    def save(self, run: RunDir, name: str) -> None:
        """Write all it knows as one NumPy archive (no pickle)."""
        stream = io.BytesIO()
        rows = np.array(list(self._known.rows.values()), dtype=np.float32).reshape(-1, self.dimension)
        np.savez(stream, keys=np.frombuffer(b"".join(self._known.rows), dtype=np.uint8), rows=rows)
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
        self._known.rows.update(zip(cut, rows, strict=True))
