"""What each stage is said to take: more for more, and no stage forgotten."""

import dataclasses

import pytest

from ray_subsel.config import CorpusConfig, EmbedConfig, FilterConfig, RunConfig, RuntimeConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.decisions.projection import PLAIN
from ray_subsel.decisions.table import ROW_GROUP, WINDOW
from ray_subsel.planning import stage_memory
from ray_subsel.planning.counting import Counted
from ray_subsel.planning.embedding_plan import EmbeddingPlan
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.selection_plan import plan_sizes
from ray_subsel.planning.stage_memory import EMBEDDING, check_stages, stage_bytes, stage_memory_line
from ray_subsel.planning.work import OtherRows, Work
from ray_subsel.stages.map import POINTS
from ray_subsel.stages.profile import MOST_CHOSEN

GIB = 1 << 30
MACHINE = Machine(cpus=2, nodes=1, available=20 * GIB, limit=None)
BY_WORKERS = EmbeddingPlan(in_process=False, threads=1, held_bytes=0)
VECTORS = CorpusConfig(data=("x.parquet",), vectors="v")
TELLING = ("decide", "map", "profile")
TEXTS = CorpusConfig(data=("x.csv",), text=("text",))


def stages(n=1_000_000, d=384, k=10_000, corpus=VECTORS, near=None, size=1_600_000_000, embedding=BY_WORKERS, **select):
    filters, others = select.pop("filters", FilterConfig()), select.pop("others", OtherRows())
    select = SelectConfig(k=k, **{"partitions": 8, **select}, near=near, recipe="none")
    sizes = plan_sizes(select, MACHINE, n=n, d=d, k=k)
    config = RunConfig(corpus, EmbedConfig(embedder="tfidf"), RuntimeConfig(out="x"), select, filters=filters)
    counted = Counted(n, True, size, max(8, min(256, size >> 24)))
    return stage_bytes(Work(config, counted, d, k, sizes, embedding, MACHINE, others=others))


def test_every_stage_is_told_and_near_only_where_it_is_asked_for():
    assert list(stages()) == ["corpus", "embed", "select", *TELLING]
    assert list(stages(near=0.9)) == ["corpus", "embed", "near", "select", *TELLING]
    line = stage_memory_line(stages(near=0.9))
    assert all(name in line for name in ("corpus", "embed", "near", "select", *TELLING, "MiB"))


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
    assert more == {"corpus": 0, "embed": EMBEDDING} | dict.fromkeys(("near", "select", *TELLING), 500 << 20)


@pytest.mark.parametrize(
    ("told", "measured"),
    [
        (stages(), 582e6),  # a million x 384, k = 10,000, 8 partitions
        (stages(mode="exact"), 1_135e6),
        (stages(n=10_000_000, d=64, k=100_000, size=2_670_000_000, partitions=64), 722e6),
        (stages(n=1_000_000, d=128, corpus=TEXTS, near=0.9, size=71_456_998), 720e6),  # a million texts by TF-IDF
    ],
)
def test_runs_that_were_measured_lie_within_a_third_up_to_selection(told, measured):
    assert max(amount for name, amount in told.items() if name not in TELLING) == pytest.approx(measured, rel=0.3)


@pytest.mark.parametrize(
    ("told", "measured"),
    [
        # a million x 64, half near copies, facility location, k = 10,000; and two million, k = 20,000
        (stages(d=64, size=313_000_000), {"decide": 582, "map": 543, "profile": 564}),
        (stages(n=2_000_000, d=64, k=20_000, size=626_000_000), {"decide": 651, "map": 582, "profile": 605}),
        # in one process
        (stages(n=20_000, d=64, k=1_000, size=5_120_000), {"decide": 182, "map": 341, "profile": 268}),
        (stages(n=5_000, d=384, k=100, size=7_680_000), {"decide": 168, "map": 344, "profile": 282}),
    ],
)
def test_what_tells_of_all_rows_takes_no_more_than_is_told_and_not_far_less(told, measured):
    for name, mib in measured.items():
        assert mib << 20 <= told[name] <= 1.6 * (mib << 20), (name, told[name] >> 20)


def test_what_tells_of_all_rows_goes_by_the_sizes_that_its_stages_have():
    assert (stage_memory.LINES, stage_memory.WINDOW) == (ROW_GROUP, WINDOW)
    assert (stage_memory.POINTS, stage_memory.SMALL_MAP) == (POINTS, PLAIN)
    assert stage_memory.FOLLOWED == MOST_CHOSEN
    least = stages(n=10_000_000, d=64, k=100_000, size=2_670_000_000)
    assert least["decide"] < 1.5 * GIB
    more = stages(n=10_000_000, d=64, k=100_000, size=2_670_000_000, near=0.9)
    assert more["decide"] > least["decide"] + (400 << 20)
    quality = dataclasses.replace(VECTORS, quality="score")
    assert stages(corpus=quality)["profile"] > stages()["profile"]


def test_a_limit_below_a_stage_is_refused_with_the_stage_and_what_it_needs():
    told = stages()
    check_stages(told, MACHINE)
    for name in ("corpus", *TELLING):
        with pytest.raises(InputError, match=rf"memory_limit must hold every stage.*stage {name}.*Give at least"):
            check_stages({name: told[name]}, dataclasses.replace(MACHINE, limit=told[name] - 1))


def test_filters_write_a_smaller_ground_set_and_hold_what_they_compare_with():
    filters = FilterConfig(against=("t.csv",), keep_best="score", drop_outliers=0.1)
    few, many = (OtherRows((Counted(n, True, 100 * n, 8, 100.0),)) for n in (100, 1_000_000))
    told = stages(filters=filters, others=few)
    assert list(told) == ["corpus", "embed", "against", "best", "drop", "select", *TELLING]
    assert stages(filters=filters, others=many)["against"] > told["against"] + (500 << 20)
    assert stages(filters=filters, others=few, d=1_536)["best"] > told["best"]  # a shard of longer vectors
    check = dataclasses.replace(MACHINE, limit=told["drop"] - 1)
    with pytest.raises(InputError, match="stage"):
        check_stages({"drop": told["drop"]}, check)
