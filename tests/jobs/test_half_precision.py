"""The job that measures half precision multiplies in each type, and tells how wrong it is."""

import runpy
import sys


def test_each_way_is_measured_with_its_error(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["half_precision.py", "--rows", "300", "--d", "16", "--k", "5", "--rounds", "1"])
    runpy.run_path("jobs/half_precision.py", run_name="__main__")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    errors = {" ".join(line[:-3]): float(line[-1]) for line in lines[1:-4]}
    assert errors["numpy, float32"] < 1e-6 < errors["numpy, float16 widened by blocks"] < 2e-3
    assert errors["torch, bfloat16"] > errors["numpy, float16"] > 1e-6
    assert [line[0] for line in lines[-3:]] == ["graph_cut", "facility_location", "log_determinant"]
