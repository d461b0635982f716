"""Tensors of safetensors files are columns; those in bfloat16 are read as the float32 numbers that they are."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from ray_subsel.cli import main
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.block_sizes import BlockSizes
from tests.corpus.inputs import read, rejects, write

X = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)


def vectors_of(store):
    return np.array(store.take(store.ids(), ["vector"])["vector"].to_pylist(), dtype=np.float32)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "int32", "uint8"])
@pytest.mark.parametrize("sizes", [BlockSizes(), BlockSizes(split_bytes=100, batch_rows=3)])
def test_tensors_of_numbers_are_vectors(tmp_path, dtype, sizes):
    saved = torch.from_numpy(np.abs(X) * 10).to(getattr(torch, dtype))
    saved[7] = 0
    save_tensors({"v": saved, "row": torch.arange(50)}, tmp_path / "x.safetensors", {"by": "a test"})
    store = read(tmp_path, str(tmp_path / "x.safetensors"), vectors="v", id="row", sizes=sizes)
    assert rejects(store)[0] == (8, 7, "zero vector")
    assert np.array_equal(vectors_of(store), saved.to(torch.float32).numpy()[store.ids()])
    assert store.subset_table([9])["row"].to_pylist() == [9]


@pytest.mark.parametrize("number", [1.0, -2.5, 3.0e38, 1.2e-38, 0.1])
def test_every_bfloat16_is_the_float32_that_torch_makes_of_it(tmp_path, number):
    saved = torch.full((2, 3), number, dtype=torch.bfloat16)
    save_tensors({"v": saved[:, None, :].contiguous()}, tmp_path / "x.safetensors")
    found = vectors_of(read(tmp_path, str(tmp_path / "x.safetensors"), vectors="v"))
    assert found.tobytes() == saved.to(torch.float32).numpy().tobytes()


def test_one_tensor_is_chosen_from_without_being_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_tensors({"embeddings": torch.from_numpy(X).bfloat16()}, "x.safetensors")
    assert main(["select", "x.safetensors", "--k", "5", "--recipe", "none", "--out", "run"]) == 0
    assert "column embeddings holds the vectors" in "".join(capsys.readouterr())
    same = torch.from_numpy(X).bfloat16().float().numpy()
    np.save("x.npy", same)
    assert main(["select", "x.npy", "--k", "5", "--recipe", "none", "--out", "other"]) == 0
    ids = [(tmp_path / name / "selection.parquet").read_bytes() for name in ("run", "other")]
    assert ids[0] == ids[1]


def test_standard_input_tells_itself(tmp_path, monkeypatch):
    save_file({"v": X}, tmp_path / "x.safetensors")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "x.safetensors").read_bytes())))
    assert np.array_equal(vectors_of(read(tmp_path, "-", vectors="v")), X)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"v": X, "w": X[:3]}, r"same number of rows, a column each; got v: 50 rows, w: 3 rows"),
        ({}, "got no tensor"),
        ({"v": X.reshape(50, 2, 3)}, r"got v: F32 of shape \(50, 2, 3\)"),
        ({"v": X > 0}, "got v: BOOL of shape"),
        ({"v": np.zeros((3, 0), dtype=np.float32)}, "got v: F32 of shape"),
    ],
)
def test_other_tensors_are_refused_on_a_line(tmp_path, tensors, message):
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=message):
        read(tmp_path, str(tmp_path / "x.safetensors"), vectors="v")


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    save_file({"v": X}, tmp_path / "x.safetensors")
    content = (tmp_path / "x.safetensors").read_bytes()
    for at in (0, 3, 20, 200, len(content) - 1):
        with pytest.raises(InputError, match=r"cut\.safetensors must"):
            read(tmp_path, write(tmp_path / "cut.safetensors", content[:at]), vectors="v", out=str(at))


@pytest.mark.parametrize(
    "about",
    [
        *(7, {}, {"dtype": "F32"}, {"dtype": "F32", "shape": [2, 2], "data_offsets": [0]}),
        *({"dtype": "F32", "shape": [2, -2], "data_offsets": [0, 16]}, {"dtype": "F32", "shape": 4}),
        {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 12]},
    ],
)
def test_a_header_that_tells_no_tensor_is_refused_on_a_line(tmp_path, about):
    header = json.dumps({"v": about}).encode()
    path = write(tmp_path / "x.safetensors", len(header).to_bytes(8, "little") + header + bytes(16))
    with pytest.raises(InputError, match=r"x\.safetensors must be a readable"):
        read(tmp_path, path, vectors="v")
