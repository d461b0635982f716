"""CSV and TSV: quotes in pairs, or no guess at what is a row."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from ray_subsel.core.errors import InputError
from tests.corpus.inputs import read, rejects, texts, write

LONG = '"' + "\n".join(f"line {i} of one text" for i in range(70_000)) + '"'


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('text,label\nfirst,x\n"open,x\n' + "row,x\n" * 50, 3),
        ('text\n"open\n' + "row\n" * 50 + '"closed" and more\nrow\n', 2),
        ('text\na\nb\n"ends with the file', 4),
    ],
)
def test_a_quote_without_its_pair_is_refused_by_line_and_no_line_becomes_a_row(tmp_path, content, line):
    with pytest.raises(InputError, match=rf"a\.csv must be CSV with quotes in pairs; .*line {line}\).*--quoting none"):
        read(tmp_path, write(tmp_path / "a.csv", content), text=("text",))
    plain = read(tmp_path, write(tmp_path / "a.csv", content), text=("text",), quoting="none", out="plain")
    assert plain.n_read == content.count("\n") - content.endswith("\n") == len(texts(plain))


def test_a_quoted_text_of_over_a_million_characters_is_one_row(tmp_path):
    store = read(tmp_path, write(tmp_path / "a.csv", f"text\nbefore\n{LONG}\nafter\n"), text=("text",))
    assert len(LONG) > 1_200_000
    assert texts(store) == ["before", LONG.strip('"'), "after"]


def test_a_line_beyond_the_limit_is_one_reject_but_inside_quotes_the_file_is_refused(tmp_path):
    from ray_subsel.corpus.block_sizes import BlockSizes

    long = "x" * 1000
    store = read(
        tmp_path, write(tmp_path / "a.csv", f"text\na\n{long}\nb\n"), text=("text",), sizes=BlockSizes(max_line=99)
    )
    assert (texts(store), rejects(store)) == (["a", "b"], [(3, 1, "broken line: too long")])
    inside = write(tmp_path / "b.csv", f'text\n"a\n{long}"\nb\n')
    with pytest.raises(InputError, match=r"b\.csv .* is too long \(line 2\)"):
        read(tmp_path, inside, text=("text",), sizes=BlockSizes(max_line=99), out="inside")


ODD = ['say "hi"', "two\nlines", "a\ttab", "plain", '"quoted"', "", '"', 'ends with "', "three\n\nlines", '""']


def test_what_pandas_writes_as_tsv_is_read_back(tmp_path):
    frame = pd.DataFrame({"n": range(len(ODD)), "text": ODD, "label": ["x"] * len(ODD)})
    frame.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    store = read(tmp_path, str(tmp_path / "a.tsv"), text=("text",))
    rows = store.subset_table(store.ids())
    assert rows["text"].to_pylist() == [text for text in ODD if text]
    assert store.n_read == len(ODD)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('text\tlabel\n"open\tx\nthe "best"\ty\n', ['"open', 'the "best"']),
        ('text\tlabel\n"Hi," she said.\tx\n"Go"\ty\n', ['"Hi," she said.', '"Go"']),
        ('text\tlabel\n"word"\tx\nplain\ty\n', ['"word"', "plain"]),
        ('"text"\t"label"\n"word"\t"x"\n', ["word"]),
        ('text\tlabel\n"a ""b"" c"\tx\n', ['a "b" c']),
        ('text\n"one\ntwo"\nthree\n', ["one\ntwo", "three"]),
    ],
)
def test_the_fields_of_a_tsv_tell_whether_it_is_quoted(tmp_path, content, expected):
    path = write(tmp_path / "a.tsv", content)
    assert texts(read(tmp_path, path, text=("text",))) == expected


def test_quoting_and_delimiter_can_be_told(tmp_path):
    path = write(tmp_path / "a.tsv", 'text\tlabel\n"word"\tx\n')
    assert texts(read(tmp_path, path, text=("text",), quoting="csv")) == ["word"]
    other = write(tmp_path / "b.csv", 'text;label\n"a; b";x\n')
    assert texts(read(tmp_path, other, text=("text",), delimiter=";", out="b")) == ["a; b"]
    tabs = write(tmp_path / "c.csv", "text\tlabel\na, b\tx\n")
    assert texts(read(tmp_path, tabs, text=("text",), delimiter="tab", out="c")) == ["a, b"]
    with pytest.raises(InputError, match="must hold the rows of this corpus"):
        read(tmp_path, other, text=("text;label",), out="b")


@pytest.mark.parametrize("delimiter", ["", "ab", "\n", '"', "\0"])
def test_a_delimiter_is_one_character(tmp_path, delimiter):
    with pytest.raises(InputError, match="^delimiter must be"):
        read(tmp_path, write(tmp_path / "a.csv", "text\na\n"), text=("text",), delimiter=delimiter)


def test_values_of_csv_are_spelt_as_those_of_formats_with_types(tmp_path):
    rows = [
        ("a", "True", "1.0"),
        ("b", "true", "1"),
        ("c", "FALSE", "x1.0"),
        ("d", "", "1.5"),
        ("e", "truest", "-2.00"),
    ]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("text", "label", "group"), *rows])
    write(tmp_path / "in" / "a.csv", buffer.getvalue())
    write(
        tmp_path / "in" / "b.jsonl",
        '{"text": "f", "label": true, "group": 1.0}\n{"text": "g", "label": "True", "group": 1}',
    )
    pd.DataFrame({"text": ["h"], "label": [True], "group": [1.0]}).to_parquet(tmp_path / "in" / "c.parquet")
    store = read(tmp_path, str(tmp_path / "in"), text=("text",), label="label", group="group")
    taken = store.take(store.ids(), ["label", "group"])
    assert taken["label"].to_pylist() == ["true", "true", "false", None, "truest", "true", "True", "true"]
    assert taken["group"].to_pylist() == ["1", "1", "x1.0", "1.5", "-2", "1", "1", "1"]
