"""Read another set of rows than the corpus: an evaluation set, with the columns of the corpus or others."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ray_subsel.config import CorpusConfig, TrainConfig
from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.types import Indices
from ray_subsel.corpus.files import format_of, list_files
from ray_subsel.corpus.formats.plain_text import TEXT_COLUMN
from ray_subsel.corpus.ingest_plan import schema_of
from ray_subsel.corpus.rows import RowStore
from ray_subsel.storage.embedding_store import EmbeddingStore


def alike(corpus: CorpusConfig, data: str, text: tuple[str, ...] = ()) -> CorpusConfig:
    """Return how a file is read as the corpus is, for what is embedded of its rows; of a plain text file, its lines.

    Columns that only the corpus needs (label, group, cost, id, quality) need not be there.
    """
    changes: dict[str, Any] = {"label": None, "copies": "collapse"}
    changes["format"] = "auto" if format_of(data) else corpus.format
    changes["task"] = "text" if text or corpus.task == "classification" else corpus.task
    if text:
        changes |= {"context": (), "choices": (), "answer": None, "template": None}
    template = changes.get("template", corpus.template)
    found = text or corpus.text
    made = corpus.vectors is not None or template is not None or changes["task"] != "text"
    if not made and (not found or format_of(data) == "text"):
        found = (TEXT_COLUMN,)
    return corpus.alike((data,), text=found, **changes)


def other_corpus(corpus: CorpusConfig, data: str, text: tuple[str, ...] = ()) -> CorpusConfig:
    """Return how a file (folder, glob) of another set is read: its texts and, where it has them, its vectors.

    Parameters
    ----------
    corpus : CorpusConfig
        How the corpus is read; labels, groups, costs and ids of the other set are not.
    data : str
    text : tuple of str
        Its text columns; by default those of the corpus.

    Raises
    ------
    InputError
        Where the corpus has ready vectors and the other set has neither these nor the texts.
    """
    found = alike(corpus, data, text)
    if corpus.vectors is None:
        return found
    schemas = (schema_of(file) for file in list_files(found)[0])
    names = {name for schema in schemas if schema is not None for name in schema.names}
    vectors = corpus.vectors if corpus.vectors in names else None
    texts = found.text if set(found.text) <= names else ()
    if vectors is None and not texts:
        wanted = " or ".join((corpus.vectors, *found.text[:1]))
        raise invalid(f"columns of {data}", f"include {wanted}", ", ".join(sorted(names)))
    return dataclasses.replace(found, vectors=vectors, text=texts)


@dataclass(frozen=True)
class OtherSet:
    """Rows of another set, read.

    Attributes
    ----------
    name : str
        As it was named.
    rows : RowStore
    vectors : EmbeddingStore or None
        Where cosines are compared.
    """

    name: str
    rows: RowStore
    vectors: EmbeddingStore | None = None

    @cached_property
    def _ends(self) -> Indices:
        return np.cumsum([file["rows"] for file in self.rows.files]).astype(np.int64)

    def places(self, ids: Indices) -> tuple[list[str], list[int]]:
        """Return the file of each row, and its line there; for Parquet the 1-based row."""
        files = [self.rows.files[at]["path"] for at in np.searchsorted(self._ends, ids, side="right")]
        return files, self.rows.take(ids, ["line"])["line"].to_pylist() if ids.size else []


def test_corpus(corpus: CorpusConfig, train: TrainConfig) -> CorpusConfig:
    """Return how the test file is read: as the corpus, but as it is."""
    if not train.test:
        raise InputError("test must name a labelled file to measure accuracy on. Use --test FILE.")
    return corpus.alike(train.test, vectors=None)
