"""The rounded direction stays as near to the exact one as is said, pick after pick."""

import numpy as np
import pytest

from ray_subsel.core.unit_rows import row_dots
from ray_subsel.optimizers.speculative.direction import Direction
from ray_subsel.optimizers.speculative.distinct_rows import distinct_rows_of
from ray_subsel.optimizers.speculative.score import GraphCutScore
from tests.optimizers.speculative.problems import problem


def direction_of(X, picks, *, pace=None, utility=None):
    distinct, total = distinct_rows_of(problem(X, picks, utility=utility))
    score = GraphCutScore(total, 10.0, pace)
    return Direction(distinct, score, np.zeros(X.shape[1]), 0, picks), distinct.rows, score


def vectors(n, d, mean=0.0, dtype=np.float32):
    X = np.random.default_rng(d).normal(size=(n, d))
    X[:, 0] += mean
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(dtype)


@pytest.mark.parametrize("d", [3, 40, 100])
@pytest.mark.parametrize("mean", [0.0, 5.0])
@pytest.mark.parametrize(("pace", "utilities"), [(None, False), (300, False), (None, True)])
@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_values_are_within_the_noise_and_the_length_within_its_bound(d, mean, pace, utilities, scale):
    X = np.float32(scale) * vectors(600, d, mean)
    utility = np.random.default_rng(1).normal(size=600) if utilities else None
    direction, rows, score = direction_of(X, 300, pace=pace, utility=utility)
    unit = rows.slice(0, 600)
    left = np.ones(600, dtype=np.bool_)
    chosen = np.zeros(d)
    renewed = 0
    for turn in range(300):
        if turn >= direction.until:
            direction.renew()
            renewed += 1
        exact = score.direction(chosen, turn) / score.penalty
        assert np.linalg.norm(exact) <= direction.longest * (1 + 1e-12)
        values = rows.products(slice(0, 600), direction.rounded[:, None])[:, 0]
        assert np.abs(values - unit @ exact).max() <= direction.noise_now()
        assert np.linalg.norm(direction.rounded - exact) <= (turn - direction.at + 1) * direction.step_noise
        wanted = np.where(left, unit @ exact + (0 if utility is None else utility / score.penalty), -np.inf)
        row = int(wanted.argmax())
        left[row] = False
        if wanted[row] < direction.least:
            direction.below(-wanted[row])
        direction.take(row)
        chosen = chosen + unit[row]
    assert 3 < renewed < 100


@pytest.mark.parametrize("d", [3, 64, 65, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_are_added_one_after_the_other_and_gains_are_those_of_the_definition(d, dtype):
    X = vectors(200, d, dtype=dtype)
    direction, rows, score = direction_of(X, 150)
    picks = np.random.default_rng(0).permutation(200)[:150]
    sums = np.zeros((151, d))
    for turn, row in enumerate(picks.tolist()):
        direction.take(row)
        sums[turn + 1] = sums[turn] + rows.row(row)
        if turn in (0, 7, 100):
            assert np.array_equal(direction.exact(), score.total - score.penalty * sums[turn + 1])
    direction.exact()
    assert np.array_equal(direction.sums, sums)
    assert np.array_equal(direction.gains, row_dots(rows.take(picks), score.total - score.penalty * sums[:-1]))


def test_of_rows_that_rounding_does_not_tell_apart_none_is_clearly_first():
    X = vectors(300, 20)
    X[7] = X[5]
    X[7, 0] = np.nextafter(X[5, 0], np.float32(2))
    direction, rows, _ = direction_of(X, 10)
    values = rows.slice(0, 300) @ direction.rounded.astype(np.float64)
    for row in (1, 2, 3):
        direction.take(row)
        values -= rows.slice(0, 300) @ rows.row(row)
    some = np.array([4, 5, 9, 11, 200])
    assert direction.clear_first(some, 0.0) == some[values[some].argmax()]
    assert direction.clear_first(np.array([5, 7]), 0.0) is None
    assert direction.clear_first(some, 100.0) is None


def test_there_is_room_for_some_negative_values_once_there_was_one():
    direction, _, _ = direction_of(vectors(300, 20), 100)
    assert direction.below(0.0)
    assert not direction.below(0.1)
    assert direction.until == 0
    direction.renew()
    assert direction.below(0.1)
    assert not direction.below(1e6)


def test_rows_may_be_read_in_float64_from_a_turn_on():
    X = vectors(300, 20)
    direction, rows, score = direction_of(X, 10)
    direction.take(3)
    distinct, _ = distinct_rows_of(problem(X.astype(np.float64), 10))
    noise = direction.noise
    direction.read(distinct)
    assert direction.rounded.dtype == np.float64
    assert direction.rounded == pytest.approx((score.total - 12 * rows.row(3)) / 12, rel=1e-14)
    assert direction.noise < 1e-6 * noise
