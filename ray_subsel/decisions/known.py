"""Hold what decisions are put together from: of all rows what few rows have, of a window of rows what each has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.core.id_map import IdMap
from ray_subsel.core.types import NO_ITEMS
from ray_subsel.decisions.sources import FULL, LeftOut, Sources
from ray_subsel.decisions.status import REJECTED
from ray_subsel.decisions.words import joined
from ray_subsel.storage.embedding_store import flat_rows


@dataclass(frozen=True, eq=False)
class Known:
    """What is held of all rows while decisions are put together.

    Attributes
    ----------
    sources : Sources
    ranks : IdMap
        Of chosen rows.
    copied : IdMap
        The chosen row of each row that it stands for.
    leaders : IdMap
        The leader of each item that joined another, and the cosine to it.
    names : IdMap
        The best row of each item that is named by it, by its lowest row.
    notes : IdMap
        The place of a row's note.
    note_texts : pyarrow array of strings
    left_out : tuple of LeftOut
        Rejected rows last.
    """

    sources: Sources
    ranks: IdMap
    copied: IdMap
    leaders: IdMap
    names: IdMap
    notes: IdMap
    note_texts: pa.Array
    left_out: tuple[LeftOut, ...]

    @staticmethod
    def of(sources: Sources) -> Known:
        """Read it."""
        chosen, (noted, notes) = sources.chosen(), sources.notes
        ranks = IdMap.of(chosen["id"].to_numpy(), chosen["rank"].to_numpy())
        rejected = _rejected(sources.rejected())
        return Known(
            sources,
            ranks,
            _flat(chosen["id"], chosen["rows"]),
            _leaders(sources),
            _names(sources),
            IdMap.of(noted, np.arange(noted.size)),
            pa.array(notes, pa.string()),
            (*sources.left_out, *(() if rejected is None else (rejected,))),
        )


def _rejected(table: pa.Table | None) -> LeftOut | None:
    """Return the rows that could not be used, and why."""
    if table is None:
        return None
    table = table.sort_by("row")
    details = pc.fill_null(table["detail"], "")
    told = pc.if_else(pc.equal(details, ""), table["reason"], joined(table["reason"], ": ", details))
    return LeftOut(table["row"].to_numpy(), [REJECTED] * table.num_rows, told)


def _flat(ids: pa.ChunkedArray, lists: pa.ChunkedArray) -> IdMap:
    """Return the id of each number of the lists beside the ids."""
    flat, owner = flat_rows(lists)
    return IdMap.of(flat, ids.to_numpy()[owner])


def _leaders(sources: Sources) -> IdMap:
    """Return the leader of each item that joined another, and the cosine to it."""
    keys, values, cosines = [NO_ITEMS], [NO_ITEMS], [np.zeros(0)]
    for table in sources.leaders():
        ids, leader = table["id"].to_numpy(), table["leader"].to_numpy()
        joined = ids != leader
        keys.append(ids[joined])
        values.append(leader[joined])
        cosines.append(table["cosine"].to_numpy()[joined].astype(np.float64))
    return IdMap.of(np.concatenate(keys), np.concatenate(values), np.concatenate(cosines))


def _names(sources: Sources) -> IdMap:
    """Return the best row of each item that is named by it, by its lowest row."""
    keys, values = [NO_ITEMS], [NO_ITEMS]
    for table in sources.renamed_items():
        ids = table["id"].to_numpy()
        flat, owner = flat_rows(table["rows"])
        order = np.lexsort((flat, owner))
        first = order[np.flatnonzero(np.diff(owner[order], prepend=-1))]
        keys.append(flat[first])
        values.append(ids)
    return IdMap.of(np.concatenate(keys), np.concatenate(values))


@dataclass(eq=False)
class Window:
    """The item of each row from ``start`` to ``stop``, and the chosen row that is nearest to it, -1 where none is."""

    known: Known
    start: int
    stop: int

    def __post_init__(self) -> None:
        size = self.stop - self.start
        self.item, self.nearest = np.full(size, -1), np.full(size, -1)
        self.cosine = np.full(size, np.nan, dtype=np.float32)
        self.full = np.zeros(size, dtype=np.bool_)
        for members, nearest in self.known.sources.items():
            ids, (rows, owner) = members["id"].to_numpy(), flat_rows(members["rows"])
            inside = (rows >= self.start) & (rows < self.stop)
            places, owner = rows[inside] - self.start, owner[inside]
            named, _ = self.known.names.get(ids)
            self.item[places] = np.where(named >= 0, named, ids)[owner]
            if nearest is not None:
                near = IdMap.of(nearest["id"].to_numpy(), nearest["nearest"].to_numpy(), nearest["cosine"].to_numpy())
                found, cosines = near.get(ids)
                self.nearest[places], self.cosine[places] = found[owner], cosines[owner]
                if FULL in nearest.column_names:
                    full = IdMap.of(nearest["id"].to_numpy(), nearest[FULL].cast(pa.int64()).to_numpy())
                    self.full[places] = (full.get(ids)[0] == 1)[owner]
