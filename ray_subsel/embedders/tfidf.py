"""Embed with hashed TF-IDF, projected at random: an embedder of some ten thousand texts a second and core.

1. Words of a text are counted and hashed to one of 2^18 columns (scikit-learn's ``HashingVectorizer``); a word that
   comes c times weighs ``1 + log c``.
2. Each column is multiplied with ``idf = 1 + log((1 + n) / (1 + df))``, n texts and df of them with the word. Document
   frequencies are whole numbers, so they are counted in parallel and added in any order.
3. The 2^18 numbers become ``vector_size`` by a sparse random projection, in which every column has 8 entries of
   +-1/sqrt(8), one in each eighth of the coordinates; a cosine c keeps its value to about ``(1 - c^2) / sqrt(d)``.

A vector is a function of the text and the state alone, bit by bit.

Sources: Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009; Kane, Nelson, "Sparser
Johnson-Lindenstrauss transforms", J. ACM 2014.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.hashing import mix, text_key
from ray_subsel.core.texts import folded
from ray_subsel.embedders.base import Embedder, EmbedSettings, FitTexts, Float32s, unit_rows

if TYPE_CHECKING:
    from ray_subsel.storage.run_directory import RunDir

COLUMNS = 1 << 18
ENTRIES = 8
BATCH = 4096
TOKEN = r"(?u)\w+"
LIBRARY_BYTES = 60 << 20
"""scikit-learn, once imported, and a batch of word counts."""


@dataclass(frozen=True, eq=False)
class TfidfState:
    """What embedding needs of a corpus.

    Attributes
    ----------
    frequencies : int64 array of shape (COLUMNS,)
        How many texts have a word of each column.
    texts : int
        Texts that were counted.
    dimension : int
        d, ``vector_size``.
    seed : int
        Of the projection.
    """

    frequencies: NDArray[np.int64]
    texts: int
    dimension: int
    seed: int


def document_frequencies(texts: Iterable[str]) -> tuple[NDArray[np.int64], int]:
    """Count in how many texts each column occurs; counts of parts of a corpus add up to those of the whole.

    Returns
    -------
    frequencies : int64 array of shape (COLUMNS,)
    texts : int
    """
    frequencies, count = np.zeros(COLUMNS, dtype=np.int64), 0
    stream = iter(texts)
    while batch := list(islice(stream, BATCH)):
        frequencies += np.bincount(_word_counts(batch).indices, minlength=COLUMNS)
        count += len(batch)
    return frequencies, count


def fit_tfidf(parts: Iterable[tuple[NDArray[np.int64], int]], *, vector_size: int, seed: int) -> TfidfState:
    """Return the state for a corpus of which :func:`document_frequencies` has counted the parts.

    Raises
    ------
    InputError
        When no text holds a word.
    """
    if vector_size < 1:
        raise invalid("vector_size", "be at least 1", vector_size)
    frequencies, texts = np.zeros(COLUMNS, dtype=np.int64), 0
    for part, count in parts:
        frequencies += part
        texts += count
    if not frequencies.any():
        raise InputError("tfidf must find words; the corpus has none. Use --embedder minilm or bert.")
    return TfidfState(frequencies, texts, vector_size, seed)


def save_tfidf(run: RunDir, name: str, state: TfidfState) -> None:
    """Write a state as one NumPy archive of plain arrays (no pickle) under ``name``."""
    stream = io.BytesIO()
    settings = np.array([state.texts, state.dimension, state.seed], dtype=np.int64)
    np.savez_compressed(stream, frequencies=state.frequencies, settings=settings)
    run.write_bytes(name, stream.getvalue())


def load_tfidf(run: RunDir, name: str) -> TfidfState:
    """Read what :func:`save_tfidf` wrote.

    Raises
    ------
    InputError
        When the file is not such an archive, or a damaged one.
    """
    try:
        with np.load(io.BytesIO(run.read_bytes(name)), allow_pickle=False) as archive:
            texts, dimension, seed = (int(value) for value in archive["settings"])
            state = TfidfState(archive["frequencies"].astype(np.int64), texts, dimension, seed)
    except Exception as error:  # a damaged archive fails in zipfile, zlib or numpy
        raise InputError(
            f"{run.path(name)} must be a saved tfidf state; it could not be read ({error}). Delete it and run again."
        ) from error
    if state.frequencies.shape != (COLUMNS,) or state.dimension < 1:
        raise InputError(f"{run.path(name)} must hold {COLUMNS} frequencies. Delete it and run again.")
    return state


class TfidfEmbedder(Embedder):
    """Embeds with counted document frequencies.

    A text without a word gets a pseudo-random direction, a hash of the text: it is like nothing else.

    Parameters
    ----------
    state : TfidfState
    """

    name: ClassVar[str] = "tfidf"
    help: ClassVar[str] = "fastest"
    near: ClassVar[float | None] = 0.9
    uses: ClassVar[tuple[str, ...]] = ("vector_size", "seed")
    state_file: ClassVar[str] = "tfidf/state.npz"
    version: ClassVar[int] = 2  # since texts are folded
    start_seconds: ClassVar[float] = 1.2

    def __init__(self, state: TfidfState) -> None:
        self._state = state
        idf = 1.0 + np.log((1.0 + state.texts) / (1.0 + state.frequencies))
        self._projection = _projection(state.dimension, state.seed).multiply(idf[:, None]).tocsr()

    @property
    def dimension(self) -> int:
        """d, ``vector_size`` of the fit."""
        return self._state.dimension

    def embed(self, texts: Sequence[str]) -> Float32s:
        """Return the unit vectors of the texts, float32 of shape (len(texts), d)."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), BATCH):
            batch = list(texts[start : start + BATCH])
            counts = _word_counts(batch)
            counts.data = 1.0 + np.log(counts.data)
            block = (counts @ self._projection).toarray()
            # Words of few entries may cancel out: then, too, only the hash is left.
            for at in np.flatnonzero(np.abs(block).max(axis=1) < 1e-9).tolist():
                block[at] = self._direction(batch[at])
            vectors[start : start + len(batch)] = unit_rows(block, "text")
        return vectors

    @classmethod
    def open(cls, settings: EmbedSettings, state: Any = None, *, device: str = "cpu", threads: int = 1) -> Embedder:
        """Return an embedder of counted frequencies."""
        del settings, device, threads
        if not isinstance(state, TfidfState):
            raise invalid("state", "be what fit_tfidf returned, for tfidf", type(state).__name__)
        return cls(state)

    @classmethod
    def dimension_of(cls, settings: EmbedSettings) -> int:
        """Return ``vector_size``."""
        return settings.vector_size

    @classmethod
    def seconds(cls, settings: EmbedSettings, texts: int) -> float:
        """Return what was measured."""
        del settings
        return 3e-5 * texts

    @classmethod
    def memory_bytes(cls, settings: EmbedSettings) -> float:
        """Return what scikit-learn takes."""
        del settings
        return float(LIBRARY_BYTES)

    @classmethod
    def fit(cls, texts: FitTexts, settings: EmbedSettings) -> TfidfState:
        """Count words, part by part."""
        parts = texts.map_parts(document_frequencies)
        return fit_tfidf(parts, vector_size=settings.vector_size, seed=settings.seed)

    @classmethod
    def save_state(cls, run: RunDir, state: TfidfState) -> None:
        """Write a state."""
        save_tfidf(run, cls.state_file, state)

    @classmethod
    def load_state(cls, run: RunDir) -> TfidfState:
        """Read a state."""
        return load_tfidf(run, cls.state_file)

    def _direction(self, text: str) -> NDArray[np.float64]:
        key = int.from_bytes(text_key(folded(text))[:7], "little")
        bits = mix(np.arange(self.dimension, dtype=np.int64) + key, self._state.seed + 1)
        return np.asarray((bits >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0)


def _word_counts(texts: list[str]) -> Any:
    """Return how often each text has a word of each column: a float64 CSR matrix, columns ascending within a row."""
    counts = _vectorizer().transform([folded(text) for text in texts])
    counts.sort_indices()
    return counts


@lru_cache(maxsize=1)
def _vectorizer() -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(n_features=COLUMNS, token_pattern=TOKEN, norm=None, alternate_sign=False, dtype=np.float64)


def _projection(dimension: int, seed: int) -> Any:
    """Return the sparse projection, a CSR matrix of shape (COLUMNS, dimension): hashes, not a generator's stream."""
    from scipy.sparse import csr_matrix

    entries = min(ENTRIES, dimension)
    bits = mix(np.arange(COLUMNS * entries, dtype=np.int64), seed).reshape(COLUMNS, entries)
    edges = np.arange(entries + 1) * dimension // entries
    width = np.diff(edges).astype(np.uint64)
    places = edges[:-1] + ((bits >> np.uint64(1)) % width).astype(np.int64)
    signs = (1.0 - 2.0 * (bits & np.uint64(1)).astype(np.float64)) / np.sqrt(entries)
    starts = np.arange(COLUMNS + 1, dtype=np.int64) * entries
    return csr_matrix((signs.reshape(-1), places.reshape(-1), starts), shape=(COLUMNS, dimension))
