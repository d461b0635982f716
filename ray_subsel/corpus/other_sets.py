"""Read another set of rows than the corpus: an evaluation set, with the columns of the corpus or others."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import invalid
from ray_subsel.core.types import Indices
from ray_subsel.corpus.files import format_of, list_files
from ray_subsel.corpus.readers import TEXT_COLUMN, column_names
from ray_subsel.corpus.rows import RowStore
from ray_subsel.storage.embedding_store import EmbeddingStore


def alike(corpus: CorpusConfig, data: str, text: tuple[str, ...] = ()) -> CorpusConfig:
    """Return how a file is read as the corpus is, for what is embedded of its rows; of a plain text file, its lines.

    Columns that only the corpus needs (label, group, cost, id, quality) need not be there.
    """
    task = "story-cloze" if corpus.task == "story-cloze" and not text else "text"
    text = text or corpus.text
    if corpus.vectors is None and task == "text" and (not text or format_of(data) == "text"):
        text = (TEXT_COLUMN,)
    return dataclasses.replace(
        corpus, data=(data,), task=task, format="auto" if format_of(data) else corpus.format, text=text, label=None,
        group=None, cost=None, id=None, quality=None, augment=False, copies="collapse",
    )  # fmt: skip


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
    names = {name for file in list_files(found)[0] for name in column_names(file) or ()}
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
