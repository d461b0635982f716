"""What a subset is to its corpus: coverage by brute force, repeats as drawn, shares that add up."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.decisions.profile import coverage, curve_sizes, expected_repeats, quartiles, shares, spread_of


@given(st.integers(0, 100), st.integers(1, 30), st.integers(1, 12))
def test_coverage_is_the_mean_of_the_best_cosines_and_never_falls(seed, n, k):
    draw = np.random.default_rng(seed)
    X, C = draw.normal(size=(n, 4)), draw.normal(size=(k, 4))
    sizes = curve_sizes(k)
    found = coverage(unit_rows(X), unit_rows(C), sizes)
    W = (X / np.linalg.norm(X, axis=1, keepdims=True)) @ (C / np.linalg.norm(C, axis=1, keepdims=True)).T
    np.testing.assert_allclose(found, [W[:, :size].max(axis=1).mean() for size in sizes], atol=1e-5)
    assert (np.diff(found) >= -1e-6).all()


def test_sizes_have_both_ends():
    assert curve_sizes(1) == [1]
    assert curve_sizes(4) == [1, 2, 3, 4]
    assert (curve_sizes(10_000)[0], curve_sizes(10_000)[-1], len(curve_sizes(10_000))) == (1, 10_000, 60)


@pytest.mark.parametrize("sizes", [[1] * 50, [10, 10, 10, 1, 1], [200, *[1] * 100]])
def test_repeats_are_those_of_random_draws(sizes):
    groups, k, draw = np.array(sizes), 12, np.random.default_rng(0)
    rows = np.repeat(np.arange(groups.size), groups)
    drawn = [k - len(set(draw.choice(rows, size=k).tolist())) for _ in range(3000)]
    found = expected_repeats(groups, [1, k])
    assert found[0] == pytest.approx(0.0, abs=1e-9)
    assert abs(found[1] - np.mean(drawn)) < 0.15
    assert expected_repeats(np.zeros(0, dtype=np.int64), [3]) == [0.0]


def test_shares_name_the_most_frequent_and_sum_up_the_rest():
    found = shares(Counter({f"v{i:02d}": 100 - i for i in range(40)}), Counter({"v00": 2, "v39": 3, "new": 1}))
    assert found[0] == {"name": "v00", "before": 100, "after": 2}
    assert len(found) == 26
    assert found[-1]["name"] == "(others) 16"
    assert sum(one["before"] for one in found) == sum(100 - i for i in range(40))
    assert sum(one["after"] for one in found) == 6


def test_quartiles_of_nothing_are_none():
    assert quartiles([]) is None
    assert quartiles([1.0, 2.0, 3.0]) == [1.5, 2.0, 2.5]


def test_numbers_before_and_after_in_intervals_that_count_every_one():
    rng = np.random.default_rng(0)
    before = np.r_[rng.normal(size=1_000), [np.nan] * 7, [1e9]]
    after = np.r_[before[:100] + 1.0, [np.nan]]
    told = spread_of(before, after)
    assert told["missing"] == 7
    assert told["before"] == pytest.approx(np.nanquantile(before, [0.25, 0.5, 0.75]))
    assert told["after"][1] > told["before"][1]
    counts = [(one["before"], one["after"]) for one in told["intervals"]]
    assert len(counts) == 10
    assert np.sum(counts, axis=0).tolist() == [1_001, 100]  # what lies beyond the ends is in the last ones
    edges = [float(one["name"].split()[0]) for one in told["intervals"][1:-1]]
    inside = [one["before"] for one in told["intervals"][1:-1]]
    for low, high, many in zip(edges, edges[1:], inside, strict=False):
        assert many == pytest.approx(np.count_nonzero((before >= low) & (before < high)), abs=15)  # edges are rounded


def test_one_number_is_one_interval_and_none_is_nothing():
    told = spread_of(np.full(5, 3.0), np.full(2, 3.0))
    assert [(one["before"], one["after"]) for one in told["intervals"]] == [(5, 2)]
    assert spread_of(np.array([np.nan]), np.array([])) is None
    assert spread_of(np.array([1.0, 2.0]), np.array([np.nan]))["after"] is None
