"""Draw the map of a run and its updates: ``map.parquet`` of an update, as :mod:`ray_subsel.stages.map` has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, final

import pyarrow as pa

from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.map import MAP, POINTS, TOLD, VERSION, sample_of, write_map
from ray_subsel.stages.update_chain import Chain


@final
@dataclass(frozen=True)
class UpdateMapStage(Stage[bool]):
    """Lay a sample of all items out in the plane, those of the run and of its updates.

    Attributes
    ----------
    chain : Chain
        With this update, which has chosen.
    points : int
        At most so many.
    """

    name: ClassVar[str] = "map"
    outputs: ClassVar[tuple[str, ...]] = (MAP,)

    chain: Chain
    points: int = POINTS

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the map: what is chosen."""
        return {"renew": context.fingerprint("renew"), "points": self.points, "version": VERSION}

    def resume(self, context: RunContext) -> bool | None:
        """Return that there is the file."""
        return True if context.run.exists(MAP) else None

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[bool]:
        """Lay them out."""
        del peak
        counts: list[int] = []
        items, ids = sample_of(self.chain.chosen(), _counted(self.chain.embedded(), counts), self.points)
        texts = {name: [one or None for one in self.chain.column(ids, name)] for name in TOLD}
        columns = {name: pa.array(values, pa.string()) for name, values in texts.items()}
        write_map(context.run, ids, self.chain.vectors(items), pa.table(columns))
        return StageResult(True, {"points": len(ids), "items": sum(counts)})


def _counted(tables: Iterable[pa.Table], counts: list[int]) -> Iterator[pa.Table]:
    """Pass tables on, and note how many rows each has."""
    for table in tables:
        counts.append(table.num_rows)
        yield table
