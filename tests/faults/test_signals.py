"""A signal while workers of the command's own Ray are busy: one line, status 130, no process and no folder is left."""

import json
import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from ray_subsel.cli import main
from ray_subsel.runtime.local_ray import session_folder
from ray_subsel.synthetic import intents
from tests.faults.conftest import child, chosen, gone

LINE = "subsel: interrupted; the same command again goes on from here"
LIMIT = 5.0
"""Seconds from the signal to the end of the command."""


def slow(name, *values):
    return pytest.param(*values, marks=pytest.mark.slow, id=name)


@pytest.fixture
def place(monkeypatch):
    """The folder in which Ray makes its own; names of sockets must be short."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield folder


def interrupted(moment, command, out, numbers):
    """Run a command until the moment and send it signals; return how it ended: its status and what it said, Ray's
    processes, and the seconds from the last signal to its end.
    """
    there = Path(f"{out}.json")
    with child("busy", moment, 1, command) as process:
        while not there.exists() and process.poll() is None:
            time.sleep(0.02)
        for again, number in enumerate(numbers):
            time.sleep(0.2 * again)
            began = time.monotonic()
            process.send_signal(number)
        process.wait(timeout=120)
        seconds = time.monotonic() - began
        _, said = process.communicate()
    assert there.exists(), said
    return process.returncode, said, json.loads(there.read_text())["processes"], seconds


def check(moment, command, out, numbers, place, limit):
    status, said, processes, seconds = interrupted(moment, command, out, numbers)
    assert status == 130, said
    assert seconds < limit, f"the load is {os.getloadavg()}"
    assert [line for line in said.splitlines() if "subsel: " in line] == [LINE], said
    assert "Traceback" not in said
    assert len(processes) > 3
    assert gone(processes) == []
    with session_folder() as folder:
        assert os.listdir(place) == [os.path.basename(folder)], "what the run has left of Ray's folder"
    assert not list(out.glob("s*.parquet"))


@pytest.mark.fault
@pytest.mark.parametrize(
    ("flags", "moment", "numbers"),
    [
        slow("corpus", (), "write:rows/part-*", [signal.SIGINT]),
        slow("embed", (), "write:embeddings/part-*.parquet", [signal.SIGHUP]),
        slow("near", ("--near", "0.95"), "write:near/pieces/part-*.parquet", [signal.SIGTERM]),
        pytest.param((), "write:candidates/part-*.parquet", [signal.SIGINT], id="greedi"),
        slow("twice", (), "write:candidates/part-*.parquet", [signal.SIGINT, signal.SIGINT]),
        slow("exact", ("--mode", "exact"), "write:candidates/exact.parquet", [signal.SIGINT]),
    ],
)
def test_a_signal_while_workers_are_busy(flags, moment, numbers, runs, place, tmp_path, request):
    out = tmp_path / "out"
    if "candidates" in moment or "near" in moment:
        runs.begin(out)
    limit = LIMIT if request.node.get_closest_marker("slow") else 120.0  # no time alone decides a fast test
    check(moment, runs.command(out, *flags), out, numbers, place, limit)
    assert main(runs.command(out, *flags)) == 0
    assert chosen(out) == runs.ids(*flags)


@pytest.mark.fault
@pytest.mark.slow
def test_a_signal_while_a_worker_trains(place, tmp_path, tiny_bert):
    texts, out = tmp_path / "texts.csv", tmp_path / "out"
    intents.main(["--rows", "90", "--seed", "0", "--out", str(texts)])
    columns = ["--text", "text", "--label", "label", "--task", "classification", "--embedder", "tfidf"]
    assert main(["select", str(texts), *columns, "--k", "30", "--no-cache", "--out", str(out)]) == 0
    command = ["finetune", "--test", str(texts), "--train-model", tiny_bert, "--arm", "subset", "--epochs", "3"]
    moment = "write:train/subset/checkpoint-*"
    command_on_ray = [*command, "--train-workers", "1", str(out)]
    status, said, processes, seconds = interrupted(moment, command_on_ray, out, [signal.SIGINT])
    assert status == 130, said
    assert seconds < LIMIT, f"the load is {os.getloadavg()}"
    assert said.strip().splitlines()[-1] == LINE
    assert gone(processes) == []
    assert main([*command, str(out)]) == 0
    assert not [path for path in out.rglob("*") if ".tmp-" in path.name]
