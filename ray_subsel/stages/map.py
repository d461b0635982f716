"""Draw a map of the corpus: ``map.parquet``, a place in the plane for each of a sample of its items.

Columns: ``id``, ``source_id``, ``x``, ``y`` in [0, 1], ``status``, ``rank``, ``nearest_chosen``, ``nearest_cosine``
(of ``decisions.parquet``), ``label``, ``group`` and the beginning of the ``text``. At most :data:`POINTS` items: of the
chosen the first quarter of that (with ``--per`` those of the lowest hashes), of the others those of the lowest hashes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.core.hashing import mix
from ray_subsel.core.lowest_hashes import LowestHashes
from ray_subsel.core.places import is_in
from ray_subsel.core.types import NO_ITEMS, Float32s, Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.corpus.rows import RowStore
from ray_subsel.decisions.projection import project
from ray_subsel.decisions.table import DECISIONS, SELECTION
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import EmbeddingStore, flat_rows
from ray_subsel.storage.run_directory import RunDir

MAP = "map.parquet"
POINTS = 20_000
VERSION = 1
"""Of the map: part of the stage's settings."""
CHARACTERS = 300
"""Of a text."""
TOLD = ("label", "group", "text")
"""What is told of a row beside its place and what became of it."""

_STREAM = 0x3A96


@final
@dataclass(frozen=True)
class MapStage(Stage[bool]):
    """Lay a sample of the items out in the plane, in this process.

    Attributes
    ----------
    rows : RowStore
    points : int
        At most so many.
    spread : bool
        Whether chosen rows are shown by a hash, where too many are, and not the first.
    """

    name: ClassVar[str] = "map"
    outputs: ClassVar[tuple[str, ...]] = (MAP,)

    rows: RowStore
    points: int = POINTS
    spread: bool = False

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the map: the decisions."""
        return {"decide": context.fingerprint("decide"), "points": self.points, "version": VERSION}

    def resume(self, context: RunContext) -> bool | None:
        """Return that there is the file."""
        return True if context.run.exists(MAP) else None

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[bool]:
        """Lay them out."""
        del peak
        run = context.run
        store = EmbeddingStore.open_folder(run, EMBEDDINGS)
        items, ids = sample_items(run, store, self.points, spread=self.spread)
        texts = self.rows.take(ids, list(TOLD))
        write_map(run, ids, store.vectors(items), texts)
        return StageResult(True, {"points": len(ids), "items": store.n})


def write_map(run: RunDir, ids: Indices, vectors: Float32s, texts: pa.Table) -> None:
    """Write ``map.parquet``.

    Parameters
    ----------
    run : RunDir
        With ``decisions.parquet``.
    ids : int64 array of shape (n,)
        Rows, ascending.
    vectors : float32 array of shape (n, d)
    texts : pyarrow table
        :data:`TOLD` of them.
    """
    places = project(unit_rows(vectors, parameter="vectors", numbers=ids), ids)
    told = _decisions_of(run, ids)
    table = pa.table(
        {
            "id": told["id"],
            "source_id": told["source_id"],
            "x": pa.array(places[:, 0].astype(np.float32)),
            "y": pa.array(places[:, 1].astype(np.float32)),
            "status": told["status"],
            "rank": told["rank"],
            "nearest_chosen": told["nearest_chosen"],
            "nearest_cosine": told["nearest_cosine"],
            "label": texts["label"].cast(pa.string()),
            "group": texts["group"].cast(pa.string()),
            "text": pc.utf8_slice_codeunits(texts["text"].cast(pa.string()), 0, CHARACTERS),
        }
    )
    run.write_table(MAP, table)


def sample_items(run: RunDir, store: EmbeddingStore, points: int, *, spread: bool = False) -> tuple[Indices, Indices]:
    """Return the items that are shown, and the row that each is shown as.

    ``spread``: the chosen follow each other group by group, so that a quarter of the points is drawn from all.
    """
    chosen = run.read_table(SELECTION, ["id"])["id"].to_numpy()
    chosen = chosen[np.argsort(mix(chosen, _STREAM), kind="stable")] if spread else chosen
    return sample_of(chosen, (store.read_shard(shard, ["id", "rows"]) for shard in store.numbers), points)


def sample_of(chosen: Indices, tables: Iterable[pa.Table], points: int) -> tuple[Indices, Indices]:
    """Return items to show, and the row that each is shown as: a chosen one as the row that was chosen.

    Parameters
    ----------
    chosen : int64 array
        Chosen rows; the first quarter of the points are of them.
    tables : iterable of pyarrow tables
        ``id`` and ``rows`` of all items.
    points : int
        At most so many.
    """
    chosen = np.sort(chosen[: points // 4])
    drawn = LowestHashes(points, _STREAM)  # as many of them are shown already as room is less than that
    shown, rows = [NO_ITEMS], [NO_ITEMS]
    for table in tables:
        ids = table["id"].to_numpy()
        flat, owner = flat_rows(table["rows"])
        here = is_in(flat, chosen)
        shown.append(ids[owner[here]])
        rows.append(flat[here])
        drawn.add(ids)
    first = np.concatenate(shown)
    others = drawn.ids[~is_in(drawn.ids, np.sort(first))][: max(0, points - first.size)]
    found, as_rows = np.concatenate((first, others)), np.concatenate((*rows, others))
    order = np.argsort(as_rows)
    return found[order], as_rows[order]


def _decisions_of(run: RunDir, ids: Indices) -> pa.Table:
    """Return the lines of decisions.parquet on some rows, ascending."""
    parts = []
    with run.parquet(DECISIONS) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            parts.append(table.filter(pa.array(is_in(table["id"].to_numpy(), ids))))
    return pa.concat_tables(parts)
