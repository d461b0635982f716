"""A selection is a sequence of rows, an index and a table."""

import numpy as np
import pandas as pd
import pytest

from ray_subsel import InputError, select
from tests.without import run_without

X = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32)
CHOSEN = select(X, 7)
ROWS = CHOSEN.indices


def test_it_is_a_sequence_of_row_numbers():
    assert list(CHOSEN) == ROWS.tolist()
    assert all(type(row) is int for row in CHOSEN)
    assert (CHOSEN[0], CHOSEN[-1], len(CHOSEN)) == (int(ROWS[0]), int(ROWS[-1]), 7)
    assert CHOSEN[1:3].tolist() == ROWS[1:3].tolist()
    assert int(ROWS[3]) in CHOSEN


def test_it_is_an_index():
    np.testing.assert_array_equal(X[CHOSEN], X[ROWS])
    np.testing.assert_array_equal(np.asarray(CHOSEN), ROWS)
    assert np.asarray(CHOSEN, dtype=np.int32).dtype == np.int32
    frame = pd.DataFrame(X)
    pd.testing.assert_frame_equal(frame.iloc[CHOSEN], frame.iloc[ROWS])
    torch = pytest.importorskip("torch")
    assert torch.equal(torch.from_numpy(X)[CHOSEN], torch.from_numpy(X[ROWS]))
    datasets = pytest.importorskip("datasets")
    assert datasets.Dataset.from_dict({"n": list(range(40))}).select(CHOSEN)["n"] == ROWS.tolist()


def test_a_copy_is_a_copy():
    copy = np.array(CHOSEN)
    copy[:] = -1
    assert (ROWS >= 0).all()
    with pytest.raises(ValueError, match="only as a copy"):
        CHOSEN.__array__(np.float32, copy=False)


def test_the_table_is_named_as_the_file_of_a_run():
    table = CHOSEN.to_frame()
    assert isinstance(table, pd.DataFrame)
    assert table["rank"].tolist() == list(range(7))
    assert table["id"].tolist() == ROWS.tolist()
    assert table["gain"].tolist() == CHOSEN.gains.tolist()


def test_the_table_without_pandas():
    script = (
        "import numpy as np, ray_subsel\n"
        "table = ray_subsel.select(np.eye(4), 2).to_frame()\n"
        "print(type(table).__module__, table.column_names, table.num_rows)"
    )
    done = run_without(("pandas",), script)
    assert done.stdout.split() == ["pyarrow.lib", "['rank',", "'id',", "'gain']", "2"]


def test_rows_by_other_numbers():
    rows = np.array([2, 5, 7])
    chosen = select(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]]), 2, near=0.9)
    there = chosen.of_rows(rows, 9)
    assert there.indices.tolist() == rows[chosen.indices].tolist()
    assert there.stands_for.tolist() == [0, 1, 2, 3, 4, 5, 6, 5, 8]
    assert chosen.of_rows(np.arange(3), 3) is chosen


def test_stages_cut_a_selection_by_rank_and_groups_by_their_own():
    X = np.random.default_rng(0).normal(size=(40, 4))
    chosen = select(X, 9)
    assert [stage.tolist() for stage in chosen.in_stages([2, 3, 4])] == [
        chosen.indices[:2].tolist(), chosen.indices[2:5].tolist(), chosen.indices[5:].tolist(),
    ]  # fmt: skip
    grouped = select(X, 5, per=np.repeat(["a", "b"], [37, 3]))
    first, second = grouped.in_stages([2, 3])
    assert first.tolist() == [*grouped.indices[:2], *grouped.indices[5:7]]
    assert sorted([*first, *second]) == sorted(grouped.indices)
    for sizes, words in (([2, 3], "sizes must sum to the 9 rows"), ([9, 0], "sizes must be whole numbers of rows")):
        with pytest.raises(InputError, match=words):
            chosen.in_stages(sizes)
