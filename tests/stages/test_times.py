"""The times that a run tells add up, also where it was killed, went on, or had nothing left to do."""

import json
import time

import numpy as np
import pytest

from ray_subsel.cli import main
from ray_subsel.stages.update import LAYOUT as UPDATE_LAYOUT
from ray_subsel.storage.manifest import NAME

RNG = np.random.default_rng(0)
FLAGS = ("--k", "10", "--near", "0.95", "--drop-outliers", "0.02")


class Killed(BaseException):
    """What a kill looks like to the process: nothing after it runs."""


@pytest.fixture
def command(tmp_path):
    path = tmp_path / "vectors.npy"
    np.save(path, RNG.normal(size=(200, 8)).astype(np.float32))
    return ["select", str(path), *FLAGS, "--out", str(tmp_path / "out")]


def killed_at(writing):
    """Return a watch that kills the run once the manifest was written so many times."""
    left = [writing]

    def watch(event, name):
        if event == "written" and name == NAME:
            left[0] -= 1
            if left[0] == 0:
                raise Killed

    return watch


def killed_after(place, stage):
    """Return a watch that kills the run when a stage has just been finished, before its files are sealed."""

    def watch(event, name):
        if event == "written" and name == NAME:
            found = json.loads((place / NAME).read_text())["stages"].get(stage, {"done": False})
            if found["done"]:
                raise Killed

    return watch


def finished_in(place):
    return [name for name, stage in json.loads((place / NAME).read_text())["stages"].items() if stage["done"]]


def check(report, wall, earlier):
    """Check that seconds are those of this start, beside those of stages that were finished before it."""
    assert report["earlier"] == earlier
    assert all(seconds >= 0.0 for seconds in report["seconds"].values())
    assert sum(value for name, value in report["seconds"].items() if name not in earlier) <= wall + 0.01


@pytest.mark.parametrize("stages", [("corpus", "embed"), ("near", "select"), ("decide", "map")])
def test_a_run_that_was_killed_after_two_stages_tells_its_own_time(stages, command, tmp_path, capsys):
    out = tmp_path / "out"
    for stage in stages:
        with pytest.raises(Killed):
            main(command, watch=killed_after(out, stage))
    before = finished_in(out)
    assert before[-1] == stages[-1]
    capsys.readouterr()
    began = time.perf_counter()
    assert main(command) == 0
    report = json.loads((out / "report.json").read_text())
    check(report, time.perf_counter() - began, before)
    assert report["resumed"] == []
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("time ", "before "))]
    assert [part.split()[0] for part in told[0].removeprefix("time").split(",")] == [
        name for name in report["seconds"] if name not in before
    ]
    assert told[1].endswith(", by earlier starts")
    assert [part.split()[0] for part in told[1].removeprefix("before").split(",")[:-1]] == before
    page = (out / "report.html").read_text()
    assert "by an earlier start" in page
    assert "in the last start, and " in page
    assert main(command) == 0  # it had nothing to do: the times stay those of the start that did the work
    assert json.loads((out / "report.json").read_text())["seconds"] == report["seconds"]


@pytest.mark.parametrize("writing", range(1, 28, 4))
def test_a_run_that_was_killed_anywhere_tells_its_own_time(writing, command, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(Killed):
        main(command, watch=killed_at(writing))
    before, begun = finished_in(out), set(json.loads((out / NAME).read_text())["stages"])
    began = time.perf_counter()
    assert main(command) == 0
    wall = time.perf_counter() - began
    report = json.loads((out / "report.json").read_text())
    check(report, wall, before if set(before) != set(finished_in(out)) else report["earlier"])
    assert report["resumed"] == [name for name in finished_in(out) if name in begun and name not in before]


def test_stages_of_a_start_that_was_killed_at_its_end_are_those_of_the_last_start(command, tmp_path):
    out = tmp_path / "out"
    assert main(["embed", command[1], "--out", str(out)]) == 0
    with pytest.raises(Killed):
        main(command, watch=killed_after(out, "profile"))
    assert main(command) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["earlier"] == ["corpus", "embed"]
    assert "around" not in report["seconds"]  # nobody knows


def test_a_stage_that_a_start_began_and_another_finished_tells_its_last_part(command, tmp_path, capsys):
    out = tmp_path / "out"

    def watch(event, name):
        if event == "written" and name.startswith("groups/"):
            raise Killed

    with pytest.raises(Killed):
        main(command, watch=watch)
    assert main(command) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["resumed"] == ["near"]
    assert "last part of near " in capsys.readouterr().out
    assert "its last part" in (out / "report.html").read_text()
    assert main([*command, "--overwrite", "--k", "11"]) == 0
    again = json.loads((out / "report.json").read_text())
    assert again["earlier"] == ["corpus", "embed", "drop", "near"]
    assert again["resumed"] == ["near"]


@pytest.mark.parametrize("stage", ["embed", "renew"])
def test_an_update_that_was_killed_tells_its_own_time(stage, command, tmp_path):
    out, new = tmp_path / "out", tmp_path / "new.npy"
    np.save(new, RNG.normal(size=(20, 8)).astype(np.float32))
    assert main(command[:4] + command[-2:]) == 0
    place = out / "updates" / "0001"
    with pytest.raises(Killed):
        main(["update", str(out), str(new)], watch=killed_after(place, stage))
    before, began = finished_in(place), time.perf_counter()
    assert main(["update", str(out), str(new)]) == 0
    report = json.loads((place / "report.json").read_text())
    check(report, time.perf_counter() - began, before)
    assert set(report["seconds"]) == {*UPDATE_LAYOUT, "around"}
    assert "by an earlier start" in (place / "report.html").read_text()
