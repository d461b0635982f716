"""The stage that collapses near copies: counts are conserved, groups are the same whatever does the work."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import collapsing
from ray_subsel.collapsing import NearTask, collapse, leader_facts
from ray_subsel.config import CorpusConfig, EmbedConfig, RuntimeConfig, SelectConfig
from ray_subsel.errors import InputError
from ray_subsel.near import collapse_near
from ray_subsel.parts import Items, read_members, read_partition, write_part
from ray_subsel.pipeline import RunConfig, run
from ray_subsel.rundir import RunDir
from ray_subsel.select import select


class Counter:
    def __init__(self):
        self.done = 0

    def advance(self, amount=1):
        self.done += amount


def vectors_with_copies(n, d=8, seed=0, heap=0.0):
    """Unit vectors in groups; a share ``heap`` of them are near copies of the first."""
    draw = np.random.default_rng(seed)
    originals = draw.normal(size=(max(2, n // 4), d))
    of = np.where(draw.random(n) < heap, 0, draw.integers(len(originals), size=n))
    X = originals[of] + 0.03 * draw.normal(size=(n, d))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def written(folder, X, shards=5, partitions=3):
    """Write X as parts, item i with id 2 i, in a random shard, standing for 1 to 3 rows."""
    draw = np.random.default_rng(1)
    where, times = draw.integers(shards, size=len(X)), draw.integers(1, 4, size=len(X))
    facts = []
    for shard in range(shards):
        own = np.flatnonzero(where == shard)
        members = [[2 * int(i)] + [10_000_000 + 10 * int(i) + j for j in range(times[i] - 1)] for i in own]
        items = Items(2 * own, X[own], times[own])
        facts.append(
            write_part(RunDir(str(folder)), shard, items, members, texts=len(own), partitions=partitions, seed=0)
        )
    return facts, times


def task_of(folder, facts, **changes):
    return dataclasses.replace(NearTask.of(RunDir(str(folder)), facts, 0.95, 0), **changes)


def groups_in(folder):
    return pa.concat_tables([pq.read_table(path) for path in sorted((folder / "groups").iterdir())]).sort_by("id")


def test_one_cell_is_collapse_near(tmp_path):
    X = vectors_with_copies(600)
    facts, times = written(tmp_path, X)
    leaders, about = collapse(task_of(tmp_path, facts), here=True, bar=(counter := Counter()))
    whole = collapse_near(X, 0.95, multiplicity=times)
    table = groups_in(tmp_path)
    assert table["id"].to_pylist() == list(range(0, 1200, 2))
    assert table["leader"].to_numpy().tolist() == (2 * whole.leader).tolist()
    assert (about.items, about.kept, about.near_collapsed) == (600, len(whole.leaders), 600 - len(whole.leaders))
    assert 0 < about.kept < 400
    assert counter.done == 1800
    assert sum(fact.items for fact in leaders) == about.kept
    assert sum(fact.rows for fact in leaders) == times.sum()


@pytest.mark.parametrize(("cell_size", "largest", "heap"), [(100, 150, 0.0), (50, 60, 0.6), (2000, 100, 0.9)])
def test_many_cells_conserve_items_and_rows(tmp_path, cell_size, largest, heap):
    X = vectors_with_copies(900, heap=heap)
    facts, times = written(tmp_path, X)
    leaders, about = collapse(task_of(tmp_path, facts, cell_size=cell_size, largest=largest), here=True, bar=Counter())
    table = groups_in(tmp_path)
    ids, leader, cosine = (table[name].to_numpy() for name in ("id", "leader", "cosine"))
    assert np.array_equal(ids, np.arange(0, 1800, 2))
    assert (leader <= ids).all()
    assert np.array_equal(leader[leader // 2], leader)
    assert np.allclose(cosine, (X[ids // 2] * X[leader // 2]).sum(axis=1), atol=1e-5)
    assert cosine.min() >= 0.95 - 1e-9
    # A few pairs on both sides of a border stay apart; most do not.
    whole = collapse_near(X, 0.95, cell_size=2000)
    assert len(whole.leaders) <= about.kept < len(whole.leaders) * 1.4
    run_dir = RunDir(str(tmp_path))
    rows = {}
    for fact in leaders:
        members = read_members(run_dir, fact.shard, fact.folder)
        rows |= dict(zip(members["id"].to_pylist(), members["rows"].to_pylist()))
        assert members["multiplicity"].to_pylist() == [len(one) for one in members["rows"].to_pylist()]
    assert sorted(rows) == np.unique(leader).tolist()
    for lead in list(rows)[:20]:
        group = ids[leader == lead] // 2
        assert sorted(r for r in rows[lead] if r < 10_000_000) == (2 * group).tolist()
        assert len(rows[lead]) == times[group].sum()
        assert rows[lead] == sorted(rows[lead])
    assert sum(len(one) for one in rows.values()) == times.sum()
    pieces = [read_partition(run_dir, leaders, p) for p in range(3)]
    assert sorted(np.concatenate([p.ids for p in pieces]).tolist()) == sorted(rows)
    found = np.concatenate([p.vectors for p in pieces])
    assert np.array_equal(found, X[np.concatenate([p.ids for p in pieces]) // 2])


@pytest.mark.usefixtures("ray_session")
def test_ray_and_any_way_of_cutting_the_corpus_give_the_same_groups(tmp_path):
    X = vectors_with_copies(700, heap=0.3)
    found = []
    for name, shards, here in (("a", 5, True), ("b", 5, False), ("c", 2, True)):
        facts, _ = written(tmp_path / name, X, shards=shards)
        collapse(task_of(tmp_path / name, facts, cell_size=60, largest=90), here=here, bar=Counter())
        found.append(groups_in(tmp_path / name))
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])


def test_what_is_there_is_not_made_again(tmp_path):
    X = vectors_with_copies(500)
    facts, _ = written(tmp_path, X)
    task = task_of(tmp_path, facts, cell_size=60, largest=90)
    first, _ = collapse(task, here=True, bar=Counter())
    before = groups_in(tmp_path)
    for lost in ("near/cells/part-00001.parquet", "near/pieces/part-00002.parquet", "leaders/part-00001.parquet"):
        (tmp_path / lost).unlink()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    kept.pop(tmp_path / "groups" / "part-00001.parquet")
    again, _ = collapse(task, here=True, bar=(counter := Counter()))
    assert groups_in(tmp_path).equals(before)
    assert [fact.items for fact in again] == [fact.items for fact in first]
    assert all(path.stat().st_mtime_ns == at for path, at in kept.items())
    assert counter.done <= 1500


def test_a_lost_item_stops_the_run(tmp_path):
    X = vectors_with_copies(300)
    facts, _ = written(tmp_path, X)
    collapse(task_of(tmp_path, facts), here=True, bar=Counter())
    table = pq.read_table(tmp_path / "groups" / "part-00000.parquet")
    pq.write_table(table.slice(1), tmp_path / "groups" / "part-00000.parquet")
    with pytest.raises(InputError, match=r"groups must account for 300 items and \d+ rows; got 299"):
        collapse(task_of(tmp_path, facts), here=True, bar=Counter())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors")
    X = vectors_with_copies(400)
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 8)
    pq.write_table(pa.table({"v": column}), path / "0.parquet")
    return path, X


def near_run(folder, out, near, *, k=30, partitions=1, overwrite=False):
    return run(
        RunConfig(
            corpus=CorpusConfig(data=(str(folder),), vectors="v"),
            embed=EmbedConfig(),
            select=SelectConfig(k=k, near=near, partitions=partitions),
            runtime=RuntimeConfig(out=str(out), overwrite=overwrite),
        )
    )


@pytest.mark.usefixtures("ray_session")
def test_a_run_selects_among_leaders(folder, tmp_path, monkeypatch):
    path, X = folder
    report = near_run(path, tmp_path / "out", 0.95)
    groups = collapse_near(X, 0.95)
    exact = select(X[groups.leaders], 30)
    table = pq.read_table(tmp_path / "out" / "selection.parquet")
    assert table["id"].to_pylist() == groups.leaders[exact.indices].tolist()
    assert table["multiplicity"].to_pylist() == groups.multiplicity[exact.indices].tolist()
    for row in table.to_pylist():
        assert row["rows"] == np.flatnonzero(groups.leader == row["id"]).tolist()
    assert report["near"]["near_collapsed"] == 400 - len(groups.leaders)
    assert report["near"]["threshold"] == 0.95
    assert report["selection"]["n"] == len(groups.leaders)
    assert report["selection"]["largest_groups"][0]["multiplicity"] == groups.multiplicity.max()
    assert not (tmp_path / "out" / "near").exists()
    assert sum(fact.items for fact in leader_facts(RunDir(str(tmp_path / "out")))) == len(groups.leaders)

    # Other partitions select from the same leaders; nothing is collapsed again.
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "groups").iterdir()}
    near_run(path, tmp_path / "out", 0.95, partitions=4, overwrite=True)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    monkeypatch.setattr(collapsing, "IN_PROCESS_NUMBERS", 0)
    near_run(path, tmp_path / "ray", 0.95, partitions=4)
    for name in ("selection.parquet", "groups/part-00000.parquet"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


@pytest.mark.usefixtures("ray_session")
def test_another_threshold_is_another_run(folder, tmp_path):
    path, _ = folder
    some = near_run(path, tmp_path / "out", 0.95)
    with pytest.raises(InputError, match=r"near\.near: 0\.95 there, 0\.8 here"):
        near_run(path, tmp_path / "out", 0.8)
    with pytest.raises(InputError, match=r"select\.near: 0\.95 there, None here"):
        near_run(path, tmp_path / "out", None)
    fewer = near_run(path, tmp_path / "out", 0.8, overwrite=True)
    assert fewer["near"]["kept"] < some["near"]["kept"]
    none = near_run(path, tmp_path / "out", None, overwrite=True)
    assert none["near"] is None
    assert none["selection"]["n"] == 400
    assert not (tmp_path / "out" / "leaders").exists()


def test_a_threshold_is_a_cosine():
    with pytest.raises(InputError, match=r"near must lie in \(0, 1\]; got 1\.5"):
        SelectConfig(k=3, near=1.5)
