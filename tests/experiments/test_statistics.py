"""Means, intervals and differences against numbers computed by hand."""

import numpy as np
import pytest

from ray_subsel.experiments.statistics import Estimate, correlation, estimate, over_draws_and_rows, paired


def test_mean_and_interval_by_hand():
    # s = 1, n = 3: t(0.975, 2) = 4.302653, divided by sqrt(3)
    found = estimate([1.0, 2.0, 3.0])
    assert (found.mean, found.n) == (2.0, 3)
    assert found.half == pytest.approx(4.302653 / 3**0.5, rel=1e-6)


def test_one_value_has_no_interval():
    assert estimate([0.7]).half is None
    assert not estimate([0.7]).decided


def test_differences_are_taken_seed_by_seed():
    found = paired({0: 0.70, 1: 0.80, 2: 0.9}, {0: 0.69, 1: 0.79, 5: 0.1})
    assert found.n == 2
    assert found.mean == pytest.approx(0.01)
    assert found.half == pytest.approx(0.0, abs=1e-12)
    assert found.decided
    assert paired({0: 1.0}, {1: 1.0}) is None


def test_rank_correlation():
    assert correlation([(1, 10), (2, 20), (3, 90)]) == pytest.approx(1.0)
    assert correlation([(1, 3), (2, 2), (3, 1)]) == pytest.approx(-1.0)
    assert correlation([(1, 1), (2, 2)]) is None
    assert correlation([(1, 1), (1, 2), (1, 3)]) is None


def test_intervals_over_draws_and_rows_hold_the_mean():
    """Draws and rows both vary: an interval over draws alone would hold the mean of all rows in few of the cases."""
    rng = np.random.default_rng(0)
    inside = alone = 0
    for _ in range(300):
        rows, draws = rng.normal(0, 1, 60), rng.normal(0, 0.3, 6)
        values = rows + draws[:, None] + rng.normal(0, 1, (6, 60))
        found = over_draws_and_rows(values)
        inside += abs(found.mean) <= found.half
        alone += abs(found.mean) <= estimate(values.mean(axis=1).tolist()).half
    assert inside >= 300 * 0.93
    assert alone < inside


def test_more_comparisons_widen_and_one_draw_has_no_interval():
    values = np.random.default_rng(1).normal(size=(4, 30))
    assert over_draws_and_rows(values, 6).half > over_draws_and_rows(values).half
    assert over_draws_and_rows(values[:1]).half is None
    assert over_draws_and_rows(np.ones((3, 5))) == Estimate(1.0, 0.0, 3)
