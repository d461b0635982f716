"""The manifest: a run is resumed, never mixed."""

import multiprocessing
import time
from pathlib import Path

import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.pipeline import LAYOUT
from ray_subsel.storage.manifest import Manifest, locked
from ray_subsel.storage.run_directory import RunDir


@pytest.fixture
def run(tmp_path):
    return RunDir(str(tmp_path / "run"))


def finished(run):
    manifest = Manifest.open(run, LAYOUT)
    for stage, output in [("corpus", "rows/a"), ("embed", "embeddings/a"), ("select", "selection.parquet")]:
        manifest.enter(stage, {"of": stage, "lam": 10.0}, overwrite=False)
        run.write_bytes(output, b"x")
        manifest.finish(stage, seconds=1.5, facts={"n": 3})
    run.write_bytes("report.json", b"{}")
    return manifest


def test_it_comes_back_as_it_was_written(run):
    finished(run)
    again = Manifest.load(run, LAYOUT)
    assert list(again.stages) == ["corpus", "embed", "select"]
    assert again.enter("embed", {"of": "embed", "lam": 10.0}, overwrite=False).done
    assert again.stages["embed"].facts == {"n": 3}
    assert run.exists("embeddings/a")


def test_other_settings_stop_it_and_name_what_differs(run):
    finished(run)
    with pytest.raises(
        InputError, match=r"other settings \(select\.lam: 10\.0 there, 3\.0 here\).*--overwrite"
    ) as caught:
        Manifest.open(run, LAYOUT).enter("select", {"of": "select", "lam": 3.0}, overwrite=False)
    assert "\n" not in str(caught.value)
    assert run.exists("selection.parquet")


def test_overwrite_replaces_that_stage_and_those_after_it_only(run):
    finished(run)
    manifest = Manifest.open(run, LAYOUT)
    stage = manifest.enter("embed", {"of": "embed", "lam": 3.0}, overwrite=True)
    assert not stage.done
    assert run.exists("rows/a")
    assert not run.exists("embeddings")
    assert not run.exists("selection.parquet")
    assert not run.exists("report.json")
    assert list(Manifest.load(run, LAYOUT).stages) == ["corpus", "embed"]


def test_a_stage_that_was_cut_off_keeps_its_files(run):
    manifest = Manifest.open(run, LAYOUT)
    manifest.enter("embed", {"a": 1}, overwrite=False)
    run.write_bytes("embeddings/part-0", b"x")
    assert not Manifest.open(run, LAYOUT).enter("embed", {"a": 1}, overwrite=False).done
    assert run.exists("embeddings/part-0")


def test_files_that_nothing_claims_are_not_resumed(run):
    Manifest.open(run, LAYOUT).save()
    run.write_bytes("embeddings/part-0", b"of another model")
    Manifest.open(run, LAYOUT).enter("embed", {"a": 1}, overwrite=False)
    assert not run.exists("embeddings/part-0")


def test_a_directory_with_other_things_is_refused_even_with_overwrite(run):
    run.write_bytes("thesis.tex", b"x")
    with pytest.raises(InputError, match=r"out must be empty, new, or the directory of a run; got .*thesis\.tex"):
        Manifest.open(run, LAYOUT)
    assert run.exists("thesis.tex")


def test_a_directory_without_a_run_is_one_line(run):
    with pytest.raises(InputError, match=r"directory must hold a run \(a manifest.json\)"):
        Manifest.load(run, LAYOUT)


def test_a_manifest_of_another_version_is_refused(run):
    run.write_json("manifest.json", {"schema": 99})
    with pytest.raises(InputError, match="schema of .* must be 1; got 99"):
        Manifest.open(run, LAYOUT)


def _hold(uri, ready):
    with locked(RunDir(uri)):
        ready.set()
        time.sleep(60)


def test_one_process_at_a_time_and_a_killed_one_lets_go(run):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=_hold, args=(run.uri, ready))
    other.start()
    try:
        assert ready.wait(30)
        with pytest.raises(InputError, match="is in use by another run"), locked(run):
            pass
    finally:
        other.kill()
        other.join()
    with locked(run):
        pass


@pytest.mark.fault
def test_who_holds_a_directory_finds_nothing_half_written_there(run):
    for name in ("a.parquet", "train/subset/model/config.json"):
        for ending in ("", ".tmp-0123456789ab", ".begun"):
            run.write_bytes(f"{name}{ending}", b"x")
    with locked(run):
        there = {path.name for path in Path(run.uri).rglob("*") if path.is_file()}
    assert there == {".lock", "a.parquet", "config.json"}
