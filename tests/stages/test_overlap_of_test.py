"""Training rows that repeat the test file are counted, and told."""

from ray_subsel.config import CorpusConfig
from ray_subsel.corpus.ingest import ingest
from ray_subsel.stages.overlap_of_test import Overlapping, overlap_of_test
from ray_subsel.storage.run_directory import RunDir
from tests.corpus.inputs import write_csv

LONG = " ".join(f"word{i}" for i in range(30))


def read(tmp_path, name, texts):
    data = write_csv(tmp_path / f"{name}.csv", ["text"], [[text] for text in texts])
    return ingest(CorpusConfig(data=(data,), text=("text",)), RunDir(str(tmp_path / name)))


def test_repeats_are_counted_once_a_directory(tmp_path):
    rows = read(tmp_path, "rows", ["A cat.", "a cat", "a dog", "so " + LONG[:120] + " on", "nothing of it"])
    test = read(tmp_path, "test", ["a CAT!", LONG, "a bird"])
    found = overlap_of_test(rows, test, lambda size: size > 0)
    assert found == Overlapping(rows=5, equal=2, ngram=1)
    assert found.warnings("test.csv") == [
        "3 of 5 rows repeat rows of the test file (2 equal, 1 by words in a row): accuracy is too high by them; "
        "--against test.csv leaves them out"
    ]
    again = overlap_of_test(rows, test, lambda size: 1 / 0)  # kept: nothing is compared
    assert again == found


def test_no_repeat_is_no_warning(tmp_path):
    rows, test = read(tmp_path, "rows", ["a cat", "a dog"]), read(tmp_path, "test", ["a bird"])
    found = overlap_of_test(rows, test, lambda size: True)
    assert (found, found.warnings("test.csv")) == (Overlapping(2, 0, 0), [])
