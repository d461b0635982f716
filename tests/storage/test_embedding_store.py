"""Embedding stores: what a partition reads is what was written, whole and in order."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.core.exact_sum import exact_total
from ray_subsel.core.hashing import partition_of
from ray_subsel.core.items import MULTIPLICITY
from ray_subsel.core.types import VECTOR_DTYPES
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.storage.embedding_store import EmbeddingStore, part_name, read_meta, vectors_of, write_shard
from ray_subsel.storage.run_directory import RunDir
from tests.stores import batch


def items(n, d=3, seed=0):
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(n, d)) + 0.1
    ids = np.sort(draw.choice(10 * n + 1, size=n, replace=False)).astype(np.int64)
    vectors = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    return batch(ids, vectors, draw.integers(1, 4, size=n))


def write(run, shards, partitions, seed=0, dtype="float32"):
    metas = [
        write_shard(
            run,
            shard,
            some,
            [[int(i)] * int(c) for i, c in zip(some.ids, some.columns[MULTIPLICITY], strict=True)],
            texts=len(some),
            partitions=partitions,
            seed=seed,
            dtype=dtype,
        )
        for shard, some in enumerate(shards)
    ]
    return EmbeddingStore(run, tuple(metas))


def split(whole, shards):
    return [whole.take(np.arange(s, len(whole), shards)) for s in range(shards)]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 40), st.integers(1, 4), st.integers(1, 6), st.integers(0, 99), st.sampled_from(VECTOR_DTYPES))
def test_partitions_hold_every_item_once_in_order(tmp_path_factory, n, shards, partitions, seed, dtype):
    run = RunDir(str(tmp_path_factory.mktemp("run")))
    whole = items(n, seed=seed)
    store = write(run, split(whole, shards), partitions, seed, dtype)
    rounded = whole.vectors.astype(dtype).astype(np.float32)
    found = [store.read_partition(q) for q in range(partitions)]
    for q, part in enumerate(found):
        mine = partition_of(whole.ids, partitions, seed) == q
        assert np.array_equal(part.ids, whole.ids[mine])
        assert np.array_equal(part.columns[MULTIPLICITY], whole.columns[MULTIPLICITY][mine])
        if mine.any():
            assert np.array_equal(part.vectors, rounded[mine])
            assert part.vectors.dtype == np.float32
    assert [len(part) for part in found] == store.partition_sizes
    assert sum(store.partition_sizes) == store.n == n


def test_metadata_comes_back_from_the_files_and_sums_to_t(tmp_path):
    run = RunDir(str(tmp_path))
    whole = items(50)
    store = write(run, split(whole, 4), partitions=3)
    again = EmbeddingStore.open(run, range(4))
    for meta, found in zip(store.shards, again.shards, strict=True):
        assert (found.items, found.rows, found.partition_items) == (meta.items, meta.rows, meta.partition_items)
        assert np.array_equal(found.total.high, meta.total.high)
    assert again.rows == whole.columns[MULTIPLICITY].sum()
    assert (again.n, again.d, again.partitions, again.seed) == (50, 3, 3, 0)
    assert EmbeddingStore.open_folder(run, "embeddings").numbers == [0, 1, 2, 3]
    # The exact sum does not depend on how the items were cut into shards.
    assert np.array_equal(again.total(), exact_total(unit_rows(whole.vectors)).vector())


def test_sorting_by_another_partition_moves_items_and_keeps_all_else(tmp_path):
    run = RunDir(str(tmp_path))
    whole = items(60)
    store = write(run, split(whole, 2), partitions=2)
    before = store.members(0).sort_by("id")
    renewed = store.replaced([store.repartition(5, 1, shard) for shard in store.numbers])
    assert all(meta.sorted_by(5, 1) and not meta.sorted_by(2, 0) for meta in renewed.shards)
    assert renewed.members(0).sort_by("id").equals(before)
    assert np.array_equal(np.sort(np.concatenate([renewed.read_partition(q).ids for q in range(5)])), whole.ids)
    assert np.array_equal(renewed.read_all().ids, whole.ids)
    assert np.array_equal(store.total(), renewed.total())


def test_an_empty_shard_is_a_part_like_any_other(tmp_path):
    run = RunDir(str(tmp_path))
    store = write(run, [items(0), items(5)], partitions=2)
    first = store.meta(0)
    assert (first.items, first.dimension, first.total) == (0, 0, None)
    assert read_meta(run, 0) == first
    assert (store.n, store.d) == (5, 3)
    assert sum(len(store.read_partition(q)) for q in range(2)) == 5


def test_a_foreign_file_and_a_changed_one_are_named(tmp_path):
    run = RunDir(str(tmp_path))
    run.write_table(part_name(0), pa.table({"id": [1]}))
    with pytest.raises(InputError, match=r"part-00000\.parquet must be a part that this program wrote"):
        read_meta(run, 0)
    store = write(run, [items(9)], partitions=1)
    write(run, [items(8)], partitions=1)
    with pytest.raises(InputError, match=r"part-00000\.parquet must hold 9 items of partition 0; got 8"):
        store.read_partition(0)


def test_vectors_of_a_slice_are_those_of_the_slice():
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(8, dtype=np.float32)), 2)
    table = pa.table({"v": column}).slice(1, 2)
    assert vectors_of(table["v"]).tolist() == [[2, 3], [4, 5]]
    assert vectors_of(table.slice(0, 0)["v"]).shape == (0, 2)


def test_halves_take_half_the_bytes_of_the_column_however_the_files_are_sorted(tmp_path):
    sizes, whole = {}, items(500, d=64)
    for dtype in VECTOR_DTYPES:
        run = RunDir(str(tmp_path / dtype))
        store = write(run, split(whole, 2), partitions=3, dtype=dtype)
        store = store.replaced([store.repartition(4, 1, shard) for shard in store.numbers])
        store = store.replaced([store.arrange(ByFirst(), shard) for shard in store.numbers])
        again = EmbeddingStore.open(run, store.numbers)
        assert {meta.dtype for meta in (*store.shards, *again.shards)} == {dtype}
        assert np.array_equal(again.read_all().vectors, whole.vectors.astype(dtype))
        assert np.array_equal(again.total(), exact_total(unit_rows(whole.vectors.astype(dtype))).vector())
        with run.parquet(part_name(0)) as file:
            groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
        columns = [group.column(i) for group in groups for i in range(group.num_columns)]
        sizes[dtype] = sum(c.total_compressed_size for c in columns if c.path_in_schema.startswith("vector"))
    assert sizes["float16"] < 0.55 * sizes["float32"]


class ByFirst:
    """Partition 1 where the first number is positive."""

    name, partitions = "first", 2

    def of(self, some):
        return (some.vectors[:, 0] > 0).astype(np.int64)


@pytest.mark.parametrize("kind", [pa.list_(pa.float64(), 3), pa.list_(pa.float16(), 2), pa.list_(pa.float16()), None])
def test_a_column_of_other_vectors_is_named(tmp_path, kind):
    run = RunDir(str(tmp_path))
    write(run, [items(6)], partitions=1, dtype="float16")
    table = run.read_table(part_name(0))
    other = table.drop_columns(["vector"])
    if kind is not None:
        width = 2 if kind == pa.list_(pa.float16(), 2) else 3
        other = other.append_column("vector", pa.array([[0.5] * width] * 6, kind))
    run.write_table(part_name(0), other)
    with pytest.raises(
        InputError, match=r"part-00000\.parquet must hold vectors of 3 numbers of float32 or float16; got"
    ):
        read_meta(run, 0)


def test_an_empty_shard_of_halves_keeps_its_type(tmp_path):
    run = RunDir(str(tmp_path))
    assert write(run, [items(0), items(5)], partitions=2, dtype="float16").dtype == "float16"
    assert read_meta(run, 0).dtype == "float16"


def test_vectors_come_in_the_order_asked_for_and_as_often(tmp_path):
    run = RunDir(str(tmp_path))
    given = items(20)
    write_shard(run, 0, given, [[one] for one in given.ids.tolist()], texts=20, partitions=2, seed=0)
    store = EmbeddingStore.open(run, [0])
    places = np.array([7, 3, 7, 19, 3, 0])
    found = store.vectors(given.ids[places])
    assert found.tolist() == given.vectors[places].tolist()
    assert store.vectors(np.zeros(0, dtype=np.int64)).shape == (0, 3)
