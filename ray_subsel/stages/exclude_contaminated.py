"""Leave out the rows that repeat a row of another set, such as the file that a model will be tested on.

read     each set, as a corpus is read                             ->  against/<s>/rows/
embed    its distinct texts, where cosines are compared            ->  against/<s>/embeddings/
compare  a task a shard of the corpus: words, then cosines         ->  against/found/
gather                                                             ->  contaminated.parquet
leave    a task a shard: the items that are left, if not all are   ->  clean/

``contaminated.parquet`` has a line for each row that is left out, in order of ``id``: ``source_id`` (its own id),
``item`` (the item that it belonged to), ``file`` and ``line`` of the row that it repeats (of several the first),
``kind`` (``equal``, ``ngram`` or ``near``, the first that holds), ``evidence`` (the words that both have, or the
beginning of the row that is near) and ``cosine`` (of ``near``). A row is held against all sets, so no order of work and
no number of shards or workers changes it. What equal and overlapping texts are, :mod:`ray_subsel.filters.overlap` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import Indices
from ray_subsel.core.unit_rows import UnitRows, unit_rows
from ray_subsel.corpus.ingest import ingest
from ray_subsel.corpus.ingest_plan import input_fingerprint
from ray_subsel.corpus.other_sets import OtherSet
from ray_subsel.corpus.rows import RowStore
from ray_subsel.filters.nearest import NOTHING_NEAR, Nearest, nearest_reaching
from ray_subsel.filters.overlap import EQUAL, NGRAM, TextIndex
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import bar, log_line
from ray_subsel.runtime.tasks import TaskSpec, run_tasks
from ray_subsel.stages.apart import embedded_apart
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.constraint_table import columns_of
from ray_subsel.stages.smaller_store import smaller_store, without_items
from ray_subsel.storage.embedding_store import EmbeddingStore, flat_rows, part_name, vectors_of

FOLDER, FOUND, CLEAN = "against", "against/found", "clean"
CONTAMINATED = "contaminated.parquet"
NEAR = "near"
HINT = "Give it more memory"
SHOWN, SHOWN_ROWS = 200, 10
"""Characters of a row, and rows in the report."""
VERSION = 1
"""Of what decides which rows repeat others: part of the stage's settings."""

_MATCHES = pa.schema(
    [("item", pa.int64()), ("number", pa.int64()), ("kind", pa.string()), ("evidence", pa.string()),
     ("cosine", pa.float64()), ("rows", pa.list_(pa.int64()))]
)  # fmt: skip
_SET_BITS = 44  # a row of a set is called by the number of the set, then its id


@dataclass(frozen=True, eq=False)
class CompareTask:
    """All that a worker needs to compare a shard of the corpus.

    Attributes
    ----------
    rows : RowStore
    store : EmbeddingStore
        The embeddings.
    sets : tuple of OtherSet
    index : TextIndex or None
        Their texts; None where the corpus has none.
    threshold : float or None
        Of cosines; None where none are compared.
    """

    rows: RowStore
    store: EmbeddingStore
    sets: tuple[OtherSet, ...]
    index: TextIndex | None
    threshold: float | None


def texts_of(sets: Sequence[RowStore]) -> Iterator[tuple[int, str]]:
    """Yield the texts of all rows of some sets, with the numbers of the rows."""
    for number, rows in enumerate(sets):
        for table in rows.iter_tables(["id", "text"]):
            ids = (table["id"].to_numpy() + (number << _SET_BITS)).tolist()
            yield from ((one, text) for one, text in zip(ids, table["text"].to_pylist(), strict=True) if text)


def compare(task: CompareTask, shard: int) -> None:
    """Keep the items of one shard that repeat a row of another set."""
    members = task.store.members(shard)
    ids = members["id"].to_numpy().astype(np.int64)
    found: dict[int, tuple[int, str, str, float | None]] = {}
    if task.index is not None and ids.size:
        texts = columns_of(task.rows, task.store, shard, ids, ["text"])["text"].to_pylist()
        for one in task.index.look_up(text or "" for text in texts):
            found[one.place] = one.number, one.kind, one.evidence, None
    if task.threshold is not None and ids.size:
        with block_workers():
            near = _near(task, shard, task.threshold)
        shown = _beginnings(task.sets, near.numbers)
        for place, number, cosine, text in zip(
            near.places.tolist(), near.numbers.tolist(), near.cosine.tolist(), shown
        ):
            found.setdefault(place, (number, NEAR, text, cosine))
    places = sorted(found)
    columns = zip(*(found[place] for place in places), strict=True) if places else ([], [], [], [])
    number, kind, evidence, cosine = (list(column) for column in columns)
    rows = members["rows"].take(pa.array(places, pa.int64()))
    table = pa.table([ids[places], number, kind, evidence, cosine, rows], schema=_MATCHES)
    task.store.run.write_table(part_name(shard, FOUND), table)


def _near(task: CompareTask, shard: int, threshold: float) -> Nearest:
    """Return the items of a shard that come near a row of another set, by their places."""
    found, start = NOTHING_NEAR, 0
    for table in task.store.row_groups(shard, ["id", "vector"]):
        ids = table["id"].to_numpy().astype(np.int64)
        items = unit_rows(vectors_of(table["vector"]), parameter="vectors", numbers=ids)
        for number, one in enumerate(task.sets):
            for others, vectors in [] if one.vectors is None else _parts(one.vectors):
                near = nearest_reaching(items, vectors, others + (number << _SET_BITS), threshold)
                found = found.merged(Nearest(near.places + start, near.numbers, near.cosine))
        start += ids.size
    return found


def _parts(store: EmbeddingStore) -> Iterator[tuple[Indices, UnitRows]]:
    """Yield the items of a set and their unit vectors, a row group at a time."""
    for shard in store.numbers:
        for table in store.row_groups(shard, ["id", "vector"]):
            ids = table["id"].to_numpy().astype(np.int64)
            yield ids, unit_rows(vectors_of(table["vector"]), parameter="vectors", numbers=ids)


def _sets_and_rows(numbers: Indices) -> Iterator[tuple[int, Indices, Indices]]:
    """Yield each set that some numbers are of, their places and the rows in it."""
    which = numbers >> _SET_BITS
    for one in np.unique(which).tolist():
        places = np.flatnonzero(which == one)
        yield one, places, numbers[places] - (one << _SET_BITS)


def _beginnings(sets: Sequence[OtherSet], numbers: Indices) -> list[str]:
    """Return the beginning of each row of the other sets; empty where it has no text."""
    found = [""] * numbers.size
    for one, places, ids in _sets_and_rows(numbers):
        for place, text in zip(places.tolist(), sets[one].rows.take(ids, ["text"])["text"].to_pylist(), strict=True):
            found[place] = (text or "")[:SHOWN]
    return found


@final
@dataclass(frozen=True)
class ExcludeContaminatedStage(Stage[EmbeddingStore]):
    """Leave out what repeats other sets, and hand down the ground set without it.

    Attributes
    ----------
    rows : RowStore
    store : EmbeddingStore
        The embeddings.
    others : tuple of CorpusConfig
        How each other set is read.
    threshold : float or None
        Of cosines.
    model : str or None
        What tells the embedder; None for ready vectors.
    include : int64 array
        Rows that must be chosen, and so must not be left out.
    """

    name: ClassVar[str] = "against"
    outputs: ClassVar[tuple[str, ...]] = (FOLDER, CLEAN, CONTAMINATED)

    rows: RowStore
    store: EmbeddingStore
    others: tuple[CorpusConfig, ...]
    threshold: float | None
    model: str | None
    include: Indices

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides which rows are left out."""
        sets = [[*other.text, other.vectors or "", input_fingerprint(other)] for other in self.others]
        return {"version": VERSION, "sets": sets, "near": self.threshold, "embed": context.fingerprint("embed")}

    def resume(self, context: RunContext) -> EmbeddingStore | None:
        """Return the ground set, or None where a part of it is gone."""
        if not context.run.exists(CONTAMINATED):
            return None
        table = context.run.read_table(CONTAMINATED, ["item", "id"])
        self._check_included(table["id"].to_numpy())
        return smaller_store(self.store, len(pc.unique(table["item"])), table.num_rows, CLEAN)

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[EmbeddingStore]:
        """Read the other sets, compare, and write what is left."""
        sets, lines = [], []
        for number, other in enumerate(self.others):
            folder = context.run.inner(f"{FOLDER}/{number:05d}")
            if self.threshold is not None and other.vectors == context.config.corpus.vectors:
                inputs = input_fingerprint(other)
                sets.append(OtherSet(other.data[0], *embedded_apart(context, other, inputs, self.model, folder)))
            else:
                sets.append(OtherSet(other.data[0], ingest(other, folder, in_process=context.reads_here, peak=peak)))
            if sets[-1].rows.n_rejected:
                lines.append(f"{sets[-1].name}: {sets[-1].rows.n_rejected:,} rows cannot be read, see "
                             f"{folder.path('rejected.parquet')}")  # fmt: skip
        with_texts = bool(context.config.corpus.text) or context.config.corpus.vectors is None
        threshold = self.threshold
        if threshold is not None:
            without = [one.name for one in sets if one.vectors is None]
            lines += [
                f"{name} has no column {context.config.corpus.vectors}: no cosines are compared" for name in without
            ]
        else:
            lines.append("no cosines are compared: --against-near X compares them")
        for line in lines:
            log_line(f"against: {line}")
        here = context.in_process(context.policy.is_small(self.store.n, self.store.d))
        index = TextIndex.of(texts_of([one.rows for one in sets])) if with_texts else None
        task = CompareTask(self.rows, self.store, tuple(sets), index, threshold)
        missing = [shard for shard in self.store.numbers if not context.run.exists(part_name(shard, FOUND))]
        specs = [
            (
                shard,
                TaskSpec(
                    part_name(shard, FOUND),
                    f"compare part {shard} with other sets",
                    f"part {shard} could not be compared",
                    HINT,
                ),
            )
            for shard in missing
        ]
        with bar("against", len(specs), "part") as progress:
            for _ in run_tasks(compare, (task,), specs, context.run, in_process=here):
                progress.advance()
        table = self._gather(sets)
        context.run.write_table(CONTAMINATED, table)
        self._check_included(table["id"].to_numpy())
        items = np.unique(table["item"].to_numpy())
        if items.size == self.store.n:
            shown = Verbatim(f"all {self.rows.n_rows:,} rows, which repeat it")
            raise invalid("against", "leave rows to choose from", shown, "Is it the corpus itself?")
        store = without_items(self.store, items, CLEAN, in_process=here)
        facts = self._facts(sets, table, items.size, lines)
        counts = ", ".join(f"{kind} {count:,}" for kind, count in facts["kinds"].items())
        line = f"against: {table.num_rows:,} of {self.rows.n_rows:,} rows repeat another set, left out ({counts})"
        return StageResult(store, facts, line)

    def _gather(self, sets: Sequence[OtherSet]) -> pa.Table:
        """Return a line for each row that is left out."""
        run = self.rows.run
        table = pa.concat_tables([run.read_table(part_name(shard, FOUND)) for shard in self.store.numbers])
        ids, of = flat_rows(table["rows"])
        order = np.argsort(ids, kind="stable")
        ids, table = ids[order], table.drop_columns(["rows"]).take(pa.array(of[order]))
        numbers = table["number"].to_numpy()
        files, lines = [""] * numbers.size, [0] * numbers.size
        for one, places, rows in _sets_and_rows(numbers):
            for place, file, line in zip(places.tolist(), *sets[one].places(rows), strict=True):
                files[place], lines[place] = file, line
        own = self.rows.take(ids, ["source_id"])["source_id"] if ids.size else pa.array([], pa.string())
        return pa.table(
            {
                "id": pa.array(ids, pa.int64()),
                "source_id": own.cast(pa.string()),
                "item": table["item"],
                "file": pa.array(files, pa.string()),
                "line": pa.array(lines, pa.int64()),
                "kind": table["kind"],
                "evidence": table["evidence"],
                "cosine": table["cosine"],
            }
        )

    def _facts(self, sets: Sequence[OtherSet], table: pa.Table, items: int, notes: list[str]) -> dict[str, Any]:
        kinds = table["kind"].to_pylist()
        return {
            "sets": [{"name": one.name, "rows": one.rows.n_rows, "rejected": one.rows.n_rejected} for one in sets],
            "threshold": self.threshold,
            "rows": table.num_rows,
            "items": items,
            "kinds": {kind: kinds.count(kind) for kind in (EQUAL, NGRAM, NEAR)},
            "notes": notes,
            "shown": table.slice(0, SHOWN_ROWS).select(["id", "file", "line", "kind", "evidence"]).to_pylist(),
        }

    def _check_included(self, ids: Indices) -> None:
        both = self.include[np.isin(self.include, ids)]
        if both.size:
            where = f"See {self.rows.run.path(CONTAMINATED)}, or leave it out of --include."
            raise invalid("include", "name no row that repeats --against", int(both[0]), where)
