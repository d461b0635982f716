"""JSON Lines and arrays: both by either ending, typed once for the whole corpus, given back as written."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.block_sizes import BlockSizes
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


def test_an_object_over_many_lines_is_an_error_that_names_the_file(tmp_path):
    write(tmp_path / "in" / "a.jsonl", '{"text": "fine"}\n' * 100)
    write(tmp_path / "in" / "b.json", json.dumps({"data": RECORDS[:1]}, indent=1))
    with pytest.raises(InputError, match=r"b\.json must hold a usable row .*not JSON"):
        read(tmp_path, str(tmp_path / "in"), text=("text",), max_rejected=0.5)


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
