"""What chosen items stand for: every row once, by brute force, whatever the partitions, in process or on Ray."""

import shutil
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main
from ray_subsel.planning.policy import DEFAULT_POLICY, ON_RAY


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    draw = np.random.default_rng(3)
    X = draw.normal(size=(300, 6)).astype(np.float32)
    X[250:] = X[:50]
    X[200:250] = X[:50] + 1e-3 * draw.normal(size=(50, 6)).astype(np.float32)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 6)
    pq.write_table(pa.table({"v": vectors}), folder / "x.parquet")
    return folder / "x.parquet", X


def chosen(corpus, out, *more, policy=DEFAULT_POLICY):
    call = ["select", str(corpus), "--vectors", "v", "--k", "25", "--near", "0.99", "--out", str(out), "--quiet"]
    assert main([*call, *more], policy=policy) == 0
    return pq.read_table(out / "selection.parquet"), pq.read_table(out / "nearest")


def test_weights_are_brute_force_s_and_sum_to_all_rows(corpus, tmp_path):
    path, X = corpus
    selection, nearest = chosen(path, tmp_path / "run")
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    W = unit.astype(np.float64) @ unit[selection["id"].to_numpy()].T.astype(np.float64)
    expected = np.bincount(W.argmax(axis=1), minlength=25)
    assert selection["weight"].to_pylist() == expected.tolist()
    assert sum(expected) == 300
    assert nearest.num_rows == 250  # equal rows are one item
    by_id = dict(zip(nearest["id"].to_pylist(), nearest["cosine"].to_pylist(), strict=True))
    assert all(abs(by_id[i] - W[i].max()) < 1e-6 for i in by_id)


@pytest.mark.parametrize("policy", [DEFAULT_POLICY, ON_RAY])
def test_partitions_and_ray_do_not_matter(corpus, tmp_path, policy):
    path, _ = corpus
    selection, _ = chosen(path, tmp_path / "run", "--partitions", "1")
    other, _ = chosen(path, tmp_path / "other", "--partitions", "1", policy=policy)
    assert other["weight"].to_pylist() == selection["weight"].to_pylist()
    assert other["id"].to_pylist() == selection["id"].to_pylist()


def interrupt(event, name):
    if (event, name) == ("write", "selection.parquet"):
        raise KeyboardInterrupt


def _note(made, event, name):
    if event == "written" and name.startswith("nearest/"):
        made.append(name)


def of_others(table):
    return table.set_column(1, "nearest", pa.array(np.full(table.num_rows, 10**6)))


def of_fewer(table):
    return table.slice(1)


def test_parts_that_a_killed_run_has_left_are_kept_where_they_are_its_own(corpus, tmp_path):
    path, _ = corpus
    selection, nearest = chosen(path, tmp_path / "undisturbed")
    call = ["select", str(path), "--vectors", "v", "--k", "25", "--near", "0.99", "--quiet", "--out"]
    assert main([*call, str(tmp_path / "killed")], watch=interrupt) == 130
    for number, damage in enumerate((None, of_others, of_fewer)):
        out, made = tmp_path / str(number), []
        shutil.copytree(tmp_path / "killed", out)
        wrong = max((out / "nearest").iterdir(), key=lambda part: pq.read_metadata(part).num_rows)
        if damage is not None:
            pq.write_table(damage(pq.read_table(wrong)), wrong)
        assert main([*call, str(out)], watch=partial(_note, made)) == 0
        assert made == ([] if damage is None else [f"nearest/{wrong.name}"])
        assert pq.read_table(out / "selection.parquet") == selection
        assert pq.read_table(out / "nearest") == nearest
