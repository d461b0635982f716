"""What comes out: the rows with their own types and ids, in the forms that are asked for."""

from __future__ import annotations

import json

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main
from tests.corpus.inputs import write

WORDS = [f"word{i} other{i % 7} third{i % 5}" for i in range(40)]


def select(tmp_path, data, *more, out="run", k=6):
    options = [
        "--embedder",
        "tfidf",
        "--vector-size",
        "16",
        "--k",
        str(k),
        "--recipe",
        "none",
        "--out",
        str(tmp_path / out),
    ]
    return main(["select", str(data), *options, *more])


def column(tmp_path, name, out="run", file="selection"):
    return pq.read_table(tmp_path / out / f"{file}.parquet")[name].to_pylist()


@pytest.fixture
def chats(tmp_path):
    """Objects a line, each written in a way of its own, with an odd value and an id."""
    lines = [
        json.dumps({"id": f"d{i}", "text": text, "messages": [{"role": "user", "content": text}], "n": i},
                   indent=None, separators=((", ", ": "), (",", ":"))[i % 2], ensure_ascii=bool(i % 3))
        for i, text in enumerate(f"{word} ä" for word in WORDS)
    ]  # fmt: skip
    lines[7] = '{"text": "odd  row", "id":"d7",   "messages": "none", "extra": {"a": [1, {"b": 1e3}]}}'
    return lines, write(tmp_path / "in.jsonl", "\n".join(lines))


def test_json_lines_are_given_back_byte_by_byte(tmp_path, chats):
    lines, path = chats
    assert select(tmp_path, path, "--text", "text", "--id", "id", "--to", "jsonl", "--include",
                  write(tmp_path / "keep.txt", "d7\n")) == 0  # fmt: skip
    chosen = column(tmp_path, "id")
    assert chosen[0] == 7
    assert (tmp_path / "run" / "subset.jsonl").read_bytes().decode().splitlines() == [lines[i] for i in chosen]
    assert column(tmp_path, "source_id") == column(tmp_path, "id", file="subset") == [f"d{i}" for i in chosen]
    assert column(tmp_path, "row", file="subset") == chosen
    schema = pq.read_schema(tmp_path / "run" / "subset.parquet")
    assert schema.field("messages").type == pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["selection"]["misfits"] == {"messages": 1}
    assert any("1 values of column messages do not fit" in line for line in report["warnings"])


def test_a_form_that_is_asked_for_later_is_written_without_choosing_again(tmp_path, chats, capsys):
    _, path = chats
    assert select(tmp_path, path, "--text", "text") == 0
    assert not (tmp_path / "run" / "subset.jsonl").exists()
    assert select(tmp_path, path, "--text", "text", "--to", "hf", "--to", "jsonl") == 0
    assert "select: as before" in capsys.readouterr().err
    dataset = datasets.load_from_disk(str(tmp_path / "run" / "subset"))
    assert dataset["text"] == column(tmp_path, "text", file="subset")
    assert len((tmp_path / "run" / "subset.jsonl").read_text().splitlines()) == 6
    assert select(tmp_path, path, "--text", "text", "--to", "csv", out="other") == 2
    assert "to must be one of parquet, jsonl, hf" in capsys.readouterr().err


def test_a_datasets_folder_comes_back_with_its_classes(tmp_path):
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["World", "Art"]),
            "at": {"x": datasets.Value("int32")},
        }
    )
    rows = {"text": WORDS, "label": [i % 2 for i in range(40)], "at": [{"x": i} for i in range(40)]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "ds"))
    more = ["--text", "text", "--label", "label", "--quota", "World=2", "--to", "hf", "--to", "jsonl"]
    assert select(tmp_path, tmp_path / "ds", *more) == 0
    back = datasets.load_from_disk(str(tmp_path / "run" / "subset"))
    assert {name: back.features[name] for name in features} == features
    assert sorted(back["label"]).count(0) == 2
    first = json.loads((tmp_path / "run" / "subset.jsonl").read_text().splitlines()[0])
    assert first == {name: back[0][name] for name in features}


def test_the_card_has_counts_settings_and_hashes(tmp_path, chats):
    import hashlib

    import yaml

    _, path = chats
    assert select(tmp_path, path, "--text", "text") == 0
    card = (tmp_path / "run" / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["configs"] == [{"config_name": "default", "data_files": "subset.parquet"}]
    digest = hashlib.sha256((tmp_path / "run" / "subset.parquet").read_bytes()).hexdigest()
    index = json.loads((tmp_path / "run" / "rows" / "index.json").read_text())
    for line in ("| rows read | 40 |", "| chosen | 6 |", f"| subset.parquet | 6 | SHA-256 {digest} |", "| k | 6 |"):
        assert line in card
    assert f"| {path} | 40 | BLAKE2b {index['files'][0]['hash']} |" in card
    again = datasets.load_dataset(str(tmp_path / "run"), cache_dir=str(tmp_path / "cache"))["train"]
    assert again["text"] == column(tmp_path, "text", file="subset")


def test_a_selection_tops_up_and_bars_by_the_ids_that_it_has(tmp_path, chats, capsys):
    lines, path = chats
    own = ["--text", "text", "--id", "id"]
    assert select(tmp_path, path, *own, out="first") == 0
    first = column(tmp_path, "source_id", "first")
    earlier = str(tmp_path / "first" / "selection.parquet")
    assert select(tmp_path, path, *own, "--include", earlier, out="more", k=12) == 0
    assert column(tmp_path, "source_id", "more")[:6] == first
    assert select(tmp_path, path, *own, "--exclude", earlier, out="rest", k=12) == 0
    assert not set(column(tmp_path, "source_id", "rest")) & set(first)
    moved = write(tmp_path / "moved.jsonl", "\n".join(lines[::-1]))
    assert select(tmp_path, moved, *own, "--exclude", earlier, out="moved", k=12) == 0
    assert not set(column(tmp_path, "source_id", "moved")) & set(first)
    capsys.readouterr()
    for flag in ("--include", "--exclude"):
        assert select(tmp_path, moved, "--text", "text", flag, earlier, out="other") == 2
        assert "must be a selection from this input" in capsys.readouterr().err
        assert not (tmp_path / "other").exists()


def test_vectors_and_copies_come_back(tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", X)
    out = tmp_path / "run"
    command = ["select", str(tmp_path / "x.npy"), "--vectors", "vector", "--k", "5", "--recipe", "none"]
    assert main([*command, "--to", "jsonl", "--out", str(out)]) == 0
    ids = column(tmp_path, "id")
    lines = [json.loads(line) for line in (out / "subset.jsonl").read_text().splitlines()]
    assert np.allclose([line["vector"] for line in lines], X[ids])


def stage_files(out):
    return {path.name: pq.read_table(path) for path in sorted((out / "stages").glob("*.parquet"))}


STAGED = {
    "rows": (["--stages", "3,5,2"], [3, 5, 2]),
    "rows over partitions": (["--stages", "3,5,2", "--partitions", "3"], [3, 5, 2]),
    "rows within a quota": (["--stages", "3,5,2", "--group", "g", "--quota", "equal", "--near", "0.95"], [3, 5, 2]),
    "a budget": (["--budget", "60", "--stages", "18,42", "--cost", "n"], None),
    "each group": (["--per", "g", "--stages", "2,3"], [4, 6]),
    "rows that a budget cuts short": (["--stages", "3,5,2", "--k", "10", "--budget", "30", "--cost", "n"], None),
}


@pytest.mark.parametrize("case", STAGED)
def test_stages_are_disjoint_parts_of_the_ranking_in_files_of_their_own(tmp_path, case, capsys):
    more, sizes = STAGED[case]
    lines = [{"text": text, "g": "ab"[at % 2], "n": 4 + at % 5, "stage": "own"} for at, text in enumerate(WORDS)]
    path = write(tmp_path / "rows.jsonl", "\n".join(map(json.dumps, lines)))
    options = ["--text", "text", "--embedder", "tfidf", "--vector-size", "16", "--recipe", "none"]
    command = ["select", str(path), *options, *more, "--to", "jsonl", "--out", str(tmp_path / "run")]
    assert main(command) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    selection, subset = (pq.read_table(tmp_path / "run" / f"{name}.parquet") for name in ("selection", "subset"))
    stage, ids = selection["stage"].to_numpy(), selection["id"].to_numpy()
    counts = np.bincount(stage)[1:].tolist()
    files = stage_files(tmp_path / "run")
    assert [len(one) for one in files.values()] == counts
    for number, table in enumerate(files.values(), start=1):
        assert table["id"].to_pylist() == ids[stage == number].tolist()
        assert table.equals(subset.filter(pa.array(stage == number)))
        written = (tmp_path / "run" / "stages" / f"{number}.jsonl").read_text().splitlines()
        assert [json.loads(line)["text"] for line in written] == table["text"].to_pylist()
    assert sorted(ids) == sorted(set(ids.tolist()))
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    rows = [one["rows"] for one in report["selection"]["stages"]]
    assert rows[: len(counts)] == counts
    assert sum(rows) == len(ids)
    assert f"stages    {' + '.join(map(str, rows))} rows, in stages/" in told
    if sizes is not None:
        assert counts == sizes
    if case == "each group":
        assert set(zip(selection["rank"].to_pylist(), stage.tolist(), strict=True)) == {
            (0, 1), (1, 1), (2, 2), (3, 2), (4, 2),
        }  # fmt: skip
    else:
        assert stage.tolist() == sorted(stage.tolist())
    if case == "a budget":
        spent = np.cumsum([lines[one]["n"] for one in ids])
        assert (stage == np.where(spent <= 18, 1, 2)).all()
    assert any("stage 2 has" in line for line in report["warnings"]) == (case == "rows that a budget cuts short")


def test_the_first_stages_are_what_is_chosen_for_as_many_rows(tmp_path, chats):
    _, path = chats
    assert select(tmp_path, path, "--text", "text", out="few", k=4) == 0
    options = ["--embedder", "tfidf", "--vector-size", "16", "--recipe", "none", "--text", "text"]
    staged = ["select", str(path), *options, "--stages", "4,6", "--out", str(tmp_path / "staged")]
    assert main(staged) == 0
    assert pq.read_table(tmp_path / "staged" / "stages" / "1.parquet")["text"].to_pylist() == column(
        tmp_path, "text", "few", "subset"
    )
    whole = column(tmp_path, "id", "staged")
    (tmp_path / "staged" / "stages" / "2.parquet").unlink()
    assert main([*staged, "--to", "jsonl"]) == 0  # what is gone is made again, and a form comes later
    assert column(tmp_path, "id", "staged") == whole
    assert sorted(path.name for path in (tmp_path / "staged" / "stages").iterdir()) == [
        "1.jsonl", "1.parquet", "2.jsonl", "2.parquet",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--stages", "4;6"], "--stages: must be sizes above 0 with commas between them"),
        (["--stages", "4,0"], "--stages must be whole numbers of items"),
        (["--stages", "4,6", "--k", "9"], "--k must be left out with stages, or be their sum, 10; got 9"),
        (["--stages", "4,6", "--budget", "9"], "--stages must sum to the budget, 9, where it alone decides; got 10"),
        (["--stages", "4,600"], "--k must lie between 1 and 40"),
        (["--stages", "4,6", "--budget", "10", "--per", "id"], "--stages must be numbers of rows with per"),
    ],
)
def test_stages_that_cannot_be_are_one_line(tmp_path, chats, capsys, more, said):
    _, path = chats
    options = ["--text", "text", "--embedder", "tfidf", "--vector-size", "16", "--recipe", "none"]
    assert main(["select", str(path), *options, *more, "--out", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_choice_per_group_comes_back_in_all_forms_under_its_own_ids(tmp_path, chats, capsys):
    """``--per`` with ``--to`` and ``--id``: as written, with types, topped up and barred by own ids."""
    lines, path = chats
    users = ["ann", "bob", None]
    lines = [line.replace("{", '{"user": ' + json.dumps(users[i % 3]) + ", ", 1) for i, line in enumerate(lines)]
    path = write(tmp_path / "per.jsonl", "\n".join(lines))
    own = ["--text", "text", "--id", "id", "--per", "user"]
    assert select(tmp_path, path, *own, "--to", "jsonl", "--to", "hf", k=3) == 0
    chosen = column(tmp_path, "id")
    assert len(chosen) == 9
    assert (tmp_path / "run" / "subset.jsonl").read_bytes().decode().splitlines() == [lines[i] for i in chosen]
    assert column(tmp_path, "source_id") == column(tmp_path, "id", file="subset") == [f"d{i}" for i in chosen]
    assert column(tmp_path, "group") == column(tmp_path, "user", file="subset") == [users[i % 3] for i in chosen]
    loaded = datasets.load_from_disk(str(tmp_path / "run" / "subset"))
    assert loaded["id"] == [f"d{i}" for i in chosen]
    kept = str(tmp_path / "run" / "selection.parquet")
    turned = write(tmp_path / "turned.jsonl", "\n".join(reversed(lines)))  # the same rows at other positions
    assert select(tmp_path, turned, *own, "--include", kept, out="more", k=5) == 0
    assert set(column(tmp_path, "source_id")) < set(column(tmp_path, "source_id", out="more"))
    assert select(tmp_path, turned, *own, "--exclude", kept, out="others", k=5) == 0
    assert not set(column(tmp_path, "source_id")) & set(column(tmp_path, "source_id", out="others"))
    without = ["--text", "text", "--per", "user"]
    assert select(tmp_path, turned, *without, "--exclude", kept, out="by-position", k=5) == 2
    capsys.readouterr()
    assert main(["explain", str(tmp_path / "run"), f"d{chosen[4]}"]) == 0
    assert "of its group. It is line 5 of subset.parquet." in capsys.readouterr().out
