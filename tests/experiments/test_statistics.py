"""Means, intervals and differences against numbers computed by hand."""

import pytest

from ray_subsel.experiments.statistics import correlation, estimate, paired


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
