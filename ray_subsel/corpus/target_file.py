"""Say how the file of a target is read: as the corpus, for what is embedded of its rows."""

from __future__ import annotations

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import told_of
from ray_subsel.corpus.ingest_plan import input_fingerprint
from ray_subsel.corpus.other_sets import alike


def target_fingerprint(corpus: CorpusConfig, path: str) -> str:
    """Return a hash of the content of a target's file, after checking all that can be checked without reading it."""
    with told_of(f"target {path}"):
        return input_fingerprint(target_corpus(corpus, path))


def target_corpus(corpus: CorpusConfig, path: str) -> CorpusConfig:
    """Return how the queries of a file are read.

    They are the corpus' texts, of the same columns, or its vectors; of a plain text file, its lines. Equal queries
    become one that counts as many.
    """
    return alike(corpus, path)
