"""Utilities over a store: the same numbers for any partitions; by clusters, the ids of select()."""

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.config import SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.objectives import FacilityLocation
from ray_subsel.objectives.target import Target
from ray_subsel.planning.policy import DEFAULT_POLICY
from ray_subsel.runtime.progress import NullProgress
from ray_subsel.stages.select_clusters import (
    ClusterJob,
    arranged_store,
    choose_clustered,
    cluster_layout,
    plan_clusters,
)
from ray_subsel.stages.utility_table import FOLDER, Comparison, compare, utilities_of, write_utilities
from ray_subsel.storage.run_directory import RunDir
from tests.stores import write_store

N, K = 800, 50
PARTS = FacilityLocation(dense_bytes=4 * 400**2)  # clusters of some 100 items


@pytest.fixture(scope="module")
def X():  # noqa: N802
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((25, 12))
    X = centres[rng.integers(25, size=N)] + 0.3 * rng.standard_normal((N, 12))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def arranged(folder, X, partitions, shards):
    store = write_store(RunDir(str(folder)), X, shards=shards, partitions=2)
    config = SelectConfig(k=K, objective="facility_location", partitions=partitions)
    layout = cluster_layout(store, config, cluster_items=PARTS.cluster_items(N), partitions=partitions, in_process=True)
    return arranged_store(store, layout, in_process=True), config, layout


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_by_clusters_any_partitions_and_shards_give_the_ids_of_select(X, tmp_path, share):
    Q = X[[3, 70, 71, 500]] + 0.2
    wanted = select(X, K, objective=PARTS, target=Q, target_weight=share)
    assert wanted.stats["clusters"] > 4
    for number, (partitions, shards) in enumerate([(1, 1), (3, 4), (8, 2)]):
        store, config, layout = arranged(tmp_path / str(number), X, partitions, shards)
        task = Comparison(None, store, Target.of(Q, share, N), False)
        nearest = compare(task, in_process=True)
        objective = PARTS.with_target(None, dataclasses.replace(task.target, nearest=nearest))
        added = write_utilities(task, objective, 0.0, k=K, budget=None, seed=0, in_process=True)
        assert write_utilities(task, objective, 0.0, k=K, budget=None, seed=0, in_process=True) == added  # read back
        store = dataclasses.replace(store, utilities=FOLDER)
        job = plan_clusters(store, objective, config, K, None, DEFAULT_POLICY)
        clusters = ClusterJob.of(objective, job, PARTS.cluster_items(N), layout.centres)
        outcome = choose_clustered(store, job, clusters, bar=NullProgress())
        assert outcome.result.ids.tolist() == wanted.indices.tolist()
        np.testing.assert_allclose(outcome.result.gains, wanted.gains, rtol=1e-9)
        found = utilities_of(store, outcome.result.ids)
        assert found["relevance"].mean() == pytest.approx(wanted.stats["target_greatest_similarity"])
        assert added.means["relevance"] == pytest.approx(wanted.stats["target_greatest_similarity_of_all"])


def test_a_table_of_other_items_is_named(X, tmp_path):
    store, _, _ = arranged(tmp_path, X, 2, 2)
    task = Comparison(None, store, Target.of(X[:2], 1.0, N), False)
    compare(task, in_process=True)
    write_utilities(task, FacilityLocation(target=task.target), 0.0, k=K, budget=None, seed=0, in_process=True)
    store = dataclasses.replace(store, utilities=FOLDER)
    assert store.read_all().columns["utility"].shape == (N,)
    path = tmp_path / FOLDER / "part-00000.parquet"
    table = pq.read_table(path)
    store.run.write_table(f"{FOLDER}/part-00000.parquet", table.set_column(0, "id", [np.arange(len(table)) + 5]),
                          row_groups=list(store.meta(0).partition_items))  # fmt: skip
    with pytest.raises(InputError, match="must be about the items of"):
        store.read_all()
