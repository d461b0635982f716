"""Define what every embedder offers: texts go in, unit vectors come out, row i for text i.

An embedder's answer for a text depends on the text and on the embedder only: not on the process, nor on the texts that
come with it (up to the rounding of float32 for networks, where one list of texts always gives the same bits).

What the rest of the package asks about a kind of embedder, it asks its class: dimension, identity, memory, how it is
fitted to a corpus and opened. So a new embedder is a file and a line in the registry.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.plugins import is_own, source_fingerprint

if TYPE_CHECKING:
    from ray_subsel.storage.run_directory import RunDir

Float32s = NDArray[np.float32]
R = TypeVar("R")


class EmbedSettings(Protocol):
    """The settings of all embedders; each reads those that it lists in :attr:`Embedder.uses`."""

    @property
    def embedder(self) -> str:
        """Name of the embedder."""

    @property
    def model(self) -> str:
        """Hub name or folder of an encoder."""

    @property
    def batch_size(self) -> int:
        """Texts a forward pass."""

    @property
    def max_length(self) -> int:
        """Tokens after which a text is cut."""

    @property
    def embed_precision(self) -> str:
        """Arithmetic of an encoder."""

    @property
    def vector_size(self) -> int:
        """Dimension, where it can be chosen."""

    @property
    def doc2vec_epochs(self) -> int:
        """Passes over the corpus when Doc2Vec is trained."""

    @property
    def seed(self) -> int:
        """Of what is drawn."""


class FitTexts(Protocol):
    """The texts to which an embedder is fitted, which need not fit into memory."""

    def __iter__(self) -> Iterator[str]:
        """Yield all texts, in the same order each time."""

    def map_parts(self, function: Callable[[Sequence[str]], R]) -> Iterable[R]:
        """Yield ``function(texts)`` for each part of the texts, in any order; parts may be read in parallel."""


@dataclass(frozen=True)
class TextList:
    """Texts in memory, in one part."""

    texts: Sequence[str]

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def map_parts(self, function: Callable[[Sequence[str]], R]) -> Iterable[R]:
        """Return the function of all texts."""
        return [function(self.texts)]


class EmbedsTexts(Protocol):
    """Anything that turns texts into unit vectors: an embedder, or one that remembers what it has embedded."""

    @property
    def dimension(self) -> int:
        """d, the length of each vector."""

    def embed(self, texts: Sequence[str]) -> Float32s:
        """Return the L2-normalised vectors of the texts, float32 of shape (len(texts), d), in their order."""


class Embedder(abc.ABC):
    """Turns texts into unit vectors. An instance is opened in each process that embeds; the class speaks for it before.

    A subclass outside the package needs :attr:`name`, :attr:`dimension` and :meth:`embed`, and an ``__init__`` without
    parameters or its own :meth:`open`.
    """

    name: ClassVar[str]
    help: ClassVar[str] = ""
    """A few words for the command line."""
    uses: ClassVar[tuple[str, ...]] = ()
    """The settings that it reads."""
    state_file: ClassVar[str] = ""
    """Where a run keeps what :meth:`fit` returned, ``embedder/...`` outside the package; empty: nothing is fitted."""
    near: ClassVar[float | None] = None
    """The cosine from which two texts are near copies in its vectors; None: it is not known."""
    version: ClassVar[int] = 1
    """Raised where a text has another vector than before under the same settings: part of :meth:`identity`."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """What must be installed, by import name: keys of :data:`ray_subsel.core.extras.EXTRA_OF`."""
    kept_by: ClassVar[tuple[str, ...] | None] = None
    """The settings that, with :meth:`identity`, decide the vector of a text, wherever it is embedded: vectors are then
    kept from one run to the next. None: they depend on a corpus, or cost too little to be kept."""
    start_seconds: ClassVar[float] = 0.5
    """What opening it takes, about: libraries that are imported, a model that is read."""
    threaded: ClassVar[bool] = False
    """Whether it makes use of several CPU threads in one process."""

    @property
    @abc.abstractmethod
    def dimension(self) -> int:
        """d, the length of each vector."""

    @abc.abstractmethod
    def embed(self, texts: Sequence[str]) -> Float32s:
        """Return the L2-normalised vectors of the texts, float32 of shape (len(texts), d), in their order."""

    @classmethod
    def open(cls, settings: EmbedSettings, state: Any = None, *, device: str = "cpu", threads: int = 1) -> Embedder:
        """Return an embedder, ready to embed.

        Parameters
        ----------
        settings : EmbedSettings
        state : object, optional
            What :meth:`fit` returned, where it is defined.
        device : str
            ``cpu`` or ``cuda``; encoders only.
        threads : int
            CPU threads of an encoder.
        """
        del settings, state, device, threads
        return cls()

    @classmethod
    def dimension_of(cls, settings: EmbedSettings) -> int:
        """Return the dimension before anything is embedded. The default opens the embedder; there may be less to do."""
        return cls.open(settings).dimension

    @classmethod
    def identity(cls, settings: EmbedSettings) -> str:
        """Return what tells it from others that give other vectors, beside its settings.

        By default its name and :attr:`version`; outside the package, a hash of the file that defines it too, so that a
        change is noticed.
        """
        del settings
        return cls.of_version(cls.name if is_own(cls) else source_fingerprint(cls))

    @classmethod
    def of_version(cls, identity: str) -> str:
        """Return an identity with :attr:`version`, which goes without saying where it is 1."""
        return identity if cls.version == 1 else f"{identity}-{cls.version}"

    @classmethod
    def encoder(cls, settings: EmbedSettings) -> str | None:
        """Return the hub name or folder of the encoder behind it, which can be fine-tuned; None: there is none."""
        del settings
        return None

    @classmethod
    def memory_bytes(cls, settings: EmbedSettings) -> float:
        """Return about what it takes in a process that embeds."""
        del settings
        return 0.0

    @classmethod
    def seconds(cls, settings: EmbedSettings, texts: int) -> float:
        """Return about how long one CPU takes for some short texts, its fitting included."""
        del settings
        return 0.01 * texts

    @classmethod
    def gpus_here(cls) -> int:
        """Return how many GPUs of this machine it could use."""
        return 0

    @classmethod
    def fit(cls, texts: FitTexts, settings: EmbedSettings) -> Any:
        """Return the state with which it is opened, learnt from the texts of the ground set."""
        raise NotImplementedError(f"{cls.__name__} has a state_file without fit")

    @classmethod
    def save_state(cls, run: RunDir, state: Any) -> None:
        """Write a state under :attr:`state_file`."""
        raise NotImplementedError(f"{cls.__name__} has a state_file without save_state")

    @classmethod
    def load_state(cls, run: RunDir) -> Any:
        """Read what :meth:`save_state` wrote."""
        raise NotImplementedError(f"{cls.__name__} has a state_file without load_state")


def unit_rows(vectors: NDArray[np.floating], what: str = "vector") -> Float32s:
    """Return the rows divided by their Euclidean norms (taken in float64) as a new float32 array.

    Parameters
    ----------
    vectors : array of shape (n, d)
    what : str
        What a row is called in errors.

    Raises
    ------
    InputError
        When a row has a zero, NaN or infinite norm; it is named by its position, counted from 0.
    """
    if vectors.ndim != 2:
        raise invalid(f"{what}s", "have a shape (n, d)", vectors.shape)
    wide = vectors.astype(np.float64)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if bad.size:
        position = int(bad[0])
        norm = "only zeros" if norms[position] == 0 else "NaN, infinity or a number too large"
        more = f" ({bad.size} of {len(norms)} rows are like that)" if bad.size > 1 else ""
        raise InputError(
            f"{what} {position} must be finite and not zero; it holds {norm}{more}. "
            "Cosine similarity needs a direction: remove or correct the row."
        )
    rows: Float32s = (wide / norms[:, None]).astype(np.float32)
    return rows
