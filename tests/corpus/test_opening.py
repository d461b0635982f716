"""What a text file is, its first bytes tell: how it is compressed, in which encoding, how its lines end."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import sys
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main
from ray_subsel.core.errors import InputError
from tests.corpus.inputs import read, rejects, texts, write

LINES = ["text,label", "höchst,x", "schön,y"]


def zstd(content):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("press", [gzip.compress, bz2.compress, zstd, bytes])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.zst"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_compression_and_line_ends_are_seen_not_named(tmp_path, press, name, end):
    path = write(tmp_path / name, press((end.join(LINES) + end).encode()))
    store = read(tmp_path, path, text=("text",))
    assert texts(store) == ["höchst", "schön"]
    assert store.take(store.ids(), ["line"])["line"].to_pylist() == [2, 3]


def test_a_shard_with_old_line_ends_beside_good_ones_loses_nothing(tmp_path):
    for number, end in enumerate(("\n", "\r", "\r\n")):
        write(tmp_path / "in" / f"{number}.jsonl", end.join(f'{{"text": "t{number}{i}"}}' for i in range(200)))
    assert read(tmp_path, str(tmp_path / "in"), text=("text",)).n_rows == 600


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-8-sig"])
def test_encodings(tmp_path, encoding):
    path = write(tmp_path / "a.csv", "\n".join(LINES).encode(encoding))
    told = {} if encoding in ("utf-16", "utf-32", "utf-8-sig") else {"encoding": encoding}
    assert texts(read(tmp_path, path, text=("text",), **told)) == ["höchst", "schön"]


def test_bytes_that_an_encoding_does_not_know_are_rejected_by_line(tmp_path):
    content = "text\nあ\n".encode("shift_jis") + b"\x81\xff\n" + "い\n".encode("shift_jis")
    store = read(tmp_path, write(tmp_path / "a.csv", content), text=("text",), encoding="shift_jis")
    assert texts(store) == ["あ", "い"]
    assert rejects(store) == [(3, 1, "not SHIFT_JIS")]
    with pytest.raises(InputError, match="^encoding must be one that Python knows"):
        read(tmp_path, write(tmp_path / "a.csv", content), text=("text",), encoding="klingon")


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", "text\na\n")
    return buffer.getvalue()


def saved():
    buffer = io.BytesIO()
    np.save(buffer, np.ones((2, 2)))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (zipped(), "a zip archive. Unpack it first"),
        (saved(), "an array of numpy. Use --format npy"),
        (pd.DataFrame({"text": ["a"]}).to_parquet(), "a Parquet file. Use --format parquet"),
        (b"%PDF-1.4", "a PDF"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt", "a.tsv"])
def test_another_kind_of_file_is_named_for_what_it_is(tmp_path, content, what, name):
    with pytest.raises(InputError, match=rf"{name} must be a \w+ file; it is {what}"):
        read(tmp_path, write(tmp_path / name, content), text=("text",))


def test_a_compressed_file_that_is_cut_off_is_unreadable(tmp_path):
    content = gzip.compress(("text\n" + "\n".join(map(str, range(9999)))).encode())
    with pytest.raises(InputError, match=r"a\.csv\.gz must be a readable csv file"):
        read(tmp_path, write(tmp_path / "a.csv.gz", content[: len(content) // 2]), text=("text",))


@pytest.mark.parametrize(
    ("flags", "content"),
    [
        ([], b'{"text": "a one"}\n{"text": "b two"}\n{"text": "c three"}\n'),
        ([], json.dumps([{"text": one} for one in ("a one", "b two", "c three")], indent=1).encode()),
        (["--format", "csv"], b"text\na one\nb two\nc three\n"),
        (["--format", "text"], b"a one\nb two\nc three\n"),
        ([], "parquet"),
        (["--format", "jsonl"], gzip.compress(b'{"text": "a one"}\n{"text": "b two"}\n{"text": "c three"}\n', mtime=0)),
    ],
)
def test_standard_input_is_read_as_a_file_is(tmp_path, monkeypatch, flags, content):
    if content == "parquet":
        buffer = io.BytesIO()
        pq.write_table(pa.table({"text": ["a one", "b two", "c three"]}), buffer)
        content = buffer.getvalue()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    command = ["select", "-", *flags, "--embedder", "tfidf", "--vector-size", "8", "--k", "3", "--recipe", "none"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    chosen = pq.read_table(tmp_path / "run" / "subset.parquet").to_pylist()
    assert {row["id"]: row["text"] for row in chosen} == {0: "a one", 1: "b two", 2: "c three"}


def test_standard_input_that_does_not_tell_what_it_is_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"text\na\n")))
    assert main(["select", "-", "--k", "1", "--out", str(tmp_path / "run")]) == 2
    assert "--format must be given for standard input that is neither JSON nor Parquet" in capsys.readouterr().err
