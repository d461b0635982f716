"""``subsel compare`` from files to the page: formats, resume, what is held out and dropped, bad input on a line."""

import gzip
import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from ray_subsel import cli
from ray_subsel.experiments import runner
from ray_subsel.experiments.embedding_cache import Memory


def rows_of(n=240, classes=6, seed=0):
    """Texts of a class share its words; the first classes are far larger than the last."""
    rng = np.random.default_rng(seed)
    shares = 1.0 / np.arange(1, classes + 1) ** 1.5
    labels = rng.choice(classes, n, p=shares / shares.sum())
    own = [" ".join(f"w{label}x{rng.integers(8)}" for _ in range(4)) for label in labels]
    return [f"{text} common{rng.integers(30)} other{rng.integers(200)}" for text in own], [f"c{one}" for one in labels]


def write(path, texts, labels):
    table = pa.table({"body": texts, "kind": labels})
    if path.suffix == ".csv":
        pa.csv.write_csv(table, path)
    elif path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        lines = "".join(
            json.dumps({"body": text, "kind": label}) + "\n" for text, label in zip(texts, labels, strict=True)
        )
        path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())
    return path


def compare(data, out, *more):
    given = [str(data), "--text", "body", "--label", "kind", "--embedder", "tfidf", "--out", str(out)]
    return cli.main(["compare", *given, "--draws", "2", "--size", "0.1", "--size", "0.3", *more])


def summary_of(out):
    return json.loads((out / "compare.json").read_text())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("rows") / "rows.jsonl", *rows_of())


def figures(out):
    summary = summary_of(out)
    return [
        (one["size"], one["k"], method["name"], method["accuracy"], method["multiplier"])
        for one in summary["sizes"]
        for method in one["methods"]
    ]


def test_it_tells_what_to_use_and_all_formats_give_the_same(data, tmp_path, capsys):
    assert compare(data, tmp_path / "a") == 0
    shown = capsys.readouterr()
    summary = summary_of(tmp_path / "a")
    assert summary["verdict"] in shown.out
    assert "texts to embed, about" in shown.err
    assert "probes, about" in shown.err
    names = [method["name"] for method in summary["sizes"][0]["methods"]]
    assert set(names) == {
        *(
            "random",
            "random-balanced",
            "semdedup-random",
            "k-center",
            "graph-cut-keep",
            "near-facility-location",
            "auto",
        )
    }
    assert summary["held_out"] == summary["test_rows"]
    assert summary["rows"] == 240
    assert summary["train_rows"] + summary["test_rows"] + summary["near_copies_dropped"] == 240
    page = (tmp_path / "a" / "compare.html").read_text()
    assert summary["verdict"] in page
    assert "<script" not in page
    assert "prefers-color-scheme: dark" in page
    for number, name in enumerate(("rows.csv", "rows.parquet", "rows.jsonl.gz")):
        write(tmp_path / name, *rows_of())
        assert compare(tmp_path / name, tmp_path / str(number)) == 0
        assert figures(tmp_path / str(number)) == figures(tmp_path / "a")


def test_ready_vectors_and_a_test_file(tmp_path, capsys):
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=150)
    X = (np.eye(3)[labels] + 0.4 * rng.normal(size=(150, 3))).astype(np.float32)
    for name, part in (("train", slice(0, 120)), ("test", slice(100, 150))):
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(X[part].reshape(-1)), 3)
        pq.write_table(pa.table({"v": vectors, "y": [f"c{y}" for y in labels[part]]}), tmp_path / f"{name}.parquet")
    given = ["compare", str(tmp_path / "train.parquet"), "--vectors", "v", "--label", "y", "--near", "0.99999"]
    given += ["--draws", "2", "--size", "0.2", "--out", str(tmp_path / "out")]
    assert cli.main([*given, "--test", str(tmp_path / "test.parquet")]) == 0
    summary = summary_of(tmp_path / "out")
    assert (summary["test_rows"], summary["held_out"], summary["embedder"]) == (50, None, "vectors")
    [warning] = summary["warnings"]
    assert "20 of 120 training rows are near copies of a test row" in warning  # the rows that both files have
    assert warning in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("vectors-*"))


def test_it_goes_on_after_an_interruption_and_the_page_is_written_again(data, tmp_path, monkeypatch, capsys):
    measured = []
    original = runner.Bench.measure

    def measure(self, cell, draw, largest):
        if len(measured) == 14:
            raise KeyboardInterrupt
        measured.append(cell)
        return original(self, cell, draw, largest)

    monkeypatch.setattr(runner.Bench, "measure", measure)
    assert compare(data, tmp_path / "a") == 130
    kept = len(list((tmp_path / "a" / "cells").glob("*.json")))
    assert 5 < kept <= 14
    monkeypatch.undo()
    assert compare(data, tmp_path / "a") == 0
    assert f"32 cells, {kept} done" in capsys.readouterr().err
    assert compare(data, tmp_path / "b") == 0
    assert figures(tmp_path / "a") == figures(tmp_path / "b")
    before = (tmp_path / "a" / "compare.json").read_bytes()
    (tmp_path / "a" / "compare.html").unlink()
    assert cli.main(["report", str(tmp_path / "a")]) == 0
    assert (tmp_path / "a" / "compare.json").read_bytes() == before
    assert (tmp_path / "a" / "compare.html").exists()


def test_fewer_sizes_later_leave_the_others_out(data, tmp_path):
    assert compare(data, tmp_path, "--method", "auto") == 0
    assert [one["size"] for one in summary_of(tmp_path)["sizes"]] == [0.1, 0.3]
    given = [str(data), "--text", "body", "--label", "kind", "--embedder", "tfidf", "--out", str(tmp_path)]
    assert cli.main(["compare", *given, "--draws", "1", "--size", "0.3", "--method", "auto"]) == 0
    summary = summary_of(tmp_path)
    assert [one["size"] for one in summary["sizes"]] == [0.3]
    assert summary["draws"] == 1
    assert {method["name"] for method in summary["sizes"][0]["methods"]} == {"random", "auto"}


def test_copies_of_what_is_held_out_are_not_trained_on(tmp_path):
    texts, labels = rows_of()
    repeated = [f"{text}." for text in texts[:60]]  # another text, the same words
    write(tmp_path / "rows.csv", texts + repeated, labels + labels[:60])
    assert compare(tmp_path / "rows.csv", tmp_path / "out", "--method", "auto") == 0
    assert summary_of(tmp_path / "out")["near_copies_dropped"] >= 10


def test_another_corpus_is_not_mixed_in(data, tmp_path, capsys):
    assert compare(data, tmp_path / "out", "--method", "auto") == 0
    write(tmp_path / "more.csv", *rows_of(n=200, seed=1))
    assert compare(tmp_path / "more.csv", tmp_path / "out", "--method", "auto") == 2
    assert "must hold one experiment" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--size", "1"], "size must lie between 0 and 1; everything is measured anyway; got 1.0."),
        (["--draws", "0"], "draws must be at least 1; got 0."),
        (["--held-out", "1"], "--held-out must lie between 0 and 1; got 1.0."),
        (["--method", "best"], "method must be one of full, random"),
        (["--near", "0"], "near must lie in (0, 1]; got 0.0."),
        (["--near", "0.01"], "near must leave rows that are no near copies of a row that is held out; got 0.01."),
        (["--rows", "5"], "rows must be at least 20; got 5."),
    ],
)
def test_bad_settings(data, tmp_path, capsys, given, message):
    assert compare(data, tmp_path / "out", *given) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error


def test_a_corpus_without_labels_or_of_one_class(data, tmp_path, capsys):
    assert cli.main(["compare", str(data), "--text", "body", "--out", str(tmp_path / "out")]) == 2
    assert "label must name the column that a probe learns; got None. Use --label COLUMN." in capsys.readouterr().err
    write(tmp_path / "one.csv", *[*zip(*[(f"text {i}", "same") for i in range(30)], strict=True)])
    assert compare(tmp_path / "one.csv", tmp_path / "out") == 2
    assert "label must take at least two values; got 'same'." in capsys.readouterr().err


def test_more_rows_than_are_looked_at_are_told(data, tmp_path, capsys):
    assert compare(data, tmp_path, "--rows", "150", "--method", "auto") == 0
    assert "150 of 240 rows, drawn at random (--rows)" in capsys.readouterr().err
    assert summary_of(tmp_path)["rows"] == 150


def test_sealed_vectors_are_small_to_send_and_asked_for_nothing_else():
    class Once:
        dimension = 2

        def embed(self, texts):
            return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)

    memory = Memory(Once())
    memory.embed(["a", "bb"])
    sealed = pickle.loads(pickle.dumps(memory.sealed()))
    assert sealed.embed(["bb"]).tolist() == [[2.0, 1.0]]
    with pytest.raises(KeyError, match="1 texts are not known"):
        sealed.embed(["c"])


def test_chats_and_questions_without_a_text_column(tmp_path, capsys):
    """What a selection takes a comparison takes: chats are found, how answers count is told, no --text is asked for."""
    texts, kinds = rows_of(120, classes=3)
    chats = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}], "kind": kind}
        for text, kind in zip(texts, kinds, strict=True)
    ]
    asked = [
        {"q": f"about {text}", "x": f"it is {kind}", "y": f"not {kind}", "z": "who knows", "right": i % 3}
        for i, (text, kind) in enumerate(zip(texts, kinds, strict=True))
    ]
    few = ["--embedder", "tfidf", "--draws", "1", "--size", "0.3", "--method", "auto"]
    of_questions = ["--task", "multiple-choice", "--context", "q", "--answer", "right"]
    of_questions += [word for name in "xyz" for word in ("--choice", name)]
    for rows, flags, task, told in (
        (chats, ["--label", "kind"], "classification", "chats in messages; their dialogue is embedded"),
        (asked, of_questions, "multiple-choice", "by its number, from 0 (--answers 0-based)"),
    ):
        path, out = tmp_path / f"{task}.jsonl", tmp_path / task
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert cli.main(["compare", str(path), *flags, *few, "--out", str(out)]) == 0
        assert f"compare: {told}" in capsys.readouterr().err.replace("column right tells the right choice ", "")
        summary = summary_of(out)
        assert (summary["task"], summary["rows"], summary["classes"]) == (task, 120, 3)
    assert cli.main(["compare", str(tmp_path / "classification.jsonl"), *few, "--out", str(tmp_path / "o")]) == 2
    assert "label must name the column that a probe learns" in capsys.readouterr().err
