"""``--per``: the groups' own selections for any packs and workers, resumed pack by pack, with copies across groups."""

import json
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import cli, select
from ray_subsel.planning.policy import ON_RAY
from ray_subsel.stages import select_per_group
from ray_subsel.stages.group_fates import about_groups

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


def decisions(out):
    return pq.read_table(out / "decisions.parquet").to_pylist()


@pytest.mark.parametrize("flags", [["--k", "4"], ["--k", "3", "--near", "0.95"], ["--k", "3", "--label", "y"]])
def test_every_row_has_its_decision_within_its_group(tmp_path, flags):
    X, users, labels = corpus(tmp_path / "rows.parquet")
    out = tmp_path / "out"
    assert run(tmp_path / "rows.parquet", out, *flags) == 0
    unit = X / np.linalg.norm(X.astype(np.float64), axis=1, keepdims=True)
    found, lines = chosen(out), decisions(out)
    assert [line["id"] for line in lines] == list(range(len(X)))
    for line in lines:
        row, mine = line["id"], found[users[line["id"]]]
        ids = [one for _, one in mine]
        cosines = unit[ids] @ unit[row]
        assert users[line["nearest_chosen"]] == users[row]
        assert line["nearest_cosine"] == pytest.approx(cosines.max(), abs=1e-5)
        assert cosines[ids.index(line["nearest_chosen"])] == pytest.approx(cosines.max(), abs=1e-6)
        before = [one for one in np.flatnonzero(users == users[row]).tolist() if (X[one] == X[row]).all() and one < row]
        ranks = [rank for rank, one in mine if one == row]
        if ranks:
            assert (line["status"], line["rank"]) == ("chosen", ranks[0])
            assert line["reason"] == f"chosen as number {ranks[0] + 1} of its group"
        elif before:
            assert (line["status"], line["of"]) == ("exact copy", before[0])
        elif line["status"] == "near copy":
            assert "--near" in flags
            assert users[line["of"]] == users[row]
            assert line["cosine"] == pytest.approx(unit[line["of"]] @ unit[row], abs=1e-5)
            assert line["cosine"] >= 0.95 - 1e-6
        elif line["status"] == "group full":
            of_label = [one for one in ids if labels[one] == labels[row]]
            assert "--label" in flags
            assert of_label
        else:
            assert line["status"] == "not chosen"
    statuses = {line["status"] for line in lines}
    assert {"chosen", "exact copy", "group full" if "--label" in flags else "not chosen"} <= statuses
    assert ("near copy" in statuses) == ("--near" in flags)


def test_a_label_that_has_its_quota_in_a_group_is_full_there(tmp_path):
    _, users, labels = corpus(tmp_path / "rows.parquet")
    assert run(tmp_path / "rows.parquet", tmp_path / "out", "--k", "3", "--label", "y", "--quota", "c1=1") == 0
    taken = {users[row] for of_user in chosen(tmp_path / "out").values() for _, row in of_user if labels[row] == "c1"}
    for line in decisions(tmp_path / "out"):
        if line["status"] in ("group full", "not chosen"):
            full = labels[line["id"]] == "c1" and users[line["id"]] in taken
            assert (line["status"] == "group full") == full


def test_packs_change_no_decisions_and_older_directories_get_theirs(tmp_path, monkeypatch):
    corpus(tmp_path / "rows.parquet")
    flags = ("--k", "3", "--near", "0.9", "--label", "y")
    assert run(tmp_path / "rows.parquet", tmp_path / "one", *flags) == 0
    monkeypatch.setattr(select_per_group, "PACK_NUMBERS", 40)
    assert run(tmp_path / "rows.parquet", tmp_path / "many", *flags) == 0
    assert decisions(tmp_path / "one") == decisions(tmp_path / "many")
    expected = decisions(tmp_path / "one")
    manifest = json.loads((tmp_path / "one" / "manifest.json").read_text())
    for stage in ("decide", "map", "profile"):
        manifest["stages"].pop(stage)
    manifest["stages"]["select"]["outputs"] = {}
    (tmp_path / "one" / "manifest.json").write_text(json.dumps(manifest))
    shutil.rmtree(tmp_path / "one" / "nearest")
    (tmp_path / "one" / "decisions.parquet").unlink()
    assert run(tmp_path / "rows.parquet", tmp_path / "one", *flags) == 0
    assert decisions(tmp_path / "one") == expected


def test_explain_map_and_report_of_groups(tmp_path, capsys):
    corpus(tmp_path / "rows.parquet")
    out = tmp_path / "out"
    assert run(tmp_path / "rows.parquet", out, "--k", "4") == 0
    assert "coverage  mean cosine of a row to the nearest chosen one of its group" in capsys.readouterr().out
    row = pq.read_table(out / "selection.parquet")["id"][6].as_py()
    assert cli.main(["explain", str(out), str(row)]) == 0
    assert "of its group. It is line 7 of subset.parquet." in capsys.readouterr().out
    page, report = (out / "report.html").read_text(), json.loads((out / "report.json").read_text())
    assert "Each group on its own" in page
    assert "rows in 4 groups of user" in page
    shown = report["selection"]["groups"]["largest"]
    assert [one["group"] for one in shown] == sorted((one["group"] for one in shown), key=lambda g: -sizes(tmp_path)[g])
    assert {one["group"]: (one["rows"], one["chosen"]) for one in shown} == {
        user: (size, 4) for user, size in sizes(tmp_path).items()
    }
    assert sum(report["statuses"].values()) == 150
    points = pq.read_table(out / "map.parquet")
    assert set(points["id"].to_pylist()) >= set(pq.read_table(out / "selection.parquet")["id"].to_pylist())


def sizes(folder):
    users = pq.read_table(folder / "rows.parquet")["user"].to_pylist()
    return {user or "": users.count(user) for user in USERS}


def test_the_report_of_many_groups_is_bounded():
    n = 10_000
    chosen = np.arange(n) % 3

    class Nearest:
        def names(self, folder, suffix):
            return ["nearest/part-00000.parquet"]

        def read_table(self, name, columns):
            ids = np.arange(2 * n)
            return pa.table(
                {
                    "id": ids, "group": ids % n, "rows": [[one] for one in ids.tolist()], "leader": ids % n,
                    "cosine": (ids % n / n).astype(np.float32),
                }
            ).select(columns)  # fmt: skip

    told = about_groups(Nearest(), tuple(f"g{one}" for one in range(n)), chosen)
    assert len(told["largest"]) + len(told["furthest"]) == 30
    assert told["largest"][0] == {
        "group": "g0", "rows": 2, "items": 2, "near_copies": 1, "chosen": 0, "cosine": None,
    }  # fmt: skip
    assert [one["group"] for one in told["furthest"][:3]] == ["g1", "g2", "g4"]  # of g0 and g3 nothing is chosen
    assert told["chosen"] == [0.0, 1.0, 2.0]


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
