"""Constraints over partitions: whatever partitions hand over, a feasible answer is left."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.constraints.base import Constraints
from ray_subsel.partitioned.constraint_shares import share_out, shares_of


def priced(*costs):
    """Return the costs of partitions whose items are of one group."""
    return [(np.array(own), np.zeros(len(own), dtype=np.int64)) for own in costs]


def test_shares_by_hand():
    # Quotas 4 and 2 of two partitions with 10 and 10 items each: c = 1 halves them, c = 2 gives each partition all.
    counts = np.array([[10, 10], [10, 10]])
    whole = Constraints(quotas=np.array([4, 2]))
    halves = share_out(6, whole, counts, np.zeros(2, np.int64), c=1.0)
    assert [(share.k, share.constraints.quotas.tolist()) for share in halves] == [(3, [2, 1]), (3, [2, 1])]
    twice = share_out(6, whole, counts, np.zeros(2, np.int64), c=2.0)
    assert [(share.k, share.constraints.quotas.tolist()) for share in twice] == [(6, [4, 2]), (6, [4, 2])]
    # A group that is in one partition only must come from there.
    whole = Constraints(floors=np.array([0, 2]))
    lone = share_out(2, whole, np.array([[5, 0], [3, 2]]),
                     np.zeros(2, np.int64), c=1.0)  # fmt: skip
    assert [share.constraints.floors.tolist() for share in lone] == [[0, 0], [0, 2]]


def test_a_budget_s_shares_by_hand():
    shares = shares_of(
        9,
        Constraints(budget=100.0),
        np.array([[4], [3]]),
        np.zeros(1, np.int64),
        c=1.0,
        costs=priced([10.0, 20.0, 30.0, 40.0], [90.0, 200.0, 5.0]),
    )
    # 50 each; the item of 90 must stay within reach, that of 200 cannot be had at all. 10 + 20 are within 50, and so on
    assert [share.constraints.budget for share in shares] == [50.0, 90.0]
    assert [share.k for share in shares] == [2, 1]


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_any_choice_of_the_partitions_leaves_an_answer(data):
    m, groups = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    counts = np.array(data.draw(st.lists(st.lists(st.integers(0, 6), min_size=groups, max_size=groups), min_size=m,
                                         max_size=m)))  # fmt: skip
    taken = np.array(data.draw(st.lists(st.integers(0, 2), min_size=groups, max_size=groups)))
    sizes = counts.sum(axis=0) + taken
    quotas = np.array([data.draw(st.integers(int(t), int(s))) for t, s in zip(taken, sizes, strict=True)])
    floors = np.array([data.draw(st.integers(0, int(q))) for q in quotas])
    least = int(np.maximum(floors, taken).sum())
    most = int(quotas.sum())
    if most == 0:
        return
    k = data.draw(st.integers(max(1, least), most))
    which = data.draw(st.sampled_from(["quotas", "floors", "both"]))
    limits = Constraints(quotas=quotas if which != "floors" else None, floors=floors if which != "quotas" else None)
    if limits.quotas is None:
        quotas = sizes
    if limits.floors is None:
        floors = np.zeros_like(floors)
    c = data.draw(st.sampled_from([1.0, 1.5, 2.0]))
    shares = share_out(k, limits, counts, taken, c=c)
    union = taken.copy()
    for partition, share in enumerate(shares):
        # An adversary: the floors first, then groups in an order of its own, as much of each as its quota lets.
        limit = np.minimum(counts[partition], share.constraints.quotas)
        handed = np.zeros(groups, np.int64) if share.constraints.floors is None else share.constraints.floors.copy()
        assert (handed <= limit).all()
        assert handed.sum() <= share.k <= limit.sum()
        for g in data.draw(st.permutations(range(groups))):
            handed[g] += min(limit[g] - handed[g], share.k - handed.sum())
        assert handed.sum() == share.k
        union += handed
    assert (union >= floors).all()
    assert int(np.minimum(union, quotas).sum()) >= k


def test_what_given_items_leave_of_a_budget_is_exact():
    # 0.3 less 0.1 is less than 0.2 in floats: a partition that may spend all of it can still afford the 0.2
    whole = Constraints(budget=0.3, spent=(0.1,))
    [share] = shares_of(9, whole, np.array([[2]]), np.zeros(1, np.int64), c=1.0, costs=priced([0.2, 0.25]))
    assert share.constraints.spending.pays(np.array([0.2, 0.25])).tolist() == [True, False]
    # of integers that float64 cannot tell apart nothing is overspent
    whole = Constraints(budget=2**60, spent=(2**60 - 1,))
    [share] = shares_of(9, whole, np.array([[2]]), np.zeros(1, np.int64), c=1.0, costs=priced([1, 2]))
    assert share.constraints.spending.pays(np.array([1, 2])).tolist() == [True, False]
    # several partitions: a share of one's own, and the dearest item that the whole budget still pays for
    whole = Constraints(budget=0.3, spent=(0.1,))
    shares = shares_of(9, whole, np.array([[2], [1]]), np.zeros(1, np.int64), c=1.0,
                       costs=priced([0.2, 0.25], [0.01]))  # fmt: skip
    assert [share.constraints.spending.pays(np.array([0.2])).item() for share in shares] == [True, False]
