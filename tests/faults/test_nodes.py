"""The loss, by SIGKILL, of the node that does all the work, in every stage that runs on Ray: the same ids."""

import json

import pytest

from tests.faults.conftest import chosen, run_child


def slow(name, *values):
    return pytest.param(*values, marks=pytest.mark.slow, id=name)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("flags", "stage", "nth"),
    [
        slow("embed", (), "embed", 1),
        slow("near", ("--near", "0.95"), "near", 9),
        pytest.param((), "select", 1, id="greedi"),
        slow("exact", ("--mode", "exact"), "select", 1),
    ],
)
def test_the_loss_of_a_node(flags, stage, nth, runs, tmp_path):
    out = tmp_path / "out"
    if stage != "embed":
        runs.begin(out)
    child = run_child("node", stage, nth, runs.command(out, *flags))
    assert child.returncode == 0, child.stderr
    seen = json.loads((tmp_path / "out.json").read_text())
    assert seen["lost"] == 1
    if flags != ("--mode", "exact"):  # there it is between two questions that the actors are lost
        assert seen["begun"], "no work was under way on the node"
    assert chosen(out) == runs.ids(*flags)
