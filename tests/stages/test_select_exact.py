"""Mode exact and GreeDi in a tree in runs from files: the same ids whatever is killed and however it is divided."""

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
from ray_subsel.optimizers.speculative.driver import GreedyCheckpoint
from ray_subsel.pipeline import run
from ray_subsel.planning.policy import ON_RAY, Policy
from ray_subsel.runtime.progress import NullProgress
from ray_subsel.stages import select_exact
from ray_subsel.stages.select_greedi import choose, node_name
from ray_subsel.stages.selection_job import plan_selection
from ray_subsel.storage.run_directory import RunDir
from tests.stores import write_store

SHARDS = 4


def unit_rows(n, d, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, d)) + 0.5
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def policy(request):
    """Return the sizes of every run here; a test that uses ``on_ray`` does nothing in process."""
    return ON_RAY if "on_ray" in request.fixturenames else Policy()


@pytest.fixture
def ground_set(tmp_path, policy):
    """Write 900 items, a third of them copies, and return the run, the vectors and a function to facts and a plan."""
    directory = RunDir(str(tmp_path))
    X = unit_rows(900, 8)
    X[2::3] = X[1::3]

    def made(partitions, k=200, *, watch=None, **more):
        store = write_store(RunDir(directory.uri, watch), X, shards=SHARDS, partitions=partitions)
        return store, plan_selection(
            store, SelectConfig(k=k, partitions=partitions, **more, recipe="none"), k, policy=policy
        )

    return directory, X, made


@pytest.fixture
def on_ray(ray_session):
    """Leave all work to Ray."""


@pytest.mark.parametrize("partitions", [1, 5])
def test_in_process_exact_is_select(ground_set, partitions):
    _, X, made = ground_set
    store, job = made(partitions)
    outcome = select_exact.choose_exactly(store, job, bar=NullProgress(), processes=2)
    alone = select(X, 200, recipe="none")
    assert outcome.result.ids.tolist() == alone.indices.tolist()
    assert outcome.result.value == pytest.approx(alone.value)
    assert (outcome.share_of_centralized, outcome.result.winner) == (1.0, "exact")
    assert outcome.rounds == alone.stats["rounds"]  # the same engine
    assert outcome.peak_bytes > 20 << 20


@pytest.mark.usefixtures("on_ray")
@pytest.mark.parametrize(("partitions", "processes"), [(5, 2)])
def test_actors_pick_what_one_machine_would(ground_set, partitions, processes):
    _, X, made = ground_set
    store, job = made(partitions)
    outcome = select_exact.choose_exactly(store, job, bar=NullProgress(), processes=processes)
    assert outcome.result.ids.tolist() == select(X, 200, recipe="none").indices.tolist()


@pytest.mark.parametrize("partitions", [1, 5])
def test_in_process_exact_log_determinant_is_select(ground_set, partitions):
    _, X, made = ground_set
    store, job = made(partitions, objective="log_determinant")
    outcome = select_exact.choose_exactly(store, job, bar=NullProgress(), processes=2)
    alone = select(X, 200, objective="log_determinant", optimizer="lazy")
    assert outcome.result.ids.tolist() == alone.indices.tolist()
    assert outcome.result.value == pytest.approx(alone.value)
    assert outcome.share_of_centralized == 1.0
    assert 0 < outcome.random_value < outcome.result.value


@pytest.mark.usefixtures("on_ray")
def test_actors_pick_by_log_determinant_what_one_machine_would_and_a_run_goes_on(ground_set):
    directory, X, made = ground_set
    store, job = made(5, objective="log_determinant")
    select_exact.choose_exactly(store, dataclasses.replace(job, k=50), bar=NullProgress(), processes=3)
    assert select_exact.read_checkpoint(directory, job).ids.size == 50
    outcome = select_exact.choose_exactly(store, job, bar=NullProgress(), processes=2)
    assert outcome.result.ids.tolist() == select(X, 200, objective="log_determinant", optimizer="lazy").indices.tolist()
    with pytest.raises(InputError, match="must be of this run"):
        select_exact.read_checkpoint(directory, dataclasses.replace(job, d=9))


@pytest.mark.fault
@pytest.mark.usefixtures("on_ray")
def test_a_killed_actor_comes_back_and_the_ids_are_the_same(ground_set, tmp_path):
    _, X, made = ground_set
    readers, driver, killed = tmp_path / "readers", os.getpid(), []
    readers.mkdir()

    def note(event, name):
        if event == "read":
            (readers / str(os.getpid())).touch()

    store, job = made(3, watch=note)

    class KillsAReader:
        def advance(self, amount=1):
            alive = {int(path.name) for path in readers.iterdir()} - {driver, *killed}
            if amount and not killed and alive:
                killed.append(min(alive))
                os.kill(killed[-1], signal.SIGKILL)

    outcome = select_exact.choose_exactly(store, job, bar=KillsAReader(), processes=2)
    assert len(killed) == 1
    assert len({path.name for path in readers.iterdir()} - {str(driver)}) == 3
    assert outcome.result.ids.tolist() == select(X, 200, recipe="none").indices.tolist()


@pytest.mark.fault
@pytest.mark.usefixtures("on_ray")
def test_an_actor_that_dies_every_time_is_given_up_by_its_partitions(ground_set):
    _, _, made = ground_set
    driver = os.getpid()

    def die(event, name):
        if os.getpid() != driver and event == "read":
            os.kill(os.getpid(), signal.SIGKILL)

    store, job = made(3, watch=die)
    job = dataclasses.replace(job, policy=dataclasses.replace(ON_RAY, attempts=1))
    with pytest.raises(InputError, match="partitions 0, 1, 2 could not be kept in memory: its worker died again"):
        select_exact.choose_exactly(store, job, bar=NullProgress(), processes=1)


@pytest.mark.fault
@pytest.mark.usefixtures("on_ray")
def test_a_truncated_part_is_named(ground_set):
    from ray_subsel.runtime.ray_session import input_error_in

    directory, _, made = ground_set
    store, job = made(2)
    path = directory.path("embeddings/part-00002.parquet")
    content = directory.read_bytes("embeddings/part-00002.parquet")
    directory.write_bytes("embeddings/part-00002.parquet", content[: len(content) // 2])
    with pytest.raises(Exception) as caught:  # noqa: PT011 - Ray's wrapping of the error that is looked for below
        select_exact.choose_exactly(store, job, bar=NullProgress(), processes=1)
    assert f"{path} must be a whole Parquet file" in str(input_error_in(caught.value))


def test_a_run_goes_on_from_its_checkpoint(ground_set):
    directory, X, made = ground_set
    store, job = made(3, k=600)  # so few numbers are chosen from by 512 picks a round
    seen: list[int] = []

    class Killed:
        def advance(self, amount=1):
            seen.append(amount)
            if len(seen) == 3:  # at the start, and after each round
                raise KeyboardInterrupt

    often = dataclasses.replace(job, policy=Policy(checkpoint_seconds=0.0))
    with pytest.raises(KeyboardInterrupt):
        select_exact.choose_exactly(store, often, bar=Killed(), processes=1)
    kept = select_exact.read_checkpoint(directory, job)
    assert 0 < kept.ids.size < 600
    outcome = select_exact.choose_exactly(store, job, bar=NullProgress(), processes=1)
    alone = select(X, 600, recipe="none")
    assert outcome.result.ids.tolist() == alone.indices.tolist()
    assert outcome.rounds > kept.rounds


def test_what_is_kept_of_another_run_is_refused(ground_set):
    directory, _, made = ground_set
    _, job = made(2, k=5)
    select_exact.write_checkpoint(directory, GreedyCheckpoint(np.arange(6), np.zeros(6), np.zeros(8), 1, 64))
    with pytest.raises(InputError, match="must be of this run"):
        select_exact.read_checkpoint(directory, job)
    directory.write_table(select_exact.CHECKPOINT, pa.table({"id": [1], "gain": [0.5]}))
    with pytest.raises(InputError, match="must say how far a run is"):
        select_exact.read_checkpoint(directory, job)


def test_a_tree_keeps_what_its_nodes_choose_and_goes_on_from_it(ground_set):
    directory, _, made = ground_set
    store, job = made(8, k=60, fan_in=2)
    assert job.tree.rounds == 4
    first = choose(store, job, bar=NullProgress())
    assert first.rounds == 4
    assert first.result.candidates == job.tree.root.available < 120
    assert directory.exists("candidates/level-02-00001.parquet")
    directory.delete("candidates/level-02-00001.parquet")
    kept = directory.read_bytes(node_name(job.tree.levels[1][0]))
    again = choose(store, job, bar=NullProgress())
    assert again.result.ids.tolist() == first.result.ids.tolist()
    assert directory.read_bytes(node_name(job.tree.levels[1][0])) == kept
    assert first.share_of_centralized_lift > 0.95
    assert set(first.result.partitions.tolist()) <= set(range(8))


@pytest.mark.usefixtures("on_ray")
def test_a_tree_on_ray_chooses_what_the_driver_would(ground_set):
    directory, _, made = ground_set
    store, job = made(5, k=60, fan_in=2)
    there = choose(store, job, bar=NullProgress(), processes=2)
    directory.delete("candidates")
    here = dataclasses.replace(job, policy=Policy())
    assert choose(store, here, bar=NullProgress()).result.ids.tolist() == there.result.ids.tolist()
    assert there.peak_bytes > 50 << 20


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    X = unit_rows(400, 8)
    X[2::3] = X[1::3][: len(X[2::3])]
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 8)
    pq.write_table(pa.table({"v": column}), folder / "all.parquet")
    return folder, X


def vector_run(folder, out, *, memory_limit=None, overwrite=False, watch=None, **chosen_by):
    report = run(
        RunConfig(
            corpus=CorpusConfig(data=(str(folder),), vectors="v", copies="keep"),
            embed=EmbedConfig(),
            select=SelectConfig(**chosen_by, recipe="none"),
            runtime=RuntimeConfig(out=str(out), memory_limit=memory_limit, overwrite=overwrite),
        ),
        watch=watch,
    )
    return report, pq.read_table(out / "selection.parquet")["id"].to_pylist()


def test_a_run_in_mode_exact_and_what_it_reports(vectors, tmp_path):
    folder, X = vectors
    expected = select(X, 40, recipe="none").indices.tolist()
    for partitions in (None, 1, 6):
        report, ids = vector_run(folder, tmp_path / str(partitions), k=40, mode="exact", partitions=partitions)
        assert ids == expected
    assert report["share_of_centralized"] == 1.0
    assert report["rounds"] >= 1
    assert report["candidates"] >= 40
    assert report["peak_bytes"] > 0
    assert report["predicted_peak_bytes"] > 100 << 20
    assert report["selection"]["mode"] == "exact"
    expected = select(X, 40, objective="log_determinant", optimizer="lazy").indices.tolist()
    _, ids = vector_run(folder, tmp_path / "d", k=40, mode="exact", partitions=6, objective="log_determinant")
    assert ids == expected


def test_what_memory_decided_is_kept_when_a_run_goes_on(vectors, tmp_path):
    folder, _ = vectors
    out = tmp_path / "out"

    def interrupt(event, name):
        if (event, name) == ("written", "candidates/part-00000.parquet"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vector_run(folder, out, k=30, partitions=6, watch=interrupt)
    report, ids = vector_run(folder, out, k=30, partitions=6)
    assert report["selection"]["partitions"] == 6
    assert vector_run(folder, out, k=30)[0]["selection"]["partitions"] == 6  # a machine that would take one
    assert ids == vector_run(folder, tmp_path / "given", k=30, partitions=6)[1]
    fresh, _ = vector_run(folder, tmp_path / "fresh", k=30)
    assert fresh["selection"]["partitions"] == 1


def test_a_run_that_cannot_fit_is_refused_before_it_selects(vectors, tmp_path):
    folder, _ = vectors
    with pytest.raises(InputError, match="memory_limit must be above"):
        vector_run(folder, tmp_path / "out", k=30, memory_limit="50MB")
    assert not (tmp_path / "out" / "selection.parquet").exists()
