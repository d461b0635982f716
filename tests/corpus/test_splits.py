"""Every format, down to the last line: what is read, and which line is to blame for what is not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.block_sizes import BlockSizes
from ray_subsel.corpus.files import list_files
from ray_subsel.corpus.formats import format_for
from ray_subsel.corpus.ingest import plan_ingest
from tests.corpus.inputs import read, rejects, texts, write, write_csv, write_parquet

WRONG_FIELDS = "broken line: wrong number of fields"


def test_csv_with_bom_crlf_unicode_and_quoted_newlines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b'\xef\xbb\xbftext,more\r\n"one\r\ntwo, ""three""",x\r\n\xc3\xa9t\xc3\xa9,y')
    store = read(tmp_path, path, text=("text",))
    assert texts(store) == ['one\r\ntwo, "three"', "été"]
    assert store.take([0, 1])["src.more"].to_pylist() == ["x", "y"]
    assert store.take([0, 1])["line"].to_pylist() == [2, 4]


def test_csv_rejects_name_the_line_where_the_row_begins(tmp_path: Path) -> None:
    content = (
        b'text,label\n"a\nb",x\n\ntoo,many,fields\nshort\n,empty\nbad \xff byte,x\nnul\0,x\n"after" quote,x\nlast,x\n'
    )
    store = read(tmp_path, write(tmp_path / "a.csv", content), text=("text",))
    assert texts(store) == ["a\nb", "last"]
    assert store.ids().tolist() == [0, 7]
    assert rejects(store) == [
        (5, 1, WRONG_FIELDS),
        (6, 2, WRONG_FIELDS),
        (7, 3, "empty text"),
        (8, 4, "not UTF-8"),
        (9, 5, "broken line: NUL character"),
        (10, 6, "broken line: text after a closing quote"),
    ]


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    store = read(
        tmp_path, write(tmp_path / "a.txt", "a\n" + "x" * 1000 + "\nb\n"), text=("text",), sizes=BlockSizes(max_line=64)
    )
    assert rejects(store) == [(2, 1, "broken line: too long")]
    assert texts(store) == ["a", "b"]


def test_tsv_knows_no_quotes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'text\tlabel\n"open\tx\nthe "best"\ty\nonly one\n')
    store = read(tmp_path, path, text=("text",))
    assert texts(store) == ['"open', 'the "best"']
    assert rejects(store) == [(4, 2, WRONG_FIELDS)]


def test_jsonl_rejects(tmp_path: Path) -> None:
    content = b"\n".join(
        [
            b'{"text": "a", "n": 1}',
            b"",
            b"{broken",
            b"[1]",
            b'{"n": 2}',
            b'{"text": null}',
            b'{"text": ["list"]}',
            b'{"text": "\\ud800"}',
            b'{"text": "\xff"}',
            b'{"text": "pair \\ud83d\\ude00", "n": 2.5}',
        ]
    )
    store = read(tmp_path, write(tmp_path / "a.jsonl", content), text=("text",))
    assert rejects(store) == [
        (3, 1, "broken line: not JSON"),
        (4, 2, "broken line: JSON, but not an object"),
        (5, 3, "empty text"),
        (6, 4, "empty text"),
        (7, 5, "text is not a string"),
        (8, 6, "not UTF-8"),
        (9, 7, "not UTF-8"),
    ]
    assert texts(store) == ["a", "pair \U0001f600"]
    assert store.subset_table([0, 8])["n"].to_pylist() == [1.0, 2.5]


def test_json_values_of_mixed_kinds_are_kept_as_json_text(tmp_path: Path) -> None:
    values = [{"a": [1, "x"]}, 3, "as it is", None, 2**70]
    content = "".join(json.dumps({"text": "t", "v": value}) + "\n" for value in values)
    store = read(tmp_path, write(tmp_path / "a.jsonl", content), text=("text",))
    assert store.subset_table(range(5))["v"].to_pylist() == ['{"a": [1, "x"]}', "3", "as it is", None, str(2**70)]


def test_plain_text_is_a_line_a_text(tmp_path: Path) -> None:
    store = read(tmp_path, write(tmp_path / "a.txt", "one\r\n\r\n  two \nthree"), format="text")
    assert texts(store) == ["one", "two", "three"]
    assert rejects(store) == [(2, 1, "empty text")]


def test_parquet_counts_rows_and_keeps_types(tmp_path: Path) -> None:
    columns = {"body": ["a", None, "c", " "], "n": [1, 2, 3, 4], "tags": [["x"], [], None, ["y", "z"]]}
    store = read(tmp_path, write_parquet(tmp_path / "a.parquet", columns), text=("body",))
    assert rejects(store) == [(2, 1, "empty text"), (4, 3, "empty text")]
    taken = store.take([2, 0])
    assert taken["src.n"].to_pylist() == [3, 1]
    assert taken["src.tags"].to_pylist() == [None, ["x"]]
    assert pa.types.is_int64(taken.schema.field("src.n").type)


def test_parquet_splits_of_row_groups_make_the_same_rows(tmp_path: Path) -> None:
    columns = {"text": [f"t{i}" if i % 7 else "" for i in range(100)]}
    path = write_parquet(tmp_path / "a.parquet", columns, row_group_size=9)
    whole = read(tmp_path, path, text=("text",), out="whole")
    sizes = BlockSizes(split_bytes=1)
    assert len(plan_ingest(CorpusConfig(data=(path,), text=("text",)), sizes=sizes).splits) == 12
    cut = read(tmp_path, path, text=("text",), out="cut", sizes=sizes)
    assert rejects(cut) == rejects(whole)
    assert cut.take(cut.ids(), ["id", "text", "line"]) == whole.take(whole.ids(), ["id", "text", "line"])


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "txt"])
def test_compressed_files_read_as_plain_ones(tmp_path: Path, ending: str) -> None:
    content = {"csv": "text\na\nb\n", "tsv": "text\na\nb\n", "jsonl": '{"text":"a"}\n{"text":"b"}\n', "txt": "a\nb\n"}
    path = write(tmp_path / f"a.{ending}.gz", gzip.compress(content[ending].encode()))
    assert texts(read(tmp_path, path, text=("text",))) == ["a", "b"]


def test_batches_are_bounded_and_lose_no_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "".join(f"{i}\n" for i in range(20_000)))
    (file,), _ = list_files(CorpusConfig(data=(path,), text=("text",)))
    batches = list(format_for(file).batches(file))
    assert [batch.columns.rows for batch in batches] == [8192, 8192, 3616]
    assert [row for batch in batches for row in batch.rows.tolist()] == list(range(20_000))
    assert [line for batch in batches for line in batch.lines.tolist()] == list(range(1, 20_001))


# Characters that matter to CSV, and a few that matter to encodings.
field = st.text(st.sampled_from('a,"\n \té€'), max_size=6)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(field, field), min_size=1, max_size=8))
def test_what_csv_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    path = write_csv(tmp_path_factory.mktemp("csv") / "a.csv", ["a", "b"], rows)
    (file,), _ = list_files(CorpusConfig(data=(path,), text=("a",)))
    found = [tuple(row.values()) for batch in format_for(file).batches(file) for row in batch.columns.table.to_pylist()]
    assert found == rows


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_no_bytes_make_csv_lose_lines(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.mktemp("csv") / "a.csv", b"text,b\n" + content)
    (file,), _ = list_files(CorpusConfig(data=(path,), text=("text",)))
    rows = 0
    try:
        for batch in format_for(file).batches(file):
            numbers = sorted([*batch.rows.tolist(), *(reject.row for reject in batch.rejects)])
            assert numbers == list(range(rows, rows + len(numbers)))
            rows += len(numbers)
    except InputError as error:
        assert b'"' in content and "with quotes in pairs" in str(error)  # noqa: PT017, PT018 - either is right
    # A row takes a line at least, and lines with nothing on them are no rows.
    assert rows <= content.count(b"\n") + 1


def test_a_file_that_is_not_what_it_says(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.parquet must be a readable parquet file"):
        read(tmp_path, write(tmp_path / "a.parquet", "no"), text=("text",))
    with pytest.raises(InputError, match="must name each column once; got text more than once"):
        read(tmp_path, write(tmp_path / "b.csv", "text,text\na,b\n"), text=("text",))
