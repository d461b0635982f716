"""The benchmarks of streams and of labelling measure what they say."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from ray_subsel import ActiveLoop

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.mark.parametrize(
    ("flags", "cells", "names"),
    [
        (["speed", "--rows", "600", "--d", "8", "--k", "5"], 3, {"cpu_s", "items_a_second", "accepted"}),
        (["memory", "--rows", "1000", "--d", "4", "--k", "5"], 2, {"peak_mib", "state_kib", "seen"}),
    ],
)
def test_a_small_measurement_has_all_its_cells(flags, cells, names, tmp_path, monkeypatch):
    out = tmp_path / "results" / "cells.json"
    monkeypatch.setattr(sys, "argv", ["stream_quality.py", *flags, "--out", str(out)])
    runpy.run_path(str(JOBS / "stream_quality.py"), run_name="__main__")
    found = json.loads(out.read_text())
    assert len(found) == cells
    assert all(names <= set(cell) for cell in found)


def test_every_order_has_every_row_once():
    orders = runpy.run_path(str(JOBS / "stream_quality.py"))["orders"]
    labels = np.repeat(["c", "a", "b"], 20)
    found = dict(orders(np.zeros((60, 2)), labels, np.arange(60.0)[::-1]))
    assert all(sorted(order.tolist()) == list(range(60)) for order in found.values())
    assert labels[found["sorted"]].tolist() == sorted(labels)
    assert found["worst first"].tolist() == list(range(59, -1, -1))
    assert len({tuple(order) for order in found.values()}) == len(found) == 6


def test_each_way_asks_for_rows_without_a_label():
    job = runpy.run_path(str(JOBS / "active_learning.py"))
    X, doubt = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30.0)
    for way in job["WAYS"]:
        batch = job["batch_of"](way, ActiveLoop(X, [29, 3]), 5, doubt, np.random.default_rng(1))
        assert len(set(batch.tolist()) - {29, 3}) == 5
    assert job["batch_of"]("uncertainty", ActiveLoop(X, [29]), 2, doubt, None).tolist() == [28, 27]
