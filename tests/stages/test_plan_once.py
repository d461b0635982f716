"""The plan of a run: told once, before the work, of what is left to do."""

import json

import numpy as np
import pytest

from ray_subsel.cli import main

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "vectors.npy"
    np.save(path, RNG.normal(size=(300, 8)).astype(np.float32))
    return str(path)


def told(text):
    """Return the lines of the plan that tell the time, and which stages they name."""
    lines = [line for line in text.splitlines() if line.startswith("time      some")]
    names = [part.strip().split()[0] for line in lines for part in line.partition(": ")[2].split(",")]
    return lines, names


FLAGS = ("--k", "10", "--near", "0.95", "--drop-outliers", "0.02")


def test_a_run_tells_its_plan_once_and_of_every_stage_that_it_then_has(data, tmp_path, capsys):
    assert main(["select", data, *FLAGS, "--out", str(tmp_path / "out")]) == 0
    err = capsys.readouterr().err
    lines, names = told(err)
    assert len(lines) == 1
    assert sum(line.startswith("plan ") for line in err.splitlines()) == 1
    assert err.index("time      some") < err.index("corpus: 300 rows")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert set(names) == set(report["seconds"]) == set(report["plan"]["seconds"])
    assert "planned: " in (tmp_path / "out" / "report.html").read_text()


def test_the_command_plan_tells_what_a_run_does(data, tmp_path, capsys):
    assert main(["plan", data, *FLAGS]) == 0
    plan = capsys.readouterr().out.splitlines()
    assert main(["select", data, *FLAGS, "--out", str(tmp_path / "out")]) == 0
    run = capsys.readouterr().err.splitlines()
    assert {line for line in plan if not line.startswith("time")} <= set(run)
    assert told("\n".join(plan))[1] == told("\n".join(run))[1]


def test_what_is_done_already_is_not_planned_again(data, tmp_path, capsys):
    command = ["select", data, *FLAGS, "--out", str(tmp_path / "out")]
    assert main(["embed", data, "--out", str(tmp_path / "out")]) == 0
    assert told(capsys.readouterr().err)[1] == ["corpus", "embed", "around"]
    assert main(command) == 0
    assert told(capsys.readouterr().err)[1] == ["drop", "near", "select", "decide", "map", "profile", "around"]
    assert main(command) == 0
    assert told(capsys.readouterr().err)[0] == []  # nothing is left to do
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {"corpus", "embed", "near", "select"} <= report["plan"]["seconds"].keys()
    command[3] = "12"
    assert main([*command, "--overwrite"]) == 0
    assert told(capsys.readouterr().err)[1] == ["select", "decide", "map", "profile", "around"]


def test_an_update_tells_its_plan_once_and_of_what_it_has_to_do(data, tmp_path, capsys):
    out, new = str(tmp_path / "out"), tmp_path / "new.npy"
    np.save(new, RNG.normal(size=(20, 8)).astype(np.float32))
    assert main(["select", data, "--k", "10", "--out", out]) == 0
    capsys.readouterr()
    assert main(["update", out, str(new)]) == 0
    err = capsys.readouterr().err
    assert told(err)[1] == ["corpus", "embed", "join", "renew", "map", "around"]
    assert err.index("time      some") < err.index("corpus: 20 rows")
    place = tmp_path / "out" / "updates" / "0001"
    report = json.loads((place / "report.json").read_text())
    assert report["seconds"].keys() == report["plan"]["seconds"].keys()
    assert "planned: " in (place / "report.html").read_text()
    assert main(["update", out, str(new)]) == 0
    assert told(capsys.readouterr().err)[0] == []  # nothing is left to do
    again = json.loads((place / "report.json").read_text())
    assert again | {"created": ""} == report | {"created": ""}
    assert main(["update", out, "--k", "12"]) == 0
    err = capsys.readouterr().err
    assert told(err)[1] == ["renew", "map", "around"]
    assert "plan      12 of at most 320 items, 8 dimensions; 10 are chosen" in err


def test_another_set_is_read_without_a_plan_of_its_own(data, tmp_path, capsys):
    other = tmp_path / "other.npy"
    np.save(other, RNG.normal(size=(20, 8)).astype(np.float32))
    flags = ["--k", "10", "--against", str(other), "--against-near", "0.99", "--target", str(other)]
    assert main(["select", data, *flags, "--out", str(tmp_path / "out")]) == 0
    lines, names = told(capsys.readouterr().err)
    assert len(lines) == 1
    assert names == ["corpus", "embed", "against", "target", "select", "decide", "map", "profile", "around"]
