"""Stages of a ranking: disjoint, whole, prefixes that keep their sizes or pay for what they hold."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.constraints.spending import read
from ray_subsel.constraints.staging import check_sizes, sizes_of_text, stages_of_costs, stages_of_ranks
from ray_subsel.core.errors import InputError


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 60))
def test_stages_of_ranks_have_their_sizes_one_after_the_other(sizes, n):
    stage = stages_of_ranks(np.arange(n), sizes)
    expected = [number for number, size in enumerate(sizes, start=1) for _ in range(size)]
    expected += [len(sizes)] * max(0, n - len(expected))
    assert stage.tolist() == expected[:n]


@given(
    st.lists(st.sampled_from([0, 1, 3, 7, 0.1, 0.2, 2.5]), max_size=12),
    st.lists(st.sampled_from([1, 4, 0.3, 9.5]), min_size=1, max_size=4),
)
def test_the_first_stages_together_never_cost_more_than_their_sizes_and_take_all_that_they_pay_for(costs, sizes):
    stage = stages_of_costs(costs, sizes).tolist()
    spent = [sum((read(cost) for cost in costs[: at + 1]), Fraction(0)) for at in range(len(costs))]
    bounds = [sum(map(read, sizes[: at + 1]), Fraction(0)) for at in range(len(sizes))]
    for number, total in zip(stage, spent, strict=True):
        first = next((at for at, bound in enumerate(bounds, start=1) if total <= bound), len(sizes))
        assert number == first


@pytest.mark.parametrize("text", ["", "20k,", "a", "3;4", "nan"])
def test_a_text_that_is_no_sizes_is_refused(text):
    with pytest.raises(ValueError, match="must be sizes above 0 with commas"):
        sizes_of_text(text)


@pytest.mark.parametrize(
    ("sizes", "k", "fraction", "budget", "words"),
    [
        ((3, 4), 8, None, None, "k must be left out with stages, or be their sum, 7; got 8"),
        ((3, 4), None, 0.5, None, "fraction must be left out with stages"),
        ((3, 0), None, None, None, "stages must be whole numbers of items"),
        ((3, 1.5), None, None, None, "stages must be whole numbers of items"),
        ((3, 1.5), None, None, 5.0, "stages must sum to the budget, 5, where it alone decides; got 4.5"),
        ((3, -1), None, None, 2.0, "stages must be sizes above 0"),
    ],
)
def test_sizes_that_cannot_be_are_one_line(sizes, k, fraction, budget, words):
    with pytest.raises(InputError) as error:
        check_sizes(sizes, k, fraction, budget)
    assert str(error.value).startswith(words)


def test_sizes_are_of_rows_unless_a_budget_alone_decides():
    assert check_sizes((3, 4), None, None, None) == check_sizes((3, 4), 7, None, 100.0) == 7
    assert check_sizes((0.1, 0.2), None, None, 0.3) is None
