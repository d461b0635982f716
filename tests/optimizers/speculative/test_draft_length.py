"""Drafts grow while they are accepted and give way to single picks where verifying them does not pay."""

import numpy as np

from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.optimizers.speculative.draft_length import WALK, DraftLength, DraftSizes
from ray_subsel.optimizers.speculative.score import MOST_PICKS


def lengths(accepted_of, rounds, sizes=None):
    """Return the lengths of some rounds, given how many picks of each length are accepted."""
    length, seen = DraftLength(sizes or DraftSizes()), []
    for _ in range(rounds):
        seen.append(length.next)
        length.learn(length.next, accepted_of(length.next))
    return seen


def test_accepted_drafts_grow_to_the_most():
    assert lengths(lambda drafted: drafted, 5) == [16, 64, 256, 1024, 1024]
    assert lengths(lambda drafted: drafted, 3, DraftSizes(first=2, most=4)) == [2, 4, 4]


def test_rejected_drafts_shrink_to_half_more_than_was_accepted():
    assert lengths(lambda drafted: min(drafted, 20), 4) == [16, 64, 30, 30]


def test_a_draft_that_is_not_worth_it_is_followed_by_single_picks_until_drafts_would_keep_twice_as_much():
    length = DraftLength(DraftSizes(worth=5))
    length.learn(16, 4)
    assert length.next == 1
    for kept, expected in ((1, 1), (9, 1), (10, 15)):
        length.learn_walk(kept)
        assert length.next == expected


def test_walks_are_longer_where_drafts_keep_little_and_as_at_first_after_a_draft():
    length = DraftLength(DraftSizes(worth=5, walk=100))
    walks = []
    for kept in (4, 5, 9, 1, 1, 1, 10, 1):
        walks.append(length.walk)
        length.learn_walk(kept)
    assert walks == [100, 200, 200, 200, 400, 512, 512, 100]
    length = DraftLength(DraftSizes(walk=1000))
    length.learn_walk(0)
    assert length.walk == 1000


def test_a_draft_never_exceeds_the_most():
    assert max(lengths(lambda drafted: drafted, 50, DraftSizes(first=2, most=2))) == 2
    length = DraftLength(DraftSizes(first=16, most=20))
    length.learn(16, 1)
    length.learn_walk(32)
    assert length.next == 20


def test_drafts_of_few_numbers_must_keep_more_to_be_worth_it():
    rows = {n: UnitRows(np.empty((1, 64), dtype=np.float32), np.ones(n)) for n in (100, 10_000, 10**6)}
    worth = [DraftSizes.for_rows(some, first=16).worth for some in rows.values()]
    assert worth == sorted(worth, reverse=True)
    assert worth[0] >= 2 * worth[-1] >= 6
    assert 2 * worth[0] <= WALK  # else a walk never tells that drafts pay


def test_drafts_stay_within_what_the_rounding_allows_for():
    rows = UnitRows(np.empty((1, 10**6), dtype=np.float32), np.ones(10**5))
    assert DraftSizes.for_rows(rows, candidates_per_pick=4).most == MOST_PICKS
    assert DraftSizes.for_rows(UnitRows(np.empty((1, 8), dtype=np.float32), np.ones(100))).most == 85


def test_rows_of_few_numbers_are_walked_unless_a_draft_is_asked_for():
    few, many = (UnitRows(np.empty((1, 64), dtype=np.float32), np.ones(n)) for n in (10_000, 40_000))
    length = DraftLength(DraftSizes.for_rows(few))
    assert length.next == 1
    length.learn_walk(WALK)
    assert length.next == 1
    assert [DraftSizes.for_rows(few, first=8).first, DraftSizes.for_rows(many).first] == [8, 16]
    assert DraftSizes.for_rows(few).walk > DraftSizes.for_rows(many).walk == WALK  # nothing else is waited for
