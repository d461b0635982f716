"""Say how the file of a target is read: as the corpus, for what is embedded of its rows."""

from __future__ import annotations

import dataclasses

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.files import format_of
from ray_subsel.corpus.ingest_plan import input_fingerprint
from ray_subsel.corpus.readers import TEXT_COLUMN


def target_fingerprint(corpus: CorpusConfig, path: str) -> str:
    """Return a hash of the content of a target's file, after checking all that can be checked without reading it."""
    try:
        return input_fingerprint(target_corpus(corpus, path))
    except InputError as error:
        raise InputError(f"target {path}: {error}") from error


def target_corpus(corpus: CorpusConfig, path: str) -> CorpusConfig:
    """Return how the queries of a file are read.

    They are the corpus' texts, of the same columns, or its vectors; of a plain text file, its lines. Columns that only
    the corpus needs (label, group, cost, id, quality) need not be there. Equal queries become one that counts as many.
    """
    task = "text" if corpus.task == "classification" else corpus.task
    text = corpus.text
    if corpus.vectors is None and task == "text" and (not text or format_of(path) == "text"):
        text = (TEXT_COLUMN,)
    return dataclasses.replace(
        corpus, data=(path,), task=task, format="auto" if format_of(path) else corpus.format, text=text, label=None,
        group=None, cost=None, id=None, quality=None, augment=False, copies="collapse",
    )  # fmt: skip
