"""What is dropped: the worst, ties to the lowest id, groups keep their least."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.filters.worst import Worst, wanted


def by_hand(score, ids, count, may, groups, least):
    """Drop one item after the other."""
    left = np.bincount(groups, minlength=len(least))
    taken = []
    for i in sorted(range(len(ids)), key=lambda i: (-score[i], ids[i])):
        if may[i] and left[groups[i]] > least[groups[i]] and len(taken) < count:
            taken.append(i)
            left[groups[i]] -= 1
    return sorted(taken)


@given(st.integers(1, 12), st.integers(0, 12), st.integers(0, 10_000))
def test_as_one_after_the_other(n, count, seed):
    draw = np.random.default_rng(seed)
    score, ids = draw.integers(3, size=n) / 2.0, draw.permutation(n)
    may, groups, least = draw.random(n) < 0.8, draw.integers(3, size=n), draw.integers(4, size=3)
    taken = Worst(ids, may, groups, least).take(score, count)
    assert taken.tolist() == by_hand(score, ids, count, may, groups, least)


def test_one_score_after_the_other():
    ids, groups = np.arange(8), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    worst = Worst(ids, np.ones(8, dtype=bool), groups, np.array([2, 1]))
    first = worst.take(np.array([9.0, 8, 7, 6, 5, 4, 3, 2]), 3, np.arange(8) < 6)
    assert first.tolist() == [0, 1, 4]  # group 0 keeps two
    assert worst.take(np.arange(8.0), 5).tolist() == [6, 7]  # group 1 keeps one, and nothing is taken twice
    assert worst.take(np.arange(8.0), 5).tolist() == []


def test_without_groups():
    may = np.ones(5, dtype=bool)
    may[3] = False
    worst = Worst(np.array([4, 3, 2, 1, 0]), may)
    assert worst.take(np.array([1.0, 1, 1, 9, 0]), 2).tolist() == [1, 2]


def test_a_share_is_rounded_down():
    assert [wanted(0.29, 100), wanted(0.1, 9), wanted(1.0, 7), wanted(0.35, 10)] == [29, 0, 7, 3]
