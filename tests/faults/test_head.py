"""The loss, by SIGKILL, of Ray's head: one line and status 3 before Ray ends the process; a rerun has the same ids."""

import json

import pytest

from ray_subsel.cli import main
from ray_subsel.runtime.head_watch import PATIENCE
from tests.faults.conftest import chosen, gone, run_child


def slow(name, *values):
    return pytest.param(*values, marks=pytest.mark.slow, id=name)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("way", "name", "flags", "moment"),
    [
        slow("gcs_greedi", "gcs_server", "head node", (), "write:candidates/part-*.parquet"),
        slow("gcs_exact", "gcs_server", "head node", ("--mode", "exact"), "write:candidates/exact.parquet"),
        slow("raylet", "raylet", "node of this process", (), "write:candidates/part-*.parquet"),
    ],
)
def test_the_loss_of_the_head(way, name, flags, moment, runs, tmp_path):
    out = tmp_path / "out"
    runs.begin(out)
    child = run_child(way, moment, 1, runs.command(out, *flags), **{PATIENCE: "20"})
    assert child.returncode == 3, child.stderr
    assert child.stdout == "", "what Ray prints of it is no answer"
    lines = [line for line in child.stderr.splitlines() if "subsel: " in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"subsel: error: Ray ended: its {name} (127.0.0.1:")
    assert lines[0].endswith(") has not answered for 10 s. Look to its machines, then run the same command again.")
    assert gone(json.loads((tmp_path / "out.json").read_text())["processes"]) == []
    assert not list(out.glob("s*.parquet"))
    assert main(runs.command(out, *flags)) == 0
    assert chosen(out) == runs.ids(*flags)
    assert not [path for path in out.rglob("*") if ".tmp-" in path.name or path.name.endswith(".begun")]
