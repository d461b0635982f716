"""Runs of ties are the next picks while the last of them is open, and what was foreseen while it is open itself."""

from __future__ import annotations

import numpy as np

from ray_subsel.optimizers.known_picks import KnownPicks


def test_a_run_ends_with_the_last_item_of_the_largest_key_that_is_apart() -> None:
    run, free = KnownPicks(), np.ones(9, dtype=np.bool_)
    run.start(np.array([1, 3, 5, 7]), np.array([0.9, 1.0, 0.9, 1.0]), 1.0, apart=3)
    assert run.next(free) == (1, None)
    assert not run.take(3)
    assert run.take(1)
    assert run.next(free) == run.next(free) == (3, None)
    assert run.take(3)
    assert run.next(free) is None
    assert not run.take(5)
    assert run.end() == [1, 3]
    assert run.end() == []


def test_there_is_none_where_no_item_that_is_apart_has_the_largest_key() -> None:
    run, free = KnownPicks(), np.ones(9, dtype=np.bool_)
    run.start(np.array([1, 3]), np.array([0.9, 1.0]), 1.0, apart=1)
    assert run.next(free) is None


def test_it_stops_where_its_next_or_its_last_item_closes() -> None:
    for closed in (1, 5):
        run, free = KnownPicks(), np.ones(9, dtype=np.bool_)
        run.start(np.array([1, 3, 5]), np.ones(3), 1.0, apart=3)
        free[closed] = False
        assert run.next(free) is None
    free[:] = True
    run.start(np.array([1, 3, 5]), np.ones(3), 1.0, apart=3)
    free[3] = False
    assert run.next(free) == (1, None)


def test_more_items_are_looked_at_after_runs_of_all() -> None:
    run = KnownPicks()
    first = run.most
    run.start(np.arange(first), np.ones(first), 1.0, apart=first)
    assert run.most == 2 * first
    run.start(np.arange(2 * first), np.ones(2 * first), 1.0, apart=3)
    assert run.most == first


def test_what_is_foreseen_comes_with_its_gains_while_it_is_open() -> None:
    run, free = KnownPicks(), np.ones(9, dtype=np.bool_)
    assert run.foresee([4, 2, 7], [3.0, 2.0, 2.0])
    free[7] = False
    assert run.next(free) == (4, 3.0)
    assert run.take(4)
    assert run.next(free) == (2, 2.0)
    assert run.take(2)
    assert run.next(free) is None
    assert run.end() == [4, 2]
    assert run.end() == run.gains == []
    run.start(np.array([1, 3]), np.ones(2), 1.0, apart=2)
    assert run.next(free) == (1, None)


def test_picks_are_foreseen_among_more_where_that_was_of_use_and_less_often_where_not() -> None:
    run = KnownPicks()
    first = run.among
    assert run.due()
    assert run.foresee(list(range(first)), [1.0] * first)
    assert run.among == 2 * first
    assert run.due()
    assert not run.foresee([], [])
    assert run.among == first
    tries = [run.due() for _ in range(3)]
    assert tries == [False, True, True]
    run.foresee([], [])
    assert [run.due() for _ in range(4)] == [False, False, False, True]
