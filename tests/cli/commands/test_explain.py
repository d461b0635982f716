"""subsel explain: rows by id, by their own id, by text; mistakes cost one line."""

import json

import pytest

from ray_subsel.cli import main

TEXTS = [f"the {colour} {thing} of the {place}" for colour in ("red", "blue") for thing in ("cat", "boat", "song")
         for place in ("house", "sea", "hill")]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    rows = [{"t": text, "name": f"n{i}"} for i, text in enumerate([*TEXTS, TEXTS[0], "<script>\x1b[31m red"])]
    (folder / "t.jsonl").write_text("\n".join(json.dumps(row) for row in [*rows, {"t": "", "name": "bad"}]))
    call = ["select", str(folder / "t.jsonl"), "--text", "t", "--embedder", "tfidf", "--k", "4", "--quiet"]
    call += ["--max-rejected", "0.5"]
    assert main([*call, "--out", str(folder / "plain")]) == 0
    assert main([*call, "--id", "name", "--out", str(folder / "own")]) == 0
    embed = ["embed", str(folder / "t.jsonl"), "--text", "t", "--embedder", "tfidf", "--quiet", "--max-rejected", "0.5"]
    assert main([*embed, "--out", str(folder / "embedded")]) == 0
    return folder


def test_rows_by_id_have_sentences_and_texts(runs, capsys):
    assert main(["explain", str(runs / "plain"), "18", "0"]) == 0
    shown = capsys.readouterr().out
    assert "Row 18: exact copy. The same text or vector as row 0" in shown
    assert "the red cat of the house" in shown
    assert " | " in shown


def test_own_ids(runs, capsys):
    assert main(["explain", str(runs / "own"), "n18", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)["rows"]
    assert (row["id"], row["source_id"], row["status"], row["of"]) == (18, "n18", "exact copy", 0)


def test_rejected_rows_say_why(runs, capsys):
    assert main(["explain", str(runs / "plain"), "20"]) == 0
    assert "Row 20: rejected." in (shown := capsys.readouterr().out)
    assert "rejected.parquet" in shown


def test_by_text_equal_ones_first_then_those_that_contain_it(runs, capsys):
    assert main(["explain", str(runs / "plain"), "--text", TEXTS[0]]) == 0
    shown = capsys.readouterr().out
    assert "Row 0" in shown
    assert "Row 18" in shown
    assert main(["explain", str(runs / "plain"), "--text", "BLUE boat", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 3


def test_what_a_terminal_would_obey_is_not_written(runs, capsys):
    assert main(["explain", str(runs / "plain"), "19"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("folder", "arguments", "message"),
    [
        ("plain", ["99"], "ROW must be a row id from 0 to 20"),
        ("plain", ["x"], "ROW must be a row id from 0 to 20"),
        ("own", ["n99"], "ROW must be the own id of a row; got 'n99'. Did you mean"),
        ("plain", [], "ROW, find must be given, exactly one of them; got neither"),
        ("plain", ["1", "--text", "a"], "got both"),
        ("plain", ["--text", "zebra"], "--text must be, or be part of, the text of a usable row; got 'zebra'"),
        ("nothing", ["1"], "directory must hold a run"),
        ("embedded", ["1"], "must be a run that has selected"),
    ],
)
def test_mistakes_cost_one_line(runs, folder, arguments, message, capsys):
    assert main(["explain", str(runs / folder), *arguments]) == 2
    line = capsys.readouterr().err
    assert message in line
    assert line.count("\n") == 1
