"""Runs of ties are the next picks while the last of them is open."""

from __future__ import annotations

import numpy as np

from ray_subsel.optimizers.tied_run import TiedRun


def test_a_run_ends_with_the_last_item_of_the_largest_key_that_is_apart() -> None:
    run, free = TiedRun(), np.ones(9, dtype=np.bool_)
    run.start(np.array([1, 3, 5, 7]), np.array([0.9, 1.0, 0.9, 1.0]), 1.0, apart=3)
    assert run.next(free) == 1
    assert not run.take(3)
    assert run.take(1)
    assert run.next(free) == run.next(free) == 3
    assert run.take(3)
    assert run.next(free) is None
    assert not run.take(5)
    assert run.end() == [1, 3]
    assert run.end() == []


def test_there_is_none_where_no_item_that_is_apart_has_the_largest_key() -> None:
    run, free = TiedRun(), np.ones(9, dtype=np.bool_)
    run.start(np.array([1, 3]), np.array([0.9, 1.0]), 1.0, apart=1)
    assert run.next(free) is None


def test_it_stops_where_its_next_or_its_last_item_closes() -> None:
    for closed in (1, 5):
        run, free = TiedRun(), np.ones(9, dtype=np.bool_)
        run.start(np.array([1, 3, 5]), np.ones(3), 1.0, apart=3)
        free[closed] = False
        assert run.next(free) is None
    free[:] = True
    run.start(np.array([1, 3, 5]), np.ones(3), 1.0, apart=3)
    free[3] = False
    assert run.next(free) == 1


def test_more_items_are_looked_at_after_runs_of_all() -> None:
    run = TiedRun()
    first = run.most
    run.start(np.arange(first), np.ones(first), 1.0, apart=first)
    assert run.most == 2 * first
    run.start(np.arange(2 * first), np.ones(2 * first), 1.0, apart=3)
    assert run.most == first
