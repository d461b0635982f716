"""What is foreseen saves passes where it is right and is given up where it does not pay."""

import numpy as np
import pytest

from ray_subsel.core.unit_rows import UnitRows, unit_rows
from ray_subsel.optimizers.speculative.ahead import AheadSizes, Foresight, foresee, level_of
from ray_subsel.optimizers.speculative.score import GraphCutScore
from tests.optimizers.speculative.problems import cloud, problem
from tests.optimizers.speculative.test_one_by_one import walk
from tests.optimizers.speculative.test_passes import passes_of


@pytest.mark.parametrize("pace", [None, 40])
def test_what_is_foreseen_are_the_picks_among_the_rows_of_highest_value(pace):
    X = np.random.default_rng(0).normal(size=(400, 16)).astype(np.float32)
    picks = walk(problem(X, 30), 30, pace=pace).ids.tolist()
    passes, total = passes_of(X)
    rows, score = unit_rows(X), GraphCutScore(total, 10.0, pace)
    turning = None if pace is None else (total / (pace * score.penalty)).astype(np.float32)
    passes.one((score.direction(np.zeros(16), 0) / score.penalty).astype(np.float32))
    passes.close(picks[0])
    pick = rows.rounded_row(picks[0])
    found, steps = foresee(rows, turning, passes.values, pick, np.arange(400), 29)
    assert found == picks[1:]
    assert steps == pytest.approx(rows.take(np.array(found)), abs=1e-6)
    few, steps = foresee(rows, turning, passes.values, pick, np.array([3, 1, 4]), 29)
    assert sorted(few) == [1, 3, 4]
    none, steps = foresee(rows, turning, passes.values, pick, np.array(picks[:1]), 29)
    assert none == []
    assert steps.shape == (0, 16)


@pytest.mark.parametrize(("most", "fewest", "passes"), [(1, 100, 100), (4, 25, 30), (32, 4, 20)])
def test_picks_that_are_foreseen_save_passes(most, fewest, passes):
    X = cloud(0, n=4000, d=16, mean=2.0)[:2000].astype(np.float32)
    found = walk(problem(X, 100), 100, foresight=Foresight(10**6, 10**4, AheadSizes(most)))
    assert fewest <= found.passes <= passes


def test_a_pass_is_for_more_turns_while_all_are_right_and_for_fewer_where_not():
    foresight = Foresight(5_000, 512, AheadSizes(32))
    lengths = []
    for _ in range(20):
        lengths.append(foresight.turns())
        foresight.learn(lengths[-1] - 1, lengths[-1] - 1)
    assert lengths == sorted(lengths)
    assert lengths[0] == 4
    assert lengths[-1] >= 16
    for _ in range(60):
        foresight.learn(foresight.turns() - 1, 0)
    assert foresight.turns() <= 2


def test_where_one_turn_is_best_others_are_tried_more_and_more_seldom():
    foresight = Foresight(5_000, 256, AheadSizes(32))
    while foresight.turns() > 1:
        foresight.learn(3, 0)
    rests, tried = [], 0
    for _ in range(10):
        assert foresight.turns() == 1
        rests.append(foresight.alone())
        if (turns := foresight.turns()) > 1:
            tried += 1
            foresight.learn(turns - 1, 0)
    assert rests == sorted(rests)
    assert rests[0] < rests[-1]
    assert tried == 10


@pytest.mark.parametrize("foresight", [Foresight(100, 10, AheadSizes(32)), Foresight(10**6, 10**4, AheadSizes(1))])
def test_what_can_never_pay_is_never_tried(foresight):
    for _ in range(10):
        assert foresight.turns() == 1
        foresight.alone()


def test_the_highest_are_about_as_many_as_the_pool_as_values_change():
    foresight = Foresight(10**5, 10, AheadSizes(32, 300))
    values = np.random.default_rng(1).normal(size=50_000).astype(np.float32)
    for shift in (0.0, 0.01, 5.0, -5.0):
        rows = foresight.highest(values + np.float32(shift))
        assert rows.size == pytest.approx(300, rel=2)
        assert values[rows].min() > np.delete(values, rows).max()
    assert foresight.highest(np.ones(50_000)).size == 1200  # of equal ones some


def test_the_level_is_that_of_about_as_many_values():
    values = np.random.default_rng(1).permutation(50_000).astype(np.float32)
    assert (values >= level_of(values, 500)).sum() == pytest.approx(500, rel=0.5)
    assert level_of(values[:3], 10) == values[:3].min()


def test_the_products_of_a_pass_stay_within_their_memory():
    for n, d in ((100, 8), (5_000, 128), (10**6, 32), (10**7, 4)):
        sizes = AheadSizes.for_rows(UnitRows(np.empty((1, d), dtype=np.float32), np.ones(n)))
        assert sizes.most >= 1
        assert sizes.most * n <= max(n, n * d / 8, 1 << 19)
