"""The column weight of selection.parquet and Selection.weights: all rows count, copies and near copies too."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.cli import main

X = np.random.default_rng(0).normal(size=(240, 6)).astype(np.float32)


@pytest.mark.parametrize("flags", [(), ("--recipe", "paper"), ("--near", "0.9"), ("--recipe", "none", "--near", "0.9")])
def test_weights_of_a_run_sum_to_its_rows_copies_and_near_copies_counted(flags, tmp_path):
    rows = np.concatenate([X, X[:60], X[60:100] + 0.01 * X[:40]])
    pq.write_table(pa.table({"v": list(rows)}), tmp_path / "v.parquet")
    command = ["select", str(tmp_path / "v.parquet"), "--vectors", "v", "--k", "30", *flags]
    found = []
    for partitions in ("1", "4"):
        out = tmp_path / partitions
        assert main([*command, "--partitions", partitions, "--out", str(out)]) == 0
        table = pq.read_table(out / "selection.parquet")
        assert sum(table["weight"].to_pylist()) == len(rows)
        assert min(table["weight"].to_pylist()) >= 1 or "paper" in flags  # an equal row of lower rank has it all
        found.append(dict(zip(table["id"].to_pylist(), table["weight"].to_pylist(), strict=True)))
    if flags == ():
        assert found[0] == found[1]


OTHER = X[200:220] + np.float32(0.001)


@pytest.mark.parametrize(
    ("flags", "options", "left"),
    [
        ((), {}, 240),
        (("--drop-outliers", "0.1"), {"drop_outliers": 0.1}, 216),
        (("--against", "OTHER", "--against-near", "0.999"), {"against": OTHER, "against_near": 0.999}, 220),
        (
            ("--against", "OTHER", "--against-near", "0.999", "--drop-outliers", "0.1"),
            {"against": OTHER, "against_near": 0.999, "drop_outliers": 0.1},
            198,
        ),
    ],
)
def test_a_run_and_memory_weigh_the_same_and_what_was_left_out_counts_for_nobody(flags, options, left, tmp_path):
    for name, rows in (("v", X), ("other", OTHER)):
        pq.write_table(pa.table({"v": list(rows)}), tmp_path / f"{name}.parquet")
    flags = [str(tmp_path / "other.parquet") if flag == "OTHER" else flag for flag in flags]
    out = tmp_path / "o"
    assert main(["select", str(tmp_path / "v.parquet"), "--vectors", "v", "--k", "30", *flags, "--out", str(out)]) == 0
    table = pq.read_table(out / "selection.parquet")
    chosen = select(X, 30, **options)
    assert chosen.indices.tolist() == table["id"].to_pylist()
    assert chosen.weights.tolist() == table["weight"].to_pylist()
    assert chosen.weights.sum() == left
    near = pq.read_table(out / "decisions.parquet", columns=["nearest_chosen"])["nearest_chosen"]
    assert near.null_count == 0  # left out, they are told it all the same
