"""Limits over partitions: whatever partitions hand over, an answer that keeps them is left."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.constraints.base import Constraints
from ray_subsel.constraints.spec import parse_floors, parse_quotas
from ray_subsel.core.errors import InputError
from ray_subsel.partitioned.constraint_shares import ResolvedConstraints, resolve_constraints, share_out, shares_of


def test_wishes_by_hand():
    assert parse_quotas([]) is None
    assert parse_quotas(["equal"]) == "equal"
    assert parse_quotas(["a=3", "b=c=0"]) == {"a": 3, "b=c": 0}
    assert parse_floors(["4"]) == 4
    assert parse_floors(["a=1"]) == {"a": 1}


@pytest.mark.parametrize(
    ("parse", "texts", "message"),
    [
        (parse_quotas, ["half"], "quota must be proportional, equal, or LABEL=N, repeated; got 'half'"),
        (parse_quotas, ["equal", "a=1"], "quota must be .* got 'equal'"),
        (parse_quotas, ["a=-1"], "quota must be"),
        (parse_floors, ["a=1", "a=2"], "floor must name a label once"),
        (parse_floors, ["2", "a=1"], "floor must be a whole number"),
    ],
)
def test_wishes_that_cannot_be_read(parse, texts, message):
    with pytest.raises(InputError, match=message):
        parse(texts)


SIZES = np.array([6, 3, 1])
NONE_GIVEN = np.zeros(3, dtype=np.int64)


def rules(k, given=NONE_GIVEN, **wishes):
    return resolve_constraints(k, names=("a", "b", "c"), sizes=SIZES, given=given, **wishes)


def test_rules_by_hand():
    assert rules(5, quotas=["proportional"]).bounds.quotas.tolist() == [3, 2, 0]
    assert rules(5, floors=["c=1"]).bounds.floors.tolist() == [0, 0, 1]
    assert rules(5, floors=["1"], quotas=["a=2"]).bounds.quotas.tolist() == [2, 3, 1]
    assert resolve_constraints(5).bounds.grouped is False


@pytest.mark.parametrize(
    ("k", "more", "message"),
    [
        (5, {"quotas": ["a=1", "b=1", "c=1"]}, "quotas must leave room for k = 5 items; got room for 3"),
        (5, {"floors": ["c=2"]}, "floor of 'c' must be at most the 1 items it may have; got 2"),
        (2, {"floors": ["1"]}, "floor must sum to at most k = 2; got 3"),
        (5, {"floors": ["d=1"]}, "floors must name labels that occur"),
        (5, {"quotas": ["a=1"], "given": np.array([2, 0, 0])}, "include must fit the quotas; got 2 of 'a', whose"),
        (3, {"floors": ["1"], "given": np.array([2, 0, 0])}, "include must leave room for the floors"),
    ],
)
def test_rules_that_nothing_can_keep(k, more, message):
    with pytest.raises(InputError, match=message):
        rules(k, **more)


def test_shares_by_hand():
    # Quotas 4 and 2 of two partitions with 10 and 10 items each: c = 1 halves them, c = 2 gives each partition all.
    counts = np.array([[10, 10], [10, 10]])
    whole = ResolvedConstraints(6, Constraints(quotas=np.array([4, 2])), ("a", "b"))
    halves = share_out(whole, counts, np.zeros(2, np.int64), c=1.0)
    assert [(share.k, share.bounds.quotas.tolist()) for share in halves] == [(3, [2, 1]), (3, [2, 1])]
    twice = share_out(whole, counts, np.zeros(2, np.int64), c=2.0)
    assert [(share.k, share.bounds.quotas.tolist()) for share in twice] == [(6, [4, 2]), (6, [4, 2])]
    # A group that is in one partition only must come from there.
    rules = ResolvedConstraints(2, Constraints(floors=np.array([0, 2])), ("a", "b"))
    lone = share_out(rules, np.array([[5, 0], [3, 2]]),
                     np.zeros(2, np.int64), c=1.0)  # fmt: skip
    assert [share.bounds.floors.tolist() for share in lone] == [[0, 0], [0, 2]]


def test_a_budget_s_shares_by_hand():
    shares = shares_of(
        ResolvedConstraints(9, Constraints(budget=100.0)),
        np.array([[4], [3]]),
        np.zeros(1, np.int64),
        c=1.0,
        costs=[np.array([10.0, 20.0, 30.0, 40.0]), np.array([90.0, 200.0, 5.0])],
    )
    # 50 each; the item of 90 must stay within reach, that of 200 cannot be had at all. 10 + 20 are within 50, and so on
    assert [share.bounds.budget for share in shares] == [50.0, 90.0]
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
    bounds = Constraints(quotas if which != "floors" else None, floors if which != "quotas" else None)
    if bounds.quotas is None:
        quotas = sizes
    if bounds.floors is None:
        floors = np.zeros_like(floors)
    c = data.draw(st.sampled_from([1.0, 1.5, 2.0]))
    shares = share_out(ResolvedConstraints(k, bounds, tuple("abcd")[:groups]), counts, taken, c=c)
    union = taken.copy()
    for partition, share in enumerate(shares):
        # An adversary: the floors first, then groups in an order of its own, as much of each as its quota lets.
        limit = np.minimum(counts[partition], share.bounds.quotas)
        handed = np.zeros(groups, np.int64) if share.bounds.floors is None else share.bounds.floors.copy()
        assert (handed <= limit).all()
        assert handed.sum() <= share.k <= limit.sum()
        for g in data.draw(st.permutations(range(groups))):
            handed[g] += min(limit[g] - handed[g], share.k - handed.sum())
        assert handed.sum() == share.k
        union += handed
    assert (union >= floors).all()
    assert int(np.minimum(union, quotas).sum()) >= k
