"""Parts: what a partition reads is what was written, whole and in order."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.core.exact_sum import exact_total
from ray_subsel.core.hashing import partition_of
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.storage.embedding_store import (
    Items,
    part_name,
    read_facts,
    read_members,
    read_partition,
    repartition,
    vectors_of,
    write_part,
)
from ray_subsel.storage.run_directory import RunDir


def items(n: int, d: int = 3, seed: int = 0) -> Items:
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(n, d)) + 0.1
    ids = np.sort(draw.choice(10 * n + 1, size=n, replace=False)).astype(np.int64)
    vectors = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    return Items(ids, vectors, draw.integers(1, 4, size=n))


def write(run, shards, partitions, seed=0):
    return [
        write_part(
            run,
            shard,
            some,
            [[int(i)] * int(c) for i, c in zip(some.ids, some.multiplicity, strict=True)],
            texts=len(some.ids),
            partitions=partitions,
            seed=seed,
        )
        for shard, some in enumerate(shards)
    ]


def split(whole: Items, shards: int) -> list[Items]:
    return [Items(whole.ids[s::shards], whole.vectors[s::shards], whole.multiplicity[s::shards]) for s in range(shards)]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 40), st.integers(1, 4), st.integers(1, 6), st.integers(0, 99))
def test_partitions_hold_every_item_once_in_order(tmp_path_factory, n, shards, partitions, seed):
    run = RunDir(str(tmp_path_factory.mktemp("run")))
    whole = items(n, seed=seed)
    facts = write(run, split(whole, shards), partitions, seed)
    found = [read_partition(run, facts, q) for q in range(partitions)]
    for q, part in enumerate(found):
        mine = partition_of(whole.ids, partitions, seed) == q
        assert np.array_equal(part.ids, whole.ids[mine])
        assert np.array_equal(part.multiplicity, whole.multiplicity[mine])
        if mine.any():
            assert np.array_equal(part.vectors, whole.vectors[mine])
    assert sum(len(part.ids) for part in found) == n


def test_facts_come_back_from_the_file_and_sum_to_t(tmp_path):
    run = RunDir(str(tmp_path))
    whole = items(50)
    facts = write(run, split(whole, 4), partitions=3)
    total = facts[0].total
    for shard, fact in enumerate(facts):
        again = read_facts(run, shard)
        assert (again.items, again.rows, again.partition_items) == (fact.items, fact.rows, fact.partition_items)
        assert np.array_equal(again.total.high, fact.total.high)
        total = total if shard == 0 else total + again.total
    assert sum(fact.rows for fact in facts) == whole.multiplicity.sum()
    # The exact sum does not depend on how the items were cut into shards.
    assert np.array_equal(total.vector(), exact_total(unit_rows(whole.vectors)).vector())


def test_sorting_by_another_partition_moves_items_and_keeps_all_else(tmp_path):
    run = RunDir(str(tmp_path))
    whole = items(60)
    facts = write(run, split(whole, 2), partitions=2)
    before = read_members(run, 0).sort_by("id")
    renewed = [repartition(run, 5, 1, fact) for fact in facts]
    assert all(fact.sorted_by(5, 1) and not fact.sorted_by(2, 0) for fact in renewed)
    assert read_members(run, 0).sort_by("id").equals(before)
    got = np.sort(np.concatenate([read_partition(run, renewed, q).ids for q in range(5)]))
    assert np.array_equal(got, whole.ids)
    assert facts[0].total.high.tolist() == renewed[0].total.high.tolist()


def test_an_empty_shard_is_a_part_like_any_other(tmp_path):
    run = RunDir(str(tmp_path))
    facts = write(run, [items(0), items(5)], partitions=2)
    assert (facts[0].items, facts[0].dimension, facts[0].total) == (0, 0, None)
    assert read_facts(run, 0) == facts[0]
    assert sum(len(read_partition(run, facts, q).ids) for q in range(2)) == 5


def test_a_foreign_file_and_a_changed_one_are_named(tmp_path):
    run = RunDir(str(tmp_path))
    run.write_table(part_name(0), pa.table({"id": [1]}))
    with pytest.raises(InputError, match=r"part-00000\.parquet must be a part that this program wrote"):
        read_facts(run, 0)
    facts = write(run, [items(9)], partitions=1)
    write(run, [items(8)], partitions=1)
    with pytest.raises(InputError, match=r"part-00000\.parquet must hold 9 items of partition 0; got 8"):
        read_partition(run, facts, 0)


def test_vectors_of_a_slice_are_those_of_the_slice():
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(8, dtype=np.float32)), 2)
    table = pa.table({"v": column}).slice(1, 2)
    assert vectors_of(table["v"]).tolist() == [[2, 3], [4, 5]]
    assert vectors_of(table.slice(0, 0)["v"]).shape == (0, 2)
