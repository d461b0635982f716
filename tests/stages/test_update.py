"""``subsel update``: new rows only are embedded, nothing old is written to, and a kill anywhere loses nothing."""

import itertools
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.cli import main
from ray_subsel.config import CacheConfig, CorpusConfig, EmbedConfig, RunConfig, RuntimeConfig, SelectConfig
from ray_subsel.config.update import UpdateConfig
from ray_subsel.core.errors import InputError
from ray_subsel.objectives import FacilityLocation
from ray_subsel.pipeline import run
from ray_subsel.stages.update import update
from ray_subsel.synthetic.vectors import original_vectors

N, DAY, DAYS, K = 300, 40, 3, 20
X = original_vectors(np.arange(N + DAYS * DAY), 8, seed=0, topics=12)[0].astype(np.float32)
ROWS = [{"v": x, "c": "abc"[at % 3], "own": f"r{at}"} for at, x in enumerate(np.round(X, 5).tolist())]


class Killed(BaseException):
    """What a kill looks like to the process: nothing after it runs."""


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """The files of the run and of three days after it."""
    folder = tmp_path_factory.mktemp("days")
    cuts = [0, *(N + day * DAY for day in range(DAYS + 1))]
    return [write(folder / f"{at}.jsonl", ROWS[a:b]) for at, (a, b) in enumerate(itertools.pairwise(cuts))]


def base(data, out, corpus=None, **chosen_by):
    run(
        RunConfig(
            corpus=CorpusConfig(**{"data": (data,), "vectors": "v", "copies": "collapse", **(corpus or {})}),
            embed=EmbedConfig(),
            select=SelectConfig(**{"k": K, "recipe": "none", "objective": "facility_location", **chosen_by}),
            runtime=RuntimeConfig(out=str(out)),
        )
    )
    return out


@pytest.fixture(scope="module")
def finished(days, tmp_path_factory):
    """The directory of a finished run, which tests copy."""
    return base(days[0], tmp_path_factory.mktemp("finished") / "out")


@pytest.fixture
def out(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "out")


@pytest.fixture(scope="module")
def clean(finished, days, tmp_path_factory):
    """The run after an update that nothing disturbed."""
    there = shutil.copytree(finished, tmp_path_factory.mktemp("clean") / "out")
    bring(there, days[1], least_rise=0.0)
    return there


def bring(out, *data, watch=None, overwrite=False, **given):
    runtime = RuntimeConfig(out=str(out), overwrite=overwrite)
    return update(UpdateConfig(tuple(data), **given), runtime, CacheConfig(no_cache=True), watch=watch)


def table(out, number, name):
    return pq.read_table(out / "updates" / f"{number:04d}" / name)


def ids(out, number):
    return table(out, number, "selection.parquet")["id"].to_pylist()


def content(out):
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "updates" not in path.parts and path.name != ".lock"
    }


def f_of(chosen, n):
    return select(X[:n], len(chosen), objective=FacilityLocation(), recipe="none", include=chosen).value


def additions(out, days):
    """Return f of an update's subset over that of a fresh selection, update by update."""
    found = []
    for number, day in enumerate(days[1:], start=1):
        report = bring(out, day)
        n = N + number * DAY
        chosen = ids(out, number)
        assert report["embed"]["embedded"] == DAY
        assert sorted(chosen) == sorted(set(chosen))
        assert max(chosen) < n
        fresh = select(X[:n], K, objective=FacilityLocation(), recipe="none")
        found.append(f_of(chosen, n) / fresh.value)
        assert report["renew"]["value"] == pytest.approx(f_of(chosen, n), rel=1e-3)
    return found


def test_three_additions_stay_within_a_hundredth_of_fresh_runs(days, out):
    before = content(out)
    assert min(additions(out, days)) > 0.99
    assert content(out) == before


def test_files_of_an_update(days, tmp_path):
    out = base(days[0], tmp_path / "out", corpus={"id": "own"})
    old = pq.read_table(out / "selection.parquet")["id"].to_pylist()
    bring(out, days[1], k=K + 5, least_rise=0.0)
    selection, subset, changes = (table(out, 1, f"{name}.parquet") for name in ("selection", "subset", "changes"))
    new = selection["id"].to_pylist()
    assert subset["id"].to_pylist() == new
    assert subset["rank"].to_pylist() == list(range(K + 5))
    assert subset["own"].to_pylist() == [f"r{one}" for one in new]
    assert selection["source_id"].to_pylist() == [f"r{one}" for one in new]
    assert selection["update"].to_pylist() == [int(one >= N) for one in new]
    assert [rows[0] for rows in selection["rows"].to_pylist()] == new
    came = {row["id"]: row for row in changes.to_pylist() if row["what"] == "came"}
    left = {row["id"]: row for row in changes.to_pylist() if row["what"] == "left"}
    assert set(came) == set(new) - set(old)
    assert set(left) == set(old) - set(new)
    assert left
    for one, row in left.items():
        assert came[row["instead_of"]]["instead_of"] == one
        assert row["why"].startswith(f"row {row['instead_of']} took its place: f rose by")
    assert sum(row["why"] == f"k is {K + 5}, {K} rows were chosen" for row in came.values()) == 5


def test_a_larger_k_alone_keeps_all_that_were_chosen(days, out):
    old = pq.read_table(out / "selection.parquet")["id"].to_pylist()
    report = bring(out, k=K + 3)
    assert report["corpus"] is None
    assert set(old) < set(ids(out, 1))
    assert set(ids(out, 1)) == set(select(X[:N], K + 3, objective=FacilityLocation(), recipe="none").indices)


def test_copies_of_old_rows_join_them(days, tmp_path, out):
    old = pq.read_table(out / "selection.parquet")["id"].to_pylist()
    again = write(tmp_path / "again.jsonl", [ROWS[old[0]], ROWS[old[1]], ROWS[N], ROWS[N]])
    report = bring(out, again, least_rise=1.0)
    assert (report["embed"]["items"], report["join"]["joined_old"], report["join"]["leading"]) == (3, 2, 1)
    chosen = table(out, 1, "selection.parquet").to_pylist()
    rows = {row["id"]: row["rows"] for row in chosen}
    assert rows[old[0]] == [old[0], N]
    assert rows[old[1]] == [old[1], N + 1]


def test_near_copies_join_the_nearest_old_leader_and_each_other(days, tmp_path):
    out = base(days[0], tmp_path / "out", near=0.98)
    turned = X[[3, 3, N, N]] + np.array([[1e-3], [2e-3], [0.0], [1e-3]], dtype=np.float32)
    near = write(tmp_path / "near.jsonl", [{"v": v, "c": "a", "own": "x"} for v in turned.tolist()])
    report = bring(out, near)
    leaders = pq.read_table(out / "groups")
    led = dict(zip(leaders["id"].to_pylist(), leaders["leader"].to_pylist(), strict=True))
    items = table(out, 1, "items.parquet")
    assert items["leader"].to_pylist()[:2] == [led[3], led[3]]
    assert items["leader"].to_pylist()[3] == items["leader"].to_pylist()[2]
    assert report["join"]["joined_old"] >= 2
    assert min(items["cosine"].to_pylist()) >= 0.98


def test_withdrawn_rows_leave_with_their_copies_and_stay_out(days, tmp_path, out):
    old = pq.read_table(out / "selection.parquet")["id"].to_pylist()
    gone = tmp_path / "gone.txt"
    gone.write_text(f"{old[0]}\n{old[5]}\n")
    report = bring(out, remove=str(gone))
    assert report["renew"]["items_withdrawn"] == 2
    assert not {old[0], old[5]} & set(ids(out, 1))
    assert len(ids(out, 1)) == K
    why = {row["id"]: row["why"] for row in table(out, 1, "changes.parquet").to_pylist()}
    assert why[old[0]] == why[old[5]] == "withdrawn"
    assert sorted(one for one in why.values() if one != "withdrawn") == sorted(
        f"fills the place of row {one}, which was withdrawn" for one in (old[0], old[5])
    )
    again = write(tmp_path / "again.jsonl", [ROWS[old[0]], ROWS[N]])
    report = bring(out, again, remove=str(gone))
    assert report["renew"]["withdrawn_before"] == 2
    assert not {old[0], old[5], N} & set(ids(out, 2))


def test_groups_keep_their_quotas(days, tmp_path):
    out = base(days[0], tmp_path / "out", corpus={"group": "c"}, quotas=("equal",), k=21)
    bring(out, days[1], k=30, least_rise=0.0)
    counts = np.unique([ROWS[one]["c"] for one in ids(out, 1)], return_counts=True)[1]
    assert counts.tolist() == [10, 10, 10]


@pytest.mark.parametrize("objective", ["graph_cut", "log_determinant"])
def test_other_objectives(days, tmp_path, objective):
    out = base(days[0], tmp_path / "out", objective=objective)
    report = bring(out, days[1], least_rise=0.0)
    fresh = select(X[: N + DAY], K, objective=objective, recipe="none")
    mine = select(X[: N + DAY], K, objective=objective, recipe="none", include=ids(out, 1))
    assert mine.value == pytest.approx(report["renew"]["value"], rel=1e-4)
    assert mine.value > fresh.value - 0.01 * abs(fresh.value)


def test_texts_are_embedded_by_what_the_run_was_fitted_to(tmp_path):
    words = "red blue green cat dog bird runs sleeps eats near far home".split()
    draw = np.random.default_rng(0)
    lines = [{"t": " ".join(draw.choice(words, size=6)) + f" {at}"} for at in range(120)]
    first, second = write(tmp_path / "a.jsonl", lines[:100]), write(tmp_path / "b.jsonl", lines[98:])
    run(
        RunConfig(
            corpus=CorpusConfig(data=(first,), text=("t",)),
            embed=EmbedConfig(embedder="tfidf"),
            select=SelectConfig(k=10),
            runtime=RuntimeConfig(out=str(tmp_path / "out")),
        )
    )
    fitted = (tmp_path / "out" / "tfidf").exists()
    report = bring(tmp_path / "out", second)
    assert fitted
    assert (report["embed"]["embedded"], report["join"]["joined_old"] >= 2) == (22, True)
    items = table(tmp_path / "out", 1, "items.parquet").to_pylist()
    assert [row["leader"] for row in items[:2]] == [98, 99]


def unit(rows):
    X = np.array(rows, dtype=np.float64)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def told_of(out, number, rows, withdrawn, near):
    """Compare decisions, nearest rows and weights of an update with what plain Python finds."""
    lines, chosen = table(out, number, "decisions.parquet").to_pylist(), table(out, number, "selection.parquet")
    assert [line["id"] for line in lines] == list(range(len(rows)))
    ranks = {one: rank for rank, one in enumerate(chosen["id"].to_pylist())}
    of_rows = {row: one["id"] for one in chosen.to_pylist() for row in one["rows"]}
    W = unit([row["v"] if row is not None else [1.0] + [0.0] * 7 for row in rows])
    products = W @ W[list(ranks)].T
    weights = np.zeros(len(ranks))
    why = {row["id"]: row["why"] for row in table(out, number, "changes.parquet").to_pylist()}
    before = set()
    for one, row in enumerate(rows):
        line = lines[one]
        if row is None:
            assert (line["status"], line["nearest_chosen"]) == ("rejected", None)
            continue
        assert line["nearest_cosine"] == pytest.approx(products[one].max(), abs=1e-5)
        assert products[one, ranks[line["nearest_chosen"]]] == pytest.approx(products[one].max(), abs=1e-5)
        if one in ranks:
            assert (line["status"], line["rank"]) == ("chosen", ranks[one])
        elif one in withdrawn:
            assert (line["status"], line["reason"][:19]) == ("withdrawn", "withdrawn by update")
        elif line["of"] is not None:
            assert line["status"] == ("near copy" if tuple(row["v"]) not in before else "exact copy")
            assert W[one] @ W[line["of"]] > (near or 1.0) - 1e-5
            assert of_rows.get(one, line["of"]) == line["of"]
        else:
            assert line["status"] == "not chosen"
            assert one not in of_rows
        if one in why and one not in withdrawn:
            assert line["reason"].endswith(f"; {why[one]}")
        before.add(tuple(row["v"]))
        if one not in withdrawn:
            weights[ranks[line["nearest_chosen"]]] += 1
    assert chosen["weight"].to_pylist() == weights.tolist()
    return [line["status"] for line in lines]


def mapped_of(out, number, rows):
    """Compare the map of an update with its decisions: a point for each distinct vector of usable rows."""
    lines = table(out, number, "decisions.parquet").to_pylist()
    points = table(out, number, "map.parquet").to_pylist()
    distinct = {}
    for one, row in enumerate(rows):
        if row is not None:
            distinct.setdefault(tuple(row["v"]), one)
    assert [point["id"] for point in points] == sorted(distinct.values())
    for point in points:
        assert all(0 <= point[axis] <= 1 for axis in ("x", "y"))
        of_row = ("source_id", "status", "rank", "nearest_chosen", "nearest_cosine")
        assert [point[name] for name in of_row] == [lines[point["id"]][name] for name in of_row]
    page = (out / "updates" / f"{number:04d}" / "report.html").read_text()
    assert f"All {len(points)} rows." in page
    for one in table(out, number, "changes.parquet").to_pylist():
        assert one["why"] in page


@pytest.mark.parametrize("near", [None, 0.98])
def test_what_became_of_every_row_is_what_plain_python_finds(days, tmp_path, near):
    out = base(days[0], tmp_path / "out", near=near)
    old = pq.read_table(out / "selection.parquet")["id"].to_pylist()
    turned = {**ROWS[3], "v": (X[3] + np.float32([1e-3] + [0.0] * 7)).tolist()}
    more = [ROWS[old[0]], turned, ROWS[N], ROWS[N], *ROWS[N + 1 : N + 20]]
    first = write(tmp_path / "first.jsonl", [*more, {"v": [0.0] * 8, "c": "a", "own": "zero"}])
    (tmp_path / "gone.txt").write_text(f"{old[1]}\n{N + 2}\n")
    bring(out, first, least_rise=0.0, k=K + 2)
    rows = [*ROWS[:N], *more, None]
    told_of(out, 1, rows, set(), near)
    mapped_of(out, 1, rows)
    report = bring(out, days[2], remove=str(tmp_path / "gone.txt"), least_rise=0.0)
    rows += ROWS[N + DAY : N + 2 * DAY]
    items = {old[1]: {old[1]}, N + 2: {N + 2, N + 3}}
    statuses = told_of(out, 2, rows, set().union(*items.values()), near)
    mapped_of(out, 2, rows)
    assert report["renew"]["statuses"] == {one: statuses.count(one) for one in report["renew"]["statuses"]}
    assert sum(report["renew"]["statuses"].values()) == len(rows)
    assert {"chosen", "not chosen", "withdrawn", "rejected"} < set(statuses)


def test_explain_tells_of_the_last_update(tmp_path, capsys):
    texts = [
        f"the {a} {b} of the {c}" for a in ("red", "blue") for b in ("cat", "boat", "song") for c in ("sea", "hill")
    ]
    old = write(tmp_path / "old.jsonl", [{"t": text} for text in texts])
    new = write(tmp_path / "new.jsonl", [{"t": texts[1]}, {"t": "a green field"}, {"t": ""}])
    there = ["--text", "t", "--embedder", "tfidf", "--near", "none", "--k", "4", "--quiet", "--max-rejected", "0.5"]
    assert main(["select", old, *there, "--out", str(tmp_path / "out")]) == 0
    (tmp_path / "gone.txt").write_text("3\n")
    assert main(["update", str(tmp_path / "out"), new, "--remove", str(tmp_path / "gone.txt"), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["explain", str(tmp_path / "out"), "12", "3", "14"]) == 0
    shown = capsys.readouterr().out
    assert "Row 12: exact copy. The same text or vector as row 1" in shown
    assert "Row 3: withdrawn. Withdrawn by update 0001." in shown
    assert "Row 14: rejected." in shown
    assert main(["explain", str(tmp_path / "out"), "--text", "a green field", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)["rows"]] == [13]
    assert main(["explain", str(tmp_path / "out"), "15"]) == 2
    assert "ROW must be a row id from 0 to 14" in capsys.readouterr().err
    assert main(["select", old, *there, "--k", "5", "--overwrite", "--out", str(tmp_path / "out")]) == 0
    assert main(["explain", str(tmp_path / "out"), "12"]) == 2  # that update was of another selection


def test_full_groups_are_told(days, tmp_path):
    out = base(days[0], tmp_path / "out", corpus={"group": "c"}, quotas=("a=5",), k=21)
    bring(out, days[1])
    lines = table(out, 1, "decisions.parquet").to_pylist()
    assert {ROWS[line["id"]]["c"] for line in lines if line["status"] == "group full"} == {"a"}
    assert {ROWS[line["id"]]["c"] for line in lines if line["status"] == "not chosen"} == {"b", "c"}


def test_only_items_that_lost_their_nearest_are_compared_with_all(days, out):
    report = bring(out, days[1], least_rise=1.0)
    assert (report["renew"]["came"], report["renew"]["compared"]) == (0, DAY)
    moved = bring(out, days[2], least_rise=0.0)
    assert 0 < moved["renew"]["came"]
    assert DAY < moved["renew"]["compared"] < N
    kept = table(out, 2, "nearest.parquet")
    shutil.rmtree(out / "updates" / "0002")
    (out / "updates" / "0001" / "nearest.parquet").unlink()  # as an older version left it: all are compared again
    manifest = json.loads((out / "updates" / "0001" / "manifest.json").read_text())
    del manifest["stages"]["renew"]["outputs"]["nearest.parquet"]
    (out / "updates" / "0001" / "manifest.json").write_text(json.dumps(manifest))
    assert bring(out, days[2], least_rise=0.0)["renew"]["compared"] == N + 2 * DAY
    assert table(out, 2, "nearest.parquet").equals(kept)


FILES = (
    "rows/index.json", "embeddings/part-", "items.parquet", "withdrawn.parquet", "subset.parquet", "changes.parquet",
    "nearest.parquet", "decisions.parquet", "selection.parquet", "manifest.json", "report.json",
)  # fmt: skip


@pytest.mark.fault
@pytest.mark.parametrize(
    ("name", "event"), [*((name, "write") for name in FILES), *((name, "written") for name in FILES[:4])]
)
def test_a_kill_at_any_file_loses_nothing(days, out, clean, name, event):
    seen = []

    def watch(what, file):
        if what == event and name in file:
            seen.append(file)
            raise Killed

    with pytest.raises(Killed):
        bring(out, days[1], least_rise=0.0, watch=watch)
    assert seen
    bring(out, days[1], least_rise=0.0)
    assert sorted(path.name for path in (out / "updates").iterdir()) == ["0001"]
    for file in ("selection.parquet", "subset.parquet", "changes.parquet", "nearest.parquet", "decisions.parquet"):
        assert table(out, 1, file).equals(table(clean, 1, file))


@pytest.mark.fault
def test_an_unfinished_update_is_kept_until_it_is_dropped(days, out):

    def watch(what, file):
        if what == "write" and "selection.parquet" in file:
            raise Killed

    with pytest.raises(Killed):
        bring(out, days[1], watch=watch)
    with pytest.raises(InputError, match="update 0001 .* which is not finished"):
        bring(out, days[2])
    parts = {path: path.stat().st_mtime_ns for path in (out / "updates/0001/embeddings").iterdir()}
    bring(out, days[1], k=K + 1)  # another k embeds nothing anew
    assert {path: path.stat().st_mtime_ns for path in (out / "updates/0001/embeddings").iterdir()} == parts
    with pytest.raises(Killed):
        bring(out, days[2], watch=watch)
    report = bring(out, days[3], overwrite=True)
    assert (report["update"], report["renew"]["chosen"]) == (2, K + 1)


def test_the_same_again_is_as_before_and_what_is_there_is_not_added_twice(days, out):
    one = bring(out, days[1])
    assert bring(out, days[1])["renew"] == one["renew"]
    bring(out, days[2])
    for data, where in ((days[1], "update 0001"), (days[0], "the run")):
        with pytest.raises(InputError, match=f"rows that DIR does not have yet; got 'those of {where}'"):
            bring(out, data)
    assert not (out / "updates/0003").exists()


def test_updates_of_a_selection_that_was_made_anew_are_refused(days, out):
    bring(out, days[1])
    run(
        RunConfig(
            corpus=CorpusConfig(data=(days[0],), vectors="v", copies="collapse"),
            embed=EmbedConfig(),
            select=SelectConfig(k=K + 1, recipe="none", objective="facility_location"),
            runtime=RuntimeConfig(out=str(out), overwrite=True),
        )
    )
    for data in days[1:3]:
        with pytest.raises(InputError, match="made anew since"):
            bring(out, data)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name new rows where neither k nor remove is given"),
        (["--k", "5"], "--k must be at least the 20 rows that are chosen; got 5"),
        (["--k", "1000"], "--k must be at most the 300 items that there are; got 1000"),
        (["missing.jsonl"], "missing.jsonl"),
        (["--remove", "missing.txt"], "--remove must name a file"),
        (["--remove", "999.txt"], "--remove must name usable rows; got 999"),
        (["--least-rise", "-1", "--k", "30"], "--least-rise must be a finite number >= 0"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_update_behind(days, tmp_path, out, monkeypatch, capsys, arguments, said):
    (tmp_path / "999.txt").write_text("999\n")
    monkeypatch.chdir(tmp_path)
    assert main(["update", str(out), *arguments]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert said in error
    assert bring(out, days[1])["update"] == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"objective": "saturated_coverage"}, "hold a selection by facility_location, graph_cut, log_determinant"),
        ({"per": "c", "corpus": {"group": "c"}}, "hold a selection without --per"),
        ({"budget": 100.0, "corpus": {"cost": "p"}}, "hold a selection without --budget"),
    ],
)
def test_selections_that_cannot_be_updated_are_refused(days, tmp_path, more, said):
    data = write(tmp_path / "rows.jsonl", [{**row, "p": 1.0} for row in ROWS[:100]])
    out = base(data, tmp_path / "out", **more)
    with pytest.raises(InputError, match=said):
        bring(out, days[1])
    assert not (out / "updates").exists()


def test_a_directory_without_a_selection_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"hold a run \(a manifest.json\)"):
        bring(tmp_path / "none", k=3)


def test_vectors_of_another_length_are_refused_and_stand_in_no_way(out, days, tmp_path):
    odd = write(
        tmp_path / "odd.jsonl", [{"v": [1.0, 2.0], "c": "a", "own": "x"}, {"v": [2.0, 1.0], "c": "a", "own": "y"}]
    )
    with pytest.raises(InputError, match="data must hold vectors of 8 numbers, as DIR does; got 2"):
        bring(out, odd)
    assert bring(out, days[1])["corpus"]["rows"] == DAY
