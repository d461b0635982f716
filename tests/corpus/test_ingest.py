"""From files to rows on disk: ids, rejects, limits, resume, and the same with and without Ray."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.block_sizes import BlockSizes
from ray_subsel.corpus.files import UNKNOWN, content_hash
from ray_subsel.corpus.ingest import ingest, input_fingerprint, plan_ingest
from ray_subsel.corpus.listing import HIDDEN
from ray_subsel.corpus.rows import RowStore
from ray_subsel.corpus.story_columns import PUBLISHED
from ray_subsel.storage.run_directory import RunDir
from tests.corpus.inputs import STORY, read, rejects, texts, write, write_csv, write_parquet, write_story_csv


def story(number: int, right: str = "1") -> tuple[str, ...]:
    return (f"s{number}", f"One {number}.", *STORY[2:7], right)


def test_story_columns(tmp_path: Path) -> None:
    store = read(tmp_path, write_story_csv(tmp_path / "a.csv", [STORY, story(2, "2")]), task="story-cloze")
    rows = store.take([0, 1]).to_pylist()
    assert rows[0]["text"] == "One. Two. Three. Four. Good end."
    assert rows[1]["text"] == "One 2. Two. Three. Four. Bad end."
    assert rows[0]["context"] == "One. Two. Three. Four."
    assert (rows[1]["ending1"], rows[1]["ending2"], rows[1]["label"]) == ("Good end.", "Bad end.", "2")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("context", "One. Two. Three. Four."),
        ("context+right", "One. Two. Three. Four. Good end."),
        ("everything", "One. Two. Three. Four. Good end. Bad end."),
    ],
)
def test_story_text(tmp_path: Path, kind: str, text: str) -> None:
    path = write_story_csv(tmp_path / "a.csv", [STORY])
    assert texts(read(tmp_path, path, task="story-cloze", story_text=kind)) == [text]


def test_story_tsv_is_unquoted_and_may_have_lower_case_names(tmp_path: Path) -> None:
    names = ["story_id", *(f"input_sentence_{i}" for i in range(1, 5)), "sentence_quiz1", "sentence_quiz2"]
    lines = ["\t".join([*names, "answer_right_ending"]), "\t".join(["s1", '"One', *STORY[2:]])]
    store = read(tmp_path, write(tmp_path / "a.tsv", "\n".join(lines)), task="story-cloze")
    assert texts(store) == ['"One Two. Three. Four. Good end.']


def test_story_rejects(tmp_path: Path) -> None:
    rows = [story(0), story(1, "3"), story(2, ""), (*STORY[:3], " ", *STORY[4:]), (*STORY[:6], "", "1"), story(5)]
    store = read(tmp_path, write_story_csv(tmp_path / "a.csv", rows), task="story-cloze")
    wrong, empty = "wrong label", "empty text"
    assert rejects(store) == [(3, 1, wrong), (4, 2, wrong), (5, 3, empty), (6, 4, empty)]
    assert store.rejected_by_reason == {"empty text": 2, "wrong label": 2}
    assert store.ids().tolist() == [0, 5]


def test_a_test_without_answers_is_told_apart(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ["InputStoryid", *(f"InputSentence{i}" for i in range(1, 5))], [STORY[:5]])
    with pytest.raises(InputError, match=r"must include RandomFifthSentenceQuiz1, .* when task is story-cloze"):
        read(tmp_path, path, task="story-cloze")
    blind = write_csv(tmp_path / "b.csv", PUBLISHED.names[:-1], [STORY[:7]])
    with pytest.raises(InputError, match="a test without answers: use --task text"):
        read(tmp_path, blind, task="story-cloze")


def test_label_group_and_own_id_stand_beside_the_row_id(tmp_path: Path) -> None:
    rows = [("b7", "hello", "5", "north"), ("a1", "world", "", "")]
    path = write_csv(tmp_path / "a.csv", ["key", "body", "class", "region"], rows)
    store = read(tmp_path, path, text=("body",), label="class", group="region", id="key")
    taken = store.take([0, 1], ["id", "label", "group", "source_id"]).to_pylist()
    assert taken == [
        {"id": 0, "label": "5", "group": "north", "source_id": "b7"},
        {"id": 1, "label": None, "group": None, "source_id": "a1"},
    ]


def test_several_text_columns_are_joined(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ["a", "b"], [("x", " y "), ("", "z"), ("", " ")])
    store = read(tmp_path, path, text=("b", "a"))
    assert texts(store) == ["y x", "z"]
    assert rejects(store) == [(4, 2, "empty text")]


def test_classification_needs_a_label_in_every_row(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ["text", "label"], [("a", "x"), ("b", " "), ("", "")])
    store = read(tmp_path, path, text=("text",), label="label", task="classification")
    assert rejects(store) == [(3, 1, "missing label"), (4, 2, "empty text")]
    assert store.label_names() == ["x"]


def test_the_first_of_equal_ids_stays_over_files_and_parts(tmp_path: Path) -> None:
    first = write_csv(tmp_path / "a.csv", ["id", "text"], [("1", "a"), ("2", ""), ("3", "c"), ("1", "d"), ("4", "e")])
    second = write_csv(tmp_path / "b.csv", ["id", "text"], [("4", "f"), ("2", "g"), ("", "h"), ("5", ""), ("3", "i")])
    store = read(tmp_path, first, second, text=("text",), id="id", sizes=BlockSizes(part_rows=2, batch_rows=2))
    assert texts(store) == ["a", "c", "e", "g"]
    twice = "duplicate id"
    assert rejects(store) == [
        (3, 1, "empty text"),
        (5, 3, twice),
        (2, 5, twice),
        (4, 7, "missing id"),
        (5, 8, "empty text"),
        (6, 9, twice),
    ]
    assert [(file["rows"], file["rejected"]) for file in store.files] == [(5, 2), (5, 4)]
    names = os.listdir(tmp_path / "run" / "rows")
    assert sorted(names) == sorted(["index.json", *(part["name"].split("/")[1] for part in store.index["parts"])])


def test_vectors_and_their_rejects(tmp_path: Path) -> None:
    lists = [[1.0, 2.0], [1.0], None, [0.0, 0.0], [float("nan"), 1.0], [1e300, 1.0], [None, 1.0], [1.0, 2.0], [-0.0, 1]]
    path = write_parquet(tmp_path / "a.parquet", {"v": lists, "text": [str(i) for i in range(9)]})
    store = read(tmp_path, path, vectors="v")
    other, bad = "vector of another length", "vector with NaN, null or infinity"
    assert [(row, reason) for _, row, reason in rejects(store)] == [
        (1, other),
        (2, "no vector"),
        (3, "zero vector"),
        (4, bad),
        (5, bad),
        (6, bad),
    ]
    assert store.dimension == 2
    taken = store.take([0, 7, 8])
    assert taken["vector"].to_pylist() == [[1.0, 2.0], [1.0, 2.0], [0.0, 1.0]]
    assert taken["text"].to_pylist() == [None] * 3
    keys = taken["key"].to_pylist()
    assert keys[0] == keys[1] != keys[2]
    assert store.subset_table([8])["v"].to_pylist() == [[0.0, 1.0]]


def test_vectors_in_json_lines(tmp_path: Path) -> None:
    values: list[Any] = ["no", [], [1, "x"], [1, 2, 3], [1, 2], [3, 2, 1]]
    content = "".join(json.dumps({"v": value}) + "\n" for value in values) + '{"other": 1}\n'
    store = read(tmp_path, write(tmp_path / "a.jsonl", content), vectors="v")
    assert store.dimension == 3
    assert store.ids().tolist() == [3, 5]
    assert store.rejected_by_reason == {"no vector": 3, "vector of another length": 2}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text": ("nope",)}, r"text must be a column of .*a\.csv; got 'nope'. Its columns: id, text."),
        ({"text": ("text",), "label": "nope"}, "label must be a column"),
        ({"text": ("text",), "group": "nope"}, "group must be a column"),
        ({"text": ("text",), "id": "nope"}, "id must be a column"),
        ({"vectors": "text"}, "vectors must be a column of a format that holds lists"),
        ({"task": "story-cloze", "text": ("text",)}, "text must be left out when task is story-cloze"),
        ({"text": ("text",), "data": ()}, "data must name at least one file"),
        ({"text": ("text",), "data": ("nowhere.csv",)}, "data must be an existing file, folder or glob; got 'nowhere"),
        ({"text": ("text",), "data": ("no*.csv",)}, "data must match at least one file"),
        ({"text": ("text",), "data": ("nope://x/y.csv",)}, "path must be a local path or a URI"),
    ],
)
def test_bad_settings_get_one_line(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    data = (write_csv(tmp_path / "a.csv", ["id", "text"], [("1", "a")]),)
    config = CorpusConfig(**{"data": data, **settings})
    for check in (input_fingerprint, lambda c: ingest(c, RunDir(str(tmp_path / "run")))):
        with pytest.raises(InputError, match=message) as caught:
            check(config)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_no_rows_and_no_usable_rows(tmp_path: Path) -> None:
    for content in ("", "text,b\n"):
        with pytest.raises(InputError, match="data must hold at least one row; got none in 1 file"):
            read(tmp_path, write(tmp_path / "a.csv", content), text=("text",), out=f"run{len(content)}")
    path = write(tmp_path / "b.csv", "text,b\n,1\nx\n,2\n")
    with pytest.raises(
        InputError, match=r"got none in 3 rows, most often: empty text \(2 times, first at .*b\.csv:2\)"
    ):
        read(tmp_path, path, text=("text",), out="all")
    vectors = write_parquet(tmp_path / "v.parquet", {"v": [[float("nan")], [0.0]]})
    with pytest.raises(InputError, match="vectors must hold at least one finite vector that is not zero"):
        read(tmp_path, vectors, vectors="v", out="nan")


def test_too_many_rejects_stop_the_run_and_are_on_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "a\nb\n\nc\n")
    message = r"got 0.2, but 1 of 4 rows \(25.0 %\) cannot, most often: empty text \(1 times, first at .*a\.txt:3\)"
    with pytest.raises(InputError, match=message):
        read(tmp_path, path, text=("text",), max_rejected=0.2)
    assert pq.read_table(tmp_path / "run" / "rejected.parquet").num_rows == 1
    assert not (tmp_path / "run" / "rows" / "index.json").exists()
    assert read(tmp_path, path, text=("text",), max_rejected=0.25).n_rows == 3


def test_files_come_in_order_of_their_paths_however_they_are_named(tmp_path: Path) -> None:
    for name in ("b/2.txt", "a/1.txt", "b/.hidden.txt", "b/_SUCCESS", "b/readme.md"):
        write(tmp_path / "in" / name, f"{name}\n")
    folder = read(tmp_path, str(tmp_path / "in"), text=("text",), out="folder")
    assert texts(folder) == ["a/1.txt", "b/2.txt"]
    assert folder.left_out == {
        str(tmp_path / "in/b/.hidden.txt"): HIDDEN,
        str(tmp_path / "in/b/_SUCCESS"): HIDDEN,
        str(tmp_path / "in/b/readme.md"): UNKNOWN,
    }
    named = read(tmp_path, str(tmp_path / "in/b/2.txt"), str(tmp_path / "in/*/1.txt"), text=("text",), out="named")
    assert texts(named) == texts(folder)
    with pytest.raises(InputError, match="format must be given for a file with this ending"):
        read(tmp_path, str(tmp_path / "in/b/readme.md"), text=("text",), out="ending")
    assert texts(read(tmp_path, str(tmp_path / "in/b/readme.md"), format="text", out="forced")) == ["b/readme.md"]


def test_a_uri_reads_as_a_path(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.txt", "a\nb\n")
    plain = read(tmp_path, str(tmp_path / "in"), text=("text",), out="plain")
    for number, uri in enumerate((f"file://{tmp_path}/in", f"file://{tmp_path}/in/a.txt")):
        assert texts(read(tmp_path, uri, text=("text",), out=f"uri{number}")) == texts(plain)


def test_files_of_different_columns_are_put_together(tmp_path: Path) -> None:
    first = write_csv(tmp_path / "a.csv", ["text", "n"], [("a", "1")])
    second = write_parquet(tmp_path / "b.parquet", {"text": ["b"], "n": [2], "more": [3.5]})
    rows = read(tmp_path, first, second, text=("text",)).subset_table([1, 0]).to_pylist()
    assert rows == [
        {"rank": 0, "id": 1, "text": "b", "n": "2", "more": 3.5},
        {"rank": 1, "id": 0, "text": "a", "n": "1", "more": None},
    ]


def test_a_split_file_gives_the_same_ids(tmp_path: Path) -> None:
    lines = [f"{i}\n" if i % 5 else "\n" for i in range(60)]
    whole = read(tmp_path, write(tmp_path / "whole.txt", "".join(lines)), text=("text",), out="whole")
    write(tmp_path / "cut" / "a.txt", "".join(lines[:17]))
    write(tmp_path / "cut" / "b.txt", "".join(lines[17:]))
    cut = read(tmp_path, str(tmp_path / "cut"), text=("text",), out="cut")
    columns = ["id", "key", "text", "origin"]
    assert cut.take(cut.ids(), columns) == whole.take(whole.ids(), columns)
    assert [row for _, row, _ in rejects(cut)] == [row for _, row, _ in rejects(whole)]


def written(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*.parquet")}


def test_a_finished_ingest_is_not_done_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "a\nb\n")
    first = read(tmp_path, path, text=("text",))
    before = written(tmp_path / "run" / "rows")
    assert read(tmp_path, path, text=("text",)).index == first.index == RowStore.open(first.run).index
    assert written(tmp_path / "run" / "rows") == before != {}
    write(tmp_path / "a.txt", "a\nc\n")
    with pytest.raises(InputError, match="must hold the rows of this corpus; it holds those of another"):
        read(tmp_path, path, text=("text",))


def test_an_ingest_that_failed_goes_on_after_its_finished_splits(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path / "in" / f"{i}.txt", f"{i}\n\n")
    expected = read(tmp_path, str(tmp_path / "in"), text=("text",), out="expected")
    rows = tmp_path / "run" / "rows"
    in_the_way = rows / "part-00002-00000.parquet" / "folder"  # the third split cannot write its part
    in_the_way.mkdir(parents=True)
    with pytest.raises(InputError, match=r"part-00002-00000\.parquet could not be written"):
        read(tmp_path, str(tmp_path / "in"), text=("text",))
    in_the_way.rmdir()
    in_the_way.parent.rmdir()
    finished = written(rows)
    assert sorted(finished) == ["part-00000-00000.parquet", "part-00001-00000.parquet"]
    steps: list[tuple[int, int]] = []
    store = read(tmp_path, str(tmp_path / "in"), text=("text",), progress=lambda *step: steps.append(step))
    assert steps == [(3, 4), (4, 4)]
    assert finished.items() <= written(rows).items()
    assert store.index == expected.index
    assert rejects(store) == rejects(expected)


def test_what_a_killed_ingest_of_another_corpus_left_is_not_used(tmp_path: Path) -> None:
    def interrupt(done: int, splits: int) -> None:
        raise KeyboardInterrupt

    path = write(tmp_path / "a.txt", "old\n")
    with pytest.raises(KeyboardInterrupt):
        read(tmp_path, path, text=("text",), progress=interrupt)
    assert list((tmp_path / "run" / "rows").glob("part-*"))
    write(tmp_path / "a.txt", "new text\n")
    assert texts(read(tmp_path, path, text=("text",))) == ["new text"]


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "a\n")
    config = CorpusConfig(data=(path,), text=("text",))
    before = input_fingerprint(config)
    os.utime(path, ns=(1, 1))
    assert input_fingerprint(config) == before
    moved = write(tmp_path / "moved" / "b.txt", "a\n")
    assert input_fingerprint(dataclasses.replace(config, data=(moved,))) == before
    write(tmp_path / "a.txt", "b\n")
    content_hash.cache_clear()
    assert input_fingerprint(config) != before


def test_shards_follow_the_size_of_the_input(tmp_path: Path) -> None:
    config = CorpusConfig(data=(write(tmp_path / "a.txt", "a\n" * 500),), text=("text",))
    assert plan_ingest(config).shards == 8
    assert plan_ingest(config, sizes=BlockSizes(shard_bytes=10)).shards == 100
    assert plan_ingest(config, shards=3).shards == 3
    with pytest.raises(InputError, match="shards must be at least 1"):
        plan_ingest(config, shards=0)


@pytest.mark.usefixtures("ray_session")
def test_ray_and_this_process_write_the_same(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for i in range(5):
        words = generator.integers(0, 30, size=40)
        write(tmp_path / "in" / f"{i}.txt", "".join(f"{word}\n" if word else "\n" for word in words))
    config = CorpusConfig(data=(str(tmp_path / "in"),), text=("text",), augment=True, max_rejected=1.0)
    told: list[tuple[int, int]] = []
    asked: list[int] = []

    def on_ray(input_bytes: int) -> bool:
        asked.append(input_bytes)
        return False

    here = ingest(config, RunDir(str(tmp_path / "here")))
    there = ingest(config, RunDir(str(tmp_path / "there")), in_process=on_ray, progress=lambda *step: told.append(step))
    assert asked == [sum(file["bytes"] for file in there.files)]
    assert there.index == here.index
    assert told == [(i, 5) for i in range(1, 6)]
    for shard in range(here.shards):
        assert there.shard(shard) == here.shard(shard)
    assert rejects(there) == rejects(here)


@pytest.mark.fault
@pytest.mark.usefixtures("ray_session")
def test_an_unreadable_file_fails_the_ray_run_by_name(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.txt", "a\n")
    path = write_parquet(tmp_path / "in" / "b.parquet", {"text": [f"some words {i}" for i in range(2000)]})
    content = bytearray(Path(path).read_bytes())
    content[4:200] = b"\xff" * 196
    Path(path).write_bytes(bytes(content))
    config = CorpusConfig(data=(str(tmp_path / "in"),), text=("text",))
    with pytest.raises(InputError, match=r"b\.parquet must be a readable parquet file"):
        ingest(config, RunDir(str(tmp_path / "run")), in_process=lambda _: False)
