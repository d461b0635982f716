"""The seconds of each stage: of all that a run has, more for more, less over more workers."""

import dataclasses

import pytest

from ray_subsel.config import (
    CorpusConfig,
    EmbedConfig,
    FilterConfig,
    RunConfig,
    RuntimeConfig,
    SelectConfig,
    TrainConfig,
)
from ray_subsel.planning.counting import Counted
from ray_subsel.planning.embedding_plan import plan_embedding
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.selection_plan import plan_sizes
from ray_subsel.planning.stage_seconds import stage_seconds
from ray_subsel.planning.work import OtherRows, Work, likely_items

MACHINE = Machine(cpus=2, nodes=1, available=20 << 30, limit=None)
TEXTS = CorpusConfig(data=("x.csv",), text=("text",), copies="collapse")
VECTORS = CorpusConfig(data=("x.parquet",), vectors="v", copies="collapse")
OTHER = Counted(500, True, 50_000, 8, 100.0)


def work(n=20_000, d=100, k=1_000, corpus=TEXTS, cpus=2, characters=140.0, **parts):
    select = parts.pop("select", SelectConfig(k=k, objective="facility_location", near=0.9, recipe="none"))
    embed = parts.pop("embed", EmbedConfig(embedder="tfidf"))
    config = RunConfig(corpus, embed, RuntimeConfig(out="x"), select, **parts)
    machine = dataclasses.replace(MACHINE, cpus=cpus)
    sizes = None if select is None or select.per else plan_sizes(select, machine, n=n, d=d, k=k)
    embedding = plan_embedding(corpus, embed, machine, n=n, d=d)
    others = OtherRows((OTHER,) * len(config.filters.against), OTHER if select and select.target else None, OTHER)
    counted = Counted(n, True, 200 * n, 8, characters if corpus.vectors is None else 0.0, 40)
    return Work(config, counted, d, k, sizes, embedding, machine, others=others)


ALL = {
    "filters": FilterConfig(against=("t.csv",), keep_best="score", drop_outliers=0.1),
    "train": TrainConfig(test=("t.csv",), train_model="minilm"),
    "select": SelectConfig(k=1_000, objective="facility_location", near=0.9, target="q.csv", recipe="none"),
}


def test_each_stage_is_told_where_it_is_asked_for():
    found = stage_seconds(work(**ALL))
    order = ["corpus", "embed", "against", "best", "drop", "near", "target", "select", "decide", "map", "profile"]
    assert list(found) == [*order, "train", "around"]
    assert all(one > 0 for one in found.values())
    assert list(stage_seconds(work(select=None))) == ["corpus", "embed", "around"]


def test_ray_is_told_where_it_will_be_started():
    assert "ray" not in stage_seconds(work(corpus=VECTORS))
    assert "ray" in stage_seconds(work(n=1_000_000, corpus=VECTORS))
    assert "ray" in stage_seconds(work(n=1_000_000, corpus=VECTORS, select=None))  # its file is large


def test_ray_that_runs_already_is_not_started_again():
    large = work(n=1_000_000, corpus=VECTORS)
    joined = dataclasses.replace(large, machine=dataclasses.replace(large.machine, ray_runs=True))
    assert stage_seconds(joined).keys() == stage_seconds(large).keys() - {"ray"}


def test_ray_is_started_for_workers_that_train():
    small = work(train=TrainConfig(test=("t",), train_model="minilm"))
    config = dataclasses.replace(small.config, runtime=RuntimeConfig(out="x", train_workers=2))
    assert "ray" not in stage_seconds(small)
    assert "ray" in stage_seconds(dataclasses.replace(small, config=config))


@pytest.mark.parametrize("corpus", [TEXTS, VECTORS])
@pytest.mark.parametrize(("few", "many"), [({"n": 2_000}, {"n": 200_000}), ({"k": 100}, {"k": 10_000})])
def test_more_rows_and_a_larger_subset_take_no_less(corpus, few, many):
    parts = {**ALL, "corpus": corpus} if corpus is TEXTS else {"corpus": corpus}
    short, long = stage_seconds(work(**few, **parts)), stage_seconds(work(**many, **parts))
    assert all(one <= long[name] for name, one in short.items())
    assert sum(short.values()) < sum(long.values())


def test_longer_texts_and_fewer_cpus_take_longer():
    minilm = {"embed": EmbedConfig(embedder="minilm")}
    short, long = (stage_seconds(work(characters=some, **minilm))["embed"] for some in (140, 600))
    assert long > 2 * short
    many = {"n": 1_000_000, "corpus": VECTORS}
    assert stage_seconds(work(cpus=2, **many))["near"] > 2 * stage_seconds(work(cpus=16, **many))["near"]


def test_many_small_groups_take_little_more_than_their_rows_together():
    select = SelectConfig(fraction=0.1, per="kind", objective="facility_location", near=0.9, recipe="none")
    assert stage_seconds(work(n=2_000, select=select))["select"] < 1.0  # in 40 groups


def test_training_grows_with_arms_and_epochs():
    def seconds(**train):
        return stage_seconds(work(train=TrainConfig(test=("t",), train_model="minilm", **train)))["train"]

    assert seconds(epochs=10) > 1.5 * seconds(epochs=5)
    assert seconds(arms=("subset", "full")) > 5 * seconds(arms=("subset",))  # 20,000 rows and 1,000


def test_what_copies_there_may_be_is_taken_into_account():
    config = work().config
    assert likely_items(config, 1_000) == 750
    assert likely_items(dataclasses.replace(config, select=SelectConfig(k=1, near="none")), 1_000) == 850
    keeping = dataclasses.replace(config, corpus=dataclasses.replace(TEXTS, copies="keep"))
    assert likely_items(dataclasses.replace(keeping, select=SelectConfig(k=1, near="none")), 1_000) == 1_000
