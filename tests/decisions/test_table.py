"""What became of every row: told once for each, as plain Python finds it, in windows of any size."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main
from ray_subsel.corpus.rows import RowStore
from ray_subsel.decisions.sources import RunSources
from ray_subsel.decisions.table import decision_tables
from ray_subsel.storage.run_directory import RunDir

N = 120


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Vectors with equal and near copies, bad rows, groups with quotas, an excluded and an included row."""
    folder = tmp_path_factory.mktemp("decisions")
    draw = np.random.default_rng(0)
    X = draw.normal(size=(N, 5)).astype(np.float32)
    X[100:110] = X[0:10]
    X[90:100] = X[0:10] + 1e-3
    X[50], X[60] = np.nan, 0.0
    lines = [
        json.dumps({"name": f"r{i}", "v": [None if np.isnan(x) else float(x) for x in X[i]], "g": "ab"[i % 2]})
        for i in range(N)
    ]
    (folder / "x.jsonl").write_text("\n".join(lines))
    (folder / "out.txt").write_text("r20\nr103\n")
    (folder / "in.txt").write_text("r105\n")
    call = [
        "select",
        str(folder / "x.jsonl"),
        "--vectors",
        "v",
        "--id",
        "name",
        "--group",
        "g",
        "--near",
        "0.99",
        "--k",
    ]
    call += ["16", "--quota", "a=2", "--exclude", str(folder / "out.txt"), "--include", str(folder / "in.txt")]
    call += ["--max-rejected", "0.5", "--out", str(folder / "run"), "--quiet"]
    assert main(call) == 0
    return folder / "run", X


def lines_of(path):
    return pq.read_table(path / "decisions.parquet").to_pylist()


def test_every_row_has_one_line_in_order(run):
    lines = lines_of(run[0])
    assert [line["id"] for line in lines] == list(range(N))
    assert [line["source_id"] for line in lines if line["status"] != "rejected"] == [
        f"r{i}" for i in range(N) if i not in (50, 60)
    ]


def test_statuses_are_those_of_plain_python(run):
    path, _ = run
    lines = lines_of(path)
    chosen = {row["id"]: row for row in pq.read_table(path / "selection.parquet").to_pylist()}
    by_row = {row: one for one, line in chosen.items() for row in line["rows"]}
    full = sum(i % 2 == 0 for i in chosen) == 2
    assert full
    for i, line in enumerate(lines):
        first = i - 100 if 100 <= i < 110 else i - 90 if 90 <= i < 100 else i
        if i in chosen:
            assert (line["status"], line["rank"]) == ("chosen", chosen[i]["rank"])
            continue
        assert line["rank"] is None
        if i in (50, 60):
            assert line["status"] == "rejected"
        elif i in (20, 103):
            assert line["status"] == "excluded"
        elif 100 <= i < 110 or (first == 5 and i == 5):
            assert (line["status"], line["of"]) == ("exact copy", 105 if first == 5 else by_row.get(first, first))
        elif 90 <= i < 100:
            assert (line["status"], line["of"]) == ("near copy", by_row.get(first, first))
            assert line["cosine"] is None or line["cosine"] > 0.99
        elif i % 2 == 0:
            assert line["status"] == "group full"
        else:
            assert line["status"] == "not chosen"


def test_the_nearest_chosen_row_is_brute_force_s(run):
    path, X = run
    ids = pq.read_table(path / "selection.parquet")["id"].to_numpy()
    unit = X.astype(np.float64) / np.maximum(1e-30, np.linalg.norm(X.astype(np.float64), axis=1, keepdims=True))
    W = unit @ unit[ids].T
    for i, line in enumerate(lines_of(path)):
        if line["status"] == "rejected":
            assert line["nearest_chosen"] is None
            continue
        assert abs(line["nearest_cosine"] - W[i].max()) < 1e-5
        assert W[i][ids.tolist().index(line["nearest_chosen"])] > W[i].max() - 1e-6


def test_reasons_name_rows_and_say_whether_they_are_chosen(run):
    lines = lines_of(run[0])
    chosen = {line["id"] for line in lines if line["status"] == "chosen"}
    for line in lines:
        assert line["reason"]
        if line["of"] is not None:
            said = "which is chosen" if line["of"] in chosen else "which is not chosen"
            assert line["reason"].endswith(f"row {line['of']}, {said}")
    assert lines[50]["reason"].startswith("bad vector") or "vector" in lines[50]["reason"]


def test_windows_do_not_matter(run):
    path, _ = run
    rows = RowStore.open(RunDir(str(path)))
    whole = pq.read_table(path / "decisions.parquet")
    excluded = np.array([20, 103])
    sources = RunSources(
        rows=rows, nearest="nearest", groups="groups", selection="selection.parquet", excluded=excluded,
        group_column="group", full_groups=frozenset({"a"}),
    )  # fmt: skip
    for window, lines in ((1, 9), (7, 3), (50, 50), (1000, 11), (1000, 131_072)):
        parts = pa.concat_tables(decision_tables(sources, window, lines))
        assert parts.to_pylist() == whole.to_pylist()


def test_counts_are_told(run):
    facts = json.loads((run[0] / "manifest.json").read_text())["stages"]["decide"]["facts"]["statuses"]
    lines = lines_of(run[0])
    assert facts == {one: sum(line["status"] == one for line in lines) for one in facts}
    assert sum(facts.values()) == N


def test_rows_that_repeat_another_set_name_it(tmp_path):
    texts = [f"number {i} of the {word} list of words" for i in range(9) for word in ("first", "second")]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps({"t": text}) for text in [*texts, texts[3]]))
    (tmp_path / "held.jsonl").write_text(json.dumps({"t": texts[3].upper()}))
    call = ["select", str(tmp_path / "t.jsonl"), "--text", "t", "--embedder", "tfidf", "--k", "5", "--quiet"]
    assert main([*call, "--against", str(tmp_path / "held.jsonl"), "--out", str(tmp_path / "run")]) == 0
    lines = lines_of(tmp_path / "run")
    assert [line["id"] for line in lines if line["status"] == "contaminated"] == [3, 18]
    assert "held.jsonl line 1 (equal)" in lines[3]["reason"]
    assert sum(line["status"] == "chosen" for line in lines) == 5


def test_doubtful_rows_and_the_best_of_copies_are_told(tmp_path):
    draw = np.random.default_rng(5)
    centres = 5.0 * draw.normal(size=(3, 6))
    which = np.arange(90) % 3
    X = centres[which] + draw.normal(size=(90, 6))
    X[80:90] = X[0:10]
    labels = ["abc"[(which[i % 80] + (i == 44)) % 3] for i in range(90)]
    lines = [json.dumps({"v": X[i].tolist(), "l": labels[i], "q": float(i)}) for i in range(90)]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    call = ["select", str(tmp_path / "x.jsonl"), "--vectors", "v", "--label", "l", "--k", "9", "--quiet"]
    more = ["--drop-label-noise", "0.02", "--drop-outliers", "0.02", "--keep-best", "q", "--near", "0.9999"]
    assert main([*call, *more, "--out", str(tmp_path / "run")]) == 0
    told = lines_of(tmp_path / "run")
    dropped = {row["id"]: row["kind"] for row in pq.read_table(tmp_path / "run" / "dropped.parquet").to_pylist()}
    words = {"label_noise": "label noise", "outlier": "outlier"}
    assert {line["id"]: line["status"] for line in told if line["status"] in words.values()} == {
        row: words[kind] for row, kind in dropped.items()
    }
    chosen = set(pq.read_table(tmp_path / "run" / "selection.parquet")["id"].to_pylist())
    assert {line["id"] for line in told if line["status"] == "chosen"} == chosen
    copies = {line["id"]: line["of"] for line in told if line["status"] in ("exact copy", "near copy")}
    assert all(of >= 80 for row, of in copies.items() if row < 10)  # the best of two is the later one
    assert all(line["reason"] for line in told)
