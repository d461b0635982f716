"""Say how a text becomes a vector."""

from __future__ import annotations

from dataclasses import dataclass

from ray_subsel.config.options import check_choices, check_positive, option
from ray_subsel.core.types import VECTOR_DTYPES
from ray_subsel.embedders import EMBEDDERS, Embedder, find_embedder
from ray_subsel.embedders.encoder import PRECISIONS
from ray_subsel.embedders.registry import catalogue, users


@dataclass(frozen=True)
class EmbedConfig:
    """How a text becomes a vector."""

    embedder: str = option("minilm", f"what makes a vector of a text; {catalogue()}", known=tuple(EMBEDDERS))
    model: str = option(
        "bert-base-uncased", "hub name or local folder of the encoder for --embedder bert", metavar="MODEL"
    )
    batch_size: int = option(64, "texts a forward pass")
    max_length: int = option(256, "tokens after which a text is cut")
    embed_precision: str = option(
        "float32",
        "arithmetic of an encoder: int8 for CPUs, bfloat16 for GPUs and CPUs that multiply in it; vectors change",
        choices=PRECISIONS,
        later=True,
    )
    vectors_dtype: str = option(
        "float32",
        "numbers of the vectors on disk, ready ones too: float16 takes half the space; vectors are rounded",
        choices=VECTOR_DTYPES,
        later=True,
    )
    vector_size: int = option(100, f"dimension of {users('vector_size')} vectors")
    doc2vec_epochs: int = option(20, "passes over the corpus when doc2vec is trained")
    seed: int = option(0, f"seed of {users('seed')}")

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "batch_size", "max_length", "vector_size", "doc2vec_epochs")
        find_embedder(self.embedder)

    @property
    def embedder_class(self) -> type[Embedder]:
        """The class that ``embedder`` names."""
        return find_embedder(self.embedder)
