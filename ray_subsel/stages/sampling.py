"""Draw items of the ground set at random, the same ones in every process, and scale the objective by them.

An item is drawn if the hash of its id is among the lowest, so the draw depends on ids and seed alone. Parts are read
row group by row group: no process holds more than a row group and the draw.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.config import SelectConfig
from ray_subsel.core.hashing import mix
from ray_subsel.core.places import is_in, places_among
from ray_subsel.core.types import NO_ITEMS, Float32s, Float64s, Indices
from ray_subsel.objectives import GroundSummary, Objective, ScaledObjective
from ray_subsel.objectives.target import TargetOf
from ray_subsel.planning.selection_plan import represented_size
from ray_subsel.runtime.tasks import TaskSpec, map_tasks
from ray_subsel.storage.embedding_store import EmbeddingStore, vectors_of

SAMPLE_STREAM, RANDOM_STREAM = 0x5EA3, 0x5EA4
"""Added to the seed, so that the sample, a random subset and the partitions are drawn independently."""

SCRATCH, HINT = "limits", "Free some memory"


def scale_objective(
    store: EmbeddingStore,
    config: SelectConfig,
    *,
    k: int,
    total: Float64s,
    in_process: bool,
    target_of: TargetOf | None = None,
) -> ScaledObjective:
    """Draw the reference sample that an objective needs, and return what a selection maximizes.

    Parameters
    ----------
    total : float64 array of shape (d,)
        t, the sum of the unit vectors of the ground set.
    in_process : bool
        Read in this process, else a Ray task a shard.
    target_of : callable, optional
        What the chosen items shall resemble.
    """
    objective = config.objective_of(store.n, k)
    if not objective.needs_reference:
        return objective.scaled(GroundSummary(total, target=None if target_of is None else target_of(store.n)))
    wanted = represented_size(config, store.n, k)
    _, reference = draw(store, wanted, seed=config.seed + SAMPLE_STREAM, in_process=in_process)
    statistics = None
    if objective.needs_statistics:
        statistics = statistics_of(store, objective, reference, in_process=in_process)
    target = None if target_of is None else target_of(len(reference))
    return objective.scaled(GroundSummary(total, reference, statistics, config.represent == "own", target))


def statistics_of(
    store: EmbeddingStore, objective: Objective[Any], reference: Float32s, *, in_process: bool
) -> Float64s:
    """Return what the objective must know of the ground set, for the items of a sample."""
    shared = (store, objective, reference)
    found: Float64s = sum(_each_shard(_statistics, shared, store, "sums", "compared with", in_process=in_process))
    return found


def vectors_of_items(store: EmbeddingStore, ids: Indices, *, in_process: bool) -> Float32s:
    """Return the vectors of some items, in the order of ``ids``."""
    found = _each_shard(_those, (store, np.sort(ids)), store, "those", "read", in_process=in_process)
    there, vectors = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return np.asarray(vectors[places_among(ids, there)])


def draw(store: EmbeddingStore, wanted: int, *, seed: int, in_process: bool) -> tuple[Indices, Float32s]:
    """Return the ids and vectors of ``wanted`` items, those of the lowest hashes, in ascending order of id."""
    assert 0 < wanted <= store.n
    likely = wanted + 6 * wanted**0.5 + 16
    while True:
        highest = np.uint64(min(2**64 - 1, int(likely / store.n * 2**64)))
        found = _each_shard(_below, (store, highest, seed), store, "draw", "drawn from", in_process=in_process)
        ids = np.concatenate([ids for ids, _ in found])
        if ids.size >= wanted:
            break
        likely *= 2
    vectors = np.concatenate([vectors for _, vectors in found])
    lowest = np.argsort(mix(ids, seed), kind="stable")[:wanted]
    lowest = lowest[np.argsort(ids[lowest])]
    return ids[lowest], vectors[lowest]


def _each_shard(
    function: Callable[..., Any],
    shared: tuple[Any, ...],
    store: EmbeddingStore,
    task: str,
    done: str,
    *,
    in_process: bool,
) -> list[Any]:
    """Return ``function(*shared, shard)`` for each shard; ``task`` names its count of attempts."""
    tasks = [
        (
            shard,
            TaskSpec(
                f"{SCRATCH}/{task}-{shard:05d}", f"{task} of part {shard}", f"part {shard} could not be {done}", HINT
            ),
        )
        for shard in store.numbers
    ]
    return map_tasks(function, shared, tasks, store.run, in_process=in_process)


def _below(store: EmbeddingStore, highest: np.uint64, seed: int, shard: int) -> tuple[Indices, Float32s]:
    """Return the items of a shard whose hash is not above a number."""
    ids, vectors = [NO_ITEMS], [np.zeros((0, store.d), dtype=np.float32)]
    for table in store.row_groups(shard, ["id", "vector"]):
        some = table["id"].to_numpy().astype(np.int64)
        chosen = np.flatnonzero(mix(some, seed) <= highest)
        ids.append(some[chosen])
        vectors.append(vectors_of(table["vector"].take(pa.array(chosen))))
    return np.concatenate(ids), np.concatenate(vectors)


def _those(store: EmbeddingStore, wanted: Indices, shard: int) -> tuple[Indices, Float32s]:
    """Return those items of a shard that are wanted."""
    ids, vectors = [NO_ITEMS], [np.zeros((0, store.d), dtype=np.float32)]
    for table in store.row_groups(shard, ["id", "vector"]):
        some = table["id"].to_numpy().astype(np.int64)
        there = np.flatnonzero(is_in(some, wanted))
        ids.append(some[there])
        vectors.append(vectors_of(table["vector"].take(pa.array(there))))
    return np.concatenate(ids), np.concatenate(vectors)


def _statistics(store: EmbeddingStore, objective: Objective[Any], reference: Float32s, shard: int) -> Any:
    """Return what the objective must know of the items of a shard; 0 where it has none."""
    tables = store.row_groups(shard, ["vector"])
    return sum(objective.reference_statistics(reference, vectors_of(table["vector"])) for table in tables)


def random_value(store: EmbeddingStore, objective: ScaledObjective, k: int, *, seed: int) -> float:
    """Return f of k random items: expected, where there is a formula, else of one draw."""
    expected = objective.random_value(store.n, k)
    if expected is not None:
        return expected
    _, vectors = draw(store, k, seed=seed + RANDOM_STREAM, in_process=True)
    full: Any = objective.full()
    return float(full.evaluate(vectors, np.arange(k)))
