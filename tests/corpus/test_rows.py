"""Rows on disk: every row in one shard, equal texts together, and any order that is asked for."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.core.hashing import shard_of_key, text_key
from ray_subsel.corpus.block_sizes import BlockSizes
from ray_subsel.corpus.rows import RowStore, group_equal
from ray_subsel.corpus.splits import shards_of
from ray_subsel.storage.run_directory import RunDir
from tests.corpus.inputs import read, write, write_csv


@pytest.fixture
def store(tmp_path: Path) -> RowStore:
    """Return 60 rows over two files, in parts of a few rows, 11 of them rejected, most texts several times."""
    lines = [f"text {i % 13}\n" if i % 6 else "\n" for i in range(66)]
    write(tmp_path / "in" / "a.txt", "".join(lines[:40]))
    write(tmp_path / "in" / "b.txt", "".join(lines[40:]))
    return read(tmp_path, str(tmp_path / "in"), text=("text",), shards=5, sizes=BlockSizes(part_rows=7, batch_rows=5))


def test_counts(store: RowStore) -> None:
    assert (store.n_rows, store.n_read, store.n_rejected, store.n_augmented, store.shards) == (55, 66, 11, 0, 5)
    assert len(store.index["parts"]) > 6
    assert store.dimension is None


def test_shards_hold_every_row_once_and_equal_texts_together(store: RowStore) -> None:
    shards = [store.shard(shard, ["id", "key", "text"]) for shard in range(store.shards)]
    assert sorted(i for table in shards for i in table["id"].to_pylist()) == [i for i in range(66) if i % 6]
    for number, table in enumerate(shards):
        assert table["id"].to_pylist() == sorted(table["id"].to_pylist())
        for row in table.to_pylist():
            assert row["text"] == f"text {row['id'] % 13}"
            assert shard_of_key(text_key(row["text"]), 5) == number
    distinct = [set(table["text"].to_pylist()) for table in shards]
    assert sum(map(len, distinct)) == len(set().union(*distinct)) == 13
    with pytest.raises(InputError, match=r"shard must lie in \[0, 5\); got 5"):
        store.shard(5)


def test_take_keeps_the_order_asked_for(store: RowStore) -> None:
    ids = [*np.random.default_rng(0).permutation(store.ids())[:40].tolist(), 1, 1]
    table = store.take(ids, ["id", "text", "origin"])
    assert table["id"].to_pylist() == table["origin"].to_pylist() == ids
    assert table["text"].to_pylist() == [f"text {i % 13}" for i in ids]
    assert store.take([], ["id", "text"]).num_rows == 0


def test_take_reads_as_many_groups_at_once_as_it_likes(store: RowStore) -> None:
    ids = np.random.default_rng(1).permutation(store.ids())
    whole = store.take(ids)
    assert store.take(ids, block_rows=2).equals(whole)


@pytest.mark.parametrize("unknown", [-1, 6, 66, 10**12])
def test_take_refuses_ids_that_are_no_rows(store: RowStore, unknown: int) -> None:
    with pytest.raises(InputError, match=f"ids must be ids of usable rows; got {unknown}"):
        store.take([1, unknown])


def test_iter_tables_is_in_order_of_id(store: RowStore) -> None:
    assert [i for table in store.iter_tables(["id"]) for i in table["id"].to_pylist()] == store.ids().tolist()
    texts = [text for table in store.iter_tables(["text"]) for text in table["text"].to_pylist()]
    assert texts == store.take(store.ids(), ["text"])["text"].to_pylist()


def test_unknown_columns_are_named(store: RowStore) -> None:
    with pytest.raises(InputError, match=r"columns must be among id, key, text, .*; got 'nope'"):
        store.take([1], ["nope"])


def test_workers_get_the_store_by_pickle(store: RowStore) -> None:
    copy = pickle.loads(pickle.dumps(store))
    assert copy.take([1, 64], ["text"]) == store.take([1, 64], ["text"])
    assert RowStore.open(store.run).index == store.index


def test_open_needs_an_ingested_corpus(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must hold an ingested corpus; rows/index\.json is missing"):
        RowStore.open(RunDir(str(tmp_path)))


def test_subset_has_the_original_columns_beside_ours(tmp_path: Path) -> None:
    rows = [("b", "hello", "7", "x"), ("a", "world", "8", "y")]
    path = write_csv(tmp_path / "a.csv", ["id", "text", "rank", "rank_source"], rows)
    ours = [{"rank": 0, "row": 1}, {"rank": 1, "row": 0}]
    theirs = [
        {"id": "a", "text": "world", "rank_source_source": "8", "rank_source": "y"},
        {"id": "b", "text": "hello", "rank_source_source": "7", "rank_source": "x"},
    ]
    own_ids = read(tmp_path, path, text=("text",), id="id").subset_table([1, 0])
    assert own_ids.to_pylist() == [a | b for a, b in zip(ours, theirs)]
    without = read(tmp_path, path, text=("text",), out="without").subset_table([1])
    assert without.to_pylist() == [
        {"rank": 0, "id": 1, "id_source": "a", "text": "world", "rank_source_source": "8", "rank_source": "y"}
    ]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(st.sampled_from("abc"), max_size=2), max_size=30), st.integers(1, 9), st.randoms())
def test_groups_are_the_equal_texts(texts: list[str], shards: int, random: object) -> None:
    ids = list(range(10, 10 + 3 * len(texts), 3))
    order = np.random.default_rng(len(texts)).permutation(len(texts))
    keys = pa.array([text_key(text) for text in texts], pa.binary(16))
    table = pa.table({"id": pa.array(ids, pa.int64()), "key": keys}).take(pa.array(order, pa.int64()))
    groups = group_equal(table)
    expected: dict[str, list[int]] = {}
    for i, text in zip(ids, texts, strict=True):
        expected.setdefault(text, []).append(i)
    assert [members.tolist() for members in groups.members] == list(expected.values())
    assert groups.leads.tolist() == [members[0] for members in expected.values()]
    assert groups.multiplicity.tolist() == [len(members) for members in expected.values()]
    assert table["id"].to_numpy()[groups.first].tolist() == groups.leads.tolist()
    for row, group in zip(table["id"].to_pylist(), groups.group_of.tolist(), strict=True):
        assert row in groups.members[group]
    found = shards_of(pa.chunked_array([keys.slice(0, len(keys) // 2), keys.slice(len(keys) // 2)]), shards)
    assert found.tolist() == [shard_of_key(text_key(text), shards) for text in texts]
