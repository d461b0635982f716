"""The soak strikes, goes on with its own counts, and sees an end that differs."""

import importlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.fixture
def soak(monkeypatch):
    monkeypatch.syspath_prepend(str(JOBS))
    return importlib.import_module("soak")


@pytest.mark.slow
def test_a_soak_strikes_and_goes_on_where_it_stopped(tmp_path):
    counts = tmp_path / "counts.json"
    found = []
    for faults in ("1", "2", "2"):
        call = [sys.executable, str(JOBS / "soak.py"), "--faults", faults, "--seed", "3", "--out", str(counts)]
        subprocess.run(call, check=True, capture_output=True)
        found.append(json.loads(counts.read_text())["seed 3"])
    assert found[0]["rounds"] >= 1
    assert found[0]["faults"] >= 1
    assert found[1]["faults"] >= 2
    assert found[2] | {"seconds": 0} == found[1] | {"seconds": 0}, "there was nothing left to do"
    assert found[1]["mismatches"] == 0
    assert sum(found[1]["by_kind"].values()) == found[1]["faults"]


ROUND_WITH_ANOTHER_END = """
import json, sys
from pathlib import Path
import soak
job = soak.Soak(Path(sys.argv[1]), 0, 0.0, {})
for setting in soak.SETTINGS:
    job.right[setting] = soak.Undisturbed({"selection.parquet": "another"}, [100] * 3)
with soak.Cluster(job.folder) as cluster:
    job.round(cluster)
print(json.dumps(job.counts()))
"""


@pytest.mark.slow
def test_an_end_that_differs_is_a_mismatch(tmp_path):
    """In a process of its own: a soak forks, which a process that has run Ray must not."""
    call = [sys.executable, "-c", ROUND_WITH_ANOTHER_END, str(tmp_path)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(JOBS), *sys.path])}
    done = subprocess.run(call, check=True, capture_output=True, text=True, env=env)
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["mismatches"] == 1
    assert counts["wrong"][0]["problem"] == "another end"
    assert counts["faults"] > 0


def test_damage_changes_one_finished_file(soak, tmp_path):
    assert soak.damage(tmp_path, random.Random(0)) is None
    (tmp_path / "manifest.json").write_text(json.dumps({"stages": {"corpus": {"outputs": {"a": 1, "b": 1}}}}))
    kinds = set()
    for seed in range(40):
        before = {}
        for name in ("a", "b"):
            (tmp_path / name).unlink(missing_ok=True)
            before[name] = name.encode() * 8
            (tmp_path / name).write_bytes(before[name])
        kinds.add(soak.damage(tmp_path, random.Random(seed)))
        there = {name: (tmp_path / name).read_bytes() for name in before if (tmp_path / name).exists()}
        assert sum(there.get(name) != before[name] for name in before) == 1
    assert len(kinds) == 6
