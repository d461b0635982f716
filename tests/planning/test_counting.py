"""Rows, characters and groups of a corpus before it is read."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.config import CorpusConfig
from ray_subsel.corpus.files import list_files
from ray_subsel.corpus.ingest_plan import plan_ingest
from ray_subsel.planning.counting import count_corpus, count_rows


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.jsonl"
    rows = [{"body": "x" * (10 + i % 3), "kind": f"k{i % 5}", "other": "y" * 200} for i in range(3_000)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return CorpusConfig(data=(str(path),), text=("body",), group="kind")


def test_a_small_file_of_texts_is_counted_and_a_large_one_estimated(texts):
    found = count_corpus(plan_ingest(texts))
    assert (found.rows, found.exact) == (3_000, True)
    assert found.characters == pytest.approx(11)  # of the text alone
    assert found.groups == 5
    found = count_corpus(plan_ingest(texts), counted_bytes=1_000)
    assert not found.exact
    assert found.rows == pytest.approx(3_000, rel=0.5)


def test_copies_that_will_be_added_count_and_make_it_an_estimate(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text\n" + "".join(f"row {i}\n" for i in range(50)))
    found = count_corpus(plan_ingest(CorpusConfig(data=(str(path),), text=("text",), augment=True)))
    assert (found.rows, found.exact) == (100, False)


def test_parquet_is_counted_from_its_metadata_and_vectors_have_no_characters(tmp_path):
    for number in range(2):
        values = pa.FixedSizeListArray.from_arrays(pa.array([1.0] * 4 * 250, pa.float32()), 4)
        pq.write_table(pa.table({"v": values}), tmp_path / f"{number}.parquet")
    corpus = CorpusConfig(data=(str(tmp_path),), vectors="v")
    files, _ = list_files(corpus)
    assert [count_rows(file, counted_bytes=1) for file in files] == [(250, True), (250, True)]
    found = count_corpus(plan_ingest(corpus))
    assert (found.rows, found.characters, found.groups, found.dimension) == (500, 0.0, 1, 4)
