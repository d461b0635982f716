"""A target and a quality in a run: the ids of select(), whatever the partitions and restarts, and what is told."""

import dataclasses
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.cli import main
from ray_subsel.config import CorpusConfig, EmbedConfig, RunConfig, RuntimeConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.pipeline import run
from ray_subsel.planning.policy import DEFAULT_POLICY, ON_RAY

N, D, K = 240, 8, 24
BOTH = {"target_weight": 0.5, "quality_weight": 0.4}


def vectors(seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((8, D))
    topic = rng.integers(8, size=N)
    X = centres[topic] + 0.3 * rng.standard_normal((N, D))
    Q = np.repeat(centres[2] + 0.3 * rng.standard_normal((5, D)), [1, 1, 3, 1, 1], axis=0)
    return tuple((M / np.linalg.norm(M, axis=1)[:, None]).astype(np.float32) for M in (X, Q))


def column(M):
    return pa.FixedSizeListArray.from_arrays(pa.array(M.reshape(-1)), M.shape[1])


@pytest.fixture
def there(tmp_path):
    """Write items and queries, and return their vectors, the qualities and what makes a run of them."""
    X, Q = vectors()
    quality = np.random.default_rng(1).random(N)
    group = [str(i % 3) for i in range(N)]
    pq.write_table(pa.table({"v": column(X), "score": quality, "group": group}), tmp_path / "data.parquet")
    pq.write_table(pa.table({"v": column(Q)}), tmp_path / "queries.parquet")

    def made(name="run", *, policy=DEFAULT_POLICY, watch=None, overwrite=False, score="score", target=True, **asked):
        corpus = CorpusConfig(data=(str(tmp_path / "data.parquet"),), vectors="v", quality=score, group="group")
        file = str(tmp_path / "queries.parquet") if target else None
        if score is None:
            asked.pop("quality_weight", None)
        if not target:
            asked.pop("target_weight", None)
        config = SelectConfig(**{"k": K, "target": file, **asked})
        runtime = RuntimeConfig(out=str(tmp_path / name), overwrite=overwrite)
        report = run(RunConfig(corpus, EmbedConfig(), runtime, config), policy=policy, watch=watch)
        return pq.read_table(tmp_path / name / "selection.parquet")["id"].to_pylist(), report

    return X, Q, quality, made


@pytest.mark.parametrize(
    "how",
    [
        {"objective": "facility_location"},
        {"objective": "facility_location", "partitions": 3},
        {"objective": "facility_location", "near": 0.9},
        {"objective": "graph_cut", "partitions": 1},
        {"objective": "graph_cut", "partitions": 3, "mode": "exact"},
        {"objective": "graph_cut", "partitions": 1, "near": 0.9},
    ],
    ids=str,
)
def test_a_run_chooses_what_select_does(there, how, tmp_path):
    X, Q, quality, made = there
    ids, report = made(**how, **BOTH)
    near = how.get("near")
    wanted = select(X, K, objective=how["objective"], target=Q, quality=quality, near=near, **BOTH)
    assert ids == wanted.indices.tolist()
    told = report["selection"]
    assert told["value"] == pytest.approx(wanted.value)
    assert sum(told["value_parts"].values()) == pytest.approx(told["value"])
    for name, value in told["value_parts"].items():
        assert value == pytest.approx(wanted.stats[f"value_{name}"], rel=1e-6)
    assert told["quality"]["unit"] == wanted.stats["quality_unit"]
    assert told["quality"]["rank"]["chosen"] == pytest.approx(wanted.stats["quality_mean"])
    assert told["target"]["queries"] == 5  # of seven rows
    assert told["target"]["greatest"]["chosen"] == pytest.approx(wanted.stats["target_greatest_similarity"])
    assert told["target"]["mean"]["all"] == pytest.approx(wanted.stats["target_mean_similarity_of_all"])
    assert told["random_value"] < told["value"]
    kept = {path.name.partition("-")[0] for path in (tmp_path / "run" / "utilities").iterdir()}
    assert kept == {"part", "about.json"}
    if how["objective"] == "graph_cut" and how.get("mode") != "exact":
        assert told["certificate"]["bound"] >= told["value"]


@pytest.mark.parametrize("alone", ["target", "quality"])
def test_each_goes_without_the_other(there, alone):
    X, Q, quality, made = there
    target = alone == "target"
    ids, report = made(objective="facility_location", target=target, score=None if target else "score", **BOTH)
    more = {"target": Q, "target_weight": 0.5} if target else {"quality": quality, "quality_weight": 0.4}
    assert ids == select(X, K, objective="facility_location", **more).indices.tolist()
    assert ("target" in report["selection"], "quality" in report["selection"]) == (target, not target)


@pytest.mark.parametrize("objective", ["graph_cut", "log_determinant", "facility_location"])
def test_partitions_and_limits(there, objective, tmp_path):
    _, _, quality, made = there
    (tmp_path / "keep.txt").write_text("7\n3\n")
    (tmp_path / "drop.txt").write_text("0\n")
    more = {"quotas": ("equal",), "include": str(tmp_path / "keep.txt"), "exclude": str(tmp_path / "drop.txt")}
    if objective == "facility_location":
        more["represented"] = 200
    target = objective != "log_determinant"
    ids, report = made(objective=objective, partitions=4, quality_weight=50.0, target=target, **more)
    assert ids[:2] == [7, 3]
    assert 0 not in ids
    assert np.bincount(np.array(ids) % 3).tolist() == [8, 8, 8]
    assert np.mean(quality[ids[2:]]) > 0.8  # a great weight: the best of each group
    assert report["selection"]["value"] > report["selection"]["random_value"]


@pytest.mark.usefixtures("ray_session")
def test_ray_gives_the_same_ids(there):
    *_, made = there
    for how in ({"objective": "facility_location"}, {"objective": "graph_cut", "mode": "exact", "partitions": 2}):
        here = made(f"here-{how['objective']}", **how, **BOTH)[0]
        assert made(f"ray-{how['objective']}", policy=ON_RAY, **how, **BOTH)[0] == here


@pytest.mark.parametrize(
    "last", ["target/rows/index.json", "utilities/compared-00003.parquet", "utilities/part-00002.parquet",
             "utilities/about.json"]
)  # fmt: skip
def test_a_killed_run_goes_on_with_the_same_ids(there, last):
    *_, made = there
    wanted = made("whole", objective="facility_location", **BOTH)[0]

    def kill(event, name):
        if event == "written" and name == last.removeprefix("target/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(objective="facility_location", watch=kill, **BOTH)
    seen = []
    assert made(objective="facility_location", watch=lambda *what: seen.append(what), **BOTH)[0] == wanted
    assert not last.startswith("utilities/compared") or ("written", last) not in seen


def test_other_queries_or_none_are_never_mixed_in(there, tmp_path):
    _, Q, _, made = there
    first = made(objective="facility_location", **BOTH)[0]
    assert made(objective="facility_location", **BOTH)[0] == first  # as before
    pq.write_table(pa.table({"v": column(-Q)}), tmp_path / "queries.parquet")
    with pytest.raises(InputError, match="holds a run of other settings \\(target.input"):
        made(objective="facility_location", **BOTH)
    assert made(objective="facility_location", overwrite=True, **BOTH)[0] != first
    with pytest.raises(InputError, match="select.target"):
        made(objective="facility_location", target=False, **BOTH)
    assert (tmp_path / "run" / "target").is_dir()
    made(objective="facility_location", target=False, overwrite=True, **BOTH)
    assert not (tmp_path / "run" / "target").exists()
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert "target" not in manifest["stages"]


def test_runs_without_either_have_the_settings_of_older_ones(there, tmp_path):
    *_, made = there
    made(objective="facility_location", score=None, target=False)
    stages = json.loads((tmp_path / "run" / "manifest.json").read_text())["stages"]
    named = {name for stage in stages.values() for name in stage["settings"]}
    assert not named & {"target", "target_weight", "quality", "quality_weight"}
    assert not (tmp_path / "run" / "utilities").exists()


WORDS = {"moon": "crater orbit lunar rocket eclipse tide", "bread": "flour oven yeast dough crust bake"}


def texts(topic, count, seed):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.permutation(WORDS[topic].split())[:4]) + f" {topic}{i}" for i in range(count)]


@pytest.fixture
def stories(tmp_path):
    lines = [*texts("moon", 30, 0), *texts("bread", 90, 1)]
    rows = [f"{text},{'' if i % 10 == 0 else i},{i % 2}" for i, text in enumerate(lines)]
    (tmp_path / "data.csv").write_text("\n".join(["body,score,label", *rows, "moon again,high,1"]))
    (tmp_path / "queries.txt").write_text("\n".join([lines[4], "lunar orbit"]))
    common = ["select", str(tmp_path / "data.csv"), "--text", "body", "--embedder", "tfidf", "--k", "12"]
    return lines, [*common, "--out", str(tmp_path / "out")]


def test_texts_are_embedded_by_the_embedder_that_was_fitted_to_the_corpus(stories, tmp_path, capsys):
    _, command = stories
    aim = ["--objective", "facility_location", "--target", str(tmp_path / "queries.txt"), "--quality", "score"]
    assert main([*command, *aim]) == 0
    printed = capsys.readouterr().out
    assert "target    2 queries, weight " in printed
    assert "quality   weight " in printed
    assert "12 of 120 items have no quality; they count as the middle (0.5)." in printed
    assert "value     coverage " in printed
    table = pq.read_table(tmp_path / "out" / "subset.parquet")
    assert sum("moon" in body for body in table["body"].to_pylist()) >= 10
    parts = [pq.read_table(path) for path in sorted((tmp_path / "out" / "utilities").glob("part-*.parquet"))]
    items = pa.concat_tables(parts)
    at = items["id"].to_pylist().index(4)
    assert items["relevance"].to_pylist()[at] == pytest.approx(1.0, abs=1e-6)  # one of the queries
    rejected = pq.read_table(tmp_path / "out" / "rejected.parquet")
    assert rejected["reason"].to_pylist() == ["quality that is no number"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Greatest similarity to the target" in page
    assert "Mean quality rank" in page


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--target", "{}/none.txt"], "target .*none.txt: data must be an existing file"),
        (["--target", "{}/data.csv", "--objective", "log_determinant"], "target must go with .*objective"),
        (["--target", "{}/other.csv"], "target .*other.csv: text must be a column of"),
        (["--target", "{}/data.csv", "--target-weight", "2"], r"target.weight must lie in \(0, 1\]"),
        (["--target-weight", "0.5"], "target.weight must go with .*target"),
        (["--quality-weight", "0.5"], "quality.weight must go with .*quality"),
        (["--quality", "none"], "quality must be a column of"),
        (["--quality", "score", "--quality-weight", "0"], "quality.weight must be a finite number above 0"),
        (["--quality", "score", "--mode", "exact", "--objective", "log_determinant"], "mode must be greedi"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_before_the_work(stories, tmp_path, capsys, flags, message):
    _, command = stories
    (tmp_path / "other.csv").write_text("question\nlunar\n")
    assert main([*command, *[flag.format(tmp_path) for flag in flags]]) == 2
    printed = capsys.readouterr().err.strip()
    assert "\n" not in printed
    assert not (tmp_path / "out").exists()
    assert re.search(message, printed), printed


def test_queries_of_another_dimension_are_refused(there, tmp_path):
    *_, made = there
    pq.write_table(pa.table({"v": column(np.eye(3, dtype=np.float32))}), tmp_path / "queries.parquet")
    with pytest.raises(InputError, match="target must hold vectors of 8 numbers, as the corpus does; got 3 numbers"):
        made(objective="facility_location")


def test_a_test_file_needs_no_quality():
    from ray_subsel.config import TrainConfig
    from ray_subsel.corpus.other_sets import test_corpus

    corpus = CorpusConfig(data=("a",), text=("body",), quality="score")
    assert test_corpus(corpus, TrainConfig(test=("b",))) == dataclasses.replace(
        corpus, data=("b",), quality=None, copies="keep"
    )
