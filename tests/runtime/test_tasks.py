"""Work on Ray: results as they come, what is lost is named, and what kills its worker every time is given up."""

import os
import signal
import time

import numpy as np
import pytest

from ray_subsel.config import CorpusConfig, EmbedConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.ingest import ingest
from ray_subsel.planning.policy import Policy
from ray_subsel.runtime import tasks
from ray_subsel.runtime.ray_session import input_error_in
from ray_subsel.runtime.tasks import ATTEMPTS, TaskSpec, attempt, result_of, run_tasks
from ray_subsel.stages import deduplicate, embed, select_greedi
from ray_subsel.stages.selection_job import plan_selection
from ray_subsel.storage.embedding_store import Items, write_part
from ray_subsel.storage.run_directory import BEGUN, RunDir

WORK = TaskSpec("a/b.parquet", "part b could not be made", "Give it more memory")
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
    works = [(number, TaskSpec(f"a/{number}", "", "")) for number in range(5)]
    found = list(run_tasks(square, (3,), works, run, at_a_time=at_a_time, cpus=0.5))
    assert sorted((number, result) for number, result, _ in found) == [(n, 3 * n**2) for n in range(5)]
    assert all(peak > 1 << 20 for _, _, peak in found)
    assert run.names("a") == []
    assert list(run_tasks(square, (3,), [], run)) == []


@pytest.mark.usefixtures("ray_session")
def test_no_more_at_a_time_than_asked_for(run, tmp_path):
    def alone(number):
        (tmp_path / "here").touch(exist_ok=False)
        time.sleep(0.1)
        (tmp_path / "here").unlink()

    assert len(list(run_tasks(alone, (), [(n, TaskSpec(f"{n}", "", "")) for n in range(4)], run, at_a_time=1))) == 4


@pytest.mark.usefixtures("ray_session")
def test_what_a_task_raises_arrives_as_it_is(run):
    def refuse(number):
        raise InputError("k must be at least 1; got 0.")

    with pytest.raises(Exception) as caught:  # noqa: PT011 - Ray's wrapping of the error that is looked for below
        list(run_tasks(refuse, (), [(0, WORK)], run))
    assert str(input_error_in(caught.value)) == "k must be at least 1; got 0."
    assert not run.exists(COUNT)


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
        list(run_tasks(die, (), [(0, WORK)], run))
    assert "part b could not be made: its worker died again and again (4 times)" in str(input_error_in(caught.value))


@pytest.fixture
def parts(run):
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return [
        write_part(
            run, shard, Items(ids, X[ids], np.ones(20, dtype=np.int64)), [[i] for i in ids], texts=20, partitions=2,
            seed=0,
        )
        for shard in range(3)
        for ids in [np.arange(20) * 3 + shard]
    ]  # fmt: skip


class Silent:
    def advance(self, amount=1):
        pass


@pytest.mark.fault
@pytest.mark.usefixtures("no_second_try")
@pytest.mark.parametrize(
    ("module", "function", "said"),
    [
        (
            select_greedi,
            "repartition",
            r"embeddings/part-0000\d\.parquet could not be sorted by partitions: its worker",
        ),
        (select_greedi, "_solve_node", r"partition [01] could not be solved: its worker died"),
        (select_greedi, "reduce", "the last round could not be solved: its worker died"),
        (deduplicate, "_sample", r"near copies could not be collapsed: sampling shard \d failed: its worker"),
        (deduplicate, "_fit", "near copies could not be collapsed: fitting clusters, task 0 failed: its w"),
        (embed, "_of_shard", r"words of shard \d could not be counted: its worker died"),
    ],
)
def test_every_task_that_is_lost_is_named(run, parts, tmp_path, monkeypatch, module, function, said):
    def dead(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    dead.__name__ = function
    monkeypatch.setattr(module, function, dead)
    with pytest.raises(InputError, match=said):
        if module is select_greedi:
            config = SelectConfig(k=5, partitions=3 if function == "repartition" else 2)
            select_greedi.choose(
                run,
                parts := select_greedi.partitioned(run, parts, config),
                plan_selection(run, config, parts, 5, policy=Policy(in_process_numbers=0)),
                bar=Silent(),
            )
        elif module is deduplicate:
            deduplicate.collapse(deduplicate.NearTask.of(run, parts, 0.9, 0), here=False, bar=Silent())
        else:
            (tmp_path / "t.txt").write_text("red\nblue\n")
            corpus = CorpusConfig(data=(str(tmp_path / "t.txt"),), format="text")
            rows = ingest(corpus, RunDir(str(tmp_path / "other")), distributed=False)
            embed.fit_once(rows, corpus, EmbedConfig(embedder="tfidf"))
