"""Plans of work on a run that is there: more for more, nothing that is done, Ray's start where it is to be."""

import dataclasses
import json

import pytest

from ray_subsel.config import CorpusConfig, EmbedConfig, RunConfig, RuntimeConfig, TrainConfig
from ray_subsel.core.errors import InputError
from ray_subsel.planning.later_plan import BYTES_A_NUMBER, Growing, mean_characters, plan_training, plan_update
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.memory_model import BASE, DRIVER
from ray_subsel.planning.stage_memory import map_bytes

MACHINE = Machine(cpus=2, nodes=1, available=20 << 30, limit=None)
THERE = Growing(n=10_000, d=64, chosen=500, k=500, rows=12_000, near=True)


@pytest.fixture
def files(tmp_path):
    for name, rows in (("few", 5), ("many", 500)):
        lines = "".join(json.dumps({"t": f"a text of row {i}", "l": str(i % 2)}) + "\n" for i in range(rows))
        (tmp_path / f"{name}.jsonl").write_text(lines)
    return tmp_path


def config(files, *data, **parts):
    corpus = CorpusConfig(data=tuple(str(files / f"{name}.jsonl") for name in data), text=("t",), label="l")
    runtime = RuntimeConfig(out="x", train_workers=parts.pop("train_workers", 0))
    return RunConfig(corpus, EmbedConfig(embedder="tfidf"), runtime, **parts)


def training(files, rows=(100, 100), machine=MACHINE, characters=100.0, slow=1.0, train_workers=0, **train):
    tuned = TrainConfig(**{"test": (str(files / "few.jsonl"),), "train_model": "minilm", **train})
    asked = config(files, "few", train=tuned, train_workers=train_workers)
    return plan_training(asked, machine, rows=rows, characters=characters, slow=slow)


@pytest.mark.parametrize(
    "more",
    [
        {"rows": (100, 100, 100)},
        {"rows": (100, 900)},
        {"characters": 400.0},
        {"epochs": 9},
    ],
)
def test_more_to_train_takes_longer(files, more):
    assert training(files, **more).seconds["train"] > 1.2 * training(files).seconds["train"]


def test_training_is_told_in_a_line_with_its_rows(files):
    plan = training(files, rows=(100, 50), slow=2.0)
    assert plan.lines()[0] == "train     2 training sets of 150 rows together, 5 epochs; 5 test rows"
    assert plan.lines()[1].startswith("time      some ")
    assert list(plan.seconds) == ["train", "around"]
    assert plan.seconds["train"] == pytest.approx(2.0 * training(files, rows=(100, 50)).seconds["train"])
    assert plan.as_json() == {"seconds": plan.seconds, "stages": {}, "slow": 2.0}


def test_ray_is_started_for_workers_where_it_does_not_run(files):
    assert "ray" in training(files, train_workers=2).seconds
    assert "ray" not in training(files, train_workers=2, machine=dataclasses.replace(MACHINE, ray_runs=True)).seconds


def updating(files, *data, done=(), slow=1.0, **there):
    return plan_update(config(files, *data), MACHINE, there=dataclasses.replace(THERE, **there), done=done, slow=slow)


def test_an_update_has_the_stages_that_it_will_have(files):
    assert list(updating(files, "few").seconds) == ["corpus", "embed", "join", "renew", "map", "around"]
    assert list(updating(files).seconds) == ["renew", "map", "around"]
    assert list(updating(files, "few", done=["corpus", "embed", "join"]).seconds) == ["renew", "map", "around"]
    assert all(one > 0 for one in updating(files, "few").seconds.values())


@pytest.mark.parametrize(
    ("stage", "more"),
    [
        ("join", {"n": 1_000_000}),
        ("join", {"d": 512}),
        ("renew", {"n": 1_000_000}),
        ("renew", {"k": 501}),  # room is filled from all
        ("renew", {"k": 2_000, "chosen": 2_000}),
        ("renew", {"rows": 1_000_000}),
        ("map", {"n": 1_000_000}),
    ],
)
def test_a_larger_run_takes_longer_to_bring_up_to_date(files, stage, more):
    assert updating(files, "many", **more).seconds[stage] > updating(files, "many").seconds[stage]


def test_near_copies_are_compared_with_all_old_items(files):
    near, none = (updating(files, "many", near=near, n=1_000_000).seconds["join"] for near in (True, False))
    assert near > 1.5 * none


def test_an_update_tells_its_rows_and_the_memory_of_all_vectors(files):
    plan = updating(files, "few")
    assert plan.lines()[:3] == [
        "rows      5 new ones, 12,000 were read before",
        "embed     5 to embed",
        "plan      500 of at most 10,005 items, 64 dimensions; 500 are chosen",
    ]
    assert plan.stages["join"] == plan.stages["renew"] == BASE + BYTES_A_NUMBER * 10_005 * 64
    assert plan.stages["map"] == BASE + DRIVER + map_bytes(10_005, 64)
    assert list(plan.stages) == ["corpus", "embed", "join", "renew", "map"]
    assert updating(files).lines()[0] == "rows      12,000 were read before"


def test_an_update_that_a_limit_does_not_hold_is_refused_before_the_work(files):
    for stage in ("map", "renew"):
        there = dataclasses.replace(THERE, n=100_000_000 if stage == "renew" else 10_000)
        needed = plan_update(config(files), MACHINE, there=there, slow=1.0).stages[stage]
        with pytest.raises(InputError, match=rf"memory_limit must hold every stage.*stage {stage} would take"):
            plan_update(config(files), dataclasses.replace(MACHINE, limit=needed - 1), there=there, slow=1.0)


def test_mean_characters():
    assert mean_characters(["ab", None, "abcd"]) == 2.0
    assert mean_characters([]) == 0.0
