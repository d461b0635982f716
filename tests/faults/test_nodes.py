"""The loss, by SIGKILL, of the node that does all the work, in every stage that runs on Ray: the same ids."""

import json

import pytest

from tests.faults.conftest import chosen, run_child


def slow(name, *values):
    return pytest.param(*values, marks=pytest.mark.slow, id=name)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("flags", "moment", "nth"),
    [
        slow("embed", (), "written:embeddings/part-*.parquet", 1),
        slow("near", ("--near", "0.95"), "written:near/pieces/part-*.parquet", 1),
        pytest.param((), "written:candidates/part-*.parquet", 1, id="greedi"),
        slow("exact", ("--mode", "exact"), "written:candidates/exact.parquet", 1),
    ],
)
def test_the_loss_of_a_node(flags, moment, nth, runs, tmp_path):
    out = tmp_path / "out"
    if "embeddings" not in moment:
        runs.begin(out)
    child = run_child("node", moment, nth, runs.command(out, *flags))
    assert child.returncode == 0, child.stderr
    seen = json.loads((tmp_path / "out.json").read_text())
    assert seen["lost"] == 1
    if flags != ("--mode", "exact"):  # there it is between two questions that the actors are lost
        assert seen["begun"], "no work was under way on the node"
    assert chosen(out) == runs.ids(*flags)
