"""The stage that collapses near copies: counts are conserved, groups are the same whatever does the work."""

import dataclasses
import os
import signal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.config import CorpusConfig, EmbedConfig, RunConfig, RuntimeConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.dedup.in_memory import collapse_near
from ray_subsel.dedup.order import places_in_order
from ray_subsel.dedup.settings import NearSettings
from ray_subsel.pipeline import run
from ray_subsel.planning.policy import DEFAULT_POLICY, ON_RAY
from ray_subsel.report.terminal import summary_text
from ray_subsel.stages.deduplicate import collapse
from ray_subsel.stages.near.leaders import leaders_of
from ray_subsel.stages.near.task import ItemOrder, NearTask
from ray_subsel.storage.embedding_store import EmbeddingStore, write_shard
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.synthetic import Recipe, make_corpus
from tests.stores import batch


class Counter:
    def __init__(self):
        self.done = 0

    def advance(self, amount=1):
        self.done += amount


def vectors_with_copies(n, d=8, seed=0, heap=0.0):
    """Unit vectors in groups; a share ``heap`` of them are near copies of the first."""
    draw = np.random.default_rng(seed)
    originals = draw.normal(size=(max(2, n // 4), d))
    of = np.where(draw.random(n) < heap, 0, draw.integers(len(originals), size=n))
    X = originals[of] + 0.03 * draw.normal(size=(n, d))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def written(folder, X, shards=5, partitions=3):
    """Write X as parts, item i with id 2 i, in a random shard, standing for 1 to 3 rows."""
    draw = np.random.default_rng(1)
    where, times = draw.integers(shards, size=len(X)), draw.integers(1, 4, size=len(X))
    metas, run = [], RunDir(str(folder))
    for shard in range(shards):
        own = np.flatnonzero(where == shard)
        members = [[2 * int(i)] + [10_000_000 + 10 * int(i) + j for j in range(times[i] - 1)] for i in own]
        items = batch(2 * own, X[own], times[own])
        metas.append(write_shard(run, shard, items, members, texts=len(own), partitions=partitions, seed=0))
    return EmbeddingStore(run, tuple(metas)), times


def task_of(store, *, cluster_size=None, largest=None, seed=0, **changes):
    """Return a task with all pairs compared, or in clusters of a size."""
    if cluster_size is not None:
        changes |= {"cluster_size": cluster_size, "exact_items": 0}
    if largest is not None:
        changes |= {"bucket_numbers": largest * store.d}
    return NearTask(store, NearSettings(0.95, seed, **changes))


def groups_in(folder):
    return pa.concat_tables([pq.read_table(path) for path in sorted((folder / "groups").glob("*.parquet"))]).sort_by(
        "id"
    )


def test_one_cluster_is_collapse_near(tmp_path):
    X = vectors_with_copies(600)
    store, times = written(tmp_path, X)
    leaders, about = collapse(task_of(store), in_process=True, bar=(counter := Counter()))
    whole = collapse_near(X, NearSettings(0.95), multiplicity=times)
    table = groups_in(tmp_path)
    assert table["id"].to_pylist() == list(range(0, 1200, 2))
    assert table["leader"].to_numpy().tolist() == (2 * whole.leader).tolist()
    assert (about.items, about.kept) == (600, len(whole.leaders))
    assert 0 < about.kept < 400
    assert counter.done == 1800
    assert leaders.n == about.kept
    assert leaders.rows == times.sum()


@pytest.mark.parametrize(("cluster_size", "largest", "heap"), [(100, 150, 0.0), (50, 60, 0.6), (2000, 100, 0.9)])
def test_many_clusters_conserve_items_and_rows(tmp_path, cluster_size, largest, heap):
    X = vectors_with_copies(900, heap=heap)
    store, times = written(tmp_path, X)
    leaders, about = collapse(
        task_of(store, cluster_size=cluster_size, largest=largest), in_process=True, bar=Counter()
    )
    table = groups_in(tmp_path)
    ids, leader, cosine = (table[name].to_numpy() for name in ("id", "leader", "cosine"))
    assert np.array_equal(ids, np.arange(0, 1800, 2))
    assert (leader <= ids).all()
    assert np.array_equal(leader[leader // 2], leader)
    assert np.allclose(cosine, (X[ids // 2] * X[leader // 2]).sum(axis=1), atol=1e-5)
    assert cosine.min() >= 0.95 - 1e-9
    whole = collapse_near(X, NearSettings(0.95))
    assert len(whole.leaders) <= about.kept < len(whole.leaders) * 1.01
    assert about.recall.sample == 900
    assert about.recall.share > 0.99
    rows = {}
    for shard in leaders.numbers:
        members = leaders.members(shard)
        rows |= dict(zip(members["id"].to_pylist(), members["rows"].to_pylist()))
        assert members["multiplicity"].to_pylist() == [len(one) for one in members["rows"].to_pylist()]
    assert sorted(rows) == np.unique(leader).tolist()
    for lead in list(rows)[:20]:
        group = ids[leader == lead] // 2
        assert sorted(r for r in rows[lead] if r < 10_000_000) == (2 * group).tolist()
        assert len(rows[lead]) == times[group].sum()
        assert rows[lead] == sorted(rows[lead])
    assert sum(len(one) for one in rows.values()) == times.sum()
    pieces = [leaders.read_partition(p) for p in range(3)]
    assert sorted(np.concatenate([p.ids for p in pieces]).tolist()) == sorted(rows)
    found = np.concatenate([p.vectors for p in pieces])
    assert np.array_equal(found, X[np.concatenate([p.ids for p in pieces]) // 2])


@pytest.mark.usefixtures("ray_session")
def test_ray_and_any_way_of_cutting_the_corpus_give_the_same_groups(tmp_path):
    X = vectors_with_copies(700, heap=0.3)
    found = []
    for name, shards, in_process in (("a", 5, True), ("b", 5, False), ("c", 2, True)):
        store, _ = written(tmp_path / name, X, shards=shards)
        collapse(task_of(store, cluster_size=60, largest=90), in_process=in_process, bar=Counter())
        found.append(groups_in(tmp_path / name))
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])


@pytest.mark.parametrize("single", [True, False], ids=["as stored", "not normalized"])
def test_several_clusters_are_grouped_as_in_memory(tmp_path, single):
    stored, directory = vectors_with_copies(6000, d=16), RunDir(str(tmp_path))
    X = stored if single else stored.astype(np.float64) * 2.0
    metas = []
    for shard in range(4):
        own = np.arange(shard, 6000, 4)
        items = batch(own, stored[own], np.ones(len(own), dtype=np.int64))
        members = [[int(i)] for i in own]
        metas.append(write_shard(directory, shard, items, members, texts=len(own), partitions=3, seed=0))
    settings = NearSettings(0.95, 7, cluster_size=500, exact_items=0, bucket_numbers=1000 * 16)
    _, about = collapse(NearTask(EmbeddingStore(directory, tuple(metas)), settings), in_process=True, bar=Counter())
    groups = collapse_near(X, settings)
    assert about.clusters > 5
    assert about.buckets > 4
    assert about.rounds > 0
    assert about.recall == groups.recall
    assert about.kept == groups.leaders.size
    np.testing.assert_array_equal(groups_in(tmp_path)["leader"].to_numpy(), groups.leader)


def test_what_is_there_is_not_made_again(tmp_path):
    X = vectors_with_copies(500)
    store, _ = written(tmp_path, X)
    task = task_of(store, cluster_size=60, largest=90)
    first, _ = collapse(task, in_process=True, bar=Counter())
    before = groups_in(tmp_path)
    for lost in ("near/cells/part-00001.parquet", "near/pieces/part-00002.parquet", "leaders/part-00001.parquet"):
        (tmp_path / lost).unlink()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    again, _ = collapse(task, in_process=True, bar=(counter := Counter()))
    assert groups_in(tmp_path).equals(before)
    assert [meta.items for meta in again.shards] == [meta.items for meta in first.shards]
    assert all(path.stat().st_mtime_ns == at for path, at in kept.items())
    assert counter.done <= 1500


@pytest.mark.fault
def test_a_lost_item_stops_the_run(tmp_path):
    X = vectors_with_copies(300)
    store, _ = written(tmp_path, X)
    collapse(task_of(store), in_process=True, bar=Counter())
    table = pq.read_table(tmp_path / "groups" / "part-00000.parquet")
    pq.write_table(table.slice(1), tmp_path / "groups" / "part-00000.parquet")
    with pytest.raises(InputError, match=r"groups must account for 300 items and leaders for \d+ rows; got 299"):
        collapse(task_of(store), in_process=True, bar=Counter())


@pytest.mark.fault
@pytest.mark.usefixtures("ray_session")
def test_a_worker_that_dies_is_replaced_and_one_that_always_dies_is_named(tmp_path):
    X = vectors_with_copies(300)
    store, _ = written(tmp_path / "calm", X)
    collapse(task_of(store, cluster_size=60, largest=90), in_process=True, bar=Counter())
    store, _ = written(tmp_path / "hit", X)
    deaths, always = tmp_path / "deaths", tmp_path / "always"
    deaths.mkdir()
    always.touch()

    def die(event, name):
        once = deaths / name.replace("/", "-")
        if (event, name) == ("write", "groups/part-00001.parquet") and (always.exists() or not once.exists()):
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    task = task_of(EmbeddingStore(RunDir(store.run.uri, die), store.shards), cluster_size=60, largest=90)
    with pytest.raises(InputError, match=r"near copies of part \d could not be grouped: its worker died"):
        collapse(task, in_process=False, bar=Counter())
    assert not (tmp_path / "hit" / "groups" / "part-00001.parquet").exists()
    task.run.sweep()  # as a run does at its start
    always.unlink()
    [path] = deaths.iterdir()
    path.unlink()
    collapse(task, in_process=False, bar=Counter())
    assert path.exists()
    assert groups_in(tmp_path / "hit").equals(groups_in(tmp_path / "calm"))


@pytest.mark.fault
@pytest.mark.parametrize("broken", ["near/cells/part-00001.parquet", "near/pieces/part-00002.parquet"])
def test_a_truncated_file_is_named_and_deleting_it_is_the_way_out(tmp_path, broken):
    X = vectors_with_copies(200)
    store, _ = written(tmp_path, X)
    task = task_of(store)
    collapse(task, in_process=True, bar=Counter())
    before = groups_in(tmp_path)
    (tmp_path / broken).write_bytes((tmp_path / broken).read_bytes()[:60])
    for part in [*(tmp_path / "groups").iterdir(), *(tmp_path / "leaders").iterdir()]:
        part.unlink()
    with pytest.raises(InputError, match=f"{broken} must be a whole Parquet file".replace(".", r"\.")):
        collapse(task, in_process=True, bar=Counter())
    (tmp_path / broken).unlink()
    collapse(task, in_process=True, bar=Counter())
    assert groups_in(tmp_path).equals(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors")
    X = vectors_with_copies(400)
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 8)
    labels = np.random.default_rng(3).choice(["a", "b", ""], size=400)
    pq.write_table(pa.table({"v": column, "kind": labels}), path / "0.parquet")
    return path, X, labels


def near_run(
    folder, out, near, *, k=30, partitions=1, overwrite=False, policy=DEFAULT_POLICY, near_within=None, **columns
):
    return run(
        RunConfig(
            corpus=CorpusConfig(data=(str(folder),), vectors="v", **columns),
            embed=EmbedConfig(),
            select=SelectConfig(k=k, near=near, near_within=near_within, partitions=partitions, recipe="none"),
            runtime=RuntimeConfig(out=str(out), overwrite=overwrite, workers=1),
        ),
        policy=policy,
    )


@pytest.mark.usefixtures("ray_session")
def test_a_run_selects_among_leaders(folder, tmp_path):
    path, X, _ = folder
    report = near_run(path, tmp_path / "out", 0.95)
    groups = collapse_near(X, NearSettings(0.95))
    exact = select(X[groups.leaders], 30, recipe="none")
    table = pq.read_table(tmp_path / "out" / "selection.parquet")
    assert table["id"].to_pylist() == groups.leaders[exact.indices].tolist()
    assert table["multiplicity"].to_pylist() == groups.multiplicity[exact.indices].tolist()
    for row in table.to_pylist():
        assert row["rows"] == np.flatnonzero(groups.leader == row["id"]).tolist()
    assert report["near"]["near_collapsed"] == 400 - len(groups.leaders)
    assert report["near"]["threshold"] == 0.95
    assert report["selection"]["n"] == len(groups.leaders)
    assert report["selection"]["largest_groups"][0]["multiplicity"] == groups.multiplicity.max()
    assert not (tmp_path / "out" / "near").exists()
    assert leaders_of(RunDir(str(tmp_path / "out"))).n == len(groups.leaders)

    # Other partitions select from the same leaders; nothing is collapsed again.
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "groups").iterdir()}
    near_run(path, tmp_path / "out", 0.95, partitions=4, overwrite=True)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    near_run(path, tmp_path / "ray", 0.95, partitions=4, policy=ON_RAY)
    for name in ("selection.parquet", "groups/part-00000.parquet"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_rows_of_different_labels_that_join_are_counted(folder, tmp_path):
    path, X, labels = folder
    report = near_run(path, tmp_path / "out", 0.95, label="kind")
    leader = collapse_near(X, NearSettings(0.95)).leader
    mixed = int((labels != labels[leader]).sum())
    assert report["near"]["mixed_labels"] == mixed > 50
    line = f"{mixed} rows joined near copies of another label; --near-within COLUMN joins within a label only"
    assert report["warnings"][0] == line
    assert f"warning   {line}" in summary_text(report, "out")
    assert "; all pairs compared" in summary_text(report, "out")
    assert (report["near"]["exact"], report["near"]["recall"], report["near"]["within"]) == (True, None, None)
    assert near_run(path, tmp_path / "none", 0.95)["near"]["mixed_labels"] is None


@pytest.mark.parametrize("name", ["label", "group"])
def test_near_copies_join_within_labels(folder, tmp_path, name):
    path, X, labels = folder
    report = near_run(path, tmp_path / "out", 0.95, near_within="kind", **{name: "kind"})
    numbers = np.unique(labels, return_inverse=True)[1]
    groups = collapse_near(X, NearSettings(0.95), labels=numbers)
    assert groups_in(tmp_path / "out")["leader"].to_pylist() == groups.leader.tolist()
    assert report["near"]["kept"] == len(groups.leaders) > len(collapse_near(X, NearSettings(0.95)).leaders)
    assert (report["near"]["within"], report["near"]["mixed_labels"], report["warnings"]) == (name, 0, [])
    chosen = select(X, 30, near=0.95, near_within=labels, recipe="none")
    assert pq.read_table(tmp_path / "out" / "selection.parquet")["id"].to_pylist() == chosen.indices.tolist()
    with pytest.raises(InputError, match=rf"near\.within: '{name}' there, None here"):
        near_run(path, tmp_path / "out", 0.95, **{name: "kind"})


def test_clusters_keep_labels_apart(tmp_path):
    X = vectors_with_copies(900)
    store, _ = written(tmp_path, X)
    task = task_of(store, cluster_size=100, largest=150)
    labels = np.arange(900) % 2

    class Parity:
        within = True
        column = "label"

        def of(self, store, shard, ids):
            return (ids // 2) % 2

    _, about = collapse(dataclasses.replace(task, labels=Parity()), in_process=True, bar=Counter())
    groups = collapse_near(X, task.settings, ids=2 * np.arange(900), labels=labels)
    assert groups_in(tmp_path)["leader"].to_pylist() == (2 * groups.leader).tolist()
    assert about.recall == groups.recall
    assert about.mixed == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"near_within": "kind"}, "near_within must be the column of --label or --group; got 'kind'"),
        ({"near_within": "kind", "near": None}, "near_within must go with near; got no --near"),
    ],
)
def test_a_label_that_is_not_known_is_named(folder, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        near_run(folder[0], tmp_path / "out", change.pop("near", 0.95), **change)


@pytest.mark.usefixtures("ray_session")
def test_another_threshold_is_another_run(folder, tmp_path):
    path, _, _ = folder
    some = near_run(path, tmp_path / "out", 0.95)
    with pytest.raises(InputError, match=r"near\.near: 0\.95 there, 0\.8 here"):
        near_run(path, tmp_path / "out", 0.8)
    with pytest.raises(InputError, match=r"select\.near: 0\.95 there, None here"):
        near_run(path, tmp_path / "out", None)
    fewer = near_run(path, tmp_path / "out", 0.8, overwrite=True)
    assert fewer["near"]["kept"] < some["near"]["kept"]
    none = near_run(path, tmp_path / "out", None, overwrite=True)
    assert none["near"] is None
    assert none["selection"]["n"] == 400
    assert not (tmp_path / "out" / "leaders").exists()


def test_from_synthetic_texts_to_origins(tmp_path):
    recipe = Recipe(1500, 0.8, shard_rows=500)
    make_corpus(recipe, str(tmp_path / "corpus"), parallel=False)
    report = run(
        RunConfig(
            corpus=CorpusConfig(data=(str(tmp_path / "corpus"),), text=("text",)),
            embed=EmbedConfig(embedder="tfidf", vector_size=128),
            select=SelectConfig(k=150, near=0.8, recipe="none"),
            runtime=RuntimeConfig(out=str(tmp_path / "out")),
        )
    )
    truth = pa.concat_tables([pq.read_table(p) for p in sorted((tmp_path / "corpus").glob("*.parquet"))])
    origin = truth["origin"].to_numpy()  # row ids are the places in the files, in order of their names
    table = groups_in(tmp_path / "out")
    ids, leader = table["id"].to_numpy(), table["leader"].to_numpy()
    assert (origin[ids] == origin[leader]).all()
    extra = len(np.unique(leader)) - len(np.unique(origin))
    assert extra < 0.35 * (len(ids) - len(np.unique(origin)))  # most near copies found their group
    chosen = pq.read_table(tmp_path / "out" / "selection.parquet")
    assert len(np.unique(origin[chosen["id"].to_numpy()])) > 100
    for row in chosen.to_pylist()[:30]:
        assert len(set(origin[row["rows"]])) == 1
    assert report["corpus"]["rows"] == 1500


def test_damaged_centres_are_named(tmp_path):
    store, _ = written(tmp_path, vectors_with_copies(50))
    RunDir(str(tmp_path)).write_bytes("near/cells.npz", b"PK\x03\x04")
    with pytest.raises(InputError, match=r"near/cells\.npz must hold centres of clusters; .* Delete near"):
        collapse(task_of(store), in_process=True, bar=Counter())


def test_a_threshold_is_a_cosine():
    with pytest.raises(InputError, match=r"near must lie in \(0, 1\]; got 1\.5"):
        SelectConfig(k=3, near=1.5, recipe="none")


class ByValue(ItemOrder):
    """The order of given values: item i has the id 2 i."""

    def write_values(self, store, shard):
        ids = store.read_shard(shard, ["id"])["id"].to_numpy()
        values = pa.table({"id": ids, "value": self.rows[ids // 2]})
        store.run.write_table(f"near/values/part-{shard:05d}.parquet", values)


@pytest.mark.parametrize(("cluster_size", "largest"), [(None, None), (100, 150), (50, 60)])
def test_the_best_item_leads_across_clusters(tmp_path, cluster_size, largest):
    X = vectors_with_copies(900, heap=0.1)
    values = np.random.default_rng(3).integers(20, size=900) / 20.0
    store, times = written(tmp_path, X)
    task = task_of(store, cluster_size=cluster_size, largest=largest)
    task = dataclasses.replace(task, order=ByValue(values, "score"))
    leaders, about = collapse(task, in_process=True, bar=Counter())
    order = np.argsort(places_in_order(values, np.arange(900)))
    groups = collapse_near(X[order], task.settings)  # rows in that order, numbered from 0
    expected = np.empty(900, dtype=np.int64)
    expected[order] = order[groups.leader]
    table = groups_in(tmp_path)
    assert (table["leader"].to_numpy() // 2).tolist() == expected.tolist()
    assert (values[expected] >= values).all()
    assert about.recall == groups.recall
    assert about.kept == leaders.n == groups.leaders.size
    for shard in leaders.numbers:
        for one in leaders.members(shard).to_pylist():
            group = np.flatnonzero(expected == one["id"] // 2)
            assert sorted(row for row in one["rows"] if row < 10_000_000) == (2 * group).tolist()
            assert one["multiplicity"] == times[group].sum()
    read = leaders.read_all()
    assert np.array_equal(read.vectors, X[read.ids // 2])
