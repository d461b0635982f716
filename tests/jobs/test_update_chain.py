"""A chain of daily additions by the job that measures it: within a hundredth of fresh runs, a killed day included."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

JOB = Path(__file__).parents[2] / "jobs" / "update_chain.py"


def cells_of(tmp_path, *arguments):
    subprocess.run([sys.executable, JOB, *arguments, "--out", str(tmp_path)], check=True, capture_output=True)
    (path,) = tmp_path.glob("chain-*.json")
    return json.loads(path.read_text())


def check(cells, days, rows):
    assert [cell["day"] for cell in cells] == list(range(1, days + 1))
    assert sum(cell["killed"] for cell in cells) == 1
    assert {cell["embedded"] for cell in cells} == {rows}
    assert [cell["share_of_f"] for cell in cells if "share_of_f" in cell]
    assert min(cell["share_of_f"] for cell in cells if "share_of_f" in cell) > 0.99


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("objective", ["facility_location", "graph_cut", "log_determinant"])
def test_four_days_one_of_them_killed(tmp_path, objective):
    arguments = ("--generate", "2000", "--d", "16", "--k", "60", "--objective", objective, "--days", "4")
    check(cells_of(tmp_path, *arguments, "--kill", "2", "--fresh", "4"), 4, 50)
