"""The job that measures a GPU measures another device where it is told to, and says where there is none."""

import json
import runpy
import sys

import pytest

torch = pytest.importorskip("torch")


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmark_gpu.py", *arguments])
    runpy.run_path("jobs/benchmark_gpu.py", run_name="__main__")


def test_selections_are_measured_and_their_rows_compared(monkeypatch, tmp_path):
    out = tmp_path / "cells.json"
    some = ("--rows", "graph_cut", "near copies", "--types", "float32", "bfloat16", "--shrink", "1000", "--rounds", "1")
    run(monkeypatch, *some, "--device", "cpu", "--out", str(out))
    cells = json.loads(out.read_text())["rows"]
    assert [(cell["name"], cell["type"]) for cell in cells] == [
        (name, kind) for name in ("graph_cut", "near copies") for kind in ("float32", "bfloat16")
    ]
    assert all(cell["same"] and cell["cpu"] > 0 and cell["gpu"] > 0 for cell in cells)


def test_an_encoder_is_measured(monkeypatch, tmp_path, tiny_bert):
    out = tmp_path / "cells.json"
    asked = ("--encode", tiny_bert, "--texts", "30", "--rounds", "1", "--device", "cpu", "--out", str(out))
    run(monkeypatch, *asked)
    cells = json.loads(out.read_text())["rows"]
    assert [cell["precision"] for cell in cells] == ["float32", "bfloat16"]
    assert [cell["least_cosine"] for cell in cells] == pytest.approx([1.0, 1.0], abs=0.01)


def test_a_machine_without_a_gpu_says_so(monkeypatch, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    run(monkeypatch)
    assert capsys.readouterr().out == "This machine has no GPU that torch can use.\n"
