"""The leader algorithm in one cluster: splits, blocks, and items that are known to lead."""

import numpy as np
import pytest

from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.dedup.leader_clustering import join_leaders


def copies(n, d, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((n // 2, d))
    return unit_rows(base[rng.integers(n // 2, size=n)] + 0.1 * rng.standard_normal((n, d)))


def test_a_cluster_with_too_many_kept_items_is_split():
    rows = unit_rows(np.random.default_rng(0).standard_normal((400, 8)))
    np.testing.assert_array_equal(join_leaders(rows, 0.999, most_kept=50), np.arange(400))
    rows = copies(2000, 8)
    split, whole = (join_leaders(rows, 0.9, most_kept=most) for most in (100, 2000))
    assert np.unique(split).size >= np.unique(whole).size
    assert (split <= np.arange(2000)).all()


def test_equal_vectors_that_cannot_be_split_are_grouped_all_the_same():
    assert (join_leaders(unit_rows(np.ones((10, 4))), 1.0, most_kept=1) == 0).all()


@pytest.mark.parametrize("block_size", [256, 13])
def test_groups_do_not_depend_on_blocks(block_size):
    rows = copies(1200, 24)
    leader = join_leaders(rows, 0.9, most_kept=1200, block_size=block_size)
    np.testing.assert_array_equal(leader, join_leaders(rows, 0.9, most_kept=1200, block_size=1))


@pytest.mark.parametrize("most_kept", [20, 600])
def test_items_that_are_known_to_lead_do(most_kept):
    rows = copies(600, 8)
    leads = np.unique(join_leaders(rows, 0.9, most_kept=600))
    order = np.concatenate([leads, np.setdiff1d(np.arange(600), leads)])
    found = join_leaders(rows.rows(order), 0.9, most_kept=most_kept, kept=leads.size)
    np.testing.assert_array_equal(found[: leads.size], np.arange(leads.size))
    if most_kept == 600:
        assert found.max() < leads.size
