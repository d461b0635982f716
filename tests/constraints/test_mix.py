"""Shares of groups."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.constraints.apportion import equal
from ray_subsel.constraints.mix import above_least, by_shares, money_by, parse_mix, shares_of
from ray_subsel.core.errors import InputError


@settings(deadline=None, max_examples=150)
@given(
    groups=st.lists(st.tuples(st.integers(0, 20), st.floats(0, 1)), min_size=1, max_size=6).filter(
        lambda some: any(size for size, _ in some) and sum(part for _, part in some) > 1e-6
    ),
    data=st.data(),
)
def test_shares_sum_to_k_and_are_met_to_within_one_where_groups_reach(groups, data):
    sizes = np.array([size for size, _ in groups])
    shares = np.array([part for _, part in groups])
    shares /= shares.sum()
    k = data.draw(st.integers(1, int(sizes.sum())))
    found = by_shares(shares, sizes, k)
    assert found.sum() == k
    assert (found <= sizes).all()
    if (np.ceil(k * shares) <= sizes).all():
        assert (np.abs(found - k * shares) < 1 + 1e-6).all()
    least = np.array([data.draw(st.integers(0, int(size))) for size in sizes])
    if least.sum() <= k:
        above = above_least(shares, sizes, k, least)
        assert above.sum() == k
        assert (above >= least).all()
        assert (above <= sizes).all()


def test_labels_that_are_not_named_divide_the_rest_as_the_input_does():
    rows = np.array([10, 30, 60])
    assert shares_of({"a": "50%"}, ("a", "b", "c"), rows) == pytest.approx([0.5, 1 / 6, 1 / 3])
    assert shares_of("input", ("a", "b", "c"), rows) == pytest.approx([0.1, 0.3, 0.6])
    assert shares_of("uniform", ("a", "b", "c"), rows) == pytest.approx([1 / 3] * 3)
    assert shares_of({"a": 0.25, "b": 0.75}, ("a", "b", "c"), rows) == pytest.approx([0.25, 0.75, 0.0])


def test_money_is_divided_as_far_as_items_reach():
    assert money_by(equal, np.array([1e6, 1e6, 10.0]), 100.0) == pytest.approx([45.0, 45.0, 10.0], rel=1e-6)


def test_texts_of_the_command_line():
    assert parse_mix([]) is None
    assert parse_mix(["uniform"]) == "uniform"
    assert parse_mix(["like:x.csv"]) == "like:x.csv"
    assert parse_mix(["a=30%", "b=c=12.5%"]) == {"a": 0.3, "b=c": 0.125}
    for texts, message in (
        (["half"], "mix must be uniform, input, like:FILE, or LABEL=N%"),
        (["a=3"], "mix must be uniform"),
        (["a=30%", "a=20%"], "mix must name a label once"),
        (["a=70%", "b=40%"], "mix must sum to 100 % at most; got '110 %'"),
        (["a=x%"], "mix of a must be a share such as 30%"),
    ):
        with pytest.raises(InputError, match=message):
            parse_mix(texts)
