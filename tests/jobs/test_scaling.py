"""Scaling runs: which cells, what is fitted, that finished cells are kept, and that nodes do not change the ids."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "jobs" / "scaling.py"
SMALL = ("--n", "300", "600", "1200", "--d", "8", "--k-share", "0.05")


def _module():
    spec = importlib.util.spec_from_file_location("scaling", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(out, *flags):
    command = [sys.executable, str(SCRIPT), *flags, "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_exponent_is_that_of_a_power_law():
    power = _module().power
    n = [1_000, 3_000, 10_000, 50_000]
    slope, error = power(n, [7e-3 * one**1.3 for one in n])
    assert slope == pytest.approx(1.3)
    assert error == pytest.approx(0.0, abs=1e-9)
    assert power(n[:2], [1.0, 2.0]) is None


def test_recall_counts_each_origin_once():
    cell = {"n": 100, "k": 4, "redundancy": 0.5}
    assert _module().recall(np.array([1, 1, 2, 3]), cell) == 0.75
    assert _module().recall(np.array([1, 2]), {"n": 4, "k": 3, "redundancy": 0.5}) == 1.0


def test_engine_cells_are_computed_kept_and_told(tmp_path):
    done = call(tmp_path, *SMALL, "--modes", "engine", "--workers", "1", "2")
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / "results.json").read_text())["cells"]
    assert [cell["n"] for cell in cells] == [300, 600, 1200]  # the engine knows no workers
    assert all(cell["share_of_centralized"] == 1.0 and 0 < cell["recall"] <= 1 for cell in cells)
    assert "seconds ~ n^" in done.stdout
    assert (tmp_path / "time.svg").read_text().startswith("<svg")
    kept = sorted((tmp_path / "cells").iterdir())
    content = json.loads(kept[0].read_text())
    kept[0].write_text(json.dumps({**content, "seconds": 123.0}))
    again = call(tmp_path, *SMALL, "--modes", "engine")
    assert "123.00" in again.stdout  # read, not computed again


@pytest.mark.parametrize(
    ("flags", "said"),
    [(("--n", "0"), "must be at least 1"), (("--k-share", "2"), r"k_share must lie in (0, 1]")],
)
def test_bad_flags_are_one_line(tmp_path, flags, said):
    done = call(tmp_path, *flags)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_two_nodes_choose_what_one_does(tmp_path):
    modes = ("--modes", "engine", "greedi", "exact")
    done = call(tmp_path, "--n", "2000", "--d", "16", *modes, "--workers", "1", "--nodes", "1", "2")
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / "results.json").read_text())["cells"]
    assert all(cell["same_ids"] for cell in cells)
    assert len(cells) == 5
    assert len({cell["ids"] for cell in cells if cell["mode"] != "greedi"}) == 1
