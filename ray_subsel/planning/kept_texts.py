"""Tell what of a corpus is left to embed, before anything is embedded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ray_subsel.config import CacheConfig, EmbedConfig
from ray_subsel.core.hashing import text_key
from ray_subsel.corpus.formats import format_for
from ray_subsel.corpus.ingest_plan import IngestPlan
from ray_subsel.corpus.validate import canonical
from ray_subsel.runtime.kept_vectors import beyond_limit, kept_vectors

READ_BYTES = 16 << 20
"""Of input up to this size all texts are looked up; of more, about as much, from parts that lie evenly apart."""
MOST_PARTS = 64


@dataclass(frozen=True)
class ToEmbed:
    """What there is to embed.

    Attributes
    ----------
    texts : int
        Distinct ones where all were looked up, else rows.
    kept : int
        How many of them earlier runs have embedded.
    exact : bool
        Whether both were counted.
    keeps : bool
        Whether embeddings of this embedder are kept.
    """

    texts: int
    kept: int
    exact: bool
    keeps: bool

    @property
    def left(self) -> int:
        """How many are to be embedded."""
        return self.texts - self.kept

    def line(self) -> str:
        """Return it as a plan is printed."""
        some = "" if self.exact else "some "
        known = f"{some}{self.kept:,} of {self.texts:,} texts are kept from earlier runs, " if self.keeps else ""
        return f"embed     {known}{some}{self.left:,} to embed"


def texts_to_embed(
    found: IngestPlan,
    embed: EmbedConfig,
    cache: CacheConfig,
    *,
    rows: int,
    exact: bool,
    d: int,
    read_bytes: int = READ_BYTES,
) -> ToEmbed:
    """Look the texts of a corpus up among the embeddings that are kept.

    Parameters
    ----------
    found : IngestPlan
        Of a corpus of texts.
    embed : EmbedConfig
    cache : CacheConfig
    rows : int
    exact : bool
        Whether the rows were counted.
    d : int
    read_bytes : int
        How much of the input is read for it.
    """
    kept = None if beyond_limit(cache, rows, d) else kept_vectors(cache, embed)
    if kept is None or kept.empty:
        return ToEmbed(rows, 0, exact, kept is not None)
    texts, whole = _sample(found, read_bytes)
    known = int(kept.has([text_key(text) for text in texts]).sum())
    if whole:
        return ToEmbed(len(texts), known, exact=True, keeps=True)
    return ToEmbed(rows, rows * known // max(1, len(texts)), exact=False, keeps=True)


def _sample(found: IngestPlan, most: int) -> tuple[list[str], bool]:
    """Return distinct texts, and whether those are all of the corpus."""
    whole = sum(file.size for file in found.files) <= most
    splits = found.splits if whole else found.splits[:: -(-len(found.splits) // MOST_PARTS)]
    share = math.inf if whole else most / len(splits)
    distinct: dict[bytes, str] = {}
    for split in splits:
        taken = 0
        for batch in format_for(split.file).batches(split.file, split.piece, split.sizes):
            table, _ = canonical(batch, split.reading)
            for key, text in zip(table["key"].to_pylist(), table["text"].to_pylist(), strict=True):
                distinct.setdefault(key, text)
            taken += batch.columns.nbytes
            if taken >= share:
                break
    return list(distinct.values()), whole
