"""Synthetic corpora: exact counts, true origins, the same files whatever makes them."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.synthetic import Recipe, make_corpus, original_text, shard_table
from ray_subsel.synthetic.grammar import CAPACITY, original_texts
from ray_subsel.synthetic.scramble import scramble, unscramble


@given(n=st.integers(1, 3000), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_scramble_is_a_permutation_and_unscramble_its_inverse(n, seed):
    items = scramble(np.arange(n), n, seed)
    assert sorted(items.tolist()) == list(range(n))
    assert unscramble(items, n, seed).tolist() == list(range(n))


def test_scramble_looks_random():
    items = scramble(np.arange(10_000), 10_000, 0)
    assert abs(np.corrcoef(np.arange(10_000), items)[0, 1]) < 0.05
    assert (items != scramble(np.arange(10_000), 10_000, 1)).mean() > 0.99


def test_originals_differ_and_depend_on_number_and_seed_only():
    numbers = np.array([0, 1, 2, 77, CAPACITY - 1])
    texts, _ = original_texts(numbers, 5)
    assert texts == [original_text(int(number), 5) for number in numbers]
    many, topics = original_texts(np.arange(20_000), 0)
    assert len(set(many)) == 20_000
    assert len(set(topics)) == 8


def whole(recipe: Recipe) -> pa.Table:
    return pa.concat_tables([shard_table(recipe, shard) for shard in range(recipe.shards)])


@given(
    rows=st.integers(1, 400),
    redundancy=st.floats(0, 0.999),
    near_share=st.floats(0, 1),
    skew=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    copied_share=st.floats(0.01, 1),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_the_ground_truth_is_true(rows, redundancy, near_share, skew, copied_share, seed):
    recipe = Recipe(rows, redundancy, near_share, 0.1, skew, copied_share, 90, seed)
    table = whole(recipe).to_pandas().set_index("row", drop=False)
    assert table.row.tolist() == list(range(rows))
    counts = table.kind.value_counts()
    assert counts.get("original", 0) == recipe.originals
    assert counts.get("near", 0) == recipe.near_copies
    originals = table[table.kind == "original"]
    assert (originals.origin == originals.row).all()
    assert originals.text.is_unique
    assert set(table.origin) <= set(originals.row)
    assert table.origin.value_counts().gt(1).sum() <= recipe.copied
    of_origin = table.text.loc[table.origin].to_numpy()
    assert ((table.text.to_numpy() == of_origin) == (table.kind != "near").to_numpy()).all()
    assert (table.topic.loc[table.origin].to_numpy() == table.topic.to_numpy()).all()


def test_group_sizes_follow_the_skew():
    sizes = np.sort(whole(Recipe(20_000, 0.9)).to_pandas().origin.value_counts().to_numpy())[::-1]
    # Rank r has the share log(1 + 1/r) / log(m + 1), m = 2,000 originals.
    expected = 18_000 * np.log1p(1 / np.arange(1, 6)) / np.log(2001)
    assert sizes[:5] == pytest.approx(expected, rel=0.12)
    equal = whole(Recipe(20_000, 0.9, skew=0)).to_pandas().origin.value_counts()
    assert equal.max() < 30


def test_the_paper_s_augmentation():
    table = whole(Recipe(20_000, 0.5, near_share=0, skew=0, copied_share=0.01)).to_pandas()
    sizes = table.origin.value_counts()
    assert (sizes > 1).sum() == 100
    assert sizes[sizes > 1].mean() == 101
    assert set(table.kind) == {"original", "exact"}


@pytest.mark.parametrize(
    "broken", [{"rows": 0}, {"redundancy": 1.0}, {"near_share": 2.0}, {"skew": -1.0}, {"vectors": -1}]
)
def test_a_bad_recipe_is_named(broken):
    [name] = broken
    with pytest.raises(InputError, match=f"^{name} must"):
        Recipe(**{"rows": 10, **broken})


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("ray_session")
def test_the_same_files_in_parallel_and_after_a_stop(tmp_path):
    recipe = Recipe(500, shard_rows=100)
    facts = make_corpus(recipe, str(tmp_path / "here"), parallel=False)
    assert facts == {"rows": 500, "originals": 50, "exact": 225, "near": 225, "shards": 5}
    assert make_corpus(recipe, str(tmp_path / "ray")) == facts
    assert files(tmp_path / "here") == files(tmp_path / "ray")
    (tmp_path / "ray" / "part-000003.parquet").unlink()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "ray").iterdir()}
    make_corpus(recipe, str(tmp_path / "ray"))
    assert files(tmp_path / "here") == files(tmp_path / "ray")
    assert all(path.stat().st_mtime_ns == at for path, at in kept.items())
    with pytest.raises(InputError, match="out must be new, or begun with this recipe"):
        make_corpus(dataclasses.replace(recipe, seed=1), str(tmp_path / "ray"))


def vectors_of(table: pa.Table) -> np.ndarray:
    return np.stack(table["vector"].to_numpy())


@given(
    rows=st.integers(1, 300),
    redundancy=st.floats(0, 0.99),
    near_share=st.floats(0, 1),
    strength=st.floats(0.01, 0.9),
    d=st.integers(2, 40),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_the_ground_truth_of_vectors_is_true(rows, redundancy, near_share, strength, d, seed):
    recipe = Recipe(rows, redundancy, near_share, strength, shard_rows=90, seed=seed, vectors=d)
    table, texts = whole(recipe), whole(dataclasses.replace(recipe, vectors=0))
    # Copies fall where those of texts do.
    assert all(table[name].equals(texts[name]) for name in ("row", "origin", "kind"))
    X, origin = vectors_of(table), table["origin"].to_numpy()
    assert X.dtype == np.float32
    assert X.shape == (rows, d)
    assert np.linalg.norm(X, axis=1) == pytest.approx(np.ones(rows), abs=1e-6)
    kind = np.array(table["kind"].to_pylist())
    assert X[kind != "near"].tobytes() == X[origin][kind != "near"].tobytes()
    assert len(np.unique(X[kind == "original"], axis=0)) == recipe.originals
    cosines = np.einsum("ij,ij->i", X, X[origin]).astype(np.float64)
    assert (cosines[kind == "near"] >= np.sqrt(1 - strength**2) - 1e-6).all()
    assert (np.abs(X - X[origin]).max(axis=1)[kind == "near"] > 0).all()
    topic = table["topic"].to_numpy()
    assert (topic[origin] == topic).all()


def test_vectors_of_one_topic_lie_together():
    table = whole(Recipe(4000, 0, vectors=64))
    X, topic = vectors_of(table), table["topic"].to_numpy()
    assert len(np.unique(topic)) == 31
    same = topic[:, None] == topic[None, :]
    np.fill_diagonal(same, False)
    cosines = X @ X.T
    assert cosines[same].mean() == pytest.approx(0.58, abs=0.06)
    assert cosines[~same].mean() == pytest.approx(0.42, abs=0.06)


@pytest.mark.usefixtures("ray_session")
def test_the_same_files_of_vectors_in_parallel(tmp_path):
    recipe = Recipe(40_000, 0.5, shard_rows=20_000, vectors=3)
    assert make_corpus(recipe, str(tmp_path / "here"), parallel=False) == make_corpus(recipe, str(tmp_path / "ray"))
    assert files(tmp_path / "here") == files(tmp_path / "ray")
    shard = pq.ParquetFile(tmp_path / "ray" / "part-000001.parquet")
    assert shard.schema_arrow.field("vector").type == pa.list_(pa.float32(), 3)
    assert [shard.metadata.row_group(i).num_rows for i in range(shard.num_row_groups)] == [16_384, 3616]


def test_a_corpus_begun_before_there_were_vectors_goes_on(tmp_path):
    make_corpus(Recipe(10), str(tmp_path), parallel=False)
    recipe = json.loads((tmp_path / "_recipe.json").read_text())
    del recipe["vectors"]
    (tmp_path / "_recipe.json").write_text(json.dumps(recipe))
    assert make_corpus(Recipe(10), str(tmp_path), parallel=False)["rows"] == 10
    with pytest.raises(InputError, match="begun with this recipe"):
        make_corpus(Recipe(10, vectors=4), str(tmp_path), parallel=False)


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "diary.txt").write_text("dear")
    with pytest.raises(InputError, match=r"out must be new or empty; got .* with diary\.txt"):
        make_corpus(Recipe(10), str(tmp_path), parallel=False)


def test_the_job_writes_what_the_function_does(tmp_path):
    job = Path(__file__).parents[2] / "jobs" / "make_corpus.py"
    command = [sys.executable, str(job), "--rows", "60", "--redundancy", "0.5", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["originals"] == 30
    assert pq.read_table(tmp_path / "out" / "part-000000.parquet").equals(shard_table(Recipe(60, 0.5), 0))
    vectors = [*command[:-1], str(tmp_path / "vectors"), "--vectors", "4"]
    subprocess.run(vectors, capture_output=True, check=True)
    assert pq.read_table(tmp_path / "vectors").equals(shard_table(Recipe(60, 0.5, vectors=4), 0))
    refused = subprocess.run([*command, "--near-share", "7"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "near_share must lie in [0, 1]; got 7.0" in refused.stderr
