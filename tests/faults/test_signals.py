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
from tests.faults.conftest import child, chosen, gone

LINE = "subsel: interrupted; the same command again goes on from here"


@pytest.fixture
def place(monkeypatch):
    """The folder in which Ray makes its own; names of sockets must be short."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield folder


def interrupted(moment, command, out, numbers):
    """Run a command until the moment and send it signals; return its status, its last line and Ray's processes."""
    there = Path(f"{out}.json")
    with child("busy", moment, 1, command) as process:
        while not there.exists() and process.poll() is None:
            time.sleep(0.02)
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.2)
        _, said = process.communicate(timeout=120)  # the limit itself is that of cli/signals.py
    assert there.exists(), said
    return process.returncode, said, json.loads(there.read_text())["processes"]


def check(moment, command, out, numbers, place):
    status, said, processes = interrupted(moment, command, out, numbers)
    assert status == 130, said
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
        pytest.param((), "write:candidates/part-*.parquet", [signal.SIGINT], id="greedi"),
    ],
)
def test_a_signal_while_workers_are_busy(flags, moment, numbers, runs, place, tmp_path):
    out = tmp_path / "out"
    if "candidates" in moment or "near" in moment:
        runs.begin(out)
    check(moment, runs.command(out, *flags), out, numbers, place)
    assert main(runs.command(out, *flags)) == 0
    assert chosen(out) == runs.ids(*flags)
