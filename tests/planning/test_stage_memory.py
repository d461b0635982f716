"""What each stage is said to take: more for more, and no stage forgotten."""

import dataclasses

import pytest

from ray_subsel.config import CorpusConfig, EmbedConfig, FilterConfig, RunConfig, RuntimeConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.planning.counting import Counted
from ray_subsel.planning.embedding_plan import EmbeddingPlan
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.selection_plan import plan_sizes
from ray_subsel.planning.stage_memory import EMBEDDING, check_stages, stage_bytes, stage_memory_line
from ray_subsel.planning.work import OtherRows, Work

GIB = 1 << 30
MACHINE = Machine(cpus=2, nodes=1, available=20 * GIB, limit=None)
BY_WORKERS = EmbeddingPlan(in_process=False, threads=1, held_bytes=0)
VECTORS = CorpusConfig(data=("x.parquet",), vectors="v")
TEXTS = CorpusConfig(data=("x.csv",), text=("text",))


def stages(n=1_000_000, d=384, k=10_000, corpus=VECTORS, near=None, size=1_600_000_000, embedding=BY_WORKERS, **select):
    filters, others = select.pop("filters", FilterConfig()), select.pop("others", OtherRows())
    select = SelectConfig(k=k, **{"partitions": 8, **select}, near=near, recipe="none")
    sizes = plan_sizes(select, MACHINE, n=n, d=d, k=k)
    config = RunConfig(corpus, EmbedConfig(embedder="tfidf"), RuntimeConfig(out="x"), select, filters=filters)
    counted = Counted(n, True, size, max(8, min(256, size >> 24)))
    return stage_bytes(Work(config, counted, d, k, sizes, embedding, MACHINE, others=others))


def test_every_stage_is_told_and_near_only_where_it_is_asked_for():
    assert list(stages()) == ["corpus", "embed", "select"]
    assert list(stages(near=0.9)) == ["corpus", "embed", "near", "select"]
    line = stage_memory_line(stages(near=0.9))
    assert all(name in line for name in ("corpus", "embed", "near", "select", "MiB"))


def test_more_rows_longer_vectors_and_a_larger_subset_take_no_less():
    small = stages(n=10_000, d=64, k=100, size=3_000_000)
    assert all(small[name] <= amount for name, amount in stages().items())
    assert stages(k=200_000)["select"] > stages(k=1_000)["select"]


def test_reading_is_bounded_by_its_parts_however_long_the_corpus():
    assert stages(n=10_000_000, size=16_000_000_000)["corpus"] == stages()["corpus"]


def test_an_embedder_takes_its_share():
    vectors = stages(d=128)["embed"]
    assert stages(d=128, corpus=TEXTS)["embed"] > vectors


def test_what_this_process_has_loaded_to_embed_it_holds_to_the_end():
    few = {"n": 10_000, "d": 64, "k": 100, "size": 3_000_000, "near": 0.9}
    told, apart = stages(**few, embedding=EmbeddingPlan(True, 2, 500 << 20)), stages(**few)
    more = {name: told[name] - apart[name] for name in told}
    assert more == {"corpus": 0, "embed": EMBEDDING, "near": 500 << 20, "select": 500 << 20}


@pytest.mark.parametrize(
    ("told", "measured"),
    [
        (stages(), 582e6),  # a million x 384, k = 10,000, 8 partitions
        (stages(mode="exact"), 1_135e6),
        (stages(n=10_000_000, d=64, k=100_000, size=2_670_000_000, partitions=64), 722e6),
        (stages(n=1_000_000, d=128, corpus=TEXTS, near=0.9, size=71_456_998), 720e6),  # a million texts by TF-IDF
    ],
)
def test_runs_that_were_measured_lie_within_a_third(told, measured):
    assert max(told.values()) == pytest.approx(measured, rel=0.3)


def test_a_limit_below_a_stage_is_refused_with_the_stage_and_what_it_needs():
    told = stages()
    check_stages(told, MACHINE)
    with pytest.raises(InputError, match=r"memory_limit must hold every stage.*stage corpus.*Give at least"):
        check_stages(told, dataclasses.replace(MACHINE, limit=told["corpus"] - 1))


def test_filters_write_a_smaller_ground_set_and_hold_what_they_compare_with():
    filters = FilterConfig(against=("t.csv",), keep_best="score", drop_outliers=0.1)
    few, many = (OtherRows((Counted(n, True, 100 * n, 8, 100.0),)) for n in (100, 1_000_000))
    told = stages(filters=filters, others=few)
    assert list(told) == ["corpus", "embed", "against", "best", "drop", "select"]
    assert stages(filters=filters, others=many)["against"] > told["against"] + (500 << 20)
    assert stages(filters=filters, others=few, d=1_536)["best"] > told["best"]  # a shard of longer vectors
    check = dataclasses.replace(MACHINE, limit=told["drop"] - 1)
    with pytest.raises(InputError, match="stage"):
        check_stages({"drop": told["drop"]}, check)
