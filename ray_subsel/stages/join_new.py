"""Join new items to the copies of them that are there: ``items.parquet`` of an update.

It has a row for each new item: ``id``, ``equal`` (the old item of equal text, or itself), ``leader`` (an old item, an
earlier new one, or itself), ``cosine`` to it and ``rows`` (the new rows that it stands for). Equal texts join the
leader of the old one. Where near copies are collapsed, another new item joins the old leader that is most similar to it
(ties to the lowest id) if that reaches the threshold, a withdrawn one too; the rest lead or join each other as in a
run. Old groups stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.corpus.rows import RowStore
from ray_subsel.dedup.in_memory import collapse_near
from ray_subsel.dedup.pairs import ROUNDING
from ray_subsel.dedup.settings import NearSettings
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.update_chain import ITEMS, Chain
from ray_subsel.storage.embedding_store import EmbeddingStore
from ray_subsel.streaming.grid_rows import grid_rows, on_grid

BLOCK = 1 << 22
"""Products at a time."""


@final
@dataclass(frozen=True)
class JoinStage(Stage[bool]):
    """Join new items to old ones.

    Attributes
    ----------
    chain : Chain
        What was there before.
    rows : RowStore
        The new rows.
    store : EmbeddingStore
        The new items.
    near : float or None
        The cosine from which items are near copies.
    keep : bool
        Whether equal texts are items of their own.
    seed : int
    before : str
        The fingerprint of what was there before.
    """

    name: ClassVar[str] = "join"
    outputs: ClassVar[tuple[str, ...]] = (ITEMS,)

    chain: Chain
    rows: RowStore
    store: EmbeddingStore
    near: float | None
    keep: bool
    seed: int
    before: str

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the groups."""
        how = {"near": self.near, "keep": self.keep, "seed": self.seed}
        return {**how, "embed": context.fingerprint("embed"), "before": self.before}

    def resume(self, context: RunContext) -> bool | None:
        """Return that there are the groups."""
        return True if context.run.exists(ITEMS) else None

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[bool]:
        """Join them."""
        del peak
        ids, members, vectors = self._items()
        leader, cosine = ids + self.chain.end, np.ones(ids.size)
        equal = leader.copy() if self.keep else self._equal(ids)
        again = np.flatnonzero(equal != leader)
        rows, back = np.unique(equal[again], return_inverse=True)
        leader[again] = self.chain.items_of(rows)[back]
        if self.near is not None:
            old, old_vectors = self.chain.leaders()
            units, there = unit_rows(vectors), unit_rows(old_vectors)
            place = most_similar(vectors, old_vectors)
            place[again] = np.searchsorted(old, leader[again])
            best = np.einsum("ij,ij->i", units.take(np.arange(ids.size)), there.take(place))
            joins = best >= self.near - ROUNDING
            joins[again] = True
            leader[joins], cosine[joins] = old[place[joins]], best[joins]
            rest = np.flatnonzero(~joins)
            if rest.size:
                groups = collapse_near(vectors[rest], NearSettings(self.near, self.seed), ids=leader[rest])
                lead = rest[groups.leader]
                leader[rest] = ids[lead] + self.chain.end
                cosine[rest] = np.einsum("ij,ij->i", units.take(rest), units.take(lead))
        table = pa.table(
            {
                "id": pa.array(ids + self.chain.end),
                "equal": pa.array(equal),
                "leader": pa.array(leader),
                "cosine": pa.array(cosine.astype(np.float32)),
                "rows": pa.array([[row + self.chain.end for row in group] for group in members], pa.list_(pa.int64())),
            }
        )
        context.run.write_table(ITEMS, table)
        to_old = int((leader < self.chain.end).sum())
        leading = int((leader == ids + self.chain.end).sum())
        facts = {"items": int(ids.size), "joined_old": to_old, "joined_new": int(ids.size) - leading - to_old}
        return StageResult(True, facts | {"leading": leading})

    def _items(self) -> tuple[Indices, list[list[int]], Any]:
        batch = self.store.read_all()
        found: dict[int, list[int]] = {}
        for shard in self.store.numbers:
            table = self.store.members(shard)
            found.update(zip(table["id"].to_pylist(), table["rows"].to_pylist(), strict=True))
        return batch.ids, [found[item] for item in batch.ids.tolist()], batch.vectors

    def _equal(self, ids: Indices) -> Indices:
        """Return the old item of equal text, or vector, of each new one; its own id where there is none."""
        keys = self.rows.take(ids, ["key"])["key"].combine_chunks()
        places = {key: place for place, key in enumerate(keys.to_pylist())}
        found: dict[int, int] = {}
        for part in self.chain.parts:
            for table in [] if part.rows is None else part.rows.iter_tables(["id", "key"]):
                same = table.filter(pc.is_in(table["key"], value_set=keys))
                for row, key in zip(same["id"].to_pylist(), same["key"].to_pylist(), strict=True):
                    found.setdefault(places[key], row + part.offset)
        equal = ids + self.chain.end
        equal[list(found)] = list(found.values())
        return equal


def most_similar(X: Any, old: Any) -> Indices:
    """Return for each row of X the row of ``old`` of the largest cosine, the lowest of several; O(n m d) time.

    Products are those of :mod:`ray_subsel.streaming.grid_rows`: the same whatever the blocks.
    """
    new, there = grid_rows(X), unit_rows(old)
    best, place = np.full(len(new), -np.inf), np.zeros(len(new), dtype=np.int64)
    step = max(1, BLOCK // len(new))
    for start in range(0, there.n, step):
        products = new @ on_grid(there.slice(start, min(there.n, start + step))).T
        at = products.argmax(axis=1)
        value = products[np.arange(len(new)), at]
        better = value > best
        best[better], place[better] = value[better], at[better] + start
    return place
