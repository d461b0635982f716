"""Work on Ray: results as they come, what is lost is named, and what kills its worker every time is given up."""

import os
import signal
import time
import uuid

import numpy as np
import pytest

from ray_subsel.config import CorpusConfig, EmbedConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.ingest import ingest
from ray_subsel.dedup.settings import NearSettings
from ray_subsel.planning.policy import Policy
from ray_subsel.runtime import tasks
from ray_subsel.runtime.progress import NullProgress
from ray_subsel.runtime.ray_session import input_error_in
from ray_subsel.runtime.tasks import ATTEMPTS, Pool, TaskSpec, attempt, map_tasks, result_of, run_pool, run_tasks
from ray_subsel.stages.deduplicate import collapse
from ray_subsel.stages.embed import fit_once
from ray_subsel.stages.near.task import NearTask
from ray_subsel.stages.select_greedi import choose, sorted_store
from ray_subsel.stages.selection_job import plan_selection
from ray_subsel.storage.run_directory import BEGUN, RunDir
from tests.stores import write_store

WORK = TaskSpec("a/b.parquet", "make part b", "part b could not be made", "Give it more memory")
COUNT = WORK.makes + BEGUN


@pytest.fixture
def run(tmp_path):
    return RunDir(str(tmp_path))


def test_an_attempt_is_counted_while_it_lasts(run):
    with attempt(run, WORK):
        assert run.read_json(COUNT) == 1
        assert run.names("a") == []
    assert not run.exists(COUNT)
    with pytest.raises(ZeroDivisionError), attempt(run, WORK):
        raise ZeroDivisionError
    assert not run.exists(COUNT)  # an exception arrives: nobody will try again


def test_work_that_killed_its_workers_is_given_up_and_the_next_run_tries_again(run):
    for begun in range(ATTEMPTS):
        dead = attempt(run, WORK)
        dead.__enter__()
        assert run.read_json(COUNT) == begun + 1
        del dead  # its block would end, as it does not where the process dies
        run.write_json(COUNT, begun + 1)
    said = r"part b could not be made: its worker died again and again \(4 times\)\. Give it more memory, then run the"
    with pytest.raises(InputError, match=said), attempt(run, WORK):
        pytest.fail("begun once more")
    assert not run.exists(COUNT)
    run.write_json(COUNT, 2)
    run.sweep()
    assert not run.exists(COUNT)


def square(shared, number):
    return shared * number**2


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("at_a_time", [None, 1, 2])
def test_results_come_with_their_arguments(run, at_a_time):
    works = [(number, TaskSpec(f"a/{number}", "work", "", "")) for number in range(5)]
    found = list(run_tasks(square, (3,), works, run, in_process=False, at_a_time=at_a_time, cpus=0.5))
    assert sorted((number, result) for number, result, _ in found) == [(n, 3 * n**2) for n in range(5)]
    assert all(peak > 1 << 20 for _, _, peak in found)
    assert run.names("a") == []
    assert list(run_tasks(square, (3,), [], run, in_process=False)) == []
    here = list(run_tasks(square, (3,), works, run, in_process=True))
    assert here == [(n, 3 * n**2, 0) for n in range(5)]
    assert map_tasks(square, (3,), works, run, in_process=False) == [3 * n**2 for n in range(5)]


@pytest.mark.usefixtures("ray_session")
def test_no_more_at_a_time_than_asked_for(run, tmp_path):
    def alone(number):
        (tmp_path / "here").touch(exist_ok=False)
        time.sleep(0.1)
        (tmp_path / "here").unlink()

    assert (
        len(
            list(
                run_tasks(
                    alone,
                    (),
                    [(n, TaskSpec(f"{n}", "work", "", "")) for n in range(4)],
                    run,
                    in_process=False,
                    at_a_time=1,
                )
            )
        )
        == 4
    )


@pytest.mark.usefixtures("ray_session")
def test_what_a_task_raises_arrives_as_it_is(run):
    def refuse(number):
        raise InputError("k must be at least 1; got 0.")

    with pytest.raises(Exception) as caught:  # noqa: PT011 - Ray's wrapping of the error that is looked for below
        list(run_tasks(refuse, (), [(0, WORK)], run, in_process=False))
    assert str(input_error_in(caught.value)) == "k must be at least 1; got 0."
    assert not run.exists(COUNT)


def opened(log, factor):
    """Note that a worker opens, and return what multiplies."""
    (log / str(uuid.uuid4())).touch()

    def times(number):
        if number == 7:
            raise InputError("number must not be 7; got 7.")
        return factor * number

    return times


def own_name(_):
    import ray

    return ray.get_runtime_context().get_task_name()


@pytest.mark.usefixtures("ray_session")
def test_a_task_is_named_for_what_it_does(run):
    works = [(number, TaskSpec(f"a/{number}", f"select partition {number}", "", "")) for number in range(2)]
    assert map_tasks(own_name, (), works, run, in_process=False) == ["select partition 0", "select partition 1"]


@pytest.mark.usefixtures("ray_session")
def test_a_pool_opens_once_a_worker_and_here_once(run, tmp_path):
    pool = Pool(TaskSpec("a", "work", "", ""), size=1)
    works = [(number, TaskSpec(f"a/{number}", "work", "", "")) for number in range(5)]
    for name, in_process in (("here", True), ("there", False)):
        log = tmp_path / name
        log.mkdir()
        found = list(run_pool(opened, (log, 3), works, run, in_process=in_process, pool=pool))
        assert sorted((number, result) for number, result, _ in found) == [(n, 3 * n) for n in range(5)]
        assert all((peak > 1 << 20) != in_process for _, _, peak in found)
        assert len(list(log.iterdir())) == 1
        with pytest.raises(InputError, match="number must not be 7; got 7"):
            list(run_pool(opened, (log, 3), [(7, WORK)], run, in_process=in_process, pool=pool))
        assert list(run_pool(opened, (log, 3), [], run, in_process=in_process, pool=pool)) == []
        assert len(list(log.iterdir())) == 2
    assert run.names("a") == []


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def no_second_try(monkeypatch, ray_session):
    import ray

    monkeypatch.setattr(tasks, "remote", ray.remote(max_retries=0))


@pytest.mark.usefixtures("ray_session")
def test_what_a_lost_worker_was_to_give_to_another_is_lost_too():
    import ray

    lost = ray.remote(max_retries=0)(die).remote()
    for answer in (lost, ray.remote(square).remote(3, lost)):
        with pytest.raises(InputError, match="part b could not be made: its worker died again and again"):
            result_of(answer, WORK)


@pytest.mark.usefixtures("ray_session")
def test_an_exception_that_cannot_be_sent_is_not_taken_for_a_loss():
    import ray

    @ray.remote
    def odd():
        error = ValueError("no luck")
        error.lock = __import__("threading").Lock()
        raise error

    with pytest.raises(ray.exceptions.RayTaskError, match="no luck"):
        result_of(odd.remote(), WORK)


@pytest.mark.fault
@pytest.mark.usefixtures("ray_session")
def test_a_worker_killed_without_end_is_given_up_by_the_count(run, monkeypatch):
    """As where Ray's memory monitor kills it, which starts the work again without limit."""
    import ray

    monkeypatch.setattr(tasks, "remote", ray.remote(max_retries=-1))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - raised in the task
        list(run_tasks(die, (), [(0, WORK)], run, in_process=False))
    assert "part b could not be made: its worker died again and again (4 times)" in str(input_error_in(caught.value))


LOST = {
    "sort": ("embeddings/", r"embeddings/part-0000\d\.parquet could not be sorted by partitions: its worker"),
    "partition": ("candidates/part-", r"partition [01] could not be solved: its worker died"),
    "reduce": ("candidates/last", "the last round could not be solved: its worker died"),
    "sample": ("near/sample/", r"near copies of part \d could not be sampled: its worker died"),
    "fit": ("near/cells.npz", "near copies of part 0 could not be clustered: its worker died"),
    "words": ("tfidf/", r"words of shard \d could not be counted: its worker died"),
}


@pytest.mark.fault
@pytest.mark.usefixtures("no_second_try")
@pytest.mark.parametrize("task", LOST)
def test_every_task_that_is_lost_is_named(tmp_path, task):
    driver, (folder, said) = os.getpid(), LOST[task]

    def dead(event, name):
        if os.getpid() != driver and event == "written" and name.startswith(folder):
            os.kill(os.getpid(), signal.SIGKILL)

    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    store = write_store(
        RunDir(str(tmp_path), dead), X / np.linalg.norm(X, axis=1, keepdims=True), shards=3, partitions=2
    )
    with pytest.raises(InputError, match=said):
        if task == "words":
            (tmp_path / "t.txt").write_text("red\nblue\n")
            corpus = CorpusConfig(data=(str(tmp_path / "t.txt"),), format="text")
            rows = ingest(corpus, RunDir(str(tmp_path / "other"), dead))
            fit_once(rows, corpus, EmbedConfig(embedder="tfidf"))
        elif task in ("sample", "fit"):
            collapse(NearTask(store, NearSettings(0.9)), in_process=False, bar=NullProgress())
        elif task == "sort":
            sorted_store(store, SelectConfig(k=5, partitions=3, recipe="none"), in_process=False)
        else:
            on_ray = Policy(in_process_numbers=0)
            job = plan_selection(store, SelectConfig(k=5, partitions=2, recipe="none"), 5, policy=on_ray)
            choose(store, job, bar=NullProgress())
