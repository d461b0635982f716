"""What is wrong with the input or the settings is told before the work, and a run that failed blocks nothing."""

from __future__ import annotations

import json
import os

import pytest

from ray_subsel.cli import main
from tests.corpus.inputs import write

ROWS = [{"text": f"word{i} other{i % 7}", "label": "ab"[i % 2], "g": "xy"[i % 2]} for i in range(30)]


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "in.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS))


def run(tmp_path, *arguments, command="select"):
    settings = ["--embedder", "tfidf", "--vector-size", "8", "--recipe", "none", "--out", str(tmp_path / "run")]
    return main([command, *map(str, arguments), *settings])


LATE = {
    "include": (["--k", "3", "--include", "99\n"], "include must name usable rows; got 99"),
    "exclude": (["--k", "3", "--exclude", "x\n"], "exclude must name rows by their position"),
    "both": (["--k", "3", "--exclude", "1\n", "--include", "1\n"], "share no row with include; got row 1 in both"),
    "quota": (["--k", "3", "--group", "g", "--quota", "z=1"], "z"),
    "floor": (["--k", "3", "--group", "g", "--floor", "z=1"], "z"),
    "k": (["--k", "31"], "k must lie between 1 and 30"),
    "rejected": (["--k", "3", "--cost", "label", "--max-rejected", "0.5"], "cost that is no number above 0"),
}


@pytest.mark.parametrize("case", LATE)
def test_it_is_told_before_anything_is_embedded_and_the_corrected_command_runs(tmp_path, data, case, capsys):
    arguments, message = LATE[case]
    given = [write(tmp_path / f"ids{i}", one) if one.endswith("\n") else one for i, one in enumerate(arguments)]
    assert run(tmp_path, data, "--text", "text", *given) == 2
    said = capsys.readouterr().err
    assert message in said.splitlines()[-1]
    assert not (tmp_path / "run" / "embeddings").exists()
    assert run(tmp_path, data, "--text", "text", "--label", "label", "--k", "3") == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert not any(stage.get("free") for stage in manifest["stages"].values())


def test_what_took_long_is_not_replaced_unasked(tmp_path, data, capsys):
    assert run(tmp_path, data, "--text", "text", "--k", "3") == 0
    assert run(tmp_path, data, "--text", "text", "--k", "3", "--quota", "a=1", "--label", "label") == 2
    assert "holds a run of other settings" in capsys.readouterr().err
    quotas = ["--text", "text", "--k", "3", "--group", "g", "--quota", "x=1", "--quota", "y=1", "--overwrite"]
    assert run(tmp_path, data, *quotas) == 2  # the quotas together are below k: known to the selection alone
    assert "--quota must allow k = 3" in capsys.readouterr().err
    before = os.listdir(tmp_path / "run" / "embeddings")
    assert run(tmp_path, data, "--text", "label", "--k", "2") == 2
    assert "holds a run of other settings" in capsys.readouterr().err
    assert run(tmp_path, data, "--text", "text", "--group", "g", "--k", "4") == 0
    assert os.listdir(tmp_path / "run" / "embeddings") == before


def train(tmp_path, data, test, tiny_bert, *more):
    given = [
        "--task",
        "classification",
        "--text",
        "text",
        "--label",
        "label",
        "--group",
        "g",
        "--k",
        "10",
        "--test",
        test,
    ]
    cheap = ["--k", "10", "--test", test, "--train-model", tiny_bert, "--epochs", "1", "--arm", "subset"]
    return run(tmp_path, data, *given, *cheap, *more, command="run")


def test_classes_of_the_test_file_that_were_never_seen_are_told(tmp_path, data, tiny_bert, capsys):
    test = write(tmp_path / "test.csv", "text,label\nword1,a\nword2,c\nword3,d\nword4,c\n")
    assert train(tmp_path, data, test, tiny_bert) == 0
    said = capsys.readouterr()
    line = "test: 3 of 4 rows have classes that no row to train on has (c, d): all count as wrong"
    assert line in said.err.split("embed:")[0]
    assert f"warning   {line}" in said.out


@pytest.mark.parametrize(
    ("content", "message"),
    [("text,label\n,a\n", "data must hold a usable row"), ("text,kind\nb,a\n", "label must be a column of")],
)
def test_a_test_file_that_cannot_be_used_is_told_before_the_work(tmp_path, data, tiny_bert, content, message, capsys):
    assert train(tmp_path, data, write(tmp_path / "test.csv", content), tiny_bert) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "embeddings").exists()


def test_the_way_out_of_finetune_without_classes_is_one(tmp_path, data, capsys):
    assert run(tmp_path, data, "--text", "text", "--k", "3") == 0
    assert main(["finetune", str(tmp_path / "run"), "--test", data]) == 2
    said = capsys.readouterr().err
    assert "run again with --task classification --label COLUMN, in another --out" in said


def test_what_was_left_out_and_what_was_joined_is_told_on_the_terminal(tmp_path, capsys):
    """Files that do not count, rows that were rejected, near copies and where they are, classes that ran out."""
    rows = [{"text": f"word{i} and word{i + 1} meet", "g": "ab"[i % 2]} for i in range(30)]
    near = [{"text": "word3 and word4 meet meet", "g": "b"}, {"text": "", "g": "a"}]
    write(tmp_path / "in" / "a.jsonl", "".join(json.dumps(row) + "\n" for row in [*rows, *near]))
    write(tmp_path / "in" / "_b.jsonl", json.dumps(rows[0]))
    write(tmp_path / "in" / "notes.docx", "x")
    flags = ["--text", "text", "--group", "g", "--quota", "a=3", "--near", "0.9", "--k", "8"]
    assert run(tmp_path, str(tmp_path / "in"), *flags) == 0
    said = capsys.readouterr()
    assert f"corpus: 1 left out (a name that begins with . or _), as {tmp_path / 'in' / '_b.jsonl'}" in said.err
    assert f"as {tmp_path / 'in' / 'notes.docx'}" in said.err
    assert "corpus: 31 rows, 1 rejected" in said.err
    assert "collapsed 1 near copies" in said.out
    assert "groups/ has who joined whom" in said.out
