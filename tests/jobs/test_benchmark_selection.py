"""The benchmark measures what it says, on sizes that take no time."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "jobs" / "benchmark_selection.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_selection", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_embeddings_are_what_the_table_promises(benchmark):
    row = benchmark.Row("row", 400, 32, 20, (), None)
    X = benchmark.embeddings(row, 0)
    assert np.linalg.norm(X, axis=1) == pytest.approx(np.ones(400), abs=1e-6)
    assert len(np.unique(X, axis=0)) == 200
    assert 0.3 < np.mean(X @ X.T) < 0.6
    assert np.array_equal(X, benchmark.embeddings(row, 0))
    assert not np.array_equal(X, benchmark.embeddings(row, 1))


@pytest.mark.parametrize("rival", ["torch-matrix", "numpy-passes", "torch-passes"])
def test_contenders_do_the_same_work(benchmark, rival):
    row = benchmark.Row("row", 300, 16, 30, (), None, copies=False)
    X = benchmark.embeddings(row, 0)
    assert np.array_equal(benchmark.CONTENDERS[rival](X, 30)[0], benchmark.CONTENDERS["ray_subsel"](X, 30)[0])


def test_path_values_are_f(benchmark):
    from ray_subsel.objectives import GraphCut

    X = benchmark.embeddings(benchmark.Row("row", 50, 8, 5, (), None), 0)
    ids = np.array([3, 1, 7])
    expected = [GraphCut(10.0).evaluate(X, ids[:j]) for j in (1, 2, 3)]
    assert benchmark.path_values(X, ids) == pytest.approx(expected, rel=1e-5, abs=1e-4)


def test_a_row_is_measured_in_fresh_processes(benchmark, capsys):
    row = benchmark.Row("tiny", 3000, 16, 60, ("numpy-passes",), 1e9)
    report = benchmark.compare(row, 0, 1)
    assert [result["contender"] for result in report["results"]] == ["ray_subsel", "numpy-passes"]
    assert report["value_difference"] < 1e-3
    assert all(result["seconds"] > 0 for result in report["results"])
    json.dumps(report)
    benchmark.show(report)
    assert "MISSED" in capsys.readouterr().out


def test_what_cannot_run_is_said_and_left_out(benchmark, capsys):
    row = benchmark.Row("tiny", 100, 4, 60, (), None)
    assert benchmark.in_fresh_process(row, "nobody", 0, 1) is None
    assert "nobody did not run: KeyError" in capsys.readouterr().err


def test_help_names_the_rows():
    done = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True)
    assert "graph-40k-2k" in done.stdout
