"""Read and embed the queries of a target: a small run of its own in ``target/``, by the run's embedder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from ray_subsel.config import CorpusConfig, fingerprint_fields
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.corpus.rows import RowStore
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import log_line
from ray_subsel.stages.apart import embedded_apart
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.embed import missing_shards, open_embeddings
from ray_subsel.storage.embedding_store import EmbeddingStore
from ray_subsel.storage.run_directory import RunDir

FOLDER = "target"


@final
@dataclass(frozen=True)
class TargetStage(Stage[EmbeddingStore]):
    """Embed the queries.

    Attributes
    ----------
    corpus : CorpusConfig
        How they are read (:func:`ray_subsel.corpus.target_file.target_corpus`).
    inputs : str
        The fingerprint of their file.
    model : str or None
        What tells the embedder; None for ready vectors.
    d : int
        The dimension of the corpus' vectors.
    """

    name: ClassVar[str] = "target"
    outputs: ClassVar[tuple[str, ...]] = (FOLDER,)

    corpus: CorpusConfig
    inputs: str
    model: str | None
    d: int

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the queries' vectors."""
        return {**fingerprint_fields(self.corpus), "input": self.inputs, "embed": context.fingerprint("embed")}

    def resume(self, context: RunContext) -> EmbeddingStore | None:
        """Return the vectors, or None where some are gone."""
        rows = RowStore.open(_place(context))
        return None if rows.missing_parts() or missing_shards(rows) else open_embeddings(rows)

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[EmbeddingStore]:
        """Read and embed what is missing."""
        del peak  # the stages below tell of theirs, and the queries are few
        log_line(f"target    {', '.join(self.corpus.data)}")
        rows, store = embedded_apart(context, self.corpus, self.inputs, self.model, _place(context))
        if store.d != self.d:
            must = f"hold vectors of {self.d} numbers, as the corpus does"
            raise invalid("target", must, Verbatim(f"{store.d} numbers"), "Embed both with one encoder.")
        facts = {"rows": rows.n_rows, "rejected": rows.n_rejected, "queries": store.n}
        line = f"target: {rows.n_rows:,} rows, {rows.n_rejected:,} rejected, {store.n:,} distinct queries"
        return StageResult(store, facts, line)


def _place(context: RunContext) -> RunDir:
    return context.run.inner(FOLDER)
