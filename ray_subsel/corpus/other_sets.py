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
from ray_subsel.corpus.readers import column_names
from ray_subsel.corpus.rows import RowStore


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
    alike = dataclasses.replace(
        corpus,
        data=(data,),
        task="story-cloze" if corpus.task == "story-cloze" and not text else "text",
        format="auto" if corpus.format == "auto" or format_of(data) else corpus.format,
        text=text or corpus.text,
        label=None, group=None, cost=None, id=None, augment=False, copies="keep",
    )  # fmt: skip
    if corpus.vectors is None:
        return alike
    names = {name for file in list_files(alike)[0] for name in column_names(file) or ()}
    vectors = corpus.vectors if corpus.vectors in names else None
    texts = alike.text if set(alike.text) <= names else ()
    if vectors is None and not texts:
        wanted = " or ".join((corpus.vectors, *alike.text[:1]))
        raise invalid(f"columns of {data}", f"include {wanted}", ", ".join(sorted(names)))
    return dataclasses.replace(alike, vectors=vectors, text=texts)


@dataclass(frozen=True)
class OtherSet:
    """Rows of another set, read.

    Attributes
    ----------
    name : str
        As it was named.
    rows : RowStore
    """

    name: str
    rows: RowStore

    @cached_property
    def _ends(self) -> Indices:
        return np.cumsum([file["rows"] for file in self.rows.files]).astype(np.int64)

    def places(self, ids: Indices) -> tuple[list[str], list[int]]:
        """Return the file of each row, and its line there; for Parquet the 1-based row."""
        files = [self.rows.files[at]["path"] for at in np.searchsorted(self._ends, ids, side="right")]
        return files, self.rows.take(ids, ["line"])["line"].to_pylist() if ids.size else []
