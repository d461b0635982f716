"""The job that compares plans with the truth runs a case, keeps its cell and goes on from it."""

import json
import subprocess
import sys
from pathlib import Path

JOB = Path(__file__).parents[2] / "jobs" / "plan_and_truth.py"


def test_a_case_is_measured_and_told_once(tmp_path):
    command = [sys.executable, str(JOB), "--out", str(tmp_path), "--case", "vectors-1k"]
    first = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (cell,) = json.loads((tmp_path / "cells.json").read_text())
    planned, took = cell["planned"], cell["took"]
    assert set(planned["seconds"]) == set(took["seconds"])
    assert 0 < took["cpu_seconds"] < 60
    assert planned["slow"] > 0
    assert cell["command"].startswith("subsel run OUT/")
    head, rule, row = first.splitlines()
    assert head.count("|") == rule.count("|") == row.count("|")
    assert row.startswith("| vectors-1k |")
    (tmp_path / "cells.json").write_text(json.dumps([cell | {"case": "tfidf-1k", "load": 77.0}]))
    again = subprocess.run([*command[:-1], "vectors-1k"], check=True, capture_output=True, text=True).stdout
    assert "| tfidf-1k |" in again
    assert "| 77 |" in again
