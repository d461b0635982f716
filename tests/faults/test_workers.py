"""SIGKILL of the workers that Ray Data replaces without end: the same ids, or given up by name after a few times."""

import os
import signal

import pytest

from ray_subsel.cli import main
from ray_subsel.corpus import ingest
from ray_subsel.stages import embed
from tests.faults.conftest import chosen


def kill(where, name, times):
    """Kill this process, but no more than so many times over all processes."""
    where.mkdir(exist_ok=True)
    if len(list(where.glob(f"{name}-*"))) < times:
        (where / f"{name}-{os.getpid()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def dying_actor(deaths, doomed, times):
    """Return the pool's worker as it is, but that one shard kills it."""
    original = embed.EmbedActor

    class Dying(original):
        def __call__(self, batch):
            self.shard = int(batch["shard"][0])
            return super().__call__(batch)

        def ready(self):
            if self.shard == doomed:
                kill(deaths, doomed, times)
            return super().ready()

    return Dying


@pytest.mark.fault
def test_an_actor_that_is_killed_while_it_embeds_is_replaced(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(embed, "_ShardActor", dying_actor(tmp_path / "deaths", 3, 1))
    assert main(runs.command(tmp_path / "out")) == 0
    assert len(list((tmp_path / "deaths").iterdir())) == 1
    assert chosen(tmp_path / "out") == runs.ids()


@pytest.mark.fault
def test_a_shard_that_kills_its_actor_every_time_is_given_up_by_name(runs, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(embed, "_ShardActor", dying_actor(tmp_path / "deaths", 6, 99))
        assert main(runs.command(out)) == 2
    assert len(list((tmp_path / "deaths").iterdir())) == 4
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"subsel: error: shard 6 ({out}/embeddings/part-00006.parquet) could not be embedded: its ")
    assert "died again and again (4 times). Give the workers more memory or use fewer --workers, then run the" in last
    finished = {path: path.stat().st_mtime_ns for path in (out / "embeddings").glob("*.parquet")}
    assert len(finished) > 2
    assert main(runs.command(out)) == 0
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert chosen(out) == runs.ids()


def dying_reader(deaths, doomed, times):
    """Return what reads a unit, but that one unit kills its worker."""

    def guarded(unit, run, shards):
        from ray_subsel.corpus import ingest as there

        read = there.read_split

        def dying(unit, run, shards):
            if unit.number == doomed:
                kill(deaths, doomed, times)
            return read(unit, run, shards)

        there.read_split = dying
        try:
            return there._guarded(unit, run, shards)  # in the worker it is what it was
        finally:
            there.read_split = read

    return guarded


@pytest.mark.fault
@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_reads_is_replaced(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "_guarded", dying_reader(tmp_path / "deaths", 1, 1))
    assert main(runs.command(tmp_path / "out")) == 0
    assert len(list((tmp_path / "deaths").iterdir())) == 1
    assert chosen(tmp_path / "out") == runs.ids()


@pytest.mark.fault
def test_a_file_that_kills_its_reader_every_time_is_given_up_by_name(runs, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(ingest, "_guarded", dying_reader(tmp_path / "deaths", 2, 99))
        assert main(runs.command(out)) == 2
    assert len(list((tmp_path / "deaths").iterdir())) == 4
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{runs.corpus}/2.parquet could not be read: its worker died again and again (4 times)" in last
    finished = {path: path.stat().st_mtime_ns for path in (out / "rows").glob("*.parquet")}
    assert main(runs.command(out)) == 0
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert chosen(out) == runs.ids()
