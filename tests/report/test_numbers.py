import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.report.charts import gain_curve, nice_ticks
from ray_subsel.report.numbers import amount, count, duration, is_clear, percent, wilson


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0, "0"),
        (0.012344, "0.01234"),
        (1.5, "1.500"),
        (1234.56, "1,235"),
        (-12.3456, "−12.35"),
        (2.5e10, "2.500e+10"),
    ],
)
def test_amount(value, shown):
    assert amount(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (0.0312, "31 ms"),
        (0.9999, "1.0 s"),
        (61.24, "61.2 s"),
        (119.7, "2 min 00 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_duration(seconds, shown):
    assert duration(seconds) == shown


def test_count_and_percent():
    assert count(1234567) == "1,234,567"
    assert percent(0.845) == "84.5\u00a0%"
    assert percent(-0.031, signed=True) == "−3.1\u00a0%"
    assert percent(None) == "–"


def test_wilson_by_hand():
    # 15 of 20, z = 1.96: (0.75 + 0.0960) / 1.1921 = 0.7097, give or take 0.1787.
    low, high = wilson(15 / 20, 20)
    assert (low, high) == pytest.approx((0.531, 0.888), abs=5e-4)
    assert wilson(0.5, 0) == (0.0, 1.0)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(deadline=None, max_examples=100)
def test_an_interval_holds_its_share_and_stays_inside(pair):
    right, trials = pair
    low, high = wilson(right / trials, trials)
    assert 0 <= low <= right / trials + 1e-12
    assert right / trials - 1e-12 <= high <= 1


def test_a_difference_counts_only_with_rows_enough():
    assert not is_clear(0.80, 0.75, 100)
    assert is_clear(0.80, 0.75, 10_000)
    assert not is_clear(0.8, 0.7, 0)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
@settings(deadline=None, max_examples=100)
def test_ticks_cover_the_range_and_are_few(low, width, wanted):
    high = low + width
    ticks = nice_ticks(low, high, wanted)
    slack = 1e-6 * width + 1e-9 * max(abs(low), abs(high))
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= 3 * wanted


def test_the_curve_shows_where_gains_cross_zero():
    curve = gain_curve([[0, 30.0], [1, 10.0], [2, -10.0]])
    assert curve.zero is not None
    heights = [float(point.split(",")[1]) for point in curve.points.split()]
    assert heights[1] < curve.zero < heights[2]
    assert gain_curve([[0, 3.0], [1, 2.0]]).zero is None
