"""Hashes: the same everywhere and for ever, and even."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.core.hashing import fingerprint, mix, partition_of, shard_of_key, text_key


def test_goldens_so_that_a_run_can_be_resumed_by_a_later_version():
    assert text_key("a story").hex() == "8bab4cee77dae4dd6bd39d3107987b77"
    assert mix(np.array([0, 1, 2**62]), seed=7).tolist() == [
        14232521865600346940,
        9648886400068060533,
        569838639381776664,
    ]
    assert mix(np.array([0]), seed=0)[0] == 0xE220A8397B1DCDAF  # splitmix64's first output, from its paper
    assert fingerprint({"b": [1, 2.5], "a": None}) == fingerprint({"a": None, "b": [1, 2.5]})


def test_a_key_survives_text_that_is_not_unicode():
    assert len(text_key("\ud800")) == 16


@given(st.lists(st.integers(0, 2**62), unique=True, min_size=1), st.integers(0, 2**31))
def test_mix_never_makes_two_ids_one(ids, seed):
    assert len(set(mix(np.array(ids), seed).tolist())) == len(ids)


@given(st.integers(1, 50), st.integers(0, 2**31), st.integers(0, 200))
def test_every_id_is_in_exactly_one_partition_whoever_asks(partitions, seed, n):
    ids = np.arange(n)
    together = partition_of(ids, partitions, seed)
    assert ((together >= 0) & (together < partitions)).all()
    one_by_one = [int(partition_of(ids[i : i + 1], partitions, seed)[0]) for i in range(n)]
    assert together.tolist() == one_by_one


def test_partitions_are_even_and_change_with_the_seed():
    ids = np.arange(100_000)
    counts = np.bincount(partition_of(ids, 8, 0), minlength=8)
    assert abs(counts / 12_500 - 1).max() < 0.04
    assert (partition_of(ids, 8, 0) != partition_of(ids, 8, 1)).mean() > 0.8


def test_shards_are_even():
    counts = np.bincount([shard_of_key(text_key(str(i)), 8) for i in range(8_000)], minlength=8)
    assert abs(counts / 1_000 - 1).max() < 0.15
