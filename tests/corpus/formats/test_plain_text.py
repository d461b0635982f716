"""Plain text: a line, a paragraph or a file a row."""

from __future__ import annotations

import pytest

from ray_subsel.config import CorpusConfig
from ray_subsel.corpus.ingest_plan import input_fingerprint
from tests.corpus.inputs import read, rejects, texts, write

CONTENT = "\none\ntwo \n\n \nthree\r\n\r\n\n"


@pytest.mark.parametrize(
    ("form", "expected", "lines"),
    [
        ("text", ["one", "two", "three"], [2, 3, 6]),
        ("paragraphs", ["one\ntwo", "three"], [2, 6]),
        ("documents", ["one\ntwo \n\n \nthree"], [1]),
    ],
)
def test_a_row_is_a_line_a_paragraph_or_a_file(tmp_path, form, expected, lines):
    store = read(tmp_path, write(tmp_path / "a.txt", CONTENT), format=form)
    assert texts(store) == expected
    assert store.take(store.ids(), ["line"])["line"].to_pylist() == lines


def test_documents_know_their_file(tmp_path):
    for name in ("a", "b", "empty"):
        write(tmp_path / "in" / f"{name}.md", name * (name != "empty"))
    store = read(tmp_path, str(tmp_path / "in"), format="documents", id="file", max_rejected=0.5)
    assert store.take(store.ids(), ["source_id"])["source_id"].to_pylist() == ["a.md", "b.md"]
    assert rejects(store) == [(1, 2, "empty text")]


def test_the_form_is_part_of_the_content(tmp_path):
    path = write(tmp_path / "a.txt", CONTENT)
    prints = {
        input_fingerprint(CorpusConfig(data=(path,), format=form)) for form in ("text", "paragraphs", "documents")
    }
    assert len(prints) == 3
