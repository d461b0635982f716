"""What a budget pays for: exact sums, in whatever unit costs are."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.constraints.spending import Spending, cheapest_paid, read


def fits(costs, budget):
    return Spending(budget).plus(costs).fits


def test_by_hand():
    assert fits([2**60 - 1, 1], 2**60)
    assert not fits([2**60, 1], 2**60)
    assert not fits([2_000_000_001], 2_000_000_000)
    assert not fits([1.0, 2.0, 3.0], math.nextafter(6.0, 0.0)), "floats that are added without rounding get no slack"
    assert not fits([0.25, 0.5], math.nextafter(0.75, 0.0))
    assert fits([0.1, 0.2], 0.3), "decimals are what they are read as: the float sum is 0.30000000000000004"
    assert fits([0.1] * 10, 1.0)
    assert not fits([0.1] * 10 + [1e-9], 1.0)
    assert fits([0.1] * 10, 10 * 0.1)
    long = [1 / 3, 1 / 7]
    assert fits(long, math.fsum(long) + 1e-16)
    assert not fits(long, math.nextafter(float(sum(map(Fraction, long))), 0.0)), "no decimals: as they are"


@pytest.mark.parametrize("power", range(-12, 13))
def test_a_decimal_is_read_in_every_unit(power):
    for number in [*range(1, 40), 0.7, 12.345]:
        assert read(number * 10.0**power) == Fraction(str(number)) * Fraction(10) ** power


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=12))
def test_a_number_is_read_as_one_that_float64_hardly_tells_from_it(numbers):
    for number in numbers:
        assert abs(read(number) - Fraction(number)) <= Fraction(number) * Fraction(2.0**-51)
    ordered = sorted(numbers)
    assert all(read(a) <= read(b) for a, b in itertools.pairwise(ordered))


COSTS = st.one_of(
    st.lists(st.integers(1, 30), min_size=1, max_size=8).map(lambda costs: np.array(costs, dtype=np.int64)),
    st.lists(st.integers(1, 30), min_size=1, max_size=8).map(lambda costs: np.array(costs) / 10),
    st.lists(st.integers(1, 30), min_size=1, max_size=8).map(lambda costs: np.array(costs) * 1e-12),
    st.lists(st.floats(0.01, 30.0), min_size=1, max_size=8).map(np.array),
    st.lists(st.integers(1, 30), min_size=1, max_size=8).map(lambda costs: np.array(costs) / 3),
)


@settings(deadline=None, max_examples=150)
@given(costs=COSTS, data=st.data())
def test_what_is_paid_for_is_what_fits_one_by_one(costs, data):
    chosen = data.draw(st.lists(st.sampled_from(costs.tolist()), max_size=4))
    total = math.fsum(data.draw(st.lists(st.sampled_from(costs.tolist()), min_size=1, max_size=6)))
    budget = data.draw(st.sampled_from([total, math.nextafter(total, 0.0), math.nextafter(total, math.inf), 10.0]))
    spent = Spending(budget).plus(chosen)
    if not spent.fits:
        return
    assert spent.pays(costs).tolist() == [spent.plus([cost]).fits for cost in costs.tolist()]
    assert [spent.pays_for(cost) for cost in costs.tolist()] == spent.pays(costs).tolist()
    if costs.dtype.kind == "i" or (costs * 4).tolist() == np.floor(costs * 4).tolist():
        exact = [sum(map(Fraction, chosen)) + Fraction(cost) <= Fraction(budget) for cost in costs.tolist()]
        assert spent.pays(costs).tolist() == exact


@given(costs=st.lists(st.integers(1, 9), max_size=12), budget=st.integers(0, 40))
def test_the_cheapest_that_are_paid_for_are_as_many_as_can_be(costs, budget):
    paid = cheapest_paid(np.array(costs, dtype=np.int64), budget).tolist()
    assert paid == sorted(costs)[: len(paid)]
    assert sum(paid) <= budget
    assert len(paid) == len(costs) or sum(sorted(costs)[: len(paid) + 1]) > budget
    tenths = cheapest_paid(np.array(costs) / 10, budget / 10)
    assert tenths.size == len(paid), "decimals are what they are read as"


def test_what_is_refunded_was_never_spent():
    assert Spending(0.3).plus([-0.1]).plus([0.1, 0.2, 0.1]).fits
    assert not Spending(0.3).plus([-0.1]).plus([0.1, 0.2, 0.1, 0.1]).fits
    assert Spending(5).plus([-7]).plus([7]).pays(np.array([5, 6])).tolist() == [True, False]
