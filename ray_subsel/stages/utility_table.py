"""Write what is added to f for each item: w' u_i of its quality, eta a (n / C) r_i of its relevance to a target.

``utilities/part-*.parquet`` has, for each shard of the ground set, the same items in the same row groups: ``id``,
``utility`` (the sum of both), ``quality`` (u, the rank of the item's score in [0, 1]), ``relevance`` (r, the greatest
similarity to a query) and ``similarity`` (to the mean of the queries). The formulas are in
:mod:`ray_subsel.objectives.quality` and :mod:`ray_subsel.objectives.target`.

First a task a shard compares its items with the queries and looks up their scores, in ``utilities/compared-*``. Then
this process ranks the scores of all items, in some 100 bytes an item, and writes the parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.constraints.spending import picks_expected
from ray_subsel.core.items import UTILITY, ItemBatch
from ray_subsel.core.places import is_in, places_among
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.corpus.rows import RowStore
from ray_subsel.objectives import Objective
from ray_subsel.objectives.quality import (
    RANDOM_STREAM,
    REFERENCE,
    REFERENCE_STREAM,
    gain_unit,
    random_items,
    rank_transform,
    unit_function,
)
from ray_subsel.objectives.target import Relevance, Target, nearest_of, relevance
from ray_subsel.runtime.tasks import TaskSpec, map_tasks
from ray_subsel.stages.constraint_table import FOLDER as LIMITS
from ray_subsel.stages.constraint_table import columns_of
from ray_subsel.stages.sampling import draw
from ray_subsel.storage.embedding_store import EmbeddingStore, part_name, vectors_of
from ray_subsel.storage.run_directory import RunDir

FOLDER = "utilities"
ABOUT = f"{FOLDER}/about.json"
_COLUMNS = ("quality", "relevance", "similarity")


@dataclass(frozen=True)
class Utilities:
    """What was written, for the report.

    Attributes
    ----------
    unit, weight : float
        g and w; 0 without a quality.
    missing : int
        Items without a score.
    relevance_weight : float
        What a relevance of 1 adds to f.
    means : dict of str to float
        Of ``utility``, ``quality``, ``relevance`` and ``similarity``, over all items.
    """

    unit: float
    weight: float
    missing: int
    relevance_weight: float
    means: dict[str, float]


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that a task needs to compare the items of a shard.

    Attributes
    ----------
    rows : RowStore
    store : EmbeddingStore
        The ground set.
    target : Target or None
    quality : bool
        Whether rows have a quality.
    """

    rows: RowStore
    store: EmbeddingStore
    target: Target | None
    quality: bool


def compare(task: Comparison, *, in_process: bool) -> Indices | None:
    """Compare all items, and return the most similar one of each query; None without a target."""
    store = task.store
    tasks = [
        (
            shard,
            TaskSpec(
                _compared(shard),
                f"compare part {shard} with queries",
                f"items of part {shard} could not be compared",
                "Free some memory",
            ),
        )
        for shard in store.numbers
        if not store.run.exists(_compared(shard))
    ]
    map_tasks(_compare_shard, (task,), tasks, store.run, in_process=in_process)
    if task.target is None:
        return None
    found = []
    for shard in store.numbers:
        table = store.run.read_table(_nearest(shard))
        found.append((table["best"].to_numpy(), table["id"].to_numpy()))
    return nearest_of(found)


def forget_comparison(run: RunDir) -> None:
    """Delete what only :func:`write_utilities` needs."""
    for name in run.names(FOLDER, ".parquet"):
        if not name.startswith(f"{FOLDER}/part-"):
            run.delete(name)


def _compared(shard: int) -> str:
    return f"{FOLDER}/compared-{shard:05d}.parquet"


def _nearest(shard: int) -> str:
    return f"{FOLDER}/nearest-{shard:05d}.parquet"


def _compare_shard(task: Comparison, shard: int) -> None:
    """Write what is known of the items of one shard."""
    store = task.store
    pieces: list[Relevance] = []
    ids = [np.zeros(0, dtype=np.int64)]
    for table in store.row_groups(shard, ["id", "vector"] if task.target is not None else ["id"]):
        some = table["id"].to_numpy().astype(np.int64)
        ids.append(some)
        if task.target is not None and some.size:
            rows = unit_rows(vectors_of(table["vector"]), parameter="vectors", numbers=some)
            pieces.append(relevance(rows, task.target, some))
    every = np.concatenate(ids)
    nothing = np.zeros(0 if task.target is not None else every.size)
    columns = {
        "id": every,
        "relevance": np.concatenate([nothing, *[piece.greatest for piece in pieces]]),
        "similarity": np.concatenate([nothing, *[piece.mean for piece in pieces]]),
        "quality": np.full(every.size, np.nan),
    }
    if task.quality and every.size:
        columns["quality"] = columns_of(task.rows, store, shard, every, ["quality"])["quality"].to_numpy()
    if task.target is not None:
        found = [(piece.best, piece.nearest) for piece in pieces]
        best = np.max([best for best, _ in found], axis=0) if found else np.full(task.target.n, -np.inf)
        nearest = nearest_of(found) if found else np.full(task.target.n, np.iinfo(np.int64).max)
        store.run.write_table(_nearest(shard), pa.table({"best": best, "id": nearest}))
    store.run.write_table(_compared(shard), pa.table(columns))


def write_utilities(
    task: Comparison, full: Objective[Any], weight: float, *, k: int, budget: float | None, seed: int, in_process: bool
) -> Utilities:
    """Write the utilities, unless that is done.

    Parameters
    ----------
    task : Comparison
        What :func:`compare` has compared.
    full : Objective
        f, with its target.
    weight : float
        w.
    k : int
        Items to choose, or where a budget limits them, a bound.
    budget : float or None
    seed : int
    """
    store, run = task.store, task.store.run
    if run.exists(ABOUT):
        return Utilities(**run.read_json(ABOUT))
    unit, missing, u = 0.0, 0, np.zeros(store.n)
    if task.quality:
        scores = [run.read_table(_compared(shard), ["quality"])["quality"].to_numpy() for shard in store.numbers]
        ranks = rank_transform(np.concatenate(scores))
        u, missing = ranks.u, ranks.missing
        relevant = math.fsum(_sum(run, shard, "relevance") for shard in store.numbers) / store.n
        expected = picks_expected(k, budget, None if budget is None else _mean_cost(store))
        unit = _unit(store, full, expected, seed, relevant, in_process=in_process)
    weight = weight if task.quality else 0.0
    sums: dict[str, list[float]] = {}
    start = 0
    for shard in store.numbers:  # one in memory
        table = run.read_table(_compared(shard))
        quality, start = u[start : start + table.num_rows], start + table.num_rows
        relevance_of = table["relevance"].to_numpy()
        columns = {
            "quality": quality,
            "relevance": relevance_of,
            "similarity": table["similarity"].to_numpy(),
            UTILITY: full.relevance_weight * relevance_of + weight * unit * quality,
        }
        for name, values in columns.items():
            sums.setdefault(name, []).append(math.fsum(values))
        row_groups = list(store.meta(shard).partition_items)
        run.write_table(part_name(shard, FOLDER), pa.table({"id": table["id"], **columns}), row_groups=row_groups)
    means = {name: math.fsum(values) / store.n for name, values in sums.items()}
    about = Utilities(unit, weight, missing, full.relevance_weight, means)
    run.write_json(ABOUT, vars(about))
    return about


def _sum(run: RunDir, shard: int, column: str) -> float:
    return math.fsum(run.read_table(_compared(shard), [column])[column].to_numpy())


def _unit(
    store: EmbeddingStore, full: Objective[Any], k: int, seed: int, relevant: float, *, in_process: bool
) -> float:
    def reference() -> Any:
        return draw(store, min(store.n, REFERENCE), seed=seed + REFERENCE_STREAM, in_process=in_process)[1]

    wanted = random_items(full, store.n, k)
    _, drawn = draw(store, wanted, seed=seed + RANDOM_STREAM, in_process=in_process)
    return gain_unit(unit_function(full, store.n, reference), drawn, np.arange(wanted), k, relevant)


def _mean_cost(store: EmbeddingStore) -> float:
    costs = [math.fsum(store.run.read_table(part_name(s, LIMITS), ["cost"])["cost"].to_pylist()) for s in store.numbers]
    return math.fsum(costs) / store.n


def with_utilities(store: EmbeddingStore, items: ItemBatch) -> ItemBatch:
    """Return some items, in their order, with the column ``utility``."""
    table = utilities_of(store, items.ids)
    return ItemBatch(items.ids, items.vectors, {**items.columns, UTILITY: table[UTILITY]})


def utilities_of(store: EmbeddingStore, ids: Indices) -> dict[str, Float64s]:
    """Return the columns of some items, in their order."""
    tables, wanted = [], np.sort(ids)
    for shard in store.numbers:
        table = store.run.read_table(part_name(shard, FOLDER))
        tables.append(table.filter(pa.array(is_in(table["id"].to_numpy(), wanted))))
    found = pa.concat_tables(tables)
    at = places_among(ids, found["id"].to_numpy())
    return {name: found[name].to_numpy()[at] for name in (*_COLUMNS, UTILITY)}
