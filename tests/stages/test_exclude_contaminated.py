"""The stage that leaves out what repeats another set: what, why, and the same whatever does the work."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.config import CorpusConfig, EmbedConfig, FilterConfig, RunConfig, RuntimeConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.pipeline import run
from ray_subsel.planning.policy import DEFAULT_POLICY, ON_RAY
from ray_subsel.report import render_html
from ray_subsel.report.terminal import summary_text
from tests.corpus.inputs import write, write_csv, write_parquet

DRAW = np.random.default_rng(0)
WORDS = [f"word{i}" for i in range(500)]


def sentence(n):
    return " ".join(DRAW.choice(WORDS, n))


TEXTS = [sentence(20) for _ in range(60)]
TEXTS[50:55] = TEXTS[10:15]  # copies


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    rows = [[f"own{i}", text] for i, text in enumerate(TEXTS)]
    return write_csv(folder / "rows.csv", ["name", "text"], rows)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    first = [
        [sentence(20)],
        [TEXTS[10].upper() + "!"],  # equal, and so is its copy, row 50
        ["start " + " ".join(TEXTS[20].split()[3:16]) + " end of it"],  # 13 words in a row
        ["start " + " ".join(TEXTS[21].split()[3:15]) + " end of it"],  # 12
    ]
    write_csv(folder / "one" / "a.csv", ["text"], first)
    write_csv(folder / "one" / "b.csv", ["text"], [[sentence(20)], [TEXTS[30]]])
    questions = [json.dumps({"question": TEXTS[row]}) for row in (30, 31)]
    write(folder / "two.jsonl", "\n".join(questions))
    return folder


def against_run(data, out, *against, policy=DEFAULT_POLICY, watch=None, select=None, corpus=None, **filters):
    config = RunConfig(
        corpus=CorpusConfig(data=(str(data),), **(corpus or {"text": ("text",), "id": "name"})),
        embed=EmbedConfig(embedder="tfidf", vector_size=16),
        select=SelectConfig(**{"k": 8, "recipe": "none", **(select or {})}),
        filters=FilterConfig(against=tuple(str(one) for one in against), **filters),
        runtime=RuntimeConfig(out=str(out), workers=1),
    )
    return run(config, policy=policy, watch=watch)


def lines(out):
    return pq.read_table(out / "contaminated.parquet").to_pylist()


def chosen(out):
    return pq.read_table(out / "selection.parquet")["id"].to_pylist()


def test_repeats_are_left_out_and_named(corpus, evaluation, tmp_path, capfd):
    report = against_run(corpus, tmp_path / "out", evaluation / "one", select={"k": 50})
    found = lines(tmp_path / "out")
    shown = [(one["id"], one["source_id"], one["item"], one["file"][-5:], one["line"], one["kind"]) for one in found]
    assert shown == [
        (10, "own10", 10, "a.csv", 3, "equal"),
        (20, "own20", 20, "a.csv", 4, "ngram"),
        (30, "own30", 30, "b.csv", 3, "equal"),
        (50, "own50", 10, "a.csv", 3, "equal"),
    ]
    assert found[0]["evidence"] == TEXTS[10]
    assert found[1]["evidence"] == " ".join(TEXTS[20].split()[3:16])
    assert {one["cosine"] for one in found} == {None}
    assert not {10, 20, 30} & set(chosen(tmp_path / "out"))
    assert report["selection"]["n"] == 55 - 3
    assert (report["against"]["rows"], report["against"]["items"]) == (4, 3)
    assert report["against"]["kinds"] == {"equal": 3, "ngram": 1, "near": 0}
    assert "against: 4 of 60 rows repeat another set, left out (equal 3, ngram 1, near 0)" in capfd.readouterr().err
    line = "left out  4 rows that repeat one (equal 3, ngram 1, near 0), see contaminated.parquet"
    assert line in summary_text(report, "out").splitlines()
    assert "rows left out: equal 3, ngram 1, near 0" in render_html(report)


def test_the_first_set_that_a_row_repeats_is_told(corpus, evaluation, tmp_path):
    with pytest.raises(InputError, match=r"text must be a column of .*two\.jsonl; got 'text'"):
        against_run(corpus, tmp_path / "out", evaluation / "one", evaluation / "two.jsonl")
    assert not (tmp_path / "out").exists()
    against_run(corpus, tmp_path / "two", evaluation / "two.jsonl", against_text=("question",))
    assert [(one["id"], one["line"]) for one in lines(tmp_path / "two")] == [(30, 1), (31, 2)]
    both = write_csv(tmp_path / "both.csv", ["text"], [[TEXTS[31]], [TEXTS[30]]])
    against_run(corpus, tmp_path / "order", evaluation / "one", both)
    assert [(one["id"], one["file"].rpartition("/")[2]) for one in lines(tmp_path / "order")][2:4] == [
        (30, "b.csv"),
        (31, "both.csv"),
    ]


def test_cosines_are_compared_by_the_threshold_of_near_copies_or_their_own(corpus, tmp_path):
    words = TEXTS[40].split()
    near = write_csv(tmp_path / "near.csv", ["text"], [[" ".join(words[::-1])]])  # the same words: no n-gram in common
    report = against_run(corpus, tmp_path / "near", near, select={"near": 0.95})
    [found] = lines(tmp_path / "near")
    assert (found["id"], found["kind"], found["evidence"]) == (40, "near", " ".join(words[::-1]))
    assert 0.95 <= found["cosine"] <= 1
    assert report["against"]["threshold"] == 0.95
    report = against_run(corpus, tmp_path / "own", near, against_near=0.9)
    assert [one["id"] for one in lines(tmp_path / "own")] == [40]
    report = against_run(corpus, tmp_path / "none", near)
    assert lines(tmp_path / "none") == []
    assert report["against"]["notes"] == ["no cosines are compared: --against-near X compares them"]
    assert not (tmp_path / "none" / "clean").exists()  # nothing to leave out, nothing to copy


def vectors(n=400, d=8, seed=0):
    draw = np.random.default_rng(seed)
    V = draw.normal(size=(25, d)).astype(np.float32)
    X = draw.normal(size=(n, d)).astype(np.float32)
    X[::10] = V[draw.integers(25, size=n // 10)] + 0.1 * draw.normal(size=(n // 10, d)).astype(np.float32)
    return X, V


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    X, V = vectors()
    for name, rows in (("x", X), ("v", V)):
        write_parquet(folder / f"{name}.parquet", {"v": pa.FixedSizeListArray.from_arrays(rows.reshape(-1), 8)})
    return folder


@pytest.mark.usefixtures("ray_session")
def test_vectors_over_partitions_as_in_memory(ready, tmp_path):
    X, V = vectors()
    there = {"corpus": {"vectors": "v"}, "select": {"k": 20, "near": 0.95}, "against_near": 0.9}
    here = select(X, 20, recipe="none", near=0.95, against=V, against_near=0.9)
    outs = []
    for name, policy, partitions in (("one", DEFAULT_POLICY, 1), ("ray", ON_RAY, None)):
        outs.append(tmp_path / name)
        settings = {**there, "select": {**there["select"], "partitions": partitions}}
        against_run(ready / "x.parquet", outs[-1], ready / "v.parquet", policy=policy, **settings)
    assert chosen(outs[0]) == here.indices.tolist()
    assert (outs[0] / "contaminated.parquet").read_bytes() == (outs[1] / "contaminated.parquet").read_bytes()
    found = lines(outs[0])
    assert [one["id"] for one in found] == here.left_out.rows.tolist()
    assert [one["line"] - 1 for one in found] == here.left_out.nearest.tolist()
    np.testing.assert_allclose([one["cosine"] for one in found], here.left_out.score, atol=1e-7)  # stored as unit rows
    assert len(found) >= 35


def test_vectors_without_their_column_or_texts(ready, corpus, tmp_path):
    settings = {"corpus": {"vectors": "v"}, "against_near": 0.9}
    with pytest.raises(InputError, match=r"columns of .*rows\.csv must include v; got 'name, text'"):
        against_run(ready / "x.parquet", tmp_path / "out", corpus, **settings)
    X, _ = vectors()
    texts = [f"text number {i}" for i in range(len(X))]
    column = pa.FixedSizeListArray.from_arrays(X.reshape(-1), 8)
    both = write_parquet(tmp_path / "both.parquet", {"v": column, "text": texts})
    other = write_csv(tmp_path / "texts.csv", ["text"], [["Text, number 7"]])
    settings["corpus"] = {"vectors": "v", "text": ("text",)}
    report = against_run(both, tmp_path / "both", other, **settings)
    assert [(one["id"], one["kind"]) for one in lines(tmp_path / "both")] == [(7, "equal")]
    assert report["against"]["notes"] == [f"{other} has no column v: no cosines are compared"]


MOMENTS = [
    ("embeddings/part-00003", 2),  # that of the other set
    ("against/found/part-00002", 1),
    ("contaminated", 1),
    ("clean/part-00004", 1),
]


@pytest.fixture(scope="module")
def whole(corpus, evaluation, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    against_run(corpus, out, evaluation / "one", against_near=0.99)
    return out


@pytest.mark.parametrize("moment", MOMENTS, ids=[name for name, _ in MOMENTS])
def test_a_killed_run_goes_on(corpus, evaluation, tmp_path, whole, moment):
    written, left = [], 1

    def watch(event, name):
        if event == "write":
            written.append(name)
            if left is not None and sum(one.startswith(moment[0]) for one in written) == moment[1]:
                raise KeyboardInterrupt

    settings = {"watch": watch, "against_near": 0.99}
    with pytest.raises(KeyboardInterrupt):
        against_run(corpus, tmp_path / "out", evaluation / "one", **settings)
    done = [name for name in written[:-1] if name.startswith(("against/", "clean/"))]
    written.clear()
    left = None
    against_run(corpus, tmp_path / "out", evaluation / "one", **settings)
    assert not set(done) & set(written)
    assert lines(tmp_path / "out") == lines(whole)
    assert chosen(tmp_path / "out") == chosen(whole)


def test_what_was_left_out_is_resumed_or_refused(corpus, evaluation, tmp_path, capfd):
    against_run(corpus, tmp_path / "out", evaluation / "one")
    against_run(corpus, tmp_path / "out", evaluation / "one")
    assert "against: as before" in capfd.readouterr().err
    (tmp_path / "out" / "clean" / "part-00001.parquet").unlink()
    before = chosen(tmp_path / "out")
    against_run(corpus, tmp_path / "out", evaluation / "one")  # a part is gone: made again
    assert (tmp_path / "out" / "clean" / "part-00001.parquet").exists()
    assert chosen(tmp_path / "out") == before
    with pytest.raises(InputError, match="select.embed"):
        against_run(corpus, tmp_path / "out")


def test_included_rows_may_not_repeat(corpus, evaluation, tmp_path):
    ids = write(tmp_path / "ids.txt", "own3\nown50\n")
    with pytest.raises(InputError, match=r"include must name no row that repeats --against; got 50\. See"):
        against_run(corpus, tmp_path / "out", evaluation / "one", select={"include": ids})
    assert len(lines(tmp_path / "out")) == 4


def test_a_set_that_is_the_corpus_leaves_nothing(corpus, tmp_path):
    with pytest.raises(InputError, match="against must leave rows to choose from; got all 60 rows, which repeat it"):
        against_run(corpus, tmp_path / "out", corpus)


def test_rows_that_cannot_be_read_are_told(corpus, tmp_path, capfd):
    lame = write(tmp_path / "lame.csv", "text\n" + "\n".join(["a word of text"] * 30) + '\n""\n')
    report = against_run(corpus, tmp_path / "out", lame)
    assert report["against"]["sets"][0]["rejected"] == 1
    assert "1 rows cannot be read" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["against_text", "against_near"])
def test_settings_of_no_set_are_refused(name):
    with pytest.raises(InputError, match=f"{name} must go with against; got no --against"):
        dataclasses.replace(FilterConfig(), **{name: ("q",) if name == "against_text" else 0.9})
