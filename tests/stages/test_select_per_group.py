"""``--per``: the groups' own selections for any packs and workers, resumed pack by pack, with copies across groups."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import cli, select
from ray_subsel.planning.policy import ON_RAY
from ray_subsel.stages import select_per_group

USERS = ("ann", "bob", "cid", None)


def corpus(path, n=150, d=5, seed=0):
    """Rows of four users, one of them without a name; some vectors are rows of two users, or twice of one."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)).astype(np.float32)
    X[100:] = X[rng.integers(100, size=n - 100)]
    X[70:100] = X[40:70] + 0.05 * rng.normal(size=(30, d)).astype(np.float32)
    users = [USERS[one] for one in rng.choice(4, n, p=[0.4, 0.3, 0.15, 0.15])]
    labels = [f"c{one}" for one in rng.integers(3, size=n)]
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), d)
    pq.write_table(pa.table({"v": vectors, "user": users, "y": labels, "tokens": rng.integers(1, 9, n)}), path)
    return X, np.array(users, dtype=object), np.array(labels)


def run(data, out, *flags, **more):
    return cli.main(["select", str(data), "--vectors", "v", "--per", "user", "--out", str(out), *flags], **more)


def chosen(out):
    table = pq.read_table(out / "selection.parquet")
    return {
        user: [(row["rank"], row["id"]) for row in table.to_pylist() if row["group"] == user]
        for user in dict.fromkeys(table["group"].to_pylist())
    }


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        (["--k", "4"], {"k": 4}),
        (["--k", "4", "--lam", "2"], {"k": 4, "lam": 2.0}),
        (["--k", "3", "--near", "0.95"], {"k": 3, "near": 0.95}),
        (["--k", "3", "--label", "y"], {"k": 3, "labels": "y"}),
        (["--k", "3", "--label", "y", "--quota", "c1=1"], {"k": 3, "groups": "y", "quotas": {"c1": 1}}),
        (["--budget", "12", "--cost", "tokens"], {"budget": 12, "costs": "c"}),
    ],
)
def test_it_is_select_on_the_distinct_vectors_of_each_group(tmp_path, flags, options):
    X, users, labels = corpus(tmp_path / "rows.parquet")
    assert run(tmp_path / "rows.parquet", tmp_path / "out", *flags) == 0
    costs = pq.read_table(tmp_path / "rows.parquet")["tokens"].to_numpy()
    found = chosen(tmp_path / "out")
    assert set(found) == set(USERS)
    for user in USERS:
        rows = np.flatnonzero([one == user for one in users])
        first = [int(row) for at, row in enumerate(rows) if not (X[rows[:at]] == X[row]).all(axis=1).any()]
        unit = X[first] / np.linalg.norm(X[first], axis=1, keepdims=True)
        by_row = {"y": labels[first], "c": costs[first]}
        given = {name: by_row.get(value, value) if isinstance(value, str) else value for name, value in options.items()}
        expected = select(unit.astype(np.float32), **given)
        assert [row for _, row in found[user]] == [first[at] for at in expected.indices]
        assert [rank for rank, _ in found[user]] == list(range(len(found[user])))


def test_rows_that_an_item_stands_for_are_those_of_its_group(tmp_path):
    X, users, _ = corpus(tmp_path / "rows.parquet")
    assert run(tmp_path / "rows.parquet", tmp_path / "out", "--fraction", "1") == 0
    table = pq.read_table(tmp_path / "out" / "selection.parquet").to_pylist()
    assert sorted(row for item in table for row in item["rows"]) == list(range(len(X)))  # each row once
    assert sum(item["weight"] for item in table) == len(X)
    for item in table:
        assert {users[row] for row in item["rows"]} == {item["group"]}
        assert item["id"] == min(item["rows"])
        assert item["multiplicity"] == len(item["rows"])
        assert (X[item["rows"]] == X[item["id"]]).all()
    subset = pq.read_table(tmp_path / "out" / "subset.parquet")
    assert subset["rank"].to_pylist() == [item["rank"] for item in table]
    assert subset["user"].to_pylist() == [item["group"] for item in table]
    assert not (tmp_path / "out" / "packs").exists()


@pytest.mark.parametrize("numbers", [40, 300])
def test_packs_change_no_ids(tmp_path, monkeypatch, numbers):
    corpus(tmp_path / "rows.parquet")
    flags = ("--k", "5", "--near", "0.9", "--label", "y")
    assert run(tmp_path / "rows.parquet", tmp_path / "one", *flags) == 0
    monkeypatch.setattr(select_per_group, "PACK_NUMBERS", numbers)
    assert run(tmp_path / "rows.parquet", tmp_path / "many", *flags) == 0
    report = json.loads((tmp_path / "many" / "report.json").read_text())
    assert report["selection"]["partitions"] > 1
    assert chosen(tmp_path / "many") == chosen(tmp_path / "one")


def test_finished_packs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(select_per_group, "PACK_NUMBERS", 150)
    corpus(tmp_path / "rows.parquet")
    written = []

    def watch(event, name):
        if event == "written" and name.startswith("picked/") and name.endswith(".parquet"):
            written.append(name)
            if len(written) == 2:
                raise KeyboardInterrupt

    assert run(tmp_path / "rows.parquet", tmp_path / "out", "--k", "4", watch=watch) == 130
    assert len(written) == 2
    first, written[:] = written[0], [None, None]
    assert run(tmp_path / "rows.parquet", tmp_path / "out", "--k", "4", watch=watch) == 0
    assert first not in written
    monkeypatch.undo()
    assert run(tmp_path / "rows.parquet", tmp_path / "fresh", "--k", "4") == 0
    assert chosen(tmp_path / "out") == chosen(tmp_path / "fresh")


def test_ray_gives_the_same(tmp_path, ray_session):
    corpus(tmp_path / "rows.parquet")
    assert run(tmp_path / "rows.parquet", tmp_path / "here", "--k", "4") == 0
    assert run(tmp_path / "rows.parquet", tmp_path / "there", "--k", "4", policy=ON_RAY) == 0
    assert chosen(tmp_path / "there") == chosen(tmp_path / "here")


def test_rows_in_and_out(tmp_path):
    X, users, _ = corpus(tmp_path / "rows.parquet")
    rows = np.flatnonzero(users == "ann")
    inside, outside = rows[[9, 3]].tolist(), rows[[0]].tolist()
    inside = [row for row in inside if not (X[row] == X[outside[0]]).all()]
    (tmp_path / "in.txt").write_text("\n".join(map(str, inside)))
    (tmp_path / "out.txt").write_text("\n".join(map(str, outside)))
    flags = ("--k", "4", "--include", str(tmp_path / "in.txt"), "--exclude", str(tmp_path / "out.txt"))
    assert run(tmp_path / "rows.parquet", tmp_path / "run", *flags) == 0
    found = chosen(tmp_path / "run")
    assert [row for _, row in found["ann"]][: len(inside)] == inside
    barred = {row for row in range(len(X)) if (X[row] == X[outside[0]]).all()}
    assert not barred & {row for of_user in found.values() for _, row in of_user}


def test_small_groups_are_told(tmp_path, capsys):
    corpus(tmp_path / "rows.parquet")
    assert run(tmp_path / "rows.parquet", tmp_path / "out", "--k", "20") == 0
    shown = capsys.readouterr().out
    assert "of 4 groups have fewer items than 20: they give what they have." in shown
    assert "in each of 4 groups of user" in shown
    assert "20" not in (str(len(rows)) for user, rows in chosen(tmp_path / "out").items() if user is None)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--k", "3", "--partitions", "2"], "--partitions must be left out with per; got 2."),
        (["--k", "3", "--mode", "exact"], "--mode must be left out with per; got 'exact'."),
        (["--k", "3", "--group", "y"], "--per must be the column of --group where that is given; got 'user'."),
        (["--k", "3", "--quota", "equal"], "--label must name the column of quotas and floors within a group"),
        (["--k", "3", "--label", "y", "--quota", "c9=1"], "must name labels that occur; got 'c9'."),
    ],
)
def test_bad_settings(tmp_path, capsys, flags, message):
    corpus(tmp_path / "rows.parquet")
    assert run(tmp_path / "rows.parquet", tmp_path / "out", *flags) == 2
    assert message in capsys.readouterr().err


def test_a_group_that_does_not_fit_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(select_per_group, "COPIES_OF_VECTORS", 1 << 40)
    corpus(tmp_path / "rows.parquet")
    assert run(tmp_path / "rows.parquet", tmp_path / "out", "--k", "3") == 2
    assert "--per must name groups that fit into one process; got group 'ann' of" in capsys.readouterr().err


def test_a_plan_tells_the_time_of_groups(tmp_path, capsys):
    corpus(tmp_path / "rows.parquet")
    assert cli.main(["plan", str(tmp_path / "rows.parquet"), "--vectors", "v", "--per", "user", "--k", "3"]) == 0
    assert re.search(r"time      some .*: corpus .*, embed .*, select ", capsys.readouterr().out)
