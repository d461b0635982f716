"""``subsel plan``: what a selection would take, from files alone."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main
from ray_subsel.config import CorpusConfig, EmbedConfig, FilterConfig, RunConfig, RuntimeConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.planning.machine import machine_of
from ray_subsel.planning.run_plan import plan_run


def planned(corpus, select, embed=None, limit=None, filters=None, **more):
    filters = filters or FilterConfig()
    config = RunConfig(corpus, embed or EmbedConfig(), RuntimeConfig(out="nowhere"), select, filters=filters)
    return plan_run(config, machine_of(None, limit), slow=1.0, **more)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    X = np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32)
    for number, part in enumerate(np.array_split(X, 2)):
        column = pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), 16)
        pq.write_table(pa.table({"v": column}), folder / f"{number}.parquet")
    return folder


def test_parquet_is_counted_from_its_metadata(vectors):
    found = planned(CorpusConfig(data=(str(vectors),), vectors="v"), SelectConfig(k=20, recipe="none"), limit="2GiB")
    assert (found.rows, found.exact) == (500, True)
    assert (found.sizes.n, found.sizes.d, found.sizes.k, found.sizes.partitions) == (500, 16, 20, 1)
    assert found.text().startswith("rows      500; ")


def test_a_fraction_is_one_of_the_rows(vectors):
    corpus = CorpusConfig(data=(str(vectors),), vectors="v")
    assert planned(corpus, SelectConfig(fraction=0.1, recipe="none")).sizes.k == 50
    with pytest.raises(InputError, match="k must lie between 1 and 500, the items to choose from; got 501"):
        planned(corpus, SelectConfig(k=501, recipe="none"))


def test_rows_that_were_estimated_refuse_no_k(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"body": f"a text of some length, {i}"}) + "\n" for i in range(20_000)))
    corpus, embed = CorpusConfig(data=(str(path),), text=("body",)), EmbedConfig(embedder="doc2vec", vector_size=40)
    found = planned(corpus, SelectConfig(k=20, recipe="none"), embed)
    assert (found.rows, found.exact, found.sizes.d) == (20_000, True, 40)
    found = planned(corpus, SelectConfig(k=30_000, recipe="none"), embed, counted_bytes=1000)
    assert not found.exact
    assert found.rows >= 30_000


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


def test_the_plan_of_other_objectives_counts_what_they_hold(vectors):
    corpus = CorpusConfig(data=(str(vectors),), vectors="v")
    linear = planned(corpus, SelectConfig(k=20, recipe="none")).sizes
    located = planned(corpus, SelectConfig(k=20, objective="facility_location")).sizes
    assert located.worker_bytes > linear.worker_bytes + (50 << 20)


def test_a_budget_without_k_is_planned_for_a_tenth(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"body": f"text {i}"}) + "\n" for i in range(200)))
    corpus, embed = CorpusConfig(data=(str(path),), text=("body",)), EmbedConfig(embedder="tfidf")
    found = planned(corpus, SelectConfig(budget=30.0, recipe="none"), embed)
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


@pytest.mark.parametrize(
    ("select", "filters", "stages"),
    [
        (None, FilterConfig(), []),
        (SelectConfig(k=20, recipe="none"), FilterConfig(), ["select", "decide", "map", "profile"]),
        (SelectConfig(k=20), FilterConfig(drop_outliers=0.1), ["drop", "select", "decide", "map", "profile"]),
        (SelectConfig(k=20, near=0.9), FilterConfig(), ["near", "select", "decide", "map", "profile"]),
    ],
)
def test_a_run_tells_the_seconds_of_the_stages_that_it_will_have(vectors, select, filters, stages):
    found = planned(CorpusConfig(data=(str(vectors),), vectors="v"), select, filters=filters)
    assert list(found.seconds) == ["corpus", "embed", *stages, "around"]
    line = found.text().splitlines()[-1]
    assert all(f" {name} " in line for name in found.seconds)


def test_stages_that_are_done_are_left_out_and_no_limit_of_theirs_refuses(vectors):
    corpus, select = CorpusConfig(data=(str(vectors),), vectors="v"), SelectConfig(k=20, recipe="none")
    whole = planned(corpus, select)
    small = f"{whole.stages['embed'] - 1}B"
    with pytest.raises(InputError, match="of which stage"):
        planned(corpus, select, limit=small)
    done = ("corpus", "embed")
    assert planned(corpus, select, done=done).seconds.keys() == whole.seconds.keys() - set(done)


def test_a_slow_machine_takes_as_many_times_longer(vectors):
    config = RunConfig(
        CorpusConfig(data=(str(vectors),), vectors="v"), EmbedConfig(), RuntimeConfig(out="nowhere"), SelectConfig(k=20)
    )
    machine = machine_of(None, None)
    once, thrice = (plan_run(config, machine, slow=slow).seconds for slow in (1.0, 3.0))
    assert thrice == pytest.approx({name: 3 * one for name, one in once.items()})


def test_fewer_items_than_rows_may_take_more_memory_and_that_is_planned_for(tmp_path):
    path = tmp_path / "v.npy"
    np.save(path, np.ones((18_000, 2), dtype=np.float32))
    exact = planned(CorpusConfig(data=(str(path),), vectors="vector", copies="keep"), SelectConfig(k=20, near="none"))
    fewer = planned(CorpusConfig(data=(str(path),), vectors="vector"), SelectConfig(k=20, near="none"))
    assert fewer.sizes.worker_bytes > exact.sizes.worker_bytes + (300 << 20)  # 16,384 items and fewer are held dense


def test_a_group_each_is_planned_too(tmp_path, capsys):
    path = tmp_path / "rows.csv"
    path.write_text("text,topic\n" + "".join(f"row {i} of words,{i % 7}\n" for i in range(70)))
    assert main(["plan", str(path), "--text", "text", "--embedder", "tfidf", "--per", "topic", "--k", "2"]) == 0
    out = capsys.readouterr().out
    assert "time      some" in out
    assert "select" in out
