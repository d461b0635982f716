"""Numbers of a column of the input."""

import numpy as np
import pyarrow as pa
import pytest

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.row_values import MISSING, check_number_column, numbers_of, row_values
from tests.corpus.inputs import read, write, write_csv


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["1", " 2.5 ", "", "high", "nan", "inf", None], [1.0, 2.5, *[MISSING] * 5]),
        ([1, None, 3], [1.0, MISSING, 3.0]),
        ([0.5, float("nan"), float("inf")], [0.5, MISSING, MISSING]),
        ([True, False, None], [1.0, 0.0, MISSING]),
        ([[1], None], [MISSING, MISSING]),
    ],
)
def test_what_is_a_number(values, numbers):
    assert numbers_of(pa.chunked_array([pa.array(values)])).tolist() == numbers


def test_rows_of_files_of_different_types(tmp_path):
    write_csv(tmp_path / "in" / "a.csv", ["text", "score"], [["one", "0.5"], ["two", "best"], ["three", "-1"]])
    write(tmp_path / "in" / "b.jsonl", '{"text": "four", "score": 7}\n{"text": "five"}\n')
    rows = read(tmp_path, str(tmp_path / "in"), text=("text",))
    assert row_values(rows, np.array([3, 0, 4, 1, 2]), "score").tolist() == [7.0, 0.5, MISSING, MISSING, -1.0]
    assert row_values(rows, np.zeros(0, dtype=np.int64), "score").size == 0


def test_a_column_that_is_not_there_is_named(tmp_path):
    data = write_csv(tmp_path / "a.csv", ["text", "score"], [["one", "0.5"]])
    corpus = CorpusConfig(data=(data,), text=("text",))
    check_number_column(corpus, "score", "keep_best")
    with pytest.raises(InputError, match=r"keep_best must be a column of .*a\.csv; got 'stars'. Its columns: text, sc"):
        check_number_column(corpus, "stars", "keep_best")
