"""Any bytes in any format: every row is read or rejected with its reason, or the file is refused on one line."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.block_sizes import BlockSizes
from ray_subsel.corpus.files import ENDINGS, list_files
from ray_subsel.corpus.formats import format_for
from ray_subsel.corpus.in_memory import rows_of_table
from ray_subsel.corpus.ingest import ingest
from ray_subsel.corpus.ingest_plan import schema_of
from ray_subsel.corpus.reading import Reading
from ray_subsel.corpus.validate import canonical
from ray_subsel.storage.run_directory import RunDir
from tests.corpus.inputs import write

FUZZ = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
SMALL = BlockSizes(split_bytes=64, batch_rows=3, max_line=200, max_field=150)

characters = st.sampled_from("a\"',;\t\n\r\0{}[]:\\é\u200b\ufeff€😀\x85\u2028")
texts = st.text(characters, max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
records = st.lists(st.dictionaries(st.sampled_from(["text", "v", "messages", "a.b"]), values, max_size=4), max_size=6)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252", "shift_jis")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def one_line(error: InputError) -> None:
    assert "\n" not in str(error)


def account(path: str, **more: object) -> int | None:
    """Read a file whole, in pieces and in small batches; return its rows, or None where it is refused on one line."""
    config = CorpusConfig(data=(path,), text=("text",), label="v", group="a.b", **more)
    (file,), _ = list_files(config)
    reader = format_for(file)
    try:
        schema_of(file)
        rows = 0
        for piece in reader.pieces(file, SMALL.split_bytes):
            start = 0
            for batch in reader.batches(file, piece, SMALL):
                table, rejects = canonical(batch, Reading(config, ("text",)))
                numbers = sorted([*table["id"].to_pylist(), *(one.row for one in rejects)])
                assert numbers == list(range(start, start + len(numbers)))
                assert all(one.reason and "\n" not in one.detail for one in rejects)
                pq.write_table(table, pa.BufferOutputStream())
                start += len(numbers)
            rows += start
    except InputError as error:
        return one_line(error)
    known = reader.count(file)
    assert known is None or known == rows
    return rows


@FUZZ
@given(st.binary(max_size=120), st.sampled_from(sorted(ENDINGS)), st.sampled_from(ENCODINGS))
def test_no_bytes_make_a_reader_fail(folder, content, ending, encoding):
    account(write(folder / f"a{ending}", content), encoding=encoding)
    account(write(folder / f"b{ending}", gzip.compress(content)), encoding=encoding)
    account(write(folder / f"c{ending}", b'text,v\n"' + content), encoding=encoding)


@FUZZ
@given(records, st.sampled_from(["lines", "array", "pretty"]), st.integers(0, 10_000))
def test_every_object_counts_and_a_cut_file_loses_none_in_silence(folder, rows, form, cut):
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    content = {"lines": lines, "array": json.dumps(rows), "pretty": json.dumps(rows, indent=1)}[form]
    counted = account(write(folder / "a.json", content))
    assert counted == len(rows)
    at = cut % (len(content) + 1)
    part = account(write(folder / "cut.json", content[:at]))
    if form == "lines":
        assert part == content[:at].count("\n") + bool(content[:at].split("\n")[-1].strip())
    elif part is not None:  # cut before it began, or behind its bracket; a first line alone is one broken row
        assert not content[:at].strip() or content[:at].strip() == content.strip() or part <= 1


@FUZZ
@given(records, st.sampled_from(["", "\n", " \n\n"]), st.integers(0, 10_000))
def test_objects_over_lines_count_and_a_cut_file_is_refused_where_it_is_cut(folder, rows, between, cut):
    written = [json.dumps(row, indent=1) for row in ({"v": 1}, *rows)]
    content = between.join(written)
    assert account(write(folder / "a.json", content)) == len(written)
    at = cut % (len(content) + 1)
    part = account(write(folder / "cut.json", content[:at]))
    whole, end = 0, 0
    while whole < len(written) and (next_end := content.index(written[whole], end) + len(written[whole])) <= at:
        whole, end = whole + 1, next_end
    if whole:
        assert part == (None if content[end:at].strip() else whole)
    else:  # not even an object: each line is one that is no JSON
        assert part == sum(1 for line in content[:at].split("\n") if line.strip())


@FUZZ
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=6), st.sampled_from([",", "\t", ";"]))
def test_what_a_csv_writer_writes_is_counted_row_by_row(folder, rows, delimiter):
    clean = [[one.replace("\0", "").replace("\r", "") for one in row] for row in rows]
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
        [["text", "v"], *clean]
    )
    for ending in ("csv", "tsv"):
        path = write(folder / f"a.{ending}", buffer.getvalue())
        assert account(path, delimiter=delimiter) == len(rows)


@FUZZ
@example(8706, 0, "parquet")  # the footer says another number of rows than there is
@example(1108, 0, "stream")  # the schema has lost its fields
@example(6756, 0, "npy")  # the header is no Python that could be taken apart
@given(
    st.integers(0, 10_000), st.integers(0, 255), st.sampled_from(["parquet", "arrow", "stream", "npy", "safetensors"])
)
def test_a_byte_that_is_damaged_or_lost_is_no_traceback(folder, at, byte, form):
    table = pa.table({"text": ["one", "two", None], "v": [[1.0], None, [2.0, 3.0]], "a.b": ["x", "y", "z"]})
    buffer = io.BytesIO()
    if form == "parquet":
        pq.write_table(table, buffer, row_group_size=2)
    elif form == "npy":
        np.save(buffer, np.arange(6.0).reshape(3, 2))
    elif form == "safetensors":
        from safetensors.numpy import save

        buffer.write(save({"v": np.arange(6.0).reshape(3, 2), "label": np.arange(3)}))
    else:
        with (pa.ipc.new_file if form == "arrow" else pa.ipc.new_stream)(buffer, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    content = bytearray(buffer.getvalue())
    ending = "arrow" if form == "stream" else form
    at %= len(content)
    assert account(write(folder / f"cut.{ending}", bytes(content[:at]))) is None
    content[at] = byte
    assert account(write(folder / f"hurt.{ending}", bytes(content))) in (None, 3)


kinds = st.sampled_from(
    [
        *(pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.large_string()),
        *(pa.binary(), pa.date32(), pa.date64(), pa.time32("s"), pa.timestamp("ns", "UTC"), pa.timestamp("s")),
        *(pa.duration("us"), pa.decimal128(9, 2), pa.month_day_nano_interval(), pa.string_view(), pa.null(), pa.uuid()),
        pa.dictionary(pa.int8(), pa.string()),
    ]
)
nested = st.recursive(
    kinds,
    lambda inner: (
        st.builds(pa.list_, inner)
        | st.builds(lambda one: pa.list_(one, 2), inner)
        | st.builds(lambda one: pa.struct([("a", one)]), inner)
        | st.builds(lambda one: pa.map_(pa.string(), one), inner)
    ),
    max_leaves=3,
)


@FUZZ
@given(nested, st.sampled_from(["text", "label", "group", "id", "cost", "none"]), st.integers(1, 4))
def test_any_type_in_any_place(kind, place, rows):
    column = pa.nulls(rows, kind)
    with contextlib.suppress(pa.ArrowException, TypeError):  # where 0 is a value of the type; else nulls alone
        column = pa.concat_arrays([column, pa.array([0]).cast(kind)])
    table = pa.table({"text": ["t"] * len(column), "v": column})
    settings_of = {"text": ("v",)} if place == "text" else {"text": ("text",)}
    settings_of |= {} if place in ("text", "none") else {place: "v"}
    try:
        found, rejects = rows_of_table(table, CorpusConfig(**settings_of))
    except InputError as error:
        one_line(error)
        return
    assert found.num_rows + len(rejects) == table.num_rows
    pq.write_table(found, pa.BufferOutputStream())


USER = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
PLACES = {
    "messages": ({"task": "chat"}, {"messages": USER}),
    "conversations": ({"task": "chat"}, {"conversations": [{"from": "human", "value": "one"}]}),
    "pair": ({"task": "chat", "embed": "response"}, {"prompt": "one", "chosen": USER, "rejected": "three"}),
    "turn": ({"task": "chat", "embed": "prompt"}, {"instruction": "one", "output": "two"}),
    "nested": ({"text": ("v.content",)}, {"v": {"content": "one"}}),
    "list": ({"text": ("v.0.content", "text")}, {"v": USER}),
    "template": ({"template": "{text}: {v.content}"}, {"v": {"content": "one"}}),
    "question": (
        {"task": "multiple-choice", "context": ("text",), "choices": ("v", "w"), "answer": "a.b", "answers": "0-based"},
        {"v": "one", "w": "two", "a.b": 1},
    ),
    "vectors": ({"vectors": "v"}, {"v": [1.0, 2.0]}),
    "columns": (
        {"text": ("text",), "label": "v", "group": "w", "id": "a.b", "cost": "v", "quality": "w"},
        {"v": 1, "w": 2, "a.b": "own"},
    ),
}
"""What a row is read for, and a row that can be used."""
turns = st.dictionaries(st.sampled_from(["role", "content", "from", "value"]), values, max_size=3)
anything = values | st.lists(turns, max_size=3) | st.lists(st.floats(), min_size=2, max_size=2)


@FUZZ
@given(st.data(), st.sampled_from(sorted(PLACES)), st.booleans())
def test_any_value_in_any_place_of_a_row_is_used_or_rejected(folder, data, place, as_table):
    """Chats, templates, paths, choices, vectors: beside a row that can be used, others of whatever JSON can hold."""
    asked, good = PLACES[place]
    names = st.sampled_from(["text", "v", "w", "a.b", *good])
    rows = [{"text": "t", **good}, *data.draw(st.lists(st.dictionaries(names, anything), min_size=1, max_size=5))]
    path = write(folder / "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    if as_table:
        path = str(folder / "rows.parquet")
        try:
            pq.write_table(pa.Table.from_pylist(rows), path)
        except (pa.ArrowException, OverflowError):  # values that are of no one type
            return
    run = RunDir(str(folder / "run"))
    run.delete("")
    store = ingest(CorpusConfig(data=(path,), max_rejected=1.0, **asked), run)
    assert 1 <= store.n_rows <= len(rows) == store.n_rows + store.n_rejected
    assert store.subset_table(store.ids().tolist()).num_rows == store.n_rows
