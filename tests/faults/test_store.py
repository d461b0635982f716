"""An object store smaller than the vectors: they go through files, so the ids are those of a large one."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.config import SelectConfig
from ray_subsel.dedup.settings import NearSettings
from ray_subsel.planning.policy import Policy
from ray_subsel.runtime.progress import NullProgress
from ray_subsel.stages import deduplicate
from ray_subsel.stages.select_greedi import choose, sorted_store
from ray_subsel.stages.selection_job import plan_selection
from ray_subsel.storage.embedding_store import EmbeddingStore
from ray_subsel.storage.run_directory import RunDir
from tests.faults.conftest import chosen, run_child

N, D, K = 100_000, 256, 200


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """100 MB of vectors, a fifth of them near copies of the one before."""
    X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32) + 0.2
    X[1::5] = X[0::5] + 0.01
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    folder = tmp_path_factory.mktemp("large")
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), D)
    pq.write_table(pa.table({"v": column}), folder / "all.parquet", row_group_size=N // 8)
    return folder, X


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["near", "exact"])
def test_an_object_store_smaller_than_the_vectors(mode, vectors, tmp_path):
    folder, X = vectors
    out = tmp_path / "out"
    flags = ("--near", "0.99", "--partitions", "4") if mode == "near" else ("--mode", "exact", "--partitions", "4")
    command = ["select", str(folder), "--vectors", "v", "--recipe", "none", "--copies", "keep", "--k", str(K), *flags]
    command += ["--out", str(out)]
    child = run_child("store", "none", 0, command)
    assert child.returncode == 0, child.stderr
    seen = json.loads((tmp_path / "out.json").read_text())
    assert seen["store"] < 0.9 * X.nbytes
    if mode == "exact":
        assert chosen(out) == select(X, K, recipe="none").indices.tolist()
        return
    here = RunDir(str(tmp_path / "here"))
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "embeddings").symlink_to(out / "embeddings")
    store = EmbeddingStore.open_folder(here, "embeddings")
    task = deduplicate.NearTask(store, NearSettings(0.99))
    leaders, _ = deduplicate.collapse(task, in_process=True, bar=NullProgress())
    config = SelectConfig(k=K, partitions=4, near=0.99, recipe="none")
    leaders = sorted_store(leaders, config, in_process=True)
    job = plan_selection(leaders, config, K, policy=Policy(in_process_numbers=N * D))
    outcome = choose(leaders, job, bar=NullProgress(), beside=False)
    assert 0.7 * N < leaders.n < 0.9 * N
    assert chosen(out) == outcome.result.ids.tolist()
