"""Mode exact and GreeDi in a tree in runs from files: the same ids whatever is killed and however it is divided."""

import dataclasses
import os
import signal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.config import CorpusConfig, EmbedConfig, RuntimeConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.optimizers.speculative.driver import GreedyCheckpoint
from ray_subsel.pipeline import RunConfig, run
from ray_subsel.planning.policy import Policy
from ray_subsel.stages import select_exact
from ray_subsel.stages.select_greedi import choose, node_name
from ray_subsel.stages.selection_job import plan_selection
from ray_subsel.storage.embedding_store import Items, write_part
from ray_subsel.storage.run_directory import RunDir

SHARDS = 4


class Silent:
    def advance(self, amount=1):
        pass


def unit_rows(n, d, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, d)) + 0.5
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def policy(request):
    """Return the sizes of every run here; a test that uses ``on_ray`` does nothing in process."""
    return Policy(in_process_numbers=0) if "on_ray" in request.fixturenames else Policy()


@pytest.fixture
def ground_set(tmp_path, policy):
    """Write 900 items, a third of them copies, and return the run, the vectors and a function to facts and a plan."""
    directory = RunDir(str(tmp_path))
    X = unit_rows(900, 8)
    X[2::3] = X[1::3]
    ids = np.arange(900)

    def made(partitions, k=200, **more):
        facts = [
            write_part(
                directory,
                shard,
                Items(ids[shard::SHARDS], X[shard::SHARDS], np.ones(len(ids[shard::SHARDS]), dtype=np.int64)),
                [[int(i)] for i in ids[shard::SHARDS]],
                texts=len(ids[shard::SHARDS]),
                partitions=partitions,
                seed=0,
            )
            for shard in range(SHARDS)
        ]
        config = SelectConfig(k=k, partitions=partitions, **more)
        return facts, plan_selection(directory, config, facts, k, policy=policy)

    return directory, X, made


@pytest.fixture
def on_ray(ray_session):
    """Leave all work to Ray."""


@pytest.mark.parametrize("partitions", [1, 5])
def test_in_process_exact_is_select(ground_set, partitions):
    directory, X, made = ground_set
    facts, plan = made(partitions)
    choice = select_exact.choose_exactly(directory, facts, plan, bar=Silent(), processes=2)
    alone = select(X, 200)
    assert choice.reduced.ids.tolist() == alone.indices.tolist()
    assert choice.reduced.value == pytest.approx(alone.value)
    assert (choice.share_of_centralized, choice.reduced.winner) == (1.0, "exact")
    assert choice.rounds == alone.stats["rounds"] >= 2  # the same engine
    assert choice.peak_bytes > 20 << 20


@pytest.mark.usefixtures("on_ray")
@pytest.mark.parametrize(("partitions", "processes"), [(1, 1), (5, 3)])
def test_actors_pick_what_one_machine_would(ground_set, partitions, processes):
    directory, X, made = ground_set
    facts, plan = made(partitions)
    choice = select_exact.choose_exactly(directory, facts, plan, bar=Silent(), processes=processes)
    assert choice.reduced.ids.tolist() == select(X, 200).indices.tolist()


def watched(directory, watch):
    """Return the run with a function that is called in whichever process opens one of its files."""

    class Watched(RunDir):
        def parquet(self, name):
            watch(name)
            return super().parquet(name)

    return Watched(directory.uri)


@pytest.mark.fault
@pytest.mark.usefixtures("on_ray")
def test_a_killed_actor_comes_back_and_the_ids_are_the_same(ground_set, tmp_path):
    directory, X, made = ground_set
    facts, plan = made(3)
    readers, driver, killed = tmp_path / "readers", os.getpid(), []
    readers.mkdir()

    class KillsAReader:
        def advance(self, amount=1):
            alive = {int(path.name) for path in readers.iterdir()} - {driver, *killed}
            if amount and len(killed) < 2 and alive:
                killed.append(min(alive))
                os.kill(killed[-1], signal.SIGKILL)

    run = watched(directory, lambda _: (readers / str(os.getpid())).touch())
    choice = select_exact.choose_exactly(run, facts, plan, bar=KillsAReader(), processes=3)
    assert len(killed) == 2
    assert len(list(readers.iterdir())) == 5
    assert choice.reduced.ids.tolist() == select(X, 200).indices.tolist()


@pytest.mark.fault
@pytest.mark.usefixtures("on_ray")
def test_an_actor_that_dies_every_time_is_given_up_by_its_partitions(ground_set):
    directory, _, made = ground_set
    facts, plan = made(3)
    driver = os.getpid()

    def die(_):
        if os.getpid() != driver:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(InputError, match="partitions 0 could not be kept in memory: its worker died again and again"):
        select_exact.choose_exactly(watched(directory, die), facts, plan, bar=Silent(), processes=3, attempts=1)


@pytest.mark.fault
@pytest.mark.usefixtures("on_ray")
def test_a_truncated_part_is_named(ground_set):
    from ray_subsel.runtime.ray_session import input_error_in

    directory, _, made = ground_set
    facts, plan = made(2)
    path = directory.path("embeddings/part-00002.parquet")
    content = directory.read_bytes("embeddings/part-00002.parquet")
    directory.write_bytes("embeddings/part-00002.parquet", content[: len(content) // 2])
    with pytest.raises(Exception) as caught:  # noqa: PT011 - Ray's wrapping of the error that is looked for below
        select_exact.choose_exactly(directory, facts, plan, bar=Silent(), processes=2)
    assert f"{path} must be a whole Parquet file" in str(input_error_in(caught.value))


def test_a_run_goes_on_from_its_checkpoint(ground_set):
    directory, X, made = ground_set
    facts, plan = made(3)
    seen: list[int] = []

    class Killed:
        def advance(self, amount=1):
            seen.append(amount)
            if len(seen) == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        select_exact.choose_exactly(directory, facts, plan, bar=Killed(), processes=1, checkpoint_seconds=0.0)
    kept = select_exact.read_checkpoint(directory, plan)
    assert 0 < kept.ids.size < 200
    choice = select_exact.choose_exactly(directory, facts, plan, bar=Silent(), processes=1)
    alone = select(X, 200)
    assert choice.reduced.ids.tolist() == alone.indices.tolist()
    assert choice.rounds > kept.rounds


def test_what_is_kept_of_another_run_is_refused(ground_set):
    directory, _, made = ground_set
    _, plan = made(2, k=5)
    select_exact.write_checkpoint(directory, GreedyCheckpoint(np.arange(6), np.zeros(6), np.zeros(8), 1, 64))
    with pytest.raises(InputError, match="must be of this run"):
        select_exact.read_checkpoint(directory, plan)
    directory.write_table(select_exact.CHECKPOINT, pa.table({"id": [1], "gain": [0.5]}))
    with pytest.raises(InputError, match="must say how far a run is"):
        select_exact.read_checkpoint(directory, plan)


def test_a_tree_keeps_what_its_nodes_choose_and_goes_on_from_it(ground_set):
    directory, _, made = ground_set
    facts, plan = made(8, k=60, fan_in=2)
    assert plan.tree.rounds == 4
    first = choose(directory, facts, plan, bar=Silent())
    assert first.rounds == 4
    assert first.reduced.candidates == plan.tree.root.available < 120
    assert directory.exists("candidates/level-02-00001.parquet")
    directory.delete("candidates/level-02-00001.parquet")
    kept = directory.read_bytes(node_name(plan.tree.levels[1][0]))
    again = choose(directory, facts, plan, bar=Silent())
    assert again.reduced.ids.tolist() == first.reduced.ids.tolist()
    assert directory.read_bytes(node_name(plan.tree.levels[1][0])) == kept
    assert first.share_of_centralized_lift > 0.95
    assert set(first.reduced.partitions.tolist()) <= set(range(8))


@pytest.mark.usefixtures("on_ray")
def test_a_tree_on_ray_chooses_what_the_driver_would(ground_set):
    directory, _, made = ground_set
    facts, plan = made(5, k=60, fan_in=2)
    there = choose(directory, facts, plan, bar=Silent(), processes=2)
    directory.delete("candidates")
    here = dataclasses.replace(plan, policy=Policy())
    assert choose(directory, facts, here, bar=Silent()).reduced.ids.tolist() == there.reduced.ids.tolist()
    assert there.peak_bytes > 50 << 20


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    X = unit_rows(400, 8)
    X[2::3] = X[1::3][: len(X[2::3])]
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 8)
    pq.write_table(pa.table({"v": column}), folder / "all.parquet")
    return folder, X


def vector_run(folder, out, *, memory_limit=None, overwrite=False, **chosen_by):
    report = run(
        RunConfig(
            corpus=CorpusConfig(data=(str(folder),), vectors="v", copies="keep"),
            embed=EmbedConfig(),
            select=SelectConfig(**chosen_by),
            runtime=RuntimeConfig(out=str(out), memory_limit=memory_limit, overwrite=overwrite),
        )
    )
    return report, pq.read_table(out / "selection.parquet")["id"].to_pylist()


@pytest.mark.usefixtures("ray_session")
def test_a_run_in_mode_exact_and_what_it_reports(vectors, tmp_path):
    folder, X = vectors
    expected = select(X, 40).indices.tolist()
    for partitions in (None, 1, 6):
        report, ids = vector_run(folder, tmp_path / str(partitions), k=40, mode="exact", partitions=partitions)
        assert ids == expected
    assert report["share_of_centralized"] == 1.0
    assert report["rounds"] >= 1
    assert report["candidates"] >= 40
    assert report["peak_bytes"] > 0
    assert report["predicted_peak_bytes"] > 100 << 20
    assert report["selection"]["mode"] == "exact"


@pytest.mark.usefixtures("ray_session")
def test_what_memory_decided_is_kept_when_a_run_goes_on(vectors, tmp_path, monkeypatch):
    folder, _ = vectors
    from ray_subsel.planning import selection_plan
    from ray_subsel.stages import select as select_stage

    out = tmp_path / "out"
    monkeypatch.setattr(selection_plan, "_auto_partitions", lambda *_: 6)
    monkeypatch.setattr(select_stage, "choose", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        vector_run(folder, out, k=30)
    monkeypatch.undo()
    report, ids = vector_run(folder, out, k=30)  # on a machine that would take one partition
    assert report["selection"]["partitions"] == 6
    assert ids == vector_run(folder, tmp_path / "given", k=30, partitions=6)[1]
    assert vector_run(folder, out, k=30)[1] == ids
    fresh, _ = vector_run(folder, tmp_path / "fresh", k=30)
    assert fresh["selection"]["partitions"] == 1


@pytest.mark.usefixtures("ray_session")
def test_a_run_that_cannot_fit_is_refused_before_it_selects(vectors, tmp_path):
    folder, _ = vectors
    with pytest.raises(InputError, match="memory_limit must be above"):
        vector_run(folder, tmp_path / "out", k=30, memory_limit="50MB")
    assert not (tmp_path / "out" / "selection.parquet").exists()
