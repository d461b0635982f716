"""Read what ``decisions.parquet`` of an update is put together from: the files of a run and of its updates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.core.id_map import IdMap
from ray_subsel.core.types import Indices
from ray_subsel.corpus.rows import REJECTED
from ray_subsel.decisions.sources import LeftOut, Sources
from ray_subsel.decisions.status import WITHDRAWN
from ray_subsel.stages.near.task import GROUPS, LEADERS
from ray_subsel.stages.update_chain import ITEMS, Chain, Part
from ray_subsel.stages.update_nearest import Nearest
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import EmbeddingStore


@dataclass(frozen=True, eq=False, kw_only=True)
class ChainSources(Sources):
    """What decisions of an update are put together from.

    Attributes
    ----------
    chain : Chain
    selection : pyarrow table
        ``rank``, ``id`` and ``rows`` of what is chosen now.
    nearest : Nearest
    near : bool
        Whether near copies are collapsed.
    """

    chain: Chain
    selection: pa.Table
    nearest: Nearest
    near: bool

    @property
    def n(self) -> int:
        """Rows that were read."""
        return self.chain.n

    @property
    def has_own_ids(self) -> bool:
        """Whether an id column was named."""
        return self.chain.has_own_ids

    def chosen(self) -> pa.Table:
        """Return the selection."""
        return self.selection

    def items(self) -> Iterator[tuple[pa.Table, pa.Table | None]]:
        """Read the embedded items: those of the run shard by shard, then those of each update."""
        near = iter(self.nearest.parts)
        for part in self._filled():
            store = EmbeddingStore.open_folder(part.run, EMBEDDINGS)
            if not part.number:
                for shard in store.numbers:
                    yield store.read_shard(shard, ["id", "rows"]), next(near)
                continue
            table = part.run.read_table(ITEMS, ["id", "equal", "rows"])
            nearest = pa.concat_tables([next(near) for _ in store.numbers])
            equal = IdMap.of(table["id"].to_numpy(), table["equal"].to_numpy())
            nearest = nearest.set_column(0, "id", pa.array(equal.get(nearest["id"].to_numpy())[0]))
            yield table.select(["equal", "rows"]).rename_columns(["id", "rows"]), nearest

    def leaders(self) -> Iterator[pa.Table]:
        """Read who joined whom."""
        if not self.near:
            return
        run = self.chain.parts[0].run
        for name in run.names(GROUPS, ".parquet") if run.names(LEADERS, ".parquet") else []:
            yield run.read_table(name, ["id", "leader", "cosine"])
        for part in self._filled():
            if part.number:
                table = part.run.read_table(ITEMS, ["id", "equal", "leader", "cosine"])
                yield table.filter(pc.equal(table["id"], table["equal"])).select(["id", "leader", "cosine"])

    def rejected(self) -> pa.Table | None:
        """Read the rows that could not be used."""
        tables = []
        for part in self._filled():
            if part.run.exists(REJECTED):
                table = part.run.read_table(REJECTED, ["row", "reason", "detail"])
                tables.append(table.set_column(0, "row", pa.array(table["row"].to_numpy() + part.offset)))
        return pa.concat_tables(tables) if tables else None

    def column(self, name: str, start: int, stop: int) -> Iterator[tuple[Indices, pa.ChunkedArray]]:
        """Read a column of the rows."""
        for part in self._filled():
            assert part.rows is not None
            for ids, values in part.rows.column_between(name, start - part.offset, stop - part.offset):
                yield ids + part.offset, values

    def _filled(self) -> list[Part]:
        """Return the parts that bring rows."""
        return [part for part in self.chain.parts if part.rows is not None]


def withdrawn_rows(chain: Chain, items: Indices, numbers: Indices) -> LeftOut:
    """Return the rows of items that were withdrawn.

    Parameters
    ----------
    chain : Chain
    items : int64 array
        Ascending.
    numbers : int64 array
        The update that withdrew each.
    """
    members = chain.members(items)
    rows = np.array([row for group in members for row in group], dtype=np.int64)
    by = np.repeat(numbers, [len(group) for group in members])
    order = np.argsort(rows)
    reasons = [f"withdrawn by update {number:04d}" for number in by[order].tolist()]
    return LeftOut(rows[order], [WITHDRAWN] * rows.size, pa.array(reasons, pa.string()))
