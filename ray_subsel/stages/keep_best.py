"""Name each item by the best of its rows: of equal texts the one of highest value in a column, ties to the lowest id.

The item then has that row's id, label, group and cost, and is published as that row. The items are written to ``best/``
where any is renamed; else the ground set stays as it is. Near copies are joined afterwards in the same order, the best
first (:mod:`ray_subsel.stages.deduplicate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Indices
from ray_subsel.corpus.row_values import MISSING, row_values
from ray_subsel.corpus.rows import RowStore
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.tasks import TaskSpec, map_tasks
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.smaller_store import rewrite_shard, there
from ray_subsel.storage.embedding_store import EmbeddingStore, flat_rows, part_name

FOLDER = "best"
HINT = "Free some disk or memory"


def best_rows(rows: RowStore, store: EmbeddingStore, column: str, shard: int) -> tuple[Indices, Indices, int]:
    """Return the items of a shard as they lie, the best row of each, and how many rows have no number."""
    members = store.members(shard)
    ids = members["id"].to_numpy().astype(np.int64)
    flat, owner = flat_rows(members["rows"])
    values = row_values(rows, flat, column)
    order = np.lexsort((flat, -values, owner))
    first = order[np.flatnonzero(np.diff(owner[order], prepend=-1))]
    return ids, flat[first].astype(np.int64), int(np.count_nonzero(values == MISSING))


def _counts(rows: RowStore, store: EmbeddingStore, column: str, shard: int) -> tuple[int, int]:
    ids, best, missing = best_rows(rows, store, column, shard)
    return int(np.count_nonzero(ids != best)), missing


def _rename(rows: RowStore, store: EmbeddingStore, column: str, shard: int) -> None:
    _, best, _ = best_rows(rows, store, column, shard)
    rewrite_shard(store, shard, FOLDER, ids=best)


@final
@dataclass(frozen=True)
class KeepBestStage(Stage[EmbeddingStore]):
    """Name items by their best rows.

    Attributes
    ----------
    rows : RowStore
    store : EmbeddingStore
        The embeddings, or what earlier stages left of them.
    column : str
        Of the input.
    upstream : str
        The stage that made the store.
    """

    name: ClassVar[str] = "best"
    outputs: ClassVar[tuple[str, ...]] = (FOLDER,)

    rows: RowStore
    store: EmbeddingStore
    column: str
    upstream: str

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the names."""
        return {"column": self.column, "embed": context.fingerprint(self.upstream)}

    def resume(self, context: RunContext) -> EmbeddingStore | None:
        """Return the ground set, or None where a part of it is gone."""
        if not context.manifest.stages[self.name].facts["renamed"]:
            return self.store
        return there(self.store, FOLDER, self.store.n, self.store.rows)

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[EmbeddingStore]:
        """Look for the best rows, and write the items where any is not the first."""
        del peak
        here = context.in_process(context.policy.is_small(self.store.n, self.store.d))
        shared, run, store = (self.rows, self.store, self.column), context.run, self.store
        counts = map_tasks(_counts, shared, self._specs(store.numbers, "looked through"), run, in_process=here)
        renamed, missing = (sum(count) for count in zip(*counts, strict=True))
        if missing == store.rows:
            raise invalid("keep_best", "be a column with a number", Verbatim(f"none in column {self.column}"))
        if renamed:
            left = [shard for shard in store.numbers if not run.exists(part_name(shard, FOLDER))]
            map_tasks(_rename, shared, self._specs(left, "written"), run, in_process=here)
            store = EmbeddingStore.open(run, store.numbers, FOLDER)
        facts = {"column": self.column, "renamed": renamed, "missing": missing, "warnings": self._warnings(missing)}
        line = f"best: {renamed:,} of {store.n:,} items are led by another row than the first, by {self.column}"
        return StageResult(store, facts, line)

    def _specs(self, shards: list[int], done: str) -> list[tuple[int, TaskSpec]]:
        does, failed = "best copies of part {}: " + done, "part {} could not be " + done
        return [
            (shard, TaskSpec(part_name(shard, FOLDER), does.format(shard), failed.format(shard), HINT))
            for shard in shards
        ]

    def _warnings(self, missing: int) -> list[str]:
        if not missing:
            return []
        return [f"{missing:,} rows have no number in {self.column}: they lead no row that has one"]
