"""Embed with Doc2Vec (PV-DM, gensim): trained once on the corpus, then inferred text by text.

gensim's own inference seeds a text's starting vector with Python's ``hash``, which differs from process to process, and
draws from one generator across texts, so that a vector depends on the texts before it. Here both are seeded with a
hash of the text, so that a vector depends on (text, state) alone, in any order, process or shard.

Source: Le, Mikolov, "Distributed representations of sentences and documents", ICML 2014.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.texts import folded
from ray_subsel.embedders.base import Embedder, EmbedSettings, FitTexts, Float32s, unit_rows

if TYPE_CHECKING:
    from ray_subsel.storage.run_directory import RunDir

TOKEN = re.compile(r"\w+|[^\w\s]")
MIN_COUNT = 2
WINDOW = 5
NEGATIVE = 5
MAX_TOKENS = 10_000
"""gensim's limit of words a text."""


@dataclass(frozen=True)
class Doc2VecState:
    """What inference needs of a trained model: plain arrays and words, d = ``vector_size``, v words.

    Attributes
    ----------
    words : tuple of str, length v
        By falling count.
    counts : int64 array of shape (v,)
    word_vectors, output_weights : float32 arrays of shape (v, d)
    epochs : int
        Passes over the text when a vector is inferred.
    seed : int
    """

    words: tuple[str, ...]
    counts: NDArray[np.int64]
    word_vectors: Float32s
    output_weights: Float32s
    epochs: int
    seed: int

    @property
    def dimension(self) -> int:
        """d, ``vector_size`` of the training."""
        return int(self.word_vectors.shape[1])


def tokenize(text: str) -> list[str]:
    """Return the lower-cased words and punctuation marks of a text, at most :data:`MAX_TOKENS`."""
    return TOKEN.findall(folded(text).lower())[:MAX_TOKENS]


class _Documents:
    """Tagged token lists of the texts, as often as gensim asks for them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = texts

    def __iter__(self) -> Iterator[Any]:
        from gensim.models.doc2vec import TaggedDocument

        for tag, text in enumerate(self.texts):
            yield TaggedDocument(tokenize(text), [tag])


def _stable_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "little")


def _empty_model(vector_size: int, epochs: int, seed: int, min_count: int) -> Any:
    from gensim.models import Doc2Vec

    return Doc2Vec(
        dm=1,
        vector_size=vector_size,
        window=WINDOW,
        negative=NEGATIVE,
        min_count=min_count,
        epochs=epochs,
        seed=seed,
        workers=1,  # the only number with which training is repeatable
        hashfxn=_stable_hash,
    )


def train_doc2vec(texts: Iterable[str], settings: EmbedSettings) -> Doc2VecState:
    """Train PV-DM with negative sampling on the texts, one thread, seeded.

    Parameters
    ----------
    texts : iterable of str
        Read ``doc2vec_epochs + 1`` times, so it must start over with each ``iter()``: a list, or an object that reads
        files; a generator is refused.
    settings : EmbedSettings
        ``vector_size``, ``doc2vec_epochs`` and ``seed`` are used.

    Returns
    -------
    Doc2VecState

    Raises
    ------
    InputError
        When the texts can be read only once, or no word occurs twice.

    Notes
    -----
    Memory: n d floats for the n training texts while it trains, and 2 v d for the v words that occur twice.
    """
    if iter(texts) is iter(texts):
        raise invalid("texts", "be readable several times", type(texts).__name__, "Pass a list.")
    model = _empty_model(settings.vector_size, settings.doc2vec_epochs, settings.seed, MIN_COUNT)
    documents = _Documents(texts)
    try:
        model.build_vocab(documents)
        if len(model.wv) == 0:
            raise InputError(
                f"doc2vec must find words that occur {MIN_COUNT} times or more; the corpus has none. "
                "Use --embedder minilm or bert."
            )
        model.train(documents, total_examples=model.corpus_count, epochs=model.epochs)
    except RuntimeError as error:
        raise InputError(f"doc2vec must be trainable on the corpus; gensim says: {error}") from error
    words = tuple(model.wv.index_to_key)
    counts = np.array([model.wv.get_vecattr(word, "count") for word in words], dtype=np.int64)
    return Doc2VecState(
        words, counts, np.array(model.wv.vectors), np.array(model.syn1neg), settings.doc2vec_epochs, settings.seed
    )


def save_doc2vec(run: RunDir, name: str, state: Doc2VecState) -> None:
    """Write a state as one NumPy archive of plain arrays (no pickle) under ``name``."""
    stream = io.BytesIO()
    np.savez(
        stream,
        words=np.frombuffer("\n".join(state.words).encode("utf-8", "surrogatepass"), dtype=np.uint8),
        counts=state.counts,
        word_vectors=state.word_vectors,
        output_weights=state.output_weights,
        settings=np.array([state.epochs, state.seed], dtype=np.int64),
    )
    run.write_bytes(name, stream.getvalue())


def load_doc2vec(run: RunDir, name: str) -> Doc2VecState:
    """Read what :func:`save_doc2vec` wrote.

    Raises
    ------
    InputError
        When the file is not such an archive, or a damaged one.
    """
    try:
        with np.load(io.BytesIO(run.read_bytes(name)), allow_pickle=False) as archive:
            words = archive["words"].tobytes().decode("utf-8", "surrogatepass").split("\n")
            epochs, seed = (int(value) for value in archive["settings"])
            state = Doc2VecState(
                tuple(words), archive["counts"], archive["word_vectors"], archive["output_weights"], epochs, seed
            )
    except Exception as error:  # a damaged archive fails in zipfile, zlib, numpy or unicode
        path = run.path(name)
        raise InputError(
            f"{path} must be a saved doc2vec state; it could not be read ({error}). Delete it and run again."
        ) from error
    if not len(state.words) == len(state.counts) == len(state.word_vectors) == len(state.output_weights):
        raise InputError(f"{run.path(name)} must hold as many words as vectors. Delete it and run again.")
    return state


class Doc2VecEmbedder(Embedder):
    """Infers vectors with a trained state.

    A text without a single known word keeps its pseudo-random starting direction, a hash of the text: it is like
    nothing else, which is what the model knows of it.

    Parameters
    ----------
    state : Doc2VecState
    """

    name: ClassVar[str] = "doc2vec"
    uses: ClassVar[tuple[str, ...]] = ("vector_size", "doc2vec_epochs", "seed")
    state_file: ClassVar[str] = "doc2vec/state.npz"
    version: ClassVar[int] = 2  # since texts are folded
    libraries: ClassVar[tuple[str, ...]] = ("gensim",)

    def __init__(self, state: Doc2VecState) -> None:
        model = _empty_model(state.dimension, state.epochs, state.seed, min_count=1)
        model.build_vocab_from_freq(dict(zip(state.words, (int(count) for count in state.counts), strict=True)))
        # gensim orders words of equal count as it likes, so rows are moved to where it put their words.
        place = {word: row for row, word in enumerate(state.words)}
        rows = np.array([place[word] for word in model.wv.index_to_key], dtype=np.int64)
        model.wv.vectors = np.ascontiguousarray(state.word_vectors[rows])
        model.syn1neg = np.ascontiguousarray(state.output_weights[rows])
        self._model = model
        self._state = state

    @property
    def dimension(self) -> int:
        """d, ``vector_size`` of the training."""
        return self._state.dimension

    def embed(self, texts: Sequence[str]) -> Float32s:
        """Return the unit vectors of the texts, float32 of shape (len(texts), d)."""
        rows = [self._infer(text) for text in texts]
        return unit_rows(np.array(rows, dtype=np.float32).reshape(len(rows), self.dimension), "text")

    def _infer(self, text: str) -> Float32s:
        # gensim's infer_vector with two changes: the starting vector and the generator come from the text's hash.
        from gensim.matutils import zeros_aligned
        from gensim.models.doc2vec import train_document_dm

        model, d, words = self._model, self.dimension, tokenize(text)
        keyed = hashlib.blake2b("\n".join(words).encode("utf-8", "surrogatepass"), digest_size=8)
        keyed.update(str(self._state.seed).encode())
        seed = int.from_bytes(keyed.digest(), "little")
        vector = ((np.random.Generator(np.random.PCG64(seed)).random(d) - 0.5) / d).astype(np.float32).reshape(1, d)
        model.random = np.random.RandomState(seed % 2**32)
        work, neu1 = np.zeros(d, dtype=np.float32), zeros_aligned(d, dtype=np.float32)
        alpha = model.alpha
        step = (model.alpha - model.min_alpha) / max(self._state.epochs - 1, 1)
        for _ in range(self._state.epochs):
            train_document_dm(
                model,
                words,
                [0],
                alpha,
                work,
                neu1,
                learn_words=False,
                learn_hidden=False,
                doctag_vectors=vector,
                doctags_lockf=np.ones(1, dtype=np.float32),
            )
            alpha -= step
        inferred: Float32s = vector[0]
        return inferred

    @classmethod
    def open(cls, settings: EmbedSettings, state: Any = None, *, device: str = "cpu", threads: int = 1) -> Embedder:
        """Return an embedder of a trained state."""
        del settings, device, threads
        if not isinstance(state, Doc2VecState):
            raise invalid("state", "be what train_doc2vec returned, for doc2vec", type(state).__name__)
        return cls(state)

    @classmethod
    def dimension_of(cls, settings: EmbedSettings) -> int:
        """Return ``vector_size``."""
        return settings.vector_size

    @classmethod
    def seconds(cls, settings: EmbedSettings, texts: int) -> float:
        """Return what was measured of inference; training is the driver's in any case."""
        return 1e-4 * settings.doc2vec_epochs * texts

    @classmethod
    def fit(cls, texts: FitTexts, settings: EmbedSettings) -> Doc2VecState:
        """Train on the texts."""
        return train_doc2vec(texts, settings)

    @classmethod
    def save_state(cls, run: RunDir, state: Doc2VecState) -> None:
        """Write a state."""
        save_doc2vec(run, cls.state_file, state)

    @classmethod
    def load_state(cls, run: RunDir) -> Doc2VecState:
        """Read a state."""
        return load_doc2vec(run, cls.state_file)
