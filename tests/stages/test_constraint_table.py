"""Quotas, floors, budgets, must-includes and exclusions of a run, whatever the partitions and the way."""

import dataclasses
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.config import CorpusConfig, EmbedConfig, RunConfig, RuntimeConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.pipeline import run
from ray_subsel.planning.policy import DEFAULT_POLICY, ON_RAY

N, D = 300, 6


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """300 vectors of three groups, of which the last 60 repeat the first 60, with costs and names."""
    draw = np.random.default_rng(0)
    X = (draw.normal(size=(N, D)) + 0.4).astype(np.float32)
    X[240:] = X[:60]
    groups = draw.choice(["a", "b", "c"], size=N, p=[0.7, 0.24, 0.06])
    groups[240:] = groups[:60]
    costs = draw.integers(5, 100, size=N)
    path = tmp_path_factory.mktemp("corpus") / "v.parquet"
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), D)
    names = [f"r{i}" for i in range(N)]
    pq.write_table(pa.table({"v": column, "g": groups, "tokens": costs, "name": names}), path)
    embedded = path.parent / "embedded"
    run(_config(path, embedded, SelectConfig(k=1, partitions=4, recipe="none")))
    return path, X, groups, costs, embedded


def _config(path, out, chosen, *, own=None, cost="tokens", copies="collapse"):
    return RunConfig(
        corpus=CorpusConfig(data=(str(path),), vectors="v", group="g", cost=cost, id=own, copies=copies),
        embed=EmbedConfig(),
        select=chosen,
        runtime=RuntimeConfig(out=str(out), workers=1, overwrite=True),
    )


def file_of(folder, name, ids):
    path = folder / name
    path.write_text("".join(f"{one}\n" for one in ids))
    return str(path)


def limited(corpus, out, *, overwrite=True, own=None, cost="tokens", policy=DEFAULT_POLICY, **chosen):
    """Select, from what is embedded already unless another corpus is asked for."""
    path, _, _, _, embedded = corpus
    if own is None and cost is not None and not out.exists():
        shutil.copytree(embedded, out)
        for name in ("selection.parquet", "subset.parquet"):
            (out / name).unlink()
    config = _config(path, out, SelectConfig(**chosen, recipe="none"), own=own, cost=cost)
    runtime = dataclasses.replace(config.runtime, overwrite=overwrite)
    return run(dataclasses.replace(config, runtime=runtime), policy=policy)


def ids_of(out):
    return pq.read_table(out / "selection.parquet")["id"].to_pylist()


@pytest.mark.parametrize("objective", ["graph_cut", "facility_location"])
@pytest.mark.parametrize("partitions", [1, 5])
def test_all_limits_hold_together(corpus, tmp_path, objective, partitions):
    _, X, groups, *_ = corpus
    include, exclude = [250, 17, 99], [3, 244]  # 250 is a copy of 10, 244 one of 4
    report = limited(
        corpus,
        tmp_path / "out",
        k=40,
        objective=objective,
        partitions=partitions,
        quotas=("a=20",),
        floors=("c=4",),
        include=file_of(tmp_path, "in.txt", include),
        exclude=file_of(tmp_path, "out.txt", exclude),
    )
    ids = ids_of(tmp_path / "out")
    assert ids[:3] == include
    assert len(set(ids)) == 40
    assert not {3, 243, 4, 244, 10} & set(
        ids
    )  # neither what is excluded, nor its copies, nor a copy of an included one
    counts = {g: int((groups[ids] == g).sum()) for g in "abc"}
    assert counts["a"] <= 20
    assert counts["c"] >= 4
    limits = report["selection"]["limits"]
    assert (limits["included"], limits["excluded"]) == (3, 2)
    assert {one["group"]: one["chosen"] for one in limits["groups"]} == counts
    assert pq.read_table(tmp_path / "out" / "subset.parquet")["name"].to_pylist() == [f"r{i}" for i in ids]
    if partitions == 1:
        # the same as the one call on the distinct vectors
        distinct = np.arange(240)
        wanted = select(
            X[distinct], 40, objective=objective, include=[10, 17, 99], exclude=[3, 4], groups=groups[distinct],
            quotas={"a": 20}, floors={"c": 4},
        )  # fmt: skip
        assert ids[3:] == wanted.indices.tolist()[3:]
        assert report["value"] == pytest.approx(wanted.value, rel=1e-4)
    else:
        assert report["selection"]["share_of_centralized"] > 0.95


def test_a_budget_with_quotas(corpus, tmp_path):
    _, _, groups, costs, _ = corpus
    report = limited(
        corpus, tmp_path / "out", budget=900.0, quotas=("a=5",), objective="facility_location",
        partitions=4, include=file_of(tmp_path, "in.txt", [8]),
    )  # fmt: skip
    ids = ids_of(tmp_path / "out")
    assert ids[0] == 8
    assert costs[ids].sum() <= 900
    assert (groups[ids] == "a").sum() <= 5
    assert report["selection"]["limits"]["cost"] == costs[ids].sum()
    assert report["selection"]["k"] == len(ids)


@pytest.mark.parametrize("wish", [("proportional",), ("equal",)])
def test_apportioned_quotas_are_exact(corpus, tmp_path, wish):
    _, _, groups, *_ = corpus
    limited(corpus, tmp_path / "out", k=30, quotas=wish, partitions=6)
    counts = [int((groups[ids_of(tmp_path / "out")] == g).sum()) for g in "abc"]
    sizes = np.array([(groups[:240] == g).sum() for g in "abc"])
    expected = [min(10, sizes[2])] if wish == ("equal",) else [round(30 * sizes[2] / 240)]
    assert counts[2] == expected[0]
    assert sum(counts) == 30


@pytest.mark.parametrize("wish", ["proportional", "equal"])
def test_floors_come_before_apportioned_quotas(corpus, tmp_path, wish):
    _, X, groups, *_ = corpus
    sizes = np.array([(groups[:240] == g).sum() for g in "abc"])
    least = int(sizes[2]) - 2  # far above its share
    limited(corpus, tmp_path / "out", k=40, quotas=(wish,), floors=(f"c={least}",), partitions=5)
    counts = [int((groups[ids_of(tmp_path / "out")] == g).sum()) for g in "abc"]
    assert counts[2] == least
    assert sum(counts) == 40
    rest = 40 - least
    share = rest / 2 if wish == "equal" else rest * sizes[0] / sizes[:2].sum()
    assert abs(counts[0] - share) < 1
    wanted = select(X[:240], 40, groups=groups[:240], quotas=wish, floors={"c": least}, recipe="none").indices
    assert [int((groups[wanted] == g).sum()) for g in "abc"] == counts


def test_the_unit_of_costs_changes_no_id(tmp_path):
    draw = np.random.default_rng(1)
    X = (draw.normal(size=(120, D)) + 0.4).astype(np.float32)
    costs = draw.integers(1, 10, size=120)
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), D)
    units = {"tokens": costs, "thousands": costs / 1000, "tiny": costs * 1e-12}
    pq.write_table(pa.table({"v": column, "g": ["a"] * 120, **units}), tmp_path / "v.parquet")
    found = set()
    for partitions in (1, 3):
        for name, unit in (("tokens", 1.0), ("thousands", 1e-3), ("tiny", 1e-12)):
            chosen = SelectConfig(
                budget=40 * unit, partitions=partitions, include=file_of(tmp_path, "in.txt", [8, 3]),
                objective="facility_location",
            )  # fmt: skip
            run(_config(tmp_path / "v.parquet", tmp_path / "out", chosen, cost=name))
            ids = ids_of(tmp_path / "out")
            assert costs[ids].sum() <= 40
            found.add((partitions, tuple(ids)))
    assert len(found) == 2
    wanted = select(X, objective="facility_location", costs=costs, budget=40, include=[8, 3]).indices
    assert (1, tuple(wanted.tolist())) in found


@pytest.mark.usefixtures("ray_session")
def test_neither_workers_nor_ray_nor_a_restart_change_the_ids(corpus, tmp_path):
    chosen = {
        "k": 30, "objective": "facility_location", "represented": 100, "partitions": 4, "quotas": ("a=12",),
        "include": file_of(tmp_path, "in.txt", [200, 31]),
    }  # fmt: skip
    limited(corpus, tmp_path / "here", **chosen)
    limited(corpus, tmp_path / "ray", policy=ON_RAY, **chosen)
    assert ids_of(tmp_path / "ray") == ids_of(tmp_path / "here")
    # a run that was killed after two partitions goes on from what they handed over
    for name in ("selection.parquet", "subset.parquet", "candidates/part-00001.parquet"):
        (tmp_path / "ray" / name).unlink()
    manifest = (tmp_path / "ray" / "manifest.json").read_text()
    (tmp_path / "ray" / "manifest.json").write_text(_undone(manifest))
    limited(corpus, tmp_path / "ray", **chosen)
    assert ids_of(tmp_path / "ray") == ids_of(tmp_path / "here")


@pytest.mark.fault
@pytest.mark.parametrize("damage", ["truncated", "of other items"])
def test_a_damaged_file_of_limits_is_named_and_deleting_it_is_the_way_out(corpus, tmp_path, damage):
    chosen = {"k": 30, "partitions": 4, "quotas": ("a=12",)}
    limited(corpus, tmp_path / "out", **chosen)
    ids = ids_of(tmp_path / "out")
    manifest = tmp_path / "out" / "manifest.json"
    manifest.write_text(_undone(manifest.read_text()))
    (tmp_path / "out" / "candidates" / "part-00002.parquet").unlink()
    part = sorted((tmp_path / "out" / "limits").glob("part-*.parquet"))[0]
    if damage == "truncated":
        part.write_bytes(part.read_bytes()[:-100])
        message = r"limits/part-00000\.parquet must be a whole Parquet file"
    else:
        table = pq.read_table(part)
        about = pq.ParquetFile(part).metadata
        counts = [about.row_group(group).num_rows for group in range(about.num_row_groups)]
        moved = table.set_column(0, "id", pa.array(table["id"].to_numpy() + 1))
        with pq.ParquetWriter(part, moved.schema) as writer:
            for start, rows in zip(np.cumsum([0, *counts[:-1]]), counts, strict=True):
                writer.write_table(moved.slice(int(start), rows))
        message = r"limits must be about the items of partition"
    with pytest.raises(InputError, match=message):
        limited(corpus, tmp_path / "out", overwrite=False, **chosen)
    shutil.rmtree(tmp_path / "out" / "limits")
    limited(corpus, tmp_path / "out", overwrite=False, **chosen)
    assert ids_of(tmp_path / "out") == ids


def _undone(manifest):
    content = json.loads(manifest)
    content["stages"]["select"] |= {"done": False, "facts": {}}
    return json.dumps(content)


def test_own_ids_and_an_earlier_selection_name_rows(corpus, tmp_path):
    limited(corpus, tmp_path / "first", k=10)
    first = ids_of(tmp_path / "first")
    limited(corpus, tmp_path / "more", k=20, include=str(tmp_path / "first" / "selection.parquet"), partitions=3)
    assert ids_of(tmp_path / "more")[:10] == first
    named = file_of(tmp_path, "names.txt", ["r250", "r1"])
    limited(corpus, tmp_path / "own", own="name", k=5, include=named)
    assert ids_of(tmp_path / "own")[:2] == [250, 1]


def test_near_copies_of_what_is_named(corpus, tmp_path):
    # 250 and 10 are one group: the row that was named is what comes out, the excluded one takes its group with it.
    limited(
        corpus, tmp_path / "out", k=20, near=0.99, include=file_of(tmp_path, "in.txt", [250]),
        exclude=file_of(tmp_path, "out.txt", [245]), partitions=2,
    )  # fmt: skip
    ids = ids_of(tmp_path / "out")
    assert ids[0] == 250
    assert not {5, 245, 10} & set(ids)


@pytest.mark.parametrize(("copies", "near"), [("keep", None), ("keep", 0.99), ("collapse", 0.99)])
def test_select_and_a_run_mean_the_same_by_include_and_exclude(corpus, tmp_path, copies, near):
    """Rows 10 and 250 are equal, as are 3 and 243, 5 and 245, and 20 and 260."""
    path, X, groups, *_ = corpus
    include, exclude = [250, 17, 10], [3, 245]
    chosen = SelectConfig(
        k=40, partitions=1, near=near, quotas=("a=20",), include=file_of(tmp_path, "in.txt", include),
        exclude=file_of(tmp_path, "out.txt", exclude), recipe="none")  # fmt: skip
    run(_config(path, tmp_path / "out", chosen, copies=copies))
    wanted = select(X, 40, near=near, groups=groups, quotas={"a": 20}, include=include, exclude=exclude, recipe="none")
    ids = wanted.indices.tolist()
    assert ids_of(tmp_path / "out") == ids
    assert not {3, 243, 5, 245} & set(ids)
    assert ids[:3] == include if near is None else ids[:2] == include[:2]
    assert (10 in ids) == (near is None)  # of several included rows that are one item the first is it


def test_other_named_rows_are_another_run(corpus, tmp_path):
    limited(corpus, tmp_path / "out", k=5, include=file_of(tmp_path, "in.txt", [7]))
    with pytest.raises(InputError, match=r"select\.include: .* there, .* here"):
        limited(corpus, tmp_path / "out", overwrite=False, k=5, include=file_of(tmp_path, "in.txt", [8]))


BAD = {
    "a floor above its group": (
        {"k": 30, "floors": ("c=60",)},
        "floor of 'c' must be at most the .* items it may have",
    ),
    "an unknown label": ({"k": 30, "quotas": ("z=1",)}, "quotas must name labels that occur"),
    "quotas below k": ({"k": 30, "quotas": ("a=1", "b=1", "c=1")}, "quotas must allow k = 30 items"),
    "k above what is left": (
        {"k": 240, "exclude": [0]},
        "k must lie between 1 and 239, .*, 1 are excluded",
    ),
    "more included than k": ({"k": 1, "include": [1, 2]}, "include must name at most k = 1 items; got 2"),
    "an unknown row": ({"k": 3, "include": [900]}, "include must name usable rows; got 900"),
    "a word for a row": ({"k": 3, "include": ["r1"]}, "include must name rows by their position"),
    "a copy in both": ({"k": 3, "include": [10], "exclude": [250]}, "exclude must share no row with include"),
    "a budget that pays nothing": (
        {"budget": 1.0},
        "budget must pay for at least one item; the cheap",
    ),
    "a budget below what is given": (
        {"budget": 6.0, "include": [1, 2]},
        "budget must pay for the included rows",
    ),
    "no cost": ({"budget": 5.0, "cost": None}, "cost must name a column where there is a budget and no text"),
}


@pytest.mark.parametrize("case", BAD)
def test_limits_that_cannot_be_kept_are_one_line(corpus, tmp_path, case):
    chosen, message = BAD[case]
    chosen = dict(chosen)
    for name in ("include", "exclude"):
        if name in chosen:
            chosen[name] = file_of(tmp_path, name, chosen[name])
    with pytest.raises(InputError, match=message):
        limited(corpus, tmp_path / "out", partitions=4, **chosen)
    assert not (tmp_path / "out" / "selection.parquet").exists()
