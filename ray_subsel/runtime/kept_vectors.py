"""Open an embedder that looks texts up among the embeddings that are kept, as a configuration says where."""

from __future__ import annotations

from collections.abc import Callable

from ray_subsel.config import CacheConfig, EmbedConfig
from ray_subsel.embedders import Embedder, EmbedsTexts
from ray_subsel.embedders.remembered import Remembering, kept_name
from ray_subsel.runtime.progress import log_line
from ray_subsel.storage.vector_files import VectorFiles, bytes_each


def kept_vectors(cache: CacheConfig, embed: EmbedConfig) -> VectorFiles | None:
    """Return the vectors that are kept of an embedder; None where none are, of it or at all."""
    folder = cache.folder
    name = None if folder is None else kept_name(embed.embedder_class, embed)
    return None if folder is None or name is None else VectorFiles(folder, name, cache.limit, log_line)


def beyond_limit(cache: CacheConfig, rows: int, d: int) -> int:
    """Return the bytes of a corpus' vectors where they alone exceed what may be kept, so that none are; else 0."""
    needed = rows * bytes_each(d)
    return needed if needed > cache.limit else 0


def open_kept(cache: CacheConfig, embed: EmbedConfig, opens: Callable[[], Embedder]) -> EmbedsTexts:
    """Return what embeds the texts that are not kept yet, and keeps them; or the embedder itself.

    Parameters
    ----------
    cache : CacheConfig
        Of this process: on another machine the folder is that machine's.
    embed : EmbedConfig
    opens : callable
        Opens the embedder, where a text is not known.
    """
    vectors = kept_vectors(cache, embed)
    return opens() if vectors is None else Remembering(opens, embed.embedder_class.dimension_of(embed), vectors)
