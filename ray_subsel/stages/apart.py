"""Read and embed another set of rows than the corpus: a small run of its own in a folder, by the run's embedder."""

from __future__ import annotations

import dataclasses

from ray_subsel.config import CorpusConfig
from ray_subsel.corpus.rows import RowStore
from ray_subsel.stages.base import RunContext, run_stage
from ray_subsel.stages.embed import EmbedStage
from ray_subsel.stages.ingest import IngestStage
from ray_subsel.storage.embedding_store import EmbeddingStore
from ray_subsel.storage.manifest import Manifest
from ray_subsel.storage.run_directory import RunDir


def embedded_apart(
    context: RunContext, corpus: CorpusConfig, inputs: str, model: str | None, place: RunDir
) -> tuple[RowStore, EmbeddingStore]:
    """Return the rows of another set and their vectors; what a killed run left is gone on with.

    Parameters
    ----------
    corpus : CorpusConfig
        How the set is read (:func:`ray_subsel.corpus.other_sets.alike`).
    inputs : str
        The fingerprint of its files.
    model : str or None
        What tells the embedder, which was fitted to the corpus where it learns; None for ready vectors.
    place : RunDir
        The folder.
    """
    place.sweep()
    config = dataclasses.replace(context.config, corpus=corpus, select=None, train=None)
    manifest = Manifest.open(place, {stage.name: stage.outputs for stage in (IngestStage, EmbedStage)})
    inner = dataclasses.replace(context, config=config, manifest=manifest, plan=None)
    rows = run_stage(IngestStage(inputs), inner)
    return rows, run_stage(EmbedStage(rows, model, context.run), inner)
