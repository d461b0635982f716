"""Write ``decisions.parquet``: what became of every row of the input, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, final

import pyarrow as pa
import pyarrow.parquet as pq

from ray_subsel.core.types import Indices
from ray_subsel.corpus.rows import RowStore
from ray_subsel.decisions.sources import GroupSources, LeftOut, RunSources, Sources
from ray_subsel.decisions.status import CONTAMINATED, LABEL_NOISE, OUTLIER, STATUSES
from ray_subsel.decisions.table import DECISIONS, ROW_GROUP, SCHEMA, SELECTION, WINDOW, decision_tables
from ray_subsel.decisions.words import joined
from ray_subsel.filters.worst import LABEL_NOISE as BY_LABEL
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.deduplicate import DeduplicateStage
from ray_subsel.stages.drop_doubtful import DROPPED, DropDoubtfulStage
from ray_subsel.stages.exclude_contaminated import CONTAMINATED as CONTAMINATED_FILE
from ray_subsel.stages.exclude_contaminated import ExcludeContaminatedStage
from ray_subsel.stages.keep_best import FOLDER as BEST
from ray_subsel.stages.near.task import GROUPS
from ray_subsel.stages.nearest import FOLDER as NEAREST
from ray_subsel.storage.run_directory import RunDir

VERSION = 1
"""Of the file: part of the stage's settings."""


@final
@dataclass(frozen=True)
class DecideStage(Stage[bool]):
    """Tell what became of every row, in this process.

    Attributes
    ----------
    rows : RowStore
    excluded : int64 array
        Row ids that must not be chosen.
    group_column : str or None
        The rows' column of groups that have limits.
    without : frozenset of str
        Stages that this run goes without.
    per_group : bool
        Whether each group was chosen from on its own.
    window : int
        Row ids at a time.
    """

    name: ClassVar[str] = "decide"
    outputs: ClassVar[tuple[str, ...]] = (DECISIONS,)

    rows: RowStore
    excluded: Indices
    group_column: str | None
    without: frozenset[str]
    per_group: bool = False
    window: int = WINDOW

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the file: the selection."""
        return {"select": context.fingerprint("select"), "version": VERSION}

    def resume(self, context: RunContext) -> bool | None:
        """Return that there is the file."""
        return True if context.run.exists(DECISIONS) else None

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[bool]:
        """Put the file together."""
        del peak
        limits = context.manifest.stages["select"].facts.get("limits") or {}
        kind = GroupSources if self.per_group else RunSources
        sources = kind(
            rows=self.rows,
            nearest=NEAREST,
            groups=None if DeduplicateStage.name in self.without else GROUPS,
            selection=SELECTION,
            excluded=self.excluded,
            left_out=(
                *(() if ExcludeContaminatedStage.name in self.without else (_contaminated(context.run),)),
                *(() if DropDoubtfulStage.name in self.without else (_dropped(context.run),)),
            ),
            renamed=BEST if context.run.exists(BEST) and not self.per_group else None,
            group_column=self.group_column,
            full_groups=frozenset(limits.get("full_groups", ())),
        )
        return StageResult(True, {"statuses": write_decisions(context.run, sources, self.window)})


def write_decisions(run: RunDir, sources: Sources, window: int = WINDOW) -> dict[str, int]:
    """Write ``decisions.parquet``, and return how many rows have each status."""
    counts: Counter[str] = Counter()
    with (
        run.atomic(DECISIONS) as temporary,
        pq.ParquetWriter(temporary, SCHEMA, filesystem=run.filesystem, compression="zstd") as writer,
    ):
        for table in decision_tables(sources, window):
            for one in table["status"].value_counts().to_pylist():
                counts[one["values"]] += one["counts"]
            writer.write_table(table, row_group_size=ROW_GROUP)
    return {status: counts[status] for status in STATUSES if counts[status]}


def _contaminated(run: RunDir) -> LeftOut:
    """Return the rows that repeat another set, and which row of it."""
    table = run.read_table(CONTAMINATED_FILE, ["id", "file", "line", "kind", "evidence"]).sort_by("id")
    ids, lines = table["id"].to_numpy(), table["line"].cast("string")
    reason = joined("repeats ", table["file"], " line ", lines, " (", table["kind"], "): ", table["evidence"])
    return LeftOut(ids, [CONTAMINATED] * ids.size, reason)


def _dropped(run: RunDir) -> LeftOut:
    """Return the rows that were dropped as doubtful, with the figures that say so."""
    table = run.read_table(DROPPED, ["id", "kind", "score", "label", "neighbour_labels"]).sort_by("id")
    status, reasons = [], []
    for row in table.to_pylist():
        if row["kind"] == BY_LABEL:
            others = sum(label is not None and label != row["label"] for label in row["neighbour_labels"])
            known = sum(label is not None for label in row["neighbour_labels"])
            words = f"{others} of {known} nearest neighbours have another label than {row['label']}"
            status.append(LABEL_NOISE)
            reasons.append(f"{words} (score {row['score']:.3f})")
        else:
            status.append(OUTLIER)
            reasons.append(f"mean cosine {row['score']:.3f} to its nearest neighbours")
    return LeftOut(table["id"].to_numpy(), status, pa.array(reasons, pa.string()))
