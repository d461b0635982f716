"""Read the corpus: input files to checked rows in ``rows/``, by :mod:`ray_subsel.corpus.ingest`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from ray_subsel.config import fingerprint_fields
from ray_subsel.corpus.files import told_left_out
from ray_subsel.corpus.ingest import ingest
from ray_subsel.corpus.rows import FOLDER, REJECTED, RowStore
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import log_line, steps
from ray_subsel.stages.base import RunContext, Stage, StageResult

SHOWN_FILES = 100
"""Input files that the report names with their hashes."""


@final
@dataclass(frozen=True)
class IngestStage(Stage[RowStore]):
    """Read, check and copy rows.

    Attributes
    ----------
    inputs : str
        The fingerprint of the input files.
    """

    name: ClassVar[str] = "corpus"
    outputs: ClassVar[tuple[str, ...]] = (FOLDER, REJECTED)

    inputs: str

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the rows."""
        return {**fingerprint_fields(context.config.corpus), "input": self.inputs}

    def resume(self, context: RunContext) -> RowStore | None:
        """Return the rows, or None where a part of them is gone."""
        rows = RowStore.open(context.run)
        if not (gone := rows.missing_parts()):
            return rows
        log_line(f"corpus: {gone[0]} is gone, all is read again")
        context.run.delete(FOLDER)
        return None

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[RowStore]:
        """Read the input."""
        with steps("corpus", "part") as told:
            rows = ingest(context.config.corpus, context.run, in_process=context.reads_here, progress=told, peak=peak)
        for said in about_files(rows):
            log_line(f"corpus: {said}")
        line = f"corpus: {rows.n_rows:,} rows, {rows.n_rejected:,} rejected, {rows.n_augmented:,} copies added"
        return StageResult(rows, corpus_facts(rows), line)


def about_files(rows: RowStore) -> list[str]:
    """Return what the terminal says of files: which were left out, and which hold no row."""
    empty = [file["path"] for file in rows.files if not file["rows"]]
    lines = told_left_out(rows.left_out)
    return [*lines, f"{len(empty):,} files hold no row, as {empty[0]}"] if empty else lines


def corpus_facts(rows: RowStore) -> dict[str, Any]:
    """Return what the report says of the corpus."""
    return {
        "files": len(rows.files),
        "skipped_files": list(rows.left_out),
        "inputs": [{name: file[name] for name in ("path", "rows", "hash")} for file in rows.files[:SHOWN_FILES]],
        "rows_read": rows.n_read,
        "rejected": rows.n_rejected,
        "rejected_by_reason": rows.rejected_by_reason,
        "augmented": rows.n_augmented,
        "rows": rows.n_rows,
    }
