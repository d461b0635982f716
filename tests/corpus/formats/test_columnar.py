"""Parquet and Arrow: every type that Arrow has is read, and given back as it is or as text; never a traceback."""

from __future__ import annotations

import datetime
import decimal
import json

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.block_sizes import BlockSizes
from tests.corpus.inputs import read, texts, write, write_parquet

DAY = datetime.date(2020, 1, 2)
TYPES = {
    "half": pa.array([1.5, np.nan, None], pa.float16()),
    "float": pa.array([0.1, np.nan, None], pa.float32()),
    "decimal": pa.array([decimal.Decimal("1.50"), decimal.Decimal("2.00"), None]),
    "wide decimal": pa.array([decimal.Decimal("1.5"), None, None], pa.decimal256(50, 3)),
    "date": pa.array([DAY, None, DAY]),
    "time": pa.array([datetime.time(1, 2), None, None], pa.time64("ns")),
    "nanoseconds": pa.array([1, 2, None], pa.timestamp("ns", tz="UTC")),
    "duration": pa.array([1, None, 3], pa.duration("ns")),
    "interval": pa.array([(1, 2, 3), None, (0, 0, 1)], pa.month_day_nano_interval()),
    "dictionary": pa.array(["a", None, "b"]).dictionary_encode(),
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["a", None])),
    "view": pa.array(["a", None, "c"], pa.string_view()),
    "bytes": pa.array([b"\x00\xff", None, b""]),
    "fixed bytes": pa.array([b"ab", None, b"cd"], pa.binary(2)),
    "union": pa.UnionArray.from_sparse(
        pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["x", "y", "z"])]
    ),
    "list view": pa.array([[1], None, []], pa.list_view(pa.int64())),
    "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "uuid": pa.array([b"0123456789abcdef", None, None], pa.uuid()),
    "json": pa.array(['{"a": 1}', None, "[]"], pa.json_(pa.string())),
    "tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((3, 2))),
    "no fields": pa.array([{}, None, {}], pa.struct([])),
    "null": pa.nulls(3),
    "far date": pa.array([10**17, None, 5], pa.timestamp("s")),
    "unsigned": pa.array([2**64 - 1, None, 0], pa.uint64()),
}


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("use", ["label", "id", "text", "cost", "none"])
def test_a_column_of_any_type_is_read(tmp_path, name, use):
    table = pa.table({"text": ["a", "b", "c"], "v": TYPES[name]})
    path = str(tmp_path / "a.arrow")
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    settings = {"text": ("v",)} if use == "text" else {"text": ("text",)} | ({use: "v"} if use != "none" else {})
    try:
        store = read(tmp_path, path, **settings)
    except InputError as error:
        if use in ("id", "text", "cost") and "\n" not in str(error):
            return  # no row has a usable value
        raise
    assert store.n_rows + store.n_rejected == 3
    pq.write_table(store.subset_table(store.ids()), tmp_path / "again.parquet")
    if use == "label":
        labels = store.take(store.ids(), ["label"])["label"].to_pylist()
        assert "nan" not in labels
        assert all(label is None or isinstance(label, str) for label in labels)


def test_values_have_one_spelling(tmp_path):
    columns = {"text": ["a", "b", "c"], "v": pa.array([0.1, 1.0, np.nan], pa.float32())}
    store = read(tmp_path, write_parquet(tmp_path / "a.parquet", columns), text=("text",), label="v")
    assert store.take([0, 1, 2], ["label"])["label"].to_pylist() == ["0.1", "1", None]


def test_a_stream_that_ends_before_its_file_does_is_refused(tmp_path):
    """Four zeros in the place of a message's length are the end of a stream: rows after them would be lost."""
    sink = pa.BufferOutputStream()
    table = pa.table({"text": ["one", "two", "three"]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    content = bytearray(sink.getvalue().to_pybytes())
    whole = write(tmp_path / "whole.arrow", bytes(content))
    assert texts(read(tmp_path, whole, text=("text",))) == ["one", "two", "three"]
    third = [at for at in range(len(content)) if content[at : at + 4] == b"\xff" * 4][2]
    content[third + 4 : third + 8] = bytes(4)
    with pytest.raises(InputError, match="it says that it ends after [0-9,]+ of its [0-9,]+ bytes"):
        read(tmp_path, write(tmp_path / "cut.arrow", bytes(content)), text=("text",), out="cut")


def test_a_file_without_columns_is_refused(tmp_path):
    with pa.OSFile(str(tmp_path / "none.arrow"), "wb") as sink, pa.ipc.new_file(sink, pa.schema([])):
        pass
    with pytest.raises(InputError, match="it has no columns"):
        read(tmp_path, str(tmp_path / "none.arrow"), text=("text",))


def test_arrow_files_streams_and_feather(tmp_path):
    table = pa.table({"text": [f"t{i}" for i in range(100)], "n": range(100)})
    with pa.ipc.new_file(str(tmp_path / "file.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=9)
    with pa.ipc.new_stream(str(tmp_path / "stream.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=9)
    pyarrow.feather.write_feather(table, str(tmp_path / "a.feather"), compression="zstd")
    for number, name in enumerate(("file.arrow", "stream.arrow", "a.feather")):
        for cut in (1, 10_000):
            sizes = BlockSizes(split_bytes=cut, batch_rows=7)
            store = read(tmp_path, str(tmp_path / name), text=("text",), out=f"{number}-{cut}", sizes=sizes)
            assert texts(store) == table["text"].to_pylist()
            assert store.take(store.ids(), ["line"])["line"].to_pylist() == list(range(1, 101))
    for name in ("file.arrow", "stream.arrow"):
        content = (tmp_path / name).read_bytes()
        for at in (0, 5, len(content) // 2, len(content) - 9, len(content) - 1):
            with pytest.raises(InputError, match=r"cut\.arrow must be a (readable|whole)"):
                read(tmp_path, write(tmp_path / "cut.arrow", content[:at]), text=("text",), out=f"{name}-{at}")


@pytest.fixture
def news():
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["World", "Art"])}
    )
    rows = {"text": [f"t{i}" for i in range(8)], "label": [i % 2 for i in range(8)]}
    return datasets.Dataset.from_dict(rows, features=features)


def test_a_folder_of_save_to_disk(tmp_path, news):
    news.save_to_disk(str(tmp_path / "ds"), num_shards=3)
    store = read(tmp_path, str(tmp_path / "ds"), text=("text",), label="label")
    assert texts(store) == [f"t{i}" for i in range(8)]
    assert store.label_names() == ["Art", "World"]
    store.run.write_table("subset.parquet", store.subset_table([3, 0]))
    again = datasets.Dataset.from_parquet(str(tmp_path / "run" / "subset.parquet"), cache_dir=str(tmp_path / "cache"))
    assert again.features["label"] == news.features["label"]
    assert again["label"] == [1, 0]
    (tmp_path / "ds" / "data-00001-of-00003.arrow").unlink()
    with pytest.raises(InputError, match=r"must have all files that state.json names.*data-00001-of-00003.arrow is"):
        read(tmp_path, str(tmp_path / "ds"), text=("text",), out="gone")


def test_a_folder_of_several_splits_reads_them_all_and_nothing_beside(tmp_path, news):
    datasets.DatasetDict({"train": news, "test": news}).save_to_disk(str(tmp_path / "ds"))
    write(tmp_path / "ds" / "train" / "cache-1.arrow", "left by a map")
    store = read(tmp_path, str(tmp_path / "ds"), text=("text",), label="label")
    assert store.n_rows == 16
    assert {path.rsplit("/", 1)[1] for path in store.left_out} == {
        *("cache-1.arrow", "dataset_dict.json", "dataset_info.json", "state.json")
    }


def test_types_of_several_files_are_widened_once(tmp_path):
    write_parquet(tmp_path / "in" / "a.parquet", {"text": ["a"], "n": pa.array([1], pa.int32()), "tags": [["x"]]})
    write_parquet(tmp_path / "in" / "b.parquet", {"text": ["b"], "n": pa.array([2.5]), "more": [{"x": 1}]})
    write_parquet(tmp_path / "in" / "c.parquet", {"text": ["c"], "tags": pa.array([[1]]), "more": [{"y": [1]}]})
    write(tmp_path / "in" / "d.jsonl", json.dumps({"text": "d", "n": 4, "tags": ["z"], "more": {"x": 5}}) + "\n")
    store = read(tmp_path, str(tmp_path / "in"), text=("text",))
    for picked in ([0], [1, 2], [0, 1, 2, 3]):
        schema = store.subset_table(picked).schema
        assert schema.field("n").type == pa.float64()
        assert pa.types.is_list(schema.field("tags").type)
        assert schema.field("more").type == pa.struct([("x", pa.int64()), ("y", pa.list_(pa.int64()))])
    assert store.subset_table([0, 1, 2, 3])["n"].to_pylist() == [1.0, 2.5, None, 4.0]
    assert store.subset_table([3])["more"].to_pylist() == [{"x": 5, "y": None}]
