"""Facility location by clusters over a store: the ids of select(), for any partitions, workers and restarts."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.config import CorpusConfig, EmbedConfig, RunConfig, RuntimeConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.objectives import FacilityLocation
from ray_subsel.pipeline import run
from ray_subsel.planning.policy import DEFAULT_POLICY, ON_RAY, Policy
from ray_subsel.runtime.progress import NullProgress
from ray_subsel.stages.select_clusters import (
    ClusterJob,
    arranged_store,
    choose_clustered,
    cluster_layout,
    plan_clusters,
)
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


def chosen_of(folder, X, partitions, *, k=K, policy=DEFAULT_POLICY, shards=3):
    """Write a store, sort it by clusters and choose."""
    store = write_store(RunDir(str(folder)), X, shards=shards, partitions=2)
    config = SelectConfig(k=k, objective="facility_location", partitions=partitions)
    here = policy.is_small(len(X), X.shape[1])
    layout = cluster_layout(store, config, cluster_items=PARTS.cluster_items(N), partitions=partitions, in_process=here)
    store = arranged_store(store, layout, in_process=here)
    job = plan_clusters(store, PARTS, config, k, None, policy)
    clusters = ClusterJob.of(PARTS, job, PARTS.cluster_items(N), layout.centres)
    return store, job, clusters, choose_clustered(store, job, clusters, bar=NullProgress())


def test_any_partitions_and_shards_give_the_ids_of_select(X, tmp_path):
    wanted = select(X, K, objective=PARTS)
    for number, (partitions, shards) in enumerate([(1, 1), (3, 4), (8, 2)]):
        store, _, _, outcome = chosen_of(tmp_path / str(number), X, partitions, shards=shards)
        assert outcome.result.ids.tolist() == wanted.indices.tolist()
        np.testing.assert_allclose(outcome.result.gains, wanted.gains, rtol=1e-9)
        assert sum(store.partition_sizes) == N
        assert min(partitions, 2) <= store.partitions <= partitions
        assert outcome.random_value < outcome.result.value
        across = outcome.job.objective.across
        assert across["random"] < across["chosen"] <= 1.0
        assert outcome.job.objective.about()["clusters"] == wanted.stats["clusters"]


@pytest.mark.usefixtures("ray_session")
def test_ray_gives_the_same_ids(X, tmp_path):
    here = chosen_of(tmp_path / "here", X, 3)[3]
    there = chosen_of(tmp_path / "ray", X, 3, policy=Policy(in_process_numbers=0))[3]
    assert there.result.ids.tolist() == here.result.ids.tolist()


def test_only_what_is_missing_is_done_again_and_a_damaged_answer_is_named(X, tmp_path):
    store, job, clusters, outcome = chosen_of(tmp_path, X, 3)
    names = store.run.names("candidates", ".parquet")
    assert len(names) == 3
    kept = {name: store.run.read_bytes(name) for name in names}
    store.run.delete(names[1])
    again = choose_clustered(store, job, clusters, bar=NullProgress())
    assert again.result.ids.tolist() == outcome.result.ids.tolist()
    assert {name: store.run.read_bytes(name) for name in names} == kept
    table = store.run.read_table(names[0])
    store.run.write_table(names[0], table.slice(1))
    with pytest.raises(InputError, match="must hold what the clusters of"):
        choose_clustered(store, job, clusters, bar=NullProgress())


def test_a_cluster_layout_sorts_once_and_another_partition_sorts_again(X, tmp_path):
    store, _, _, _ = chosen_of(tmp_path, X, 3)
    assert not any(meta.sorted_by(3, 0) for meta in store.shards)
    layout = {meta.layout for meta in store.shards}
    assert len(layout) == 1
    random = store.replaced([store.repartition(2, 0, shard) for shard in store.numbers])
    assert all(meta.sorted_by(2, 0) and not meta.layout for meta in random.shards)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """More vectors than all similarities are kept of."""
    n, rng = 17_000, np.random.default_rng(1)
    centres = rng.standard_normal((40, 8))
    X = (centres[rng.integers(40, size=n)] + 0.4 * rng.standard_normal((n, 8))).astype(np.float32)
    X = (X / np.linalg.norm(X.astype(np.float64), axis=1, keepdims=True)).astype(np.float32)
    path = tmp_path_factory.mktemp("many") / "v.parquet"
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 8)
    pq.write_table(pa.table({"v": column}), path)
    return path, X


def run_of(many, out, *, overwrite=False, policy=DEFAULT_POLICY, cost=None, **chosen):
    config = RunConfig(
        corpus=CorpusConfig(data=(str(many[0]),), vectors="v", cost=cost),
        embed=EmbedConfig(),
        select=SelectConfig(objective="facility_location", **chosen),
        runtime=RuntimeConfig(out=str(out), overwrite=overwrite),
    )
    return run(config, policy=policy)["selection"]


def ids_in(out):
    return pq.read_table(out / "selection.parquet")["id"].to_pylist()


def test_a_run_is_select_and_tells_what_it_did(many, tmp_path):
    _, X = many
    report = run_of(many, tmp_path / "a", k=60, partitions=3)
    assert ids_in(tmp_path / "a") == select(X, 60, objective="facility_location").indices.tolist()
    assert (report["mode"], report["represented"], report["share_of_centralized"]) == ("clusters", 17_000, None)
    assert report["clusters"] == 5
    assert report["merge_is_exact"]
    assert report["across_clusters"]["chosen"] > report["across_clusters"]["random"]
    assert report["value"] > report["random_value"]


def test_few_items_are_one_cluster_and_the_plain_greedy(tmp_path, X):
    path = tmp_path / "v.parquet"
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 12)
    pq.write_table(pa.table({"v": column}), path)
    found = run_of((path,), tmp_path / "out", k=30, partitions=4)
    assert ids_in(tmp_path / "out") == select(X, 30, objective="facility_location").indices.tolist()
    assert (found["clusters"], found["partitions"], found["share_of_centralized"]) == (1, 1, 1.0)
    assert found["value"] == pytest.approx(FacilityLocation().evaluate(X, np.array(ids_in(tmp_path / "out"))))
    run_of((path,), tmp_path / "sample", k=30, represented=100)
    assert ids_in(tmp_path / "sample") != ids_in(tmp_path / "out")


@pytest.mark.parametrize(("limits", "version"), [({"k": 30}, 1), ({"budget": 30, "cost": "c"}, 2)])
def test_a_directory_of_the_version_before_is_refused(tmp_path, X, limits, version):
    path = tmp_path / "v.parquet"
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 12)
    pq.write_table(pa.table({"v": column, "c": np.ones(N)}), path)
    run_of((path,), tmp_path / "out", **limits)
    manifest = tmp_path / "out" / "manifest.json"
    text = manifest.read_text()
    assert f'"clusters": {version}' in text
    manifest.write_text(text.replace(f'"clusters": {version}', f'"clusters": {version - 1}'))
    with pytest.raises(InputError, match="--overwrite"):
        run_of((path,), tmp_path / "out", **limits)


@pytest.mark.usefixtures("ray_session")
def test_a_run_on_ray_gives_the_same_ids(tmp_path, X):
    path = tmp_path / "v.parquet"
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 12)
    pq.write_table(pa.table({"v": column}), path)
    run_of((path,), tmp_path / "ray", k=30, policy=dataclasses.replace(ON_RAY))
    assert ids_in(tmp_path / "ray") == select(X, 30, objective="facility_location").indices.tolist()
