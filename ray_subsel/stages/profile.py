"""Measure what the subset is to the corpus, for the report: nothing is written but facts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.core.items import MULTIPLICITY
from ray_subsel.core.lowest_hashes import LowestHashes
from ray_subsel.core.places import is_in
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import UnitRows, unit_rows
from ray_subsel.corpus.rows import RowStore
from ray_subsel.decisions.profile import coverage, curve_sizes, expected_repeats, quartiles, shares, spread_of
from ray_subsel.decisions.table import SELECTION
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.near.task import GROUPS, LEADERS
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import EmbeddingStore, flat_rows
from ray_subsel.storage.run_directory import RunDir

SAMPLE = 2_000
"""Items that coverage is measured on, and rows whose lengths are."""

SHOWN_GROUPS = 5
SHOWN_MEMBERS = 4
CHARACTERS = 300
MOST_CHOSEN = 20_000
"""Chosen items that coverage is followed to."""

MOST_VALUES = 100_000
"""Of a column; one with more tells rows apart, not kinds of rows."""

VERSION = 2
"""Of what is measured: part of the stage's settings."""

_STREAM = 0x3A97


@final
@dataclass(frozen=True)
class ProfileStage(Stage[bool]):
    """Measure coverage against k, repeats that random rows would hold, labels, groups and lengths before and after.

    Attributes
    ----------
    rows : RowStore
    near : bool
        Whether near copies were collapsed.
    per_group : bool
        Whether each group was chosen from on its own: a prefix of the chosen has as many of each group.
    """

    name: ClassVar[str] = "profile"
    outputs: ClassVar[tuple[str, ...]] = ()

    rows: RowStore
    near: bool
    per_group: bool = False

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the figures: the selection."""
        return {"select": context.fingerprint("select"), "version": VERSION}

    def resume(self, context: RunContext) -> bool | None:
        """Return that there are the facts."""
        del context
        return True

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[bool]:
        """Measure."""
        del peak
        run = context.run
        items = EmbeddingStore.open_folder(run, EMBEDDINGS)
        selection = run.read_table(SELECTION, ["id", "rows", MULTIPLICITY, "rank"])
        if self.per_group:
            selection = selection.take(pa.array(np.argsort(selection["rank"].to_numpy(), kind="stable")))
        chosen = selection["id"].to_numpy()
        leaders = EmbeddingStore.open_folder(run, LEADERS) if self.near else items
        facts: dict[str, Any] = {"coverage": _coverage(items, leaders, selection)}
        if not self.per_group:  # what is one text in two groups is chosen twice with reason
            whole, *some = expected_repeats(_group_sizes(leaders), [len(chosen), *facts["coverage"]["k"]])
            facts["repeats_of_random"] = whole
            facts["coverage"]["repeats_of_random"] = [round(one, 1) for one in some]
        for column in ("label", "group"):
            if found := self._shares(column, chosen):
                facts[f"{column}s"] = found
        if lengths := self._lengths(chosen):
            facts["words"] = lengths
        if "quality" in self.rows.index["columns"]:
            facts["quality"] = self._quality(chosen)
        facts["near_groups"] = self._near_groups(run, selection) if self.near else []
        return StageResult(True, facts)

    def _shares(self, column: str, chosen: Indices) -> list[dict[str, Any]]:
        """Return how often each value of a column comes in all rows and in the chosen ones."""
        before: Counter[str] = Counter()
        for table in self.rows.iter_tables([column]):
            before += _counts(table[column])
            if len(before) > MOST_VALUES:
                return []
        return shares(before, _counts(self.rows.take(chosen, [column])[column])) if before else []

    def _lengths(self, chosen: Indices) -> dict[str, Any] | None:
        """Return quartiles of the number of words of the rows, of all and of the chosen ones, each of a sample."""
        drawn = LowestHashes(SAMPLE, _STREAM)
        for table in self.rows.iter_tables(["id"]):
            drawn.add(table["id"].to_numpy())
        lengths = {}
        for name, some in (("before", drawn.ids), ("after", chosen[:SAMPLE])):
            texts = self.rows.take(some, ["text"])["text"].cast(pa.string())
            words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(texts)))
            lengths[name] = quartiles(words.drop_null().to_numpy())
        return lengths if lengths["before"] else None

    def _quality(self, chosen: Indices) -> dict[str, Any] | None:
        """Return how the score of quality is distributed over all rows and over the chosen ones."""
        before = np.concatenate([_numbers(table["quality"]) for table in self.rows.iter_tables(["quality"])])
        return spread_of(before, _numbers(self.rows.take(chosen, ["quality"])["quality"]))

    def _near_groups(self, run: RunDir, selection: pa.Table) -> list[dict[str, Any]]:
        """Return the largest groups of near copies whose leader is chosen, with some members' texts."""
        counts = selection[MULTIPLICITY].to_numpy()
        top = [at for at in np.argsort(-counts, kind="stable")[:SHOWN_GROUPS].tolist() if counts[at] > 1]
        cosines = _cosines(run, [row for at in top for row in selection["rows"][at].as_py()])
        found = []
        for at in top:
            leader, rows = selection["id"][at].as_py(), selection["rows"][at].as_py()
            others = sorted((row for row in rows if row in cosines and row != leader), key=lambda row: cosines[row])
            shown = [leader, *others[: SHOWN_MEMBERS - 1]]
            texts = self.rows.take(shown, ["text"])["text"].cast(pa.string()).to_pylist()
            members = [
                {"id": row, "text": (text or "")[:CHARACTERS], "cosine": cosines.get(row)}
                for row, text in zip(shown, texts, strict=True)
            ]
            if len(members) > 1:
                found.append({"rows": int(counts[at]), "members": members})
        return found


def _coverage(items: EmbeddingStore, leaders: EmbeddingStore, selection: pa.Table) -> dict[str, Any]:
    """Return how near the items that are no copies come to the chosen ones, and to random ones, against k.

    Random ones are drawn from all items, near copies included, as one would draw rows.
    """
    sampled = LowestHashes(SAMPLE, _STREAM)
    for shard in leaders.numbers:
        sampled.add(leaders.read_shard(shard, ["id"])["id"].to_numpy())
    sample = _unit(leaders, np.sort(sampled.ids))
    of_chosen, drawn = _items_and_random_ones(items, selection["id"].to_numpy()[:MOST_CHOSEN])
    both = _unit(items, np.concatenate((of_chosen, drawn)))  # in one pass over the vectors
    k = of_chosen.size
    chosen, random = UnitRows(both.X[:k], both.scale[:k]), UnitRows(both.X[k:], both.scale[k:])
    sizes = curve_sizes(min(chosen.n, random.n))
    curves = [coverage(sample, some, sizes) for some in (chosen, random)]
    return {
        "sample": sample.n,
        "k": sizes,
        "chosen": [round(float(one), 6) for one in curves[0]],
        "random": [round(float(one), 6) for one in curves[1]],
    }


def _unit(items: EmbeddingStore, ids: Indices) -> UnitRows:
    return unit_rows(items.vectors(ids), parameter="vectors", numbers=ids)


def _group_sizes(store: EmbeddingStore) -> Indices:
    """Return how many rows each item of a store is, shard by shard."""
    return np.concatenate([store.read_shard(shard, [MULTIPLICITY])[MULTIPLICITY].to_numpy() for shard in store.numbers])


def _items_and_random_ones(items: EmbeddingStore, rows: Indices) -> tuple[Indices, Indices]:
    """Return the item of each of some rows, in their order, and as many random items where there are."""
    order = np.argsort(rows)
    ascending, drawn = rows[order], LowestHashes(rows.size, _STREAM, highest=True)
    found = np.empty(rows.size, dtype=np.int64)
    for shard in items.numbers:
        table = items.read_shard(shard, ["id", "rows"])
        ids, (flat, owner) = table["id"].to_numpy(), flat_rows(table["rows"])
        here = is_in(flat, ascending)
        found[order[np.searchsorted(ascending, flat[here])]] = ids[owner[here]]
        drawn.add(ids)
    return found, drawn.ids


def _cosines(run: RunDir, rows: list[int]) -> dict[int, float]:
    """Return the cosine of each near copy among some rows to its leader."""
    wanted, found = pa.array(sorted(rows), pa.int64()), {}
    for name in run.names(GROUPS, ".parquet"):
        table = run.read_table(name, ["id", "leader", "cosine"])
        some = table.filter(pc.is_in(table["id"], wanted))
        for row, leader, cosine in zip(*(some[column].to_pylist() for column in some.column_names), strict=True):
            if row != leader:
                found[row] = round(float(cosine), 4)
    return found


def _numbers(column: pa.ChunkedArray) -> Float64s:
    """Return a column as numbers, missing ones as NaN."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _counts(column: pa.ChunkedArray) -> Counter[str]:
    """Return how often each value comes, missing ones aside."""
    found = column.cast(pa.string()).drop_null().value_counts().to_pylist()
    return Counter({one["values"]: one["counts"] for one in found})
