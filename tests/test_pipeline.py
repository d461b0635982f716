"""A run from files to a subset, here and on Ray: the same ids whatever the workers, the restarts and the way."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.cli import main
from ray_subsel.config import (
    CacheConfig,
    CorpusConfig,
    EmbedConfig,
    RunConfig,
    RuntimeConfig,
    SelectConfig,
    TrainConfig,
)
from ray_subsel.core.errors import InputError
from ray_subsel.embedders import normalise_vectors
from ray_subsel.pipeline import run
from ray_subsel.planning.policy import DEFAULT_POLICY, ON_RAY


def chosen(out) -> list[int]:
    return pq.read_table(out / "selection.parquet")["id"].to_pylist()


def unit_rows(n, d, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, d)) + 0.5
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """A folder of three files with 400 vectors of which every third row repeats the one before."""
    folder = tmp_path_factory.mktemp("vectors")
    X = unit_rows(400, 8)
    X[2::3] = X[1::3][: len(X[2::3])]
    start = 0
    for number, size in enumerate([100, 250, 50]):
        part = X[start : start + size]
        column = pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), 8)
        pq.write_table(
            pa.table({"name": [f"row {start + i}" for i in range(size)], "v": column}), folder / f"{number}.parquet"
        )
        start += size
    return folder, X


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A JSONL file of 300 texts, 100 of them copies."""
    words = "red blue green cat dog bird runs sleeps eats near far home".split()
    draw = np.random.default_rng(0)
    distinct = [" ".join(draw.choice(words, size=draw.integers(4, 12))) + f" {i}" for i in range(200)]
    path = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    lines = distinct + [distinct[i % 7] for i in range(100)]
    path.write_text("".join(json.dumps({"body": line}) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def counted(texts, tmp_path_factory):
    """The directory of a finished run over the texts with word counts, which a test may copy and damage."""
    out = tmp_path_factory.mktemp("counted") / "out"
    counted_run(texts, out)
    return out


def vector_run(
    folder, out, *, workers=1, copies="collapse", policy=DEFAULT_POLICY, vectors_dtype="float32", **chosen_by
):
    return run(
        RunConfig(
            corpus=CorpusConfig(data=(str(folder),), vectors="v", copies=copies),
            embed=EmbedConfig(vectors_dtype=vectors_dtype),
            select=SelectConfig(**chosen_by, recipe="none"),
            runtime=RuntimeConfig(out=str(out), workers=workers),
        ),
        policy=policy,
    )


def test_one_partition_is_select_on_the_array(vectors, tmp_path):
    folder, X = vectors
    report = vector_run(folder, tmp_path / "out", k=40, copies="keep")
    exact = select(X, 40, recipe="none")
    assert chosen(tmp_path / "out") == exact.indices.tolist()
    table = pq.read_table(tmp_path / "out" / "selection.parquet")
    assert np.allclose(table["gain"].to_numpy(), exact.gains, atol=1e-3)
    assert table["rank"].to_pylist() == list(range(40))
    assert report["value"] == pytest.approx(exact.value, abs=1e-2)
    assert report["selection"]["share_of_centralized"] == 1.0


def test_equal_vectors_are_one_item_led_by_the_lowest_id(vectors, tmp_path):
    folder, X = vectors
    report = vector_run(folder, tmp_path / "out", k=30)
    distinct, first, counts = np.unique(X, axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    exact = select(X[first[order]], 30, recipe="none")
    assert chosen(tmp_path / "out") == first[order][exact.indices].tolist()
    table = pq.read_table(tmp_path / "out" / "selection.parquet")
    assert table["multiplicity"].to_pylist() == counts[order][exact.indices].tolist()
    for row in table.to_pylist():
        assert row["rows"] == np.flatnonzero((X == X[row["id"]]).all(axis=1)).tolist()
    assert report["corpus"]["items"] == len(distinct)
    assert report["corpus"]["duplicate_rows"] == 400 - len(distinct)
    assert report["selection"]["chosen_duplicates"] == 0


def test_the_subset_is_the_rows_in_rank_order(vectors, tmp_path):
    folder, X = vectors
    vector_run(folder, tmp_path / "out", k=12, partitions=3)
    subset = pq.read_table(tmp_path / "out" / "subset.parquet")
    ids = chosen(tmp_path / "out")
    assert subset["id"].to_pylist() == ids
    assert subset["name"].to_pylist() == [f"row {i}" for i in ids]
    assert np.array_equal(np.array(subset["v"].to_pylist(), dtype=np.float32), X[ids])


@pytest.mark.usefixtures("ray_session")
def test_workers_do_not_change_the_ids(vectors, tmp_path):
    folder, _ = vectors
    vector_run(folder, tmp_path / "there", k=25, partitions=5, workers=2, policy=ON_RAY)
    vector_run(folder, tmp_path / "here", k=25, partitions=5)
    assert chosen(tmp_path / "there") == chosen(tmp_path / "here")
    for name in ("embeddings/part-00002.parquet", "selection.parquet"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("embedder", ["bert", "doc2vec"])
def test_workers_with_other_embedders_do_not_change_the_ids(texts, tiny_bert, tmp_path, embedder):
    config = EmbedConfig(embedder=embedder, model=tiny_bert, vector_size=16, doc2vec_epochs=5)
    for workers in (1, 3):  # each loads torch and transformers, some seconds
        text_run(texts, tmp_path / str(workers), config, workers=workers, policy=ON_RAY)
    text_run(texts, tmp_path / "here", config, workers=2)
    assert chosen(tmp_path / "1") == chosen(tmp_path / "3") == chosen(tmp_path / "here")
    parts = [(tmp_path / name / "embeddings" / "part-00002.parquet").read_bytes() for name in ("1", "3", "here")]
    assert parts[0] == parts[1] == parts[2]


HALVES = {
    "greedi": {},
    "near": {"near": 0.98},
    "log-determinant": {"objective": "log_determinant"},
    "feature-based": {"objective": "feature_based"},
    "clusters": {"objective": "facility_location"},
    "sample": {"objective": "saturated_coverage", "represented": 400},
    "exact": {"mode": "exact", "partitions": 3},
    "exact log-determinant": {"mode": "exact", "partitions": 3, "objective": "log_determinant"},
    "clusters over partitions": {"partitions": 3, "objective": "facility_location"},
}


@pytest.fixture(scope="module")
def halves(vectors, tmp_path_factory):
    """Vectors without negative numbers: files of float32 and of float16, and the array of these."""
    folder, X = tmp_path_factory.mktemp("halves"), np.abs(vectors[1])
    half = normalise_vectors(X).astype(np.float16)
    for name, numbers in (("wide", X), ("half", half)):
        column = pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), X.shape[1])
        pq.write_table(pa.table({"v": column}), folder / f"{name}.parquet")
    lists = column.cast(pa.list_(pa.float16()))
    pq.write_table(pa.table({"v": lists}), folder / "lists.parquet")
    return folder, half


@pytest.mark.parametrize("way", HALVES)
def test_a_run_on_halves_is_select_on_the_array_of_float16(halves, tmp_path, way):
    """Vectors of float32 are rounded; those that are float16 already, and of norm 1, stay as they are."""
    folder, half = halves
    settings = {"k": 30, "partitions": 1, **HALVES[way]}
    for name in ("wide", "half", "lists"):
        report = vector_run(
            folder / f"{name}.parquet", tmp_path / name, copies="keep", vectors_dtype="float16", **settings
        )
    objective, near = settings.get("objective", "graph_cut"), settings.get("near")
    exact = select(half, 30, objective=objective, near=near).indices.tolist()
    assert chosen(tmp_path / "wide") == chosen(tmp_path / "half") == chosen(tmp_path / "lists") == exact
    assert report["embedding"]["vectors_dtype"] == "float16"
    for file in [*tmp_path.glob("*/embeddings/*.parquet"), *tmp_path.glob("*/leaders/*.parquet")]:
        assert pq.read_schema(file).field("vector").type.value_type == pa.float16()


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("way", [{"near": 0.98}, {"mode": "exact"}], ids=["near, greedi", "exact"])
def test_workers_do_not_change_the_ids_of_halves(halves, tmp_path, way):
    folder, _ = halves
    shared = {"k": 25, "partitions": 5, "vectors_dtype": "float16", **way}
    vector_run(folder / "half.parquet", tmp_path / "there", workers=2, policy=ON_RAY, **shared)
    vector_run(folder / "half.parquet", tmp_path / "here", **shared)
    assert chosen(tmp_path / "there") == chosen(tmp_path / "here")


def test_a_run_on_halves_goes_on_and_refuses_another_type(vectors, tmp_path):
    folder, _ = vectors
    out = tmp_path / "out"
    vector_run(folder, out, k=25, partitions=2, vectors_dtype="float16")
    first = chosen(out)
    part = out / "embeddings" / "part-00001.parquet"
    kept = part.read_bytes()
    part.unlink()
    vector_run(folder, out, k=25, partitions=2, vectors_dtype="float16")
    assert (part.read_bytes(), chosen(out)) == (kept, first)
    with pytest.raises(InputError, match=r"(?s)vectors_dtype.*float16.*--overwrite") as refused:
        vector_run(folder, out, k=25, partitions=2)
    assert "\n" not in str(refused.value)
    vector_run(folder, tmp_path / "wide", k=25, partitions=2)
    part.write_bytes((tmp_path / "wide" / "embeddings" / part.name).read_bytes())
    vector_run(folder, out, k=25, partitions=2, vectors_dtype="float16")  # the file of another run is noticed
    assert (part.read_bytes(), chosen(out)) == (kept, first)


def test_a_stage_that_is_left_out_is_in_no_report(vectors, tmp_path):
    """Near copies are collapsed, then too many are asked for; the run that does without collapses nothing."""
    folder, _ = vectors
    with pytest.raises(InputError, match="k must"):
        vector_run(folder, tmp_path / "out", k=260, near=0.8)
    assert (tmp_path / "out" / "leaders").exists()
    report = vector_run(folder, tmp_path / "out", k=260)
    assert report["near"] is None
    assert "near" not in report["seconds"]
    assert not (tmp_path / "out" / "leaders").exists()
    vector_run(folder, tmp_path / "fresh", k=260)
    assert chosen(tmp_path / "out") == chosen(tmp_path / "fresh")


def test_other_partitions_reuse_the_embeddings(vectors, tmp_path):
    folder, _ = vectors
    vector_run(folder, tmp_path / "out", k=25, partitions=2)
    corpus = CorpusConfig(data=(str(folder),), vectors="v")
    again = run(
        RunConfig(
            corpus=corpus,
            embed=EmbedConfig(),
            select=SelectConfig(k=25, partitions=7, recipe="none"),
            runtime=RuntimeConfig(out=str(tmp_path / "out"), overwrite=True),
        )
    )
    vector_run(folder, tmp_path / "fresh", k=25, partitions=7)
    assert chosen(tmp_path / "out") == chosen(tmp_path / "fresh")
    assert again["selection"]["partitions"] == 7


def text_run(
    path, out, embed, *, workers=2, copies="collapse", augment=False, policy=DEFAULT_POLICY, cache=None, **chosen_by
):
    return run(
        RunConfig(
            corpus=CorpusConfig(data=(str(path),), text=("body",), copies=copies, augment=augment),
            embed=embed,
            select=SelectConfig(**(chosen_by or {"k": 20}), recipe="none"),
            runtime=RuntimeConfig(out=str(out), workers=workers),
            cache=cache or CacheConfig(),
        ),
        policy=policy,
    )


def counted_run(path, out, **changes):
    return text_run(path, out, EmbedConfig(embedder="tfidf", vector_size=24), **changes)


def test_equal_texts_are_embedded_once(texts, counted, tmp_path):
    collapsed = json.loads((counted / "report.json").read_text())
    kept = counted_run(texts, tmp_path / "keep", copies="keep")
    assert collapsed["embedding"]["embedded"] == kept["embedding"]["embedded"] == 200
    assert (collapsed["selection"]["n"], kept["selection"]["n"]) == (200, 300)
    assert collapsed["selection"]["chosen_duplicates"] == 0
    parts = [pq.read_table(path) for path in sorted((tmp_path / "keep" / "embeddings").glob("*.parquet"))]
    table = pa.concat_tables(parts).sort_by("id")
    assert table["id"].to_pylist() == list(range(300))
    vectors = table["vector"].to_pylist()
    assert all(vectors[200 + i] == vectors[i % 7] for i in range(100))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_doc2vec_all_the_way_and_repeatable(texts, tmp_path):
    doc2vec = EmbedConfig(embedder="doc2vec", vector_size=16, doc2vec_epochs=5)
    for name in ("one", "other"):
        text_run(texts, tmp_path / name, doc2vec, k=10)
    assert chosen(tmp_path / "one") == chosen(tmp_path / "other")


@pytest.mark.usefixtures("ray_session")
def test_tfidf_all_the_way_and_counted_once(texts, counted, tmp_path):
    """In the driver, as small corpora are, and in workers."""
    report = counted_run(texts, tmp_path / "out", workers=1, policy=ON_RAY)
    assert chosen(counted) == chosen(tmp_path / "out")
    assert (report["embedding"]["embedder"], report["embedding"]["dimension"]) == ("tfidf", 24)
    with np.load(counted / "tfidf" / "state.npz") as state:
        assert state["settings"].tolist() == [200, 24, 0]  # distinct texts, each once


def test_the_paper_s_augmentation_doubles_the_corpus(texts, tmp_path):
    report = counted_run(texts, tmp_path / "out", augment=True, fraction=0.1)
    assert report["corpus"]["rows"] == 600
    assert report["corpus"]["augmented"] == 300
    assert report["embedding"]["embedded"] == 200
    assert report["selection"]["k"] == 60  # a fraction is one of the rows


def test_the_same_command_again_does_nothing_twice(texts, counted, tmp_path):
    out = shutil.copytree(counted, tmp_path / "out")
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    counted_run(texts, out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == written


def begin_again(out, *stages):
    """Set stages of a finished run to begun."""
    content = json.loads((out / "manifest.json").read_text())
    for stage in stages:
        content["stages"][stage]["done"] = False
    (out / "manifest.json").write_text(json.dumps(content))


@pytest.mark.fault
def test_a_lost_part_is_made_again_and_no_other(texts, counted, tmp_path):
    out = shutil.copytree(counted, tmp_path / "out")
    begin_again(out, "embed", "select")
    (out / "selection.parquet").unlink()
    (out / "embeddings" / "part-00003.parquet").unlink()
    kept = {p: p.stat().st_mtime_ns for p in (out / "embeddings").iterdir()}
    report = counted_run(texts, out)
    assert chosen(out) == chosen(counted)
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert report["embedding"]["parts_reused"] == len(kept)


@pytest.mark.fault
def test_a_truncated_part_is_told_and_made_again(texts, counted, tmp_path, capsys):
    out = shutil.copytree(counted, tmp_path / "out")
    begin_again(out, "select")
    part = out / "embeddings" / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:100])
    report = counted_run(texts, out)
    assert "embed: embeddings/part-00001.parquet has 100 bytes and had" in capsys.readouterr().err
    assert report["embedding"]["parts_reused"] == report["embedding"]["parts"] - 1
    assert chosen(out) == chosen(counted)


@pytest.mark.fault
@pytest.mark.slow
def test_kill_9_in_the_middle_of_embedding(tmp_path, tiny_bert):
    """The driver dies without a word; the same command goes on after the last finished part, to the same ids."""
    out = tmp_path / "out"
    texts = tmp_path / "texts.jsonl"
    lines = [" ".join(f"cat {i} runs far {i % 7}".split() * 12) for i in range(4_000)]  # some seconds of work
    texts.write_text("".join(json.dumps({"body": line}) + "\n" for line in lines))
    command = [sys.executable, "-m", "ray_subsel.cli", "select", str(texts), "--text", "body", "--k", "20"]
    command += ["--embedder", "bert", "--model", str(tiny_bert), "--workers", "1", "--out", str(out)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    parts = out / "embeddings"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (parts.exists() and list(parts.glob("part-*.parquet"))):
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    time.sleep(1.0)  # workers of a dead driver end by themselves
    finished = {p: p.stat().st_mtime_ns for p in parts.glob("part-*.parquet")}
    assert finished, "no part was written before the kill"
    assert not (out / "selection.parquet").exists()
    encoder = EmbedConfig(embedder="bert", model=str(tiny_bert))
    report = text_run(texts, out, encoder, workers=1)
    assert {p: p.stat().st_mtime_ns for p in finished} == finished
    assert report["embedding"]["parts_reused"] == len(finished)
    text_run(texts, tmp_path / "undisturbed", encoder, cache=CacheConfig(no_cache=True))
    assert chosen(out) == chosen(tmp_path / "undisturbed")


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    from ray_subsel.synthetic.stories import write_stories

    folder = tmp_path_factory.mktemp("stories")
    write_stories(str(folder / "train.csv"), 60, 0)
    write_stories(str(folder / "test.csv"), 20, 1)
    return folder


WITHOUT_RAY = """
import sys
from ray_subsel.cli import main
folder, model, *outs = sys.argv[1:]
corpus = [f"{folder}/train.csv", "--task", "story-cloze"]
encoder = ["--embedder", "bert", "--model", model, "--k", "6", "--partitions", "3"]
training = ["--test", f"{folder}/test.csv", "--epochs", "1"]
assert main(["run", *corpus, *encoder, *training, "--out", outs[0]]) == 0
assert main(["finetune", outs[0], "--arm", "full"]) == 0
words = ["--embedder", "tfidf", "--vector-size", "16", "--objective", "facility_location", "--near", "0.9"]
assert main(["select", *corpus, *words, "--budget", "300", "--partitions", "2", "--out", outs[1]]) == 0
doc2vec = ["--embedder", "doc2vec", "--vector-size", "16", "--doc2vec-epochs", "2", "--mode", "exact", "--k", "5"]
assert main(["select", *corpus, *doc2vec, "--out", outs[2]]) == 0
print("ray" in sys.modules)
"""


def test_small_data_start_no_ray(stories, tiny_bert, tmp_path):
    """Not even its import, in any stage: with an encoder and training, words and a budget, Doc2Vec and mode exact."""
    outs = [str(tmp_path / name) for name in ("encoder", "words", "doc2vec")]
    call = [sys.executable, "-c", WITHOUT_RAY, str(stories), tiny_bert, *outs]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "False"
    assert len(json.loads((tmp_path / "encoder" / "report.json").read_text())["training"]["arms"]) == 3


def test_the_whole_way_and_an_arm_added_later(stories, tiny_bert, tmp_path, capsys):
    out = tmp_path / "out"
    config = RunConfig(
        corpus=CorpusConfig(data=(str(stories / "train.csv"),), task="story-cloze", augment=True),
        embed=EmbedConfig(embedder="bert", model=str(tiny_bert)),
        select=SelectConfig(fraction=0.1, recipe="none"),
        train=TrainConfig(test=(str(stories / "test.csv"),), arms=("subset", "random-dedup"), epochs=1),
        runtime=RuntimeConfig(out=str(out)),
        command="subsel run ...",
    )
    report = run(config)
    arms = {arm["arm"]: arm for arm in report["training"]["arms"]}
    assert set(arms) == {"subset", "random-dedup"}
    assert all(arm["n"] == 12 and 0 <= arm["accuracy"] <= 1 for arm in arms.values())
    assert arms["random-dedup"]["duplicates_in_training_set"] == 0
    assert report["training"]["test_rows"] == 20
    before = (out / "train" / "subset" / "result.json").stat().st_mtime_ns
    more = run(dataclasses.replace(config, train=dataclasses.replace(config.train, arms=("full",))))
    assert {arm["arm"]: arm["n"] for arm in more["training"]["arms"]} == {"subset": 12, "random-dedup": 12, "full": 120}
    assert (out / "train" / "subset" / "result.json").stat().st_mtime_ns == before
    # The command line adds one more with the settings that the run had; the corpus itself is no longer needed.
    (stories / "train.csv").rename(stories / "gone.csv")
    capsys.readouterr()
    assert main(["finetune", str(out), "--arm", "random"]) == 0
    err = capsys.readouterr().err
    assert err.index("train     1 training set of 12 rows together, 1 epoch; 20 test rows") < err.index(
        "train random: 12"
    )
    report = json.loads((out / "report.json").read_text())
    assert {"select", "train"} <= report["plan"]["seconds"].keys()
    assert report["earlier"] == [name for name in report["seconds"] if name not in ("train", "around")]
    assert report["resumed"] == ["train"]  # the other arms were trained before
    told = json.loads((out / "manifest.json").read_text())["about"]["config"]
    assert told["select"]["k"] is not None or told["select"]["fraction"] is not None
    assert main(["finetune", str(out), "--arm", "random"]) == 0  # it still holds a finished selection
    assert "time      some" not in capsys.readouterr().err  # nothing is left to train
    assert {arm["arm"] for arm in json.loads((out / "report.json").read_text())["training"]["arms"]} >= {
        "random",
        "full",
    }
    assert main(["finetune", str(out), "--arm", "random", "--lr", "0.5"]) == 2  # another model beside these
    html = (out / "report.html").read_text()
    assert "subset" in html
    assert "<script src" not in html
