"""Keep, from one update to the next, which chosen item each embedded item is nearest to: ``nearest.parquet``.

An item whose nearest chosen one stays is compared with those that came; one that lost it, and a new one, with all.
So an update that changes little compares little, and reads no vector where it changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ray_subsel.core.id_map import IdMap
from ray_subsel.core.items import MULTIPLICITY
from ray_subsel.core.places import is_in
from ray_subsel.core.types import NO_ITEMS, Float32s, Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.partitioned.nearest_chosen import NearestChosen
from ray_subsel.stages.nearest import FOLDER
from ray_subsel.stages.update_chain import Chain, Part
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import EmbeddingStore, vectors_of

FILE = "nearest.parquet"


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest chosen item of each embedded one.

    Attributes
    ----------
    parts : tuple of pyarrow tables
        ``id`` (row id), ``nearest`` (a chosen row) and ``cosine``: a table a shard of each part of the chain, in order.
    weights : int64 array of shape (k,)
        Rows that are not withdrawn whose nearest chosen item each one is, by rank.
    compared : int
        Items that were compared with all chosen ones.
    """

    parts: tuple[pa.Table, ...]
    weights: Indices
    compared: int

    @property
    def table(self) -> pa.Table:
        """All of it."""
        return pa.concat_tables(self.parts)


def nearest_of(chain: Chain, before: Part, chosen: Indices, vectors: Float32s, came: Indices, gone: Indices) -> Nearest:
    """Return the nearest chosen item of each embedded one of a chain.

    Parameters
    ----------
    chain : Chain
        What there is now.
    before : Part
        What held the selection before: the run, or the last update.
    chosen : int64 array of shape (k,)
        Row ids in rank order, k >= 1.
    vectors : float32 array of shape (k, d)
    came : int64 array
        The places of those in ``chosen`` that were not chosen before, ascending.
    gone : int64 array
        Rows that are withdrawn, ascending.
    """
    known = _known(before)
    n = sum(store.n for store in map(_embedded, chain.parts) if store is not None)
    everyone = NearestChosen.of(unit_rows(vectors), n=n)
    few = NearestChosen.of(unit_rows(vectors[came]), n=n) if came.size else None
    rank_of = IdMap.of(chosen, np.arange(chosen.size))
    parts, compared, weights = [], 0, np.zeros(chosen.size, dtype=np.int64)
    for part in chain.parts:
        store = _embedded(part)
        for shard in [] if store is None else store.numbers:
            assert store is not None
            ids = store.read_shard(shard, ["id", MULTIPLICITY])
            mine = ids["id"].to_numpy() + part.offset
            nearest, known_cosine = known.get(mine)
            rank, cosine = rank_of.get(nearest)[0], known_cosine.astype(np.float32)
            lost = np.flatnonzero(rank < 0)
            if lost.size or (few is not None and mine.size):
                rows = vectors_of(store.read_shard(shard, ["vector"])["vector"])
                if lost.size:
                    rank[lost], found = everyone.find(unit_rows(rows[lost]))
                    cosine[lost] = found
                    compared += int(lost.size)
                stays = np.setdiff1d(np.arange(mine.size), lost)
                if few is not None and stays.size:
                    place, found = few.find(unit_rows(rows[stays]))
                    nearer = found.astype(np.float32) > cosine[stays]
                    rank[stays[nearer]], cosine[stays[nearer]] = came[place[nearer]], found[nearer]
            counts = np.where(is_in(mine, gone), 0, ids[MULTIPLICITY].to_numpy())
            weights += np.bincount(rank, weights=counts, minlength=chosen.size).astype(np.int64)
            parts.append(
                pa.table({"id": pa.array(mine), "nearest": pa.array(chosen[rank]), "cosine": pa.array(cosine)})
            )
    return Nearest(tuple(parts), weights, compared)


def _embedded(part: Part) -> EmbeddingStore | None:
    """Open all embedded items of a part, near copies included; None where it brings none."""
    return None if part.rows is None else EmbeddingStore.open_folder(part.run, EMBEDDINGS)


def _known(before: Part) -> IdMap:
    """Read the nearest chosen row of each item, and the cosine; nothing where an older version left it without."""
    kept = [FILE] if before.run.exists(FILE) else []
    names = kept if before.number else before.run.names(FOLDER, ".parquet")
    tables = [before.run.read_table(name, ["id", "nearest", "cosine"]) for name in names]
    if not tables:
        return IdMap.of(NO_ITEMS, NO_ITEMS)
    table = pa.concat_tables(tables)
    return IdMap.of(*(table[name].to_numpy() for name in ("id", "nearest", "cosine")))
