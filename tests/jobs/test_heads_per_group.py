"""Many users: rows written, a selection for each, and a head for each on its subset, on random rows and on all."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

JOBS = Path(__file__).parents[2] / "jobs"


def job(name, monkeypatch, *arguments):
    spec = importlib.util.spec_from_file_location(name, JOBS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    return module


@pytest.mark.parametrize(("rows", "groups"), [(1_000_000, 10_000), (2_000, 30), (1_000, 100)])
def test_sizes_are_skewed_and_sum_to_the_rows(monkeypatch, rows, groups):
    sizes = job("benchmark_per_group", monkeypatch).sizes_of(rows, groups)
    assert sizes.sum() == rows
    assert sizes.min() >= 10
    assert sizes.max() <= 10_000 + 1


def test_heads_of_all_users(tmp_path, monkeypatch, capsys):
    given = ("--rows", 2_000, "--groups", 30, "--d", 8, "--fraction", 0.2, "--here", "--out", tmp_path)
    assert job("benchmark_per_group", monkeypatch, *given).main() == 0
    selected = json.loads(capsys.readouterr().out.splitlines()[-1])
    run, test = tmp_path / "run-users-2000-30-8-0-facility_location-0.2", tmp_path / "users-2000-30-8-0-test.parquet"
    assert job("heads_per_group", monkeypatch, run, "--test", test).main() == 0
    found = json.loads(capsys.readouterr().out)
    assert found["groups"] == 30
    assert found["test_rows"] == 30 * 20
    arms = found["arms"]
    assert arms["all"]["rows"] == 2_000
    assert arms["subset"]["rows"] == arms["random"]["rows"] == selected["chosen"]
    assert arms["all"]["accuracy"] > 0.7  # chance is 0.5
    assert 0.5 < arms["subset"]["accuracy"] <= 1
    table = pq.read_table(run / "heads.parquet")
    again = job("heads_per_group", monkeypatch, run, "--test", test)
    monkeypatch.setattr(again, "ROWS_AT_A_TIME", 150)
    assert again.main() == 0
    told = [name for name in table.column_names if not name.startswith("seconds")]
    assert pq.read_table(run / "heads.parquet", columns=told).equals(table.select(told))
    for arm, figures in arms.items():
        assert figures["accuracy"] == sum(table[f"correct_{arm}"].to_pylist()) / 600
    differences = (table["correct_subset"].to_numpy() - table["correct_all"].to_numpy()) / 20
    assert found["subset_minus"]["all"]["mean"] == pytest.approx(float(np.mean(differences)))


def test_what_is_no_run_in_groups_is_refused(tmp_path, monkeypatch, capsys):
    assert job("heads_per_group", monkeypatch, tmp_path, "--test", "x.parquet").main() == 2
    assert "heads_per_group: error: " in capsys.readouterr().err
