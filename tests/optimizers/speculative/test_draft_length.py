"""Drafts grow while they are accepted and shrink to one where verifying them does not pay."""

import numpy as np

from ray_subsel.core.unit_rows import UnitRows
from ray_subsel.optimizers.speculative.draft_length import DraftLength, DraftSizes
from ray_subsel.optimizers.speculative.score import MOST_PICKS


def lengths(accepted_of, rounds, sizes=None):
    """Return the lengths of some rounds, given how many picks of each length are accepted."""
    length, seen = DraftLength(sizes or DraftSizes()), []
    for _ in range(rounds):
        seen.append(length.next)
        length.learn(length.next, accepted_of(length.next))
    return seen


def test_accepted_drafts_double_up_to_the_most():
    assert lengths(lambda drafted: drafted, 6) == [64, 128, 256, 512, 1024, 1024]
    assert lengths(lambda drafted: drafted, 4, DraftSizes(first=1, most=4)) == [1, 2, 4, 4]


def test_rejected_drafts_shrink_to_half_more_than_was_accepted():
    assert lengths(lambda drafted: min(drafted, 20), 3) == [64, 30, 30]


def test_where_nothing_is_accepted_most_drafts_are_of_one():
    seen = lengths(lambda _: 1, 500)
    assert seen[:7] == [64, 1, 1, 1, 1, 4, 1]
    assert sum(length > 1 for length in seen) <= 15
    assert max(seen[1:]) == 4


def test_drafts_grow_again_when_a_trial_is_accepted():
    length = DraftLength(DraftSizes())
    length.learn(64, 1)
    while length.next == 1:
        length.learn(1, 1)
    for expected in (4, 8, 16):
        assert length.next == expected
        length.learn(expected, expected)


def test_a_draft_never_exceeds_the_most():
    assert max(lengths(lambda _: 1, 50, DraftSizes(first=2, most=2))) == 2


def test_drafts_stay_within_what_the_rounding_allows_for():
    rows = UnitRows(np.empty((1, 10**6), dtype=np.float32), np.ones(10**5))
    assert DraftSizes.for_rows(rows, candidates_per_pick=4).most == MOST_PICKS
    assert DraftSizes.for_rows(UnitRows(np.empty((1, 8), dtype=np.float32), np.ones(100))).most == 85
