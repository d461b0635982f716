"""Read, check and copy the rows of the corpus: the first stage."""

from __future__ import annotations

from typing import Any

from ray_subsel.config import RunConfig, fingerprint_fields
from ray_subsel.core.errors import DoesNotFitError
from ray_subsel.corpus.ingest import ingest
from ray_subsel.corpus.ingest_plan import input_fingerprint
from ray_subsel.corpus.rows import FOLDER, RowStore
from ray_subsel.planning.run_plan import plan_run
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import log_line, steps
from ray_subsel.stages.base import RunContext, Stage
from ray_subsel.stages.report import corpus_facts


class CorpusStage(Stage):
    """Input files to validated rows: ``rows/`` and ``rejected.parquet``."""

    name = "corpus"
    outputs = ("rows", "rejected.parquet")

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.inputs = ""

    def check(self) -> None:
        """Look at the input files."""
        self.inputs = input_fingerprint(self.config.corpus)

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return the settings of the corpus and the fingerprint of its files."""
        return {**fingerprint_fields(self.config.corpus), "input": self.inputs}

    def is_complete(self, context: RunContext) -> bool:
        """Tell whether all parts are there; a part that is gone makes all to be read again."""
        if not (gone := RowStore.open(context.directory).missing_parts()):
            return True
        log_line(f"corpus: {gone[0]} is gone, all is read again")
        context.directory.delete(FOLDER)
        return False

    def run(self, context: RunContext, peak: PeakMemory) -> dict[str, Any]:
        """Read the files."""
        _log_plan(context)
        with steps("corpus", "part") as told:
            rows = context.rows = ingest(self.config.corpus, context.directory, progress=told, peak=peak)
        return corpus_facts(rows)

    def load(self, context: RunContext) -> None:
        """Open the rows."""
        context.rows = RowStore.open(context.directory)

    def describe(self, facts: dict[str, Any], seconds: float) -> str:
        """Return how many rows there are."""
        return f"{facts['rows']:,} rows, {facts['rejected']:,} rejected, {facts['augmented']:,} copies added"


def _log_plan(context: RunContext) -> None:
    """Say what the run will take before it starts, and refuse what cannot be done whatever the rows turn out to be.

    Rows are an upper bound of items: where equal ones are collapsed, what does not fit yet may fit then.
    """
    config = context.config
    if config.select is None:
        return
    try:
        plan = plan_run(config.corpus, config.embed, config.select, context.machine(), policy=context.policy)
        for line in plan.text().splitlines():
            log_line(line)
    except DoesNotFitError as error:
        if config.corpus.copies == "keep" and config.select.near is None:
            raise
        log_line(f"plan      may not fit into memory: {error}")
