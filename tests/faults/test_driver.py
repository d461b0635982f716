"""SIGKILL of the driver in every stage: the rerun makes again nothing that was finished, and ends with the same ids."""

import json
import signal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.cli import main
from tests.faults.conftest import chosen, run_child

NEAR = ("--near", "0.95")
EXACT = ("--mode", "exact")


def slow(name, *values):
    return pytest.param(*values, marks=pytest.mark.slow, id=name)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("flags", "moment", "nth", "killed_in", "there"),
    [
        slow("corpus", (), "written:rows/unit-*.json", 2, "corpus", "rows/unit-*.json"),
        slow("embed", (), "written:embeddings/part-*.parquet", 3, "embed", "embeddings/part-*.parquet"),
        slow("near", NEAR, "written:near/pieces/part-*.parquet", 3, "near", "near/pieces/part-*.parquet"),
        pytest.param((), "written:candidates/part-*.parquet", 2, "select", "candidates/part-*.parquet", id="greedi"),
        slow("exact", EXACT, "written:candidates/exact.parquet", 2, "select", "candidates/exact.parquet"),
        slow("subset", (), "write:selection.parquet", 1, "select", "subset.parquet"),
        slow("report", (), "write:report.json", 1, None, "selection.parquet"),
        slow("page", (), "write:report.html", 1, None, "report.json"),
    ],
)
def test_kill_9(flags, moment, nth, killed_in, there, runs, tmp_path):
    out = tmp_path / "out"
    if killed_in not in ("corpus", "embed"):
        runs.begin(out)
    command = runs.command(out, *flags)
    child = run_child("driver", moment, nth, command)
    assert child.returncode == -signal.SIGKILL, child.stderr
    stages = json.loads((out / "manifest.json").read_text())["stages"]
    assert [name for name, stage in stages.items() if not stage["done"]] == ([] if killed_in is None else [killed_in])
    assert list(out.glob(there)), "nothing of the stage was finished"
    assert not (out / ("report.html" if killed_in is None else "selection.parquet")).exists()
    finished = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    for name in ("candidates/exact.parquet", "subset.parquet"):  # how far it is; what goes with the selection
        finished.pop(out / name, None)
    made = []
    assert main(command, watch=lambda event, name: made.append(out / name) if event == "written" else None) == 0
    assert out / "report.json" in made
    assert not set(finished) & set(made)  # by this process; what workers made shows in the times:
    assert all(path.stat().st_mtime_ns == at for path, at in finished.items() if path.exists())
    assert chosen(out) == runs.ids(*flags)
    assert json.loads((out / "report.json").read_text())["selection"]["k"] == 60
    assert (out / "report.html").exists()


@pytest.mark.fault
def test_kill_9_by_clusters(tmp_path):
    n, rng = 17_000, np.random.default_rng(1)  # more than are one cluster
    X = (rng.normal(size=(40, 4))[rng.integers(40, size=n)] + 0.3 * rng.normal(size=(n, 4))).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 4)
    pq.write_table(pa.table({"v": column}), tmp_path / "v.parquet")
    out = tmp_path / "out"
    command = ["select", str(tmp_path / "v.parquet"), "--vectors", "v", "--recipe", "none", "--partitions", "3"]
    command += ["--objective", "facility_location", "--k", "40", "--out", str(out)]
    child = run_child("alone", "written:candidates/round-00-part-*.parquet", 2, command)
    assert child.returncode == -signal.SIGKILL, child.stderr
    stages = json.loads((out / "manifest.json").read_text())["stages"]
    assert [name for name, stage in stages.items() if not stage["done"]] == ["select"]
    finished = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    assert sum(path.parent.name == "candidates" for path in finished) == 2
    made = []
    assert main(command, watch=lambda event, name: made.append(out / name) if event == "written" else None) == 0
    assert not set(finished) & set(made)
    assert sum(path.parent.name == "candidates" and path.suffix == ".parquet" for path in made) >= 1
    assert {path: path.stat().st_mtime_ns for path in finished if path.exists()}.items() <= finished.items()
    report = json.loads((out / "report.json").read_text())["selection"]
    assert (report["mode"], report["k"]) == ("clusters", 40)
    assert report["clusters"] > report["partitions"] > 2
    assert chosen(out) == select(X, 40, objective="facility_location", recipe="none").indices.tolist()
