"""Shares of a run: over partitions and by clusters what select() says, met to within one item."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.cli import main

N = 600
DRAW = np.random.default_rng(0)
X = (DRAW.normal(size=(30, 8))[DRAW.integers(30, size=N)] + 0.4 * DRAW.normal(size=(N, 8))).astype(np.float32)
KIND = np.array(["web", "book", "code"])[DRAW.choice(3, size=N, p=[0.7, 0.2, 0.1])]
COST = DRAW.integers(1, 12, size=N)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("shares") / "v.parquet"
    pq.write_table(pa.table({"v": list(X), "kind": KIND, "tokens": COST}), path)
    return path


def run(corpus, out, *flags):
    command = ["select", str(corpus), "--vectors", "v", "--group", "kind", "--cost", "tokens", "--out", str(out)]
    assert main([*command, *flags]) == 0
    ids = pq.read_table(out / "selection.parquet")["id"].to_numpy()
    return ids, json.loads((out / "report.json").read_text())


CASES = {
    "mix of k": (("--k", "60", "--mix", "web=50%", "--mix", "code=30%"), {"k": 60, "mix": {"web": 0.5, "code": 0.3}}),
    "uniform": (("--fraction", "0.1", "--mix", "uniform"), {"k": 60, "mix": "uniform"}),
    "percents": (("--k", "60", "--floor", "code=25%", "--quota", "web=40%"),
                 {"k": 60, "floors": {"code": "25%"}, "quotas": {"web": "40%"}}),
    "mix of a budget": (("--budget", "0.4k", "--mix", "uniform"), {"budget": 400, "mix": "uniform"}),
    "floors with a budget": (("--budget", "400", "--floor", "code=20"), {"budget": 400, "floors": {"code": 20}}),
    "money": (("--budget", "400", "--floor", "code=25%", "--quota", "web=40%"),
              {"budget": 400, "floors": {"code": "25%"}, "quotas": {"web": "40%"}}),
    "balanced budget": (("--budget", "400", "--quota", "balanced"), {"budget": 400, "quotas": "balanced"}),
}  # fmt: skip


def check(said, ids):
    """Assert that what was said is kept."""
    counts = {kind: int((KIND[ids] == kind).sum()) for kind in ("web", "book", "code")}
    spent = {kind: int(COST[ids][KIND[ids] == kind].sum()) for kind in counts}
    total, have = (said["k"], counts) if "k" in said else (said["budget"], spent)
    slack = 1 if "k" in said else int(COST.max())
    assert total - (0 if "k" in said else 0.02 * total + 3 * slack) <= sum(have.values()) <= total
    if said.get("mix") == "uniform" or said.get("quotas") == "balanced":
        assert max(have.values()) - min(have.values()) <= slack
    elif "mix" in said:
        assert all(abs(have[kind] - share * total) < 1 for kind, share in said["mix"].items())
    for kind, floor in said.get("floors", {}).items():
        assert counts[kind] >= floor if isinstance(floor, int) else have[kind] > float(floor[:-1]) / 100 * total - slack
    for kind, quota in said.get("quotas", {}).items() if isinstance(said.get("quotas"), dict) else ():
        assert have[kind] <= float(quota[:-1]) / 100 * total + (1 if "k" in said else 0)


@pytest.mark.parametrize("name", CASES)
def test_by_clusters_a_run_chooses_what_select_does(name, corpus, tmp_path):
    flags, said = CASES[name]
    ids, report = run(corpus, tmp_path / "one", *flags)
    costs = {} if "k" in said else {"costs": COST}
    wanted = select(X, objective="facility_location", groups=KIND, **costs, **said).indices
    assert ids.tolist() == wanted.tolist() or "k" not in said  # under a budget select() tries the greedy by gain too
    check(said, ids)
    if "k" not in said:
        assert not [line for line in report["warnings"] if "is not spent" in line]
    again, _ = run(corpus, tmp_path / "four", *flags, "--partitions", "4")
    assert again.tolist() == ids.tolist()


@pytest.mark.parametrize("objective", ["graph_cut", "saturated_coverage"])
@pytest.mark.parametrize("name", CASES)
def test_over_partitions_shares_are_met(name, objective, corpus, tmp_path):
    flags, said = CASES[name]
    ids, _ = run(corpus, tmp_path / "out", *flags, "--objective", objective, "--partitions", "5")
    assert len(set(ids.tolist())) == len(ids)
    if objective == "saturated_coverage" or "k" in said or "mix" in said or said.get("quotas") == "balanced":
        check(said, ids)
    else:  # graph cut takes no item of negative gain but for floors
        assert COST[ids].sum() <= said["budget"]
        assert all((KIND[ids] == kind).sum() >= n for kind, n in said.get("floors", {}).items() if isinstance(n, int))


def test_a_mix_like_another_file(corpus, tmp_path):
    (tmp_path / "other.csv").write_text("kind,x\n" + "web,1\n" * 25 + "code,1\n" * 75 + "poem,1\n" * 10)
    flags = ("--k", "40", "--mix", f"like:{tmp_path / 'other.csv'}")
    ids, report = run(corpus, tmp_path / "out", *flags)
    assert {kind: int((KIND[ids] == kind).sum()) for kind in ("web", "book", "code")} == {
        "web": 10, "book": 0, "code": 30,
    }  # fmt: skip
    assert [line for line in report["warnings"] if "poem (10)" in line]
    assert main(["select", str(corpus), "--vectors", "v", "--k", "9", "--group", "v", "--out", str(tmp_path / "o"),
                 "--mix", f"like:{tmp_path / 'none.csv'}"]) == 2  # fmt: skip


def test_floors_that_a_budget_does_not_pay_for_are_refused(corpus, tmp_path, capsys):
    least = int(np.sort(COST[KIND == "code"])[:20].sum())
    command = ["select", str(corpus), "--vectors", "v", "--group", "kind", "--cost", "tokens", "--floor", "code=20"]
    assert main([*command, "--budget", str(least - 1), "--out", str(tmp_path / "out")]) == 2
    assert f"must pay for the floors, {least} at least; got {least - 1}" in capsys.readouterr().err
    assert main([*command, "--budget", str(least), "--partitions", "4", "--out", str(tmp_path / "exact")]) == 0
