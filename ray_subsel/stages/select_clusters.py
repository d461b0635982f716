"""Run the greedy by clusters over a store; the mathematics is in :mod:`ray_subsel.partitioned.by_clusters`.

The embeddings are sorted by a partition whose parts are whole clusters; a task a partition runs the greedy on each of
its clusters in turn and keeps the sequences in ``candidates/round-<r>-part-<p>.parquet``. The merge, in this process,
holds some numbers an item that is offered, and no vector. A run that was killed runs the missing tasks only.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pyarrow as pa

from ray_subsel.config import SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.core.hashing import mix
from ray_subsel.core.items import COST, GROUP, UTILITY, ItemBatch
from ray_subsel.core.types import NO_ITEMS, Indices
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.dedup.clusters import Centres, fit_centres, in_sample
from ray_subsel.objectives import Objective, ScaledObjective
from ray_subsel.objectives.represented import RepresentingObjective
from ray_subsel.optimizers.base import Problem
from ray_subsel.partitioned.by_clusters import (
    ClusterSequence,
    Request,
    choose_by_clusters,
    cluster_settings,
    first_requests,
    follow,
    places_of,
)
from ray_subsel.partitioned.greedi import GreediResult
from ray_subsel.partitioned.reduction_tree import grow_tree
from ray_subsel.planning.policy import Policy
from ray_subsel.runtime.metrics import PARTITIONS_DONE, record
from ray_subsel.runtime.peak_memory import peak_bytes
from ray_subsel.runtime.progress import Bar
from ray_subsel.runtime.tasks import TaskSpec, map_tasks, run_tasks
from ray_subsel.stages.constraint_table import ItemState, read_constrained
from ray_subsel.stages.resolve_constraints import PartitionedConstraints
from ray_subsel.stages.sampling import RANDOM_STREAM, SAMPLE_STREAM, draw, statistics_of, vectors_of_items
from ray_subsel.stages.selection_job import FOLDER, HINT, SelectionJob, SelectionOutcome
from ray_subsel.storage.embedding_store import METADATA, EmbeddingStore, vectors_of

SAMPLE = 2_000
"""Items to which the answer is compared across clusters."""

VERSION = 1
"""Of what decides the clusters and the merge: part of the stage's settings."""

BUDGET_VERSION = 2
"""The same under a budget: another version asked clusters in other rounds, whose answers are not to be read."""


@final
@dataclass(frozen=True, eq=False)
class ClusterLayout:
    """A partition whose parts are consecutive whole clusters.

    Attributes
    ----------
    centres : Centres
    starts : int64 array of shape (m,)
        The first cluster of each partition.
    name : str
    """

    centres: Centres
    starts: Indices
    name: str

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return int(self.starts.size)

    def of(self, items: ItemBatch) -> Indices:
        """Return the partition of each item."""
        return np.searchsorted(self.starts, _clusters_of(self.centres, items), side="right") - 1


def _clusters_of(centres: Centres, items: ItemBatch) -> Indices:
    """Return the cluster of each item."""
    if not len(items):
        return NO_ITEMS
    return centres.nearest(unit_rows(items.vectors, parameter="vectors", numbers=items.ids))


@final
@dataclass(frozen=True, eq=False)
class ClusterJob:
    """What the tasks need to know.

    Attributes
    ----------
    objective : Objective
        Of the items of one cluster.
    n, k : int
        Ground set and number to choose.
    cluster_items : int
        Of a usual cluster.
    centres : Centres or None
        None: all items are one cluster.
    constraints : PartitionedConstraints or None
    highest : int
        Items whose hash is not above it are a random subset of about k.
    seed : int
    """

    objective: Objective[Any]
    n: int
    k: int
    cluster_items: int
    centres: Centres | None
    constraints: PartitionedConstraints | None
    highest: int
    seed: int

    @staticmethod
    def of(
        objective: Objective[Any], job: SelectionJob, cluster_items: int | None, centres: Centres | None
    ) -> ClusterJob:
        """Return what the tasks of a selection need to know."""
        highest = min(2**64 - 1, (job.k << 64) // job.n)
        items = job.n if cluster_items is None else cluster_items
        return ClusterJob(objective, job.n, job.k, items, centres, job.constraints, highest, job.seed)


@final
@dataclass(frozen=True)
class Clustered(ScaledObjective):
    """A coverage function of all items, by clusters.

    Attributes
    ----------
    objective : Objective
    n : int
    n_clusters : int
    exact : bool
        Whether the answer is the greedy's of the sum over clusters.
    across : dict or None
        What the answer and as many random items are worth to a sample of all items, clusters aside.
    """

    objective: Objective[Any]
    n: int
    n_clusters: int = 1
    exact: bool = True
    across: dict[str, float] | None = None

    def full(self) -> Objective[Any]:
        """Return the function itself, of all items."""
        return self.objective

    def scaled(self, share: float, given: Any) -> Objective[Any]:
        """Return the function: a cluster has no scale."""
        del share, given
        return self.objective

    def about(self) -> dict[str, Any]:
        """Return what is represented, and by how many clusters."""
        return {
            "mode": "clusters",
            "represented": self.n,
            "clusters": self.n_clusters,
            "merge_is_exact": self.exact,
            "across_clusters": self.across,
        }

    def warnings(self, gains: Any, n: int) -> list[str]:
        """Return what to know of picks that added nothing."""
        del n
        useless = int((gains <= 0).sum())
        if not useless:
            return []
        return [f"{useless:,} picks added nothing: all items had all that they can have. A smaller k does as well."]


def plan_clusters(
    store: EmbeddingStore,
    objective: Objective[Any],
    config: SelectConfig,
    k: int,
    constraints: PartitionedConstraints | None,
    policy: Policy,
) -> SelectionJob:
    """Describe the selection: partitions of whole clusters, one reducer."""
    k = k if constraints is None else constraints.k
    tree = grow_tree(store.partition_sizes, k=k, c=1.0, fan_in=max(2, store.partitions))
    return SelectionJob(
        store.n, store.d, k, store.partitions, Clustered(objective, store.n), k, store.total(), config.seed, tree,
        constraints, policy,
    )  # fmt: skip


def cluster_layout(
    store: EmbeddingStore, config: SelectConfig, *, cluster_items: int, partitions: int, in_process: bool
) -> ClusterLayout:
    """Fit clusters to a sample, and put them together into partitions of about the same size."""
    tasks = [
        (
            shard,
            TaskSpec(
                f"{FOLDER}/sample-{shard:05d}", f"sample part {shard}", f"part {shard} could not be sampled", HINT
            ),
        )
        for shard in store.numbers
    ]
    shared = (store, cluster_items, config.seed)
    found = map_tasks(_sampled, shared, tasks, store.run, in_process=in_process)
    ids, vectors = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(ids, kind="stable")
    rows = unit_rows(vectors[order], parameter="vectors", numbers=ids[order])
    centres = fit_centres(rows, cluster_settings(cluster_items, config.seed), n=store.n)
    sizes = np.bincount(centres.nearest(rows), minlength=centres.n_clusters) + 0.5  # about proportional to the clusters
    before = np.cumsum(sizes) - sizes
    part = np.minimum((before / sizes.sum() * partitions).astype(np.int64), partitions - 1)
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    name = f"clusters {VERSION}: {cluster_items} items, seed {config.seed}, {starts.size} partitions of {store.n} items"
    return ClusterLayout(centres, starts, name)


def _sampled(store: EmbeddingStore, cluster_items: int, seed: int, shard: int) -> tuple[Indices, Any]:
    ids, vectors = [NO_ITEMS], [np.zeros((0, store.d), dtype=np.float32)]
    for table in store.row_groups(shard, ["id", "vector"]):
        some = table["id"].to_numpy().astype(np.int64)
        drawn = np.flatnonzero(in_sample(some, n=store.n, d=store.d, cluster_size=cluster_items, seed=seed))
        ids.append(some[drawn])
        vectors.append(vectors_of(table["vector"].take(pa.array(drawn))))
    return np.concatenate(ids), np.concatenate(vectors)


def arranged_store(store: EmbeddingStore, layout: ClusterLayout, *, in_process: bool) -> EmbeddingStore:
    """Return the store sorted by clusters."""
    tasks = [
        (
            meta.shard,
            TaskSpec(
                meta.name,
                f"sort part {meta.shard} by clusters",
                f"{store.run.path(meta.name)} could not be sorted by clusters",
                HINT,
            ),
        )
        for meta in store.shards
        if meta.layout != layout.name
    ]
    metas = map_tasks(EmbeddingStore.arrange, (store, layout), tasks, store.run, in_process=in_process)
    return store.replaced(metas)


def choose_clustered(
    store: EmbeddingStore, job: SelectionJob, clusters: ClusterJob, *, bar: Bar, processes: int | None = None
) -> SelectionOutcome:
    """Run all rounds, a task a partition, and merge what they hand over."""
    peaks, owner, randoms = [0], dict[int, int](), [0.0]
    rounds = 0

    def run(requests: Sequence[Request] | None) -> list[ClusterSequence]:
        nonlocal rounds
        if requests is None:
            asked: dict[int, list[Request] | None] = dict.fromkeys(range(job.m), None)
        else:
            grouped: dict[int, list[Request]] = {}
            for request in requests:
                grouped.setdefault(owner[request.cluster], []).append(request)
            asked = dict(grouped)
        names = {partition: _name(rounds, partition) for partition in asked}
        tasks = [
            (
                (partition, asked[partition], name),
                TaskSpec(name, f"select partition {partition}", f"partition {partition} could not be solved", HINT),
            )
            for partition, name in names.items()
            if not store.run.exists(name)
        ]
        if rounds == 0:
            bar.advance(job.m - len(tasks))
        for _, _, used in run_tasks(
            _solve, (store, clusters), tasks, store.run, in_process=job.in_process, at_a_time=processes
        ):
            peaks.append(used)
            if rounds == 0:
                bar.advance()
                record(PARTITIONS_DONE, 1, store.run)
        found = []
        for partition, name in names.items():
            sequences, random = _read(store, name, None if rounds else store.partition_sizes[partition])
            owner.update({one.cluster: partition for one in sequences})
            found += sequences
            if rounds == 0:
                randoms.append(random)
        rounds += 1
        return found

    given = job.given
    chosen = choose_by_clusters(run, job.k, job.whole, first=NO_ITEMS if given is None else given.ids)
    partitions = np.array([owner[cluster] for cluster in chosen.clusters.tolist()], dtype=np.int64)
    result = GreediResult(chosen.ids, partitions, chosen.gains, chosen.value, len(chosen.ids), None, "clusters")
    assert len(np.unique(chosen.ids)) == len(chosen.ids)
    assert given is None or np.array_equal(chosen.ids[: len(given)], given.ids)
    assert len(chosen.ids) == job.k or job.whole.budget is not None
    across = None if chosen.n_clusters == 1 else across_clusters(store, clusters.objective, chosen.ids, job)
    objective = Clustered(clusters.objective, job.n, chosen.n_clusters, chosen.exact, across)
    peaks.append(peak_bytes() if job.in_process else 0)
    return SelectionOutcome(
        dataclasses.replace(job, objective=objective),
        result,
        math.fsum(randoms),
        chosen.value if chosen.n_clusters == 1 else None,
        chosen.rounds,
        peak_bytes=max(peaks),
    )


def _name(rounds: int, partition: int) -> str:
    return f"{FOLDER}/round-{rounds:02d}-part-{partition:05d}.parquet"


def _solve(store: EmbeddingStore, job: ClusterJob, asked: tuple[int, list[Request] | None, str]) -> None:
    """Answer the requests to the clusters of one partition, or the first ones to all of them, and keep the answers."""
    partition, requests, name = asked
    constraints = job.constraints
    if constraints is None:
        items = store.read_partition(partition)
        state = np.full(len(items), int(ItemState.AVAILABLE))
    else:
        items, state = read_constrained(store, partition)
    if job.centres is None:
        places = places_of(np.zeros(len(items), dtype=np.int64), len(items))
    else:
        places = places_of(_clusters_of(job.centres, items), 2 * job.cluster_items)
    if requests is None:
        most = job.k if constraints is None else constraints.constraints.most_picks(job.k)
        requests = first_requests(places, job.n, most)
    sequences = [_follow(job, items.take(places[one.cluster]), state[places[one.cluster]], one) for one in requests]
    random = math.fsum(_random_value(job, items.take(own)) for own in places.values())
    _write(store, name, sequences, len(items), random)


def _follow(job: ClusterJob, items: ItemBatch, state: Indices, request: Request) -> ClusterSequence:
    constraints = job.constraints
    objective, utility = job.objective.of_items(items.ids), items.columns.get(UTILITY)
    problem = Problem(items.vectors, objective, len(items), utility=utility)
    if constraints is not None:
        limits = constraints.constraints.for_items(items.columns)
        asked = constraints.given.ids[np.isin(constraints.given.ids, items.ids)]
        include = np.searchsorted(items.ids, asked)
        limits = dataclasses.replace(limits, include=include, exclude=np.flatnonzero(state == ItemState.EXCLUDED))
        problem = dataclasses.replace(problem, constraints=limits)
    return follow(problem, items.ids, request)


def _random_value(job: ClusterJob, items: ItemBatch) -> float:
    """Return f of the items of a cluster that belong to the random subset."""
    drawn = np.flatnonzero(mix(items.ids, job.seed + RANDOM_STREAM) <= np.uint64(job.highest))
    return float(job.objective.of_items(items.ids).evaluate(items.vectors, drawn)) if drawn.size else 0.0


def _write(store: EmbeddingStore, name: str, found: Sequence[ClusterSequence], items: int, random: float) -> None:
    columns = {
        "id": np.concatenate([NO_ITEMS, *[one.ids for one in found]]),
        "gain": np.concatenate([np.zeros(0), *[one.gains for one in found]]),
        "key": np.concatenate([np.zeros(0), *[one.keys for one in found]]),
        GROUP: np.concatenate([NO_ITEMS, *[one.groups for one in found]]),
        COST: np.concatenate([np.zeros(0), *[one.costs for one in found]]),
    }
    clusters = [[one.cluster, one.size, int(one.ids.size), one.included, one.complete] for one in found]
    about = {"items": items, "random": random, "clusters": clusters}
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(about).encode()})
    store.run.write_table(name, table)


def _read(store: EmbeddingStore, name: str, items: int | None) -> tuple[list[ClusterSequence], float]:
    """Read back what a task kept; ``items`` are those that its clusters must have together."""
    table = store.run.read_table(name)
    about = json.loads((table.schema.metadata or {}).get(METADATA, b'{"items": -1, "random": 0, "clusters": []}'))
    offered = sum(int(cluster[2]) for cluster in about["clusters"])
    if offered != table.num_rows or items not in (None, about["items"]):
        raise InputError(
            f"{store.run.path(name)} must hold what the clusters of {items} items hand over; got {table.num_rows} rows "
            f"of {about['items']} items. Delete {store.run.path(FOLDER)} and run the same command again."
        )
    arrays = [table[column].to_numpy() for column in ("id", "gain", "key", GROUP, COST)]
    found, start = [], 0
    for cluster, size, count, included, complete in about["clusters"]:
        ids, gains, keys, groups, costs = (array[start : start + count] for array in arrays)
        found.append(ClusterSequence(cluster, size, ids, gains, keys, groups, costs, included, complete))
        start += count
    return found, float(about["random"])


def across_clusters(
    store: EmbeddingStore, objective: Objective[Any], ids: Indices, job: SelectionJob
) -> dict[str, float]:
    """Return f of the chosen, and of as many random items, to a sample of all items, per item of the sample."""
    assert isinstance(objective, RepresentingObjective)
    objective = objective.without_target()
    size = min(store.n, SAMPLE)
    _, sample = draw(store, size, seed=job.seed + SAMPLE_STREAM, in_process=job.in_process)
    statistics = None
    if objective.needs_statistics:
        statistics = statistics_of(store, objective, sample, in_process=job.in_process)
    of_sample = objective.representing(sample, statistics)
    chosen = vectors_of_items(store, ids, in_process=job.in_process)
    _, random = draw(store, ids.size, seed=job.seed + RANDOM_STREAM, in_process=job.in_process)
    values = [float(of_sample.evaluate(vectors, np.arange(ids.size))) / size for vectors in (chosen, random)]
    return {"sample": size, "chosen": values[0], "random": values[1]}
