"""Draw items at random, the same ones in every process, and scale an objective with them.

An item is drawn if the hash of its id is among the lowest, so the draw depends on ids and seed alone. Parts are read
row group by row group: no process holds more than a row group and the draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from ray_subsel.config import SelectConfig
from ray_subsel.core.hashing import mix
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives import GroundSummary, Objective, ScaledObjective
from ray_subsel.planning.selection_plan import represented_size
from ray_subsel.runtime.tasks import TaskSpec, run_tasks
from ray_subsel.storage.embedding_store import ShardMeta, Vectors, fact_of, row_groups, vectors_of
from ray_subsel.storage.run_directory import RunDir

T = TypeVar("T")

SAMPLE_STREAM, RANDOM_STREAM = 0x5EA3, 0x5EA4
"""Added to the seed, so that the sample, a random subset and the partitions are drawn independently."""

SCRATCH, HINT = "limits", "Free some memory"


def scale_objective(
    run: RunDir, facts: Sequence[ShardMeta], config: SelectConfig, *, k: int, total: Float64s, here: bool
) -> ScaledObjective:
    """Draw the reference sample that an objective needs, and return what a selection maximizes.

    Parameters
    ----------
    total : float64 array of shape (d,)
        t, the sum of the unit vectors of the ground set.
    here : bool
        Read in this process, else a Ray task a part.
    """
    objective = config.objective_of(sum(fact.items for fact in facts), k)
    if not objective.needs_reference:
        return objective.scaled(GroundSummary(total))
    wanted = represented_size(config, sum(fact.items for fact in facts), k)
    _, reference = draw(run, facts, wanted, seed=config.seed + SAMPLE_STREAM, here=here)
    statistics = None
    if objective.needs_statistics:
        of_shard = partial(_statistics, run, facts, objective, reference)
        statistics = sum(each_part(run, of_shard, [fact.shard for fact in facts], "compared with", here=here))
    return objective.scaled(GroundSummary(total, reference, statistics, config.represent == "own"))


def draw(run: RunDir, facts: Sequence[ShardMeta], wanted: int, *, seed: int, here: bool) -> tuple[Indices, Vectors]:
    """Return the ids and vectors of ``wanted`` items, those of the lowest hashes, in ascending order of id."""
    n = sum(fact.items for fact in facts)
    assert 0 < wanted <= n
    shards = [fact.shard for fact in facts]
    likely = wanted + 6 * wanted**0.5 + 16
    while True:
        highest = np.uint64(min(2**64 - 1, int(likely / n * 2**64)))
        found = each_part(run, partial(_below, run, facts, highest, seed), shards, "drawn from", here=here)
        ids = np.concatenate([ids for ids, _ in found])
        if ids.size >= wanted:
            break
        likely *= 2
    vectors = np.concatenate([vectors for _, vectors in found])
    lowest = np.argsort(mix(ids, seed), kind="stable")[:wanted]
    lowest = lowest[np.argsort(ids[lowest])]
    return ids[lowest], vectors[lowest]


def each_part(run: RunDir, function: Callable[[int], T], shards: Sequence[int], what: str, *, here: bool) -> list[T]:
    """Return ``function(shard)`` for each shard, in their order: of this process, or a Ray task each.

    Parameters
    ----------
    what : str
        What a task does to a part, for the line about one whose worker is lost: ``drawn from``.
    """
    if here:
        return [function(shard) for shard in shards]
    works = [
        (shard, TaskSpec(f"{SCRATCH}/{what.split()[0]}-{shard:05d}", f"part {shard} could not be {what}", HINT))
        for shard in shards
    ]
    found = {shard: result for shard, result, _ in run_tasks(_call, (function,), works, run)}
    return [found[shard] for shard in shards]


def _call(function: Callable[[int], T], shard: int) -> T:
    return function(shard)


def _below(
    run: RunDir, facts: Sequence[ShardMeta], highest: np.uint64, seed: int, shard: int
) -> tuple[Indices, Vectors]:
    """Return the items of a part whose hash is not above a number."""
    fact = fact_of(facts, shard)
    d = max(one.dimension for one in facts)
    ids, vectors = [np.zeros(0, dtype=np.int64)], [np.zeros((0, d), dtype=np.float32)]
    for table in row_groups(run, fact, ["id", "vector"]):
        some = table["id"].to_numpy().astype(np.int64)
        chosen = np.flatnonzero(mix(some, seed) <= highest)
        ids.append(some[chosen])
        vectors.append(vectors_of(table["vector"].take(pa.array(chosen))))
    return np.concatenate(ids), np.concatenate(vectors)


def _statistics(
    run: RunDir, facts: Sequence[ShardMeta], objective: Objective[Any], reference: Vectors, shard: int
) -> Any:
    """Return what the objective must know of the items of a shard; 0 where it has none."""
    tables = row_groups(run, fact_of(facts, shard), ["vector"])
    return sum(objective.reference_statistics(reference, vectors_of(table["vector"])) for table in tables)


def random_value(
    run: RunDir, facts: Sequence[ShardMeta], objective: ScaledObjective, k: int, *, seed: int, here: bool
) -> float:
    """Return f of k random items: expected, where there is a formula, else of one draw."""
    n = sum(fact.items for fact in facts)
    expected = objective.random_value(n, k)
    if expected is not None:
        return expected
    _, vectors = draw(run, facts, k, seed=seed + RANDOM_STREAM, here=here)
    full: Any = objective.full()
    return float(full.evaluate(vectors, np.arange(k)))
