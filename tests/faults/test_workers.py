"""SIGKILL of the workers that Ray Data replaces without end: the same ids, or given up by name after a few times."""

import json
import os
import signal

import pytest

from ray_subsel.cli import main
from ray_subsel.planning.policy import ON_RAY
from tests.faults.conftest import chosen, run_child

pytestmark = pytest.mark.usefixtures("ray_session")


def dying(deaths, doomed, times):
    """Return a watch that kills the worker that writes one file, no more than so many times over all workers."""
    deaths.mkdir()
    driver = os.getpid()

    def watch(event, name):
        if (event, name) == ("write", doomed) and os.getpid() != driver and len(list(deaths.iterdir())) < times:
            (deaths / str(os.getpid())).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return watch


@pytest.mark.fault
def test_an_actor_that_is_killed_while_it_embeds_is_replaced(runs, tmp_path):
    watch = dying(tmp_path / "deaths", "embeddings/part-00003.parquet", 1)
    assert main(runs.command(tmp_path / "out", "--workers", "1"), watch=watch, policy=ON_RAY) == 0
    assert len(list((tmp_path / "deaths").iterdir())) == 1
    assert chosen(tmp_path / "out") == runs.ids()


@pytest.mark.fault
def test_a_shard_that_kills_its_actor_every_time_is_given_up_by_name(runs, tmp_path, capsys):
    out = tmp_path / "out"
    watch = dying(tmp_path / "deaths", "embeddings/part-00006.parquet", 99)
    assert main(runs.command(out, "--workers", "1"), watch=watch, policy=ON_RAY) == 3
    assert len(list((tmp_path / "deaths").iterdir())) == 4
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"subsel: error: shard 6 ({out}/embeddings/part-00006.parquet) could not be embedded: its ")
    assert "died again and again (4 times). Give the workers more memory or use fewer --workers, then run the" in last
    finished = {path: path.stat().st_mtime_ns for path in (out / "embeddings").glob("*.parquet")}
    assert len(finished) > 2
    assert main(runs.command(out)) == 0
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert chosen(out) == runs.ids()


@pytest.mark.fault
@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_reads_is_replaced(runs, tmp_path):
    watch = dying(tmp_path / "deaths", "rows/part-00001-00000.parquet", 1)
    assert main(runs.command(tmp_path / "out", "--workers", "1"), watch=watch, policy=ON_RAY) == 0
    assert len(list((tmp_path / "deaths").iterdir())) == 1
    assert chosen(tmp_path / "out") == runs.ids()


@pytest.mark.fault
def test_a_file_that_kills_its_reader_every_time_is_given_up_by_name(runs, tmp_path, capsys):
    out = tmp_path / "out"
    watch = dying(tmp_path / "deaths", "rows/part-00002-00000.parquet", 99)
    assert main(runs.command(out, "--workers", "1"), watch=watch, policy=ON_RAY) == 3
    assert len(list((tmp_path / "deaths").iterdir())) == 4
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{runs.corpus}/2.parquet could not be read: its worker died again and again (WorkerCrashedError)" in last
    finished = {path: path.stat().st_mtime_ns for path in (out / "rows").glob("*.parquet")}
    assert main(runs.command(out)) == 0
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert chosen(out) == runs.ids()


@pytest.mark.fault
@pytest.mark.slow
def test_a_task_that_rays_memory_monitor_kills_every_time_is_given_up_by_name(runs, tmp_path):
    out = tmp_path / "out"
    runs.begin(out)
    child = run_child("monitor", "write:candidates/part-00001.parquet", 1, runs.command(out, "--json"))
    assert child.returncode == 3, child.stderr
    assert child.stdout == "", "what Ray prints of it is no answer"
    said = [line for line in child.stderr.splitlines() if "subsel: " in line]
    assert len(said) == 1
    assert said[0].startswith(
        "subsel: error: partition 1 could not be solved: its worker died again and again (4 times)"
    )
    killed = json.loads((tmp_path / "out.json").read_text())["killed"]
    pids = [pid for task, pid in killed if task == "select partition 1"]
    assert len(pids) >= 4, "Ray's own log says that it did it"
    assert len(set(pids)) == len(pids), "begun again each time"
    assert main(runs.command(out)) == 0
    assert chosen(out) == runs.ids()
    assert not [path for path in out.rglob("*") if ".tmp-" in path.name or path.name.endswith(".begun")]
