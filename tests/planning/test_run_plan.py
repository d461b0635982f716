"""``subsel plan``: what a selection would take, from files alone."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main
from ray_subsel.config import CorpusConfig, EmbedConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.planning.machine import machine_of
from ray_subsel.planning.run_plan import count_rows, plan_run


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    X = np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32)
    for number, part in enumerate(np.array_split(X, 2)):
        column = pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), 16)
        pq.write_table(pa.table({"v": column}), folder / f"{number}.parquet")
    return folder


def test_parquet_is_counted_from_its_metadata(vectors):
    found = plan_run(
        CorpusConfig(data=(str(vectors),), vectors="v"),
        EmbedConfig(),
        SelectConfig(k=20, recipe="none"),
        machine_of(None, "2GiB"),
    )
    assert (found.rows, found.exact) == (500, True)
    assert (found.sizes.n, found.sizes.d, found.sizes.k, found.sizes.partitions) == (500, 16, 20, 1)
    assert found.text().startswith("rows      500; ")


def test_a_fraction_is_one_of_the_rows(vectors):
    corpus = CorpusConfig(data=(str(vectors),), vectors="v")
    assert (
        plan_run(corpus, EmbedConfig(), SelectConfig(fraction=0.1, recipe="none"), machine_of(None, None)).sizes.k == 50
    )
    with pytest.raises(InputError, match="k must lie between 1 and 500, the items to choose from; got 501"):
        plan_run(corpus, EmbedConfig(), SelectConfig(k=501, recipe="none"), machine_of(None, None))


def test_texts_are_counted_or_estimated(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"body": f"a text of some length, {i}"}) + "\n" for i in range(20_000)))
    corpus = CorpusConfig(data=(str(path),), text=("body",))
    embed = EmbedConfig(embedder="doc2vec", vector_size=40)
    found = plan_run(corpus, embed, SelectConfig(k=20, recipe="none"), machine_of(None, None))
    assert (found.rows, found.exact, found.sizes.d) == (20_000, True, 40)
    found = plan_run(corpus, embed, SelectConfig(k=20, recipe="none"), machine_of(None, None), counted_bytes=1000)
    assert not found.exact
    assert found.rows == pytest.approx(20_000, rel=0.5)


def test_the_dimension_is_the_model_s(tiny_bert):
    config = EmbedConfig(embedder="bert", model=tiny_bert)
    assert config.embedder_class.dimension_of(config) == 32


def test_the_command_prints_the_plan_and_writes_nothing(vectors, capsys):
    before = sorted(vectors.iterdir())
    arguments = ["plan", str(vectors), "--vectors", "v", "--k", "20", "--partitions", "4", "--memory-limit", "1GiB"]
    arguments += ["--objective", "graph_cut"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "recipe    auto --near none: " in out
    assert "work      4 partitions" in out
    assert "memory    a worker " in out
    assert sorted(vectors.iterdir()) == before


def test_the_command_refuses_what_cannot_fit(vectors, capsys):
    assert main(["plan", str(vectors), "--vectors", "v", "--k", "20", "--memory-limit", "64MB"]) == 2
    assert "--memory-limit must be above" in capsys.readouterr().err
    assert main(["plan", str(vectors), "--vectors", "w", "--k", "20"]) == 2
    assert "vectors must be a column" in capsys.readouterr().err


def test_rows_of_parquet(vectors):
    from ray_subsel.corpus.files import list_files

    files, _ = list_files(CorpusConfig(data=(str(vectors),), vectors="v"))
    assert [count_rows(file) for file in files] == [(250, True), (250, True)]


def test_the_plan_of_other_objectives_counts_what_they_hold(vectors):
    corpus = CorpusConfig(data=(str(vectors),), vectors="v")
    room = machine_of(None, None)
    linear = plan_run(corpus, EmbedConfig(), SelectConfig(k=20, recipe="none"), room).sizes
    located = plan_run(corpus, EmbedConfig(), SelectConfig(k=20, objective="facility_location"), room).sizes
    assert located.worker_bytes > linear.worker_bytes + (50 << 20)


def test_a_budget_without_k_is_planned_for_a_tenth(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"body": f"text {i}"}) + "\n" for i in range(200)))
    corpus, embed = CorpusConfig(data=(str(path),), text=("body",)), EmbedConfig(embedder="tfidf")
    found = plan_run(corpus, embed, SelectConfig(budget=30.0, recipe="none"), machine_of(None, None))
    assert (found.assumed_k, found.sizes.k) == (20, 20)
    assert "20 are assumed" in found.text()


def test_a_run_that_cannot_fit_is_refused_before_anything_is_read(vectors, tmp_path, capsys):
    command = [
        "select",
        str(vectors),
        "--vectors",
        "v",
        "--k",
        "20",
        "--recipe",
        "none",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*command, "--memory-limit", "200MiB"]) == 2
    assert "--memory-limit must hold every stage; got 200 MiB, of which stage corpus" in capsys.readouterr().err
    assert not (tmp_path / "out" / "rows").exists()
    assert main(command) == 0
    assert re.search(r"rows      500; .*\nplan      20 of at most 500 items", capsys.readouterr().err)
