"""The benchmark of small data measures whole processes, each way once, against the least there is to do."""

import json
import runpy
from pathlib import Path

import pytest

JOB = runpy.run_path(str(Path(__file__).parents[2] / "jobs" / "benchmark_small.py"))


def test_a_process_is_measured_or_its_failure_is_told():
    busy = JOB["cpu_seconds"](["-c", "sum(range(3_000_000))"])
    assert 0 < busy < 60
    with pytest.raises(RuntimeError, match="ended with status 3"):
        JOB["cpu_seconds"](["-c", "raise SystemExit(3)"])


def test_each_way_is_a_line_beside_the_least(monkeypatch, capsys):
    asked, costs = [], iter([2.0, 3.0, 4.0, 1.0, 5.0, 10.0])

    def measured(arguments):
        asked.append(" ".join(map(str, arguments)))
        return next(costs)

    monkeypatch.setitem(JOB["main"].__globals__, "cpu_seconds", measured)
    JOB["main"](["--rows", "40", "--k", "5", "--embedder", "tfidf", "--vectors", "60"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["way"], one["cpu_seconds"], one["of_python"]) for one in lines] == [
        ("embed and select", 2.0, 1.0),
        ("select_texts", 3.0, 1.5),
        ("subsel select", 4.0, 2.0),
        ("subsel select again", 1.0, 0.5),
        ("select", 5.0, 1.0),
        ("subsel select", 10.0, 2.0),
    ]
    assert asked[2].partition(" --out ")[0] == asked[3].partition(" --out ")[0]  # the same question, the same cache
    assert asked[4].endswith("vectors.npy 3")
