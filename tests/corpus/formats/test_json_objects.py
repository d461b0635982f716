"""JSON Lines and arrays: both by either ending, typed once for the whole corpus, given back as written."""

from __future__ import annotations

import gzip
import json
import subprocess

import pyarrow as pa
import pytest

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.block_sizes import BlockSizes
from ray_subsel.corpus.resolve import resolve
from tests.corpus.inputs import read, rejects, texts, write

RECORDS = [{"text": f"text {i}", "n": i, "in": {"deep": [i, None]}} for i in range(40)]


@pytest.mark.parametrize("ending", ["json", "jsonl", "ndjson", "json.gz"])
@pytest.mark.parametrize("form", ["lines", "compact", "pretty"])
def test_arrays_and_lines_are_told_apart_by_what_they_are(tmp_path, ending, form):
    lines = "".join(json.dumps(one) + "\n" for one in RECORDS)
    content = {"lines": lines, "compact": json.dumps(RECORDS), "pretty": json.dumps(RECORDS, indent=2)}[form].encode()
    path = write(tmp_path / f"a.{ending}", gzip.compress(content) if ending.endswith("gz") else content)
    store = read(tmp_path, path, text=("text",))
    assert texts(store) == [one["text"] for one in RECORDS]
    assert store.subset_table([3])["in"].to_pylist() == [{"deep": [3, None]}]
    if form == "pretty":
        assert store.take([1], ["line"])["line"].to_pylist() == [12]


def test_elements_are_read_one_at_a_time(tmp_path):
    long = [{"text": "x" * 1_500_000}, {"text": "y"}, 7, {"text": ']}, {[\\"'}]
    store = read(tmp_path, write(tmp_path / "a.json", json.dumps(long)), text=("text",))
    assert [len(text) for text in texts(store)] == [1_500_000, 1, 8]
    assert rejects(store) == [(1, 2, "broken line: JSON, but not an object")]
    with pytest.raises(InputError, match="an element is too long"):
        read(tmp_path, str(tmp_path / "a.json"), text=("text",), sizes=BlockSizes(max_line=100), out="b")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('[{"text": "a"},\n {"text": "b"}', 2),
        ('[{"text": "a"},\n {"text": "b"', 2),
        ('[{"text": "a"}\n {"text": "b"}]', 1),
        ('[{"text": "a"}]\n[{"text": "b"}]', 1),
        ('[\n{"text": "a"},\n]', 3),
        ('[{"text": "a"},\n{"text": nope}]', 2),
        ('[{"text": "a"},\n{"text": "\xff"}]', 2),
    ],
)
def test_an_array_that_breaks_off_is_refused_by_line(tmp_path, content, line):
    path = write(tmp_path / "a.json", content.encode("latin-1"))
    with pytest.raises(
        InputError, match=rf"a\.json must be one JSON array of objects; from line {line} on|JSON, but not an object"
    ):
        read(tmp_path, path, text=("text",), max_rejected=0.99)


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("between", ["\n", "", " \r\n\n", '\n{"text": "a line"}\n'])
def test_objects_over_many_lines_are_rows(tmp_path, number, between):
    written = [json.dumps(one, indent=2) for one in RECORDS[:number]]
    store = read(tmp_path, write(tmp_path / "a.json", "\n" + between.join(written)), text=("text",))
    expected = [text for one in RECORDS[:number] for text in (one["text"], "a line")][: 2 * number - 1]
    assert texts(store) == [text for text in expected if "line" in between or text != "a line"]
    assert store.take([0], ["line"])["line"].to_pylist() == [2]
    assert store.subset_table([0])["in"].to_pylist() == [{"deep": [0, None]}]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('{\n"text": "a"\n}\n{\n"text": nope\n}', 4),
        ('{\n"text": "a"\n}\n{\n"text": "b"\n', 4),
        ('{\n"text": "a"\n},\n{\n"text": "b"\n}', 1),
        ('{\n"text": "a"\n}\n7', 1),
    ],
)
def test_objects_over_many_lines_that_break_off_are_refused_by_line(tmp_path, content, line):
    with pytest.raises(InputError, match=rf"must be JSON objects, one after the other; from line {line} on"):
        read(tmp_path, write(tmp_path / "a.json", content), text=("text",), max_rejected=0.99)


@pytest.mark.parametrize("first", ['{"text": "cut', '{"text": ', '{"text": nope}', "{", '{"text": "a"} {"text": "b"}'])
def test_a_first_line_that_is_broken_costs_that_row(tmp_path, first):
    """One object a line: that the first is cut does not make it one of many lines."""
    path = write(tmp_path / "a.jsonl", f'{first}\n{{"text": "b"}}\n{{"text": "c"}}\n')
    store = read(tmp_path, path, text=("text",))
    assert (texts(store), rejects(store)) == (["b", "c"], [(1, 0, "broken line: not JSON")])


@pytest.mark.parametrize("indent", [None, 1])
def test_an_object_around_the_rows_is_refused_with_the_command_that_takes_them_out(tmp_path, indent):
    rows = [{"text": "caf\xe9\n\u2028 x"}, {"text": "two"}]
    path = write(tmp_path / "it's.json", json.dumps({"version": 1, "tags": ["a"], "data": rows}, indent=indent))
    settings = {"text": ("text",)}
    for asked in (settings, {}):
        with pytest.raises(InputError, match="Its columns: |Columns of ") as caught:
            if asked:
                read(tmp_path, path, **asked)
            else:
                resolve(CorpusConfig(data=(path,)))
        command = str(caught.value).partition("It is one object with rows in data. Write them one a line: ")[2]
        subprocess.run(command, shell=True, check=True, cwd=tmp_path)
        assert [one["text"] for one in rows] == texts(
            read(tmp_path, str(tmp_path / "rows.jsonl"), out=str(len(asked)), **settings)
        )


def test_a_chat_whose_column_is_missing_is_no_object_around_rows(tmp_path):
    chats = [{"messages": [{"role": "user", "content": "a"}]}] * 2
    path = write(tmp_path / "a.jsonl", "".join(json.dumps(one) + "\n" for one in chats))
    with pytest.raises(InputError, match="Its columns: messages.$"):
        read(tmp_path, path, text=("text",))


def test_types_are_those_of_the_whole_corpus_whichever_rows_are_picked(tmp_path):
    odd = {"text": "odd", "messages": "none", "n": "seven", "meta": 3}
    rows = [
        {"text": f"t{i}", "messages": [{"role": "user", "content": f"c{i}"}], "n": i, "meta": {"a": i, "b": None}}
        for i in range(9)
    ]
    for name, content in (("a", rows[:5]), ("b", [odd]), ("c", rows[5:])):
        write(tmp_path / "in" / f"{name}.jsonl", "".join(json.dumps(one) + "\n" for one in content))
    store = read(tmp_path, str(tmp_path / "in"), text=("text",))
    message = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    for picked in ([0, 8], [5], [0, 5]):
        misfits: dict[str, int] = {}
        table = store.subset_table(picked, misfits)
        assert table.schema.field("messages").type == message
        assert table.schema.field("n").type == pa.string()
        assert table.schema.field("meta").type == pa.struct([("a", pa.int64()), ("b", pa.null())])
        assert misfits == ({"messages": 1, "meta": 1} if 5 in picked else {})
    assert store.subset_table([0, 5])["n"].to_pylist() == ["0", "seven"]
    assert store.subset_table([0])["messages"].to_pylist() == [[{"role": "user", "content": "c0"}]]


@pytest.mark.parametrize(
    ("values", "kind", "kept"),
    [
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([1, True], pa.string(), ["1", "true"]),
        ([1, 2**70], pa.string(), ["1", str(2**70)]),
        ([True, None], pa.bool_(), [True, None]),
        (["a", {"b": 1}], pa.string(), ["a", '{"b": 1}']),
        ([[], [1], [[2]]], pa.list_(pa.string()), [[], ["1"], ["[2]"]]),
        ([{}, {}], pa.string(), ["{}", "{}"]),
        ([None, None], pa.null(), [None, None]),
        ([[1], ["a"], [None]], pa.list_(pa.string()), [["1"], ["a"], [None]]),
        ([{"a": 1}, {"b": "x"}], pa.struct([("a", pa.int64()), ("b", pa.string())]), None),
    ],
)
def test_types_of_json(tmp_path, values, kind, kept):
    content = "".join(json.dumps({"text": "t", "v": value}) + "\n" for value in values)
    table = read(tmp_path, write(tmp_path / "a.jsonl", content), text=("text",)).subset_table(range(len(values)))
    assert table.schema.field("v").type == kind
    if kept is not None:
        assert table["v"].to_pylist() == kept


@pytest.mark.parametrize("option", ["text", "label", "group", "id", "cost"])
def test_a_missing_value_is_no_word(tmp_path, option):
    rows = ['{"text": "a", "v": NaN}', '{"text": "b", "v": null}', '{"text": "c"}', '{"text": "d", "v": 1}']
    path = write(tmp_path / "a.jsonl", "\n".join(rows))
    settings = {"text": ("v",)} if option == "text" else {"text": ("text",), option: "v"}
    store = read(tmp_path, path, **settings)
    if option in ("label", "group"):
        assert store.take(range(4), [option])[option].to_pylist() == [None, None, None, "1"]
    else:
        assert store.ids().tolist() == [3]
