"""Vectors as numpy saves them, and as tensors and matrices of one row lie in columns."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.block_sizes import BlockSizes
from tests.corpus.inputs import read, rejects, write, write_parquet

X = np.random.default_rng(0).normal(size=(50, 6))


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<f2", "<i4", "u1"])
@pytest.mark.parametrize("sizes", [BlockSizes(), BlockSizes(split_bytes=100, batch_rows=3)])
def test_a_saved_array_is_read(tmp_path, dtype, sizes):
    saved = (X * 10).astype(dtype)
    saved[7] = 0
    np.save(tmp_path / "x.npy", saved)
    store = read(tmp_path, str(tmp_path / "x.npy"), vectors="vector", sizes=sizes)
    assert rejects(store)[0] == (8, 7, "zero vector")
    vectors = np.array(store.take(store.ids(), ["vector"])["vector"].to_pylist())
    assert np.array_equal(vectors, saved[store.ids()].astype(np.float32))


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (X[0], "of shape"),
        (X.astype("U8"), "of numbers"),
        (np.asfortranarray(X), "C order"),
        (np.zeros((3, 0)), "of shape"),
        (np.array([[{}]], dtype=object), "of numbers"),
    ],
)
def test_other_arrays_are_refused_on_a_line(tmp_path, saved, message):
    np.save(tmp_path / "x.npy", saved, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        read(tmp_path, str(tmp_path / "x.npy"), vectors="vector")


def test_an_array_that_is_cut_off_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", X)
    content = (tmp_path / "x.npy").read_bytes()
    for at in (0, 3, 40, 200, len(content) - 1):
        with pytest.raises(InputError, match=r"cut\.npy must"):
            read(tmp_path, write(tmp_path / "cut.npy", content[:at]), vectors="vector", out=str(at))


def tensors(kind):
    X32 = X.astype(np.float32)
    if kind == "pyarrow":
        return pa.FixedShapeTensorArray.from_numpy_ndarray(X32)
    if kind == "one row":
        return pa.FixedShapeTensorArray.from_numpy_ndarray(X32[:, None, :])
    if kind == "lists of one list":
        return pa.array([[row.tolist()] for row in X32])
    if kind == "variable":
        return pa.array([{"data": row.tolist(), "shape": [6]} for row in X32])
    if kind == "list view":
        return pa.array([row.tolist() for row in X32], pa.list_view(pa.float32()))
    if kind == "half":
        return pa.array([row.astype(np.float16).tolist() for row in X32], pa.list_(pa.float16()))
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["pyarrow", "one row", "lists of one list", "variable", "list view", "half"])
def test_tensors_of_every_kind_are_vectors(tmp_path, kind):
    table = pa.table({"v": tensors(kind)})
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    store = read(tmp_path, str(tmp_path / "a.arrow"), vectors="v")
    vectors = np.array(store.take(store.ids(), ["vector"])["vector"].to_pylist())
    assert np.abs(vectors - X).max() < (2e-3 if kind == "half" else 1e-6)
    assert store.subset_table([3])["v"].to_pylist()[0] == pytest.approx(X[3], abs=2e-3)


def test_tensors_of_ray_are_vectors_where_their_code_is_not_loaded(tmp_path):
    from ray.data.extensions import ArrowTensorArray

    table = pa.table({"v": ArrowTensorArray.from_numpy(X.astype(np.float32))})
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    for name in ("a.parquet", "a.arrow"):
        with pytest.raises(InputError, match="must have plain column types; got columns of extension types"):
            read(tmp_path, str(tmp_path / name), vectors="v", out=name)  # here it is: it would decide what is run
        command = [
            sys.executable,
            "-m",
            "ray_subsel.cli",
            "select",
            str(tmp_path / name),
            "--vectors",
            "v",
            "--k",
            "50",
        ]
        command += ["--recipe", "none", "--out", str(tmp_path / f"run-{name}")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        chosen = pq.read_table(tmp_path / f"run-{name}" / "subset.parquet").sort_by("id")
        assert np.allclose(chosen["v"].to_pylist(), X, atol=1e-6)


def test_lists_of_several_lists_are_no_vectors(tmp_path):
    rows = [[[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]], [], None, [[5.0, 6.0]]]
    store = read(tmp_path, write_parquet(tmp_path / "a.parquet", {"v": rows}), vectors="v")
    lines = "".join(json.dumps({"v": row}) + "\n" for row in rows)
    other = read(tmp_path, write(tmp_path / "a.jsonl", lines), vectors="v", out="json")
    for found in (store, other):
        assert found.take(found.ids(), ["vector"])["vector"].to_pylist() == [[1.0, 2.0], [5.0, 6.0]]
        assert [row for _, row, _ in rejects(found)] == [1, 2, 3]
