"""What is foreseen saves passes where it is right and is given up where it does not pay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.core.unit_rows import UnitRows, unit_rows
from ray_subsel.optimizers.speculative.ahead import AheadSizes, Foresight, Passes, foresee, level_of
from ray_subsel.optimizers.speculative.distinct_rows import distinct_rows_of
from ray_subsel.optimizers.speculative.score import GraphCutScore
from tests.optimizers.speculative.problems import SETTINGS, cloud, problem
from tests.optimizers.speculative.test_one_by_one import walk


def passes_of(X, taken=None, **more):
    distinct, total = distinct_rows_of(problem(X, 5, **more))
    return Passes(distinct, np.zeros(len(X), dtype=np.int64) if taken is None else taken), total


@SETTINGS
@given(
    n=st.integers(1, 300),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    norm=st.sampled_from([1.0, 3.0]),
    utilities=st.booleans(),
)
def test_values_and_products_of_one_pass_are_those_of_one_for_each(n, dtype, norm, utilities):
    rng = np.random.default_rng(n)
    X = (norm * unit_rows(rng.normal(size=(n, 5))).slice(0, n)).astype(dtype)
    unit = unit_rows(X).slice(0, n)
    taken = (rng.random(n) < 0.2).astype(np.int64)
    utility = rng.normal(size=n) if utilities else None
    passes, total = passes_of(X, taken, utility=utility)
    gone = taken.astype(np.bool_)
    for turns in (3, 4, 2, 3):
        closed = int(rng.integers(n))
        passes.close(closed)
        gone[closed] = True
        direction, steps = total + rng.normal(size=5), rng.normal(size=(turns, 5))
        values = np.where(gone, -np.inf, unit @ direction + (0 if utility is None else utility))
        passes.one(direction)
        assert passes.values == pytest.approx(values, abs=1e-4)
        passes.values[:] = 0
        products = passes.several(direction, steps / 12, 12.0)
        assert passes.values == pytest.approx(values, abs=1e-4)
        assert products == pytest.approx(unit @ np.vstack((direction, steps)).T, abs=1e-4)


@pytest.mark.parametrize("pace", [None, 40])
def test_what_is_foreseen_are_the_picks_among_the_rows_of_highest_value(pace):
    X = np.random.default_rng(0).normal(size=(400, 16)).astype(np.float32)
    picks = walk(problem(X, 30), 30, pace=pace).ids.tolist()
    passes, total = passes_of(X)
    rows, score = unit_rows(X), GraphCutScore(total, 10.0, pace)
    passes.one(score.direction(np.zeros(16), 0))
    passes.close(picks[0])
    pick = rows.row(picks[0])
    found, steps = foresee(rows, score, passes.values, pick, np.arange(400), 29)
    assert found == picks[1:]
    assert steps == pytest.approx(rows.take(np.array(found)), abs=1e-6)
    few, steps = foresee(rows, score, passes.values, pick, np.array([3, 1, 4]), 29)
    assert sorted(few) == [1, 3, 4]
    none, steps = foresee(rows, score, passes.values, pick, np.array(picks[:1]), 29)
    assert none == []
    assert steps.shape == (0, 16)


@pytest.mark.parametrize(("most", "fewest", "passes"), [(1, 100, 100), (4, 25, 30), (32, 4, 20)])
def test_picks_that_are_foreseen_save_passes(most, fewest, passes):
    X = cloud(0, n=4000, d=16, mean=2.0)[:2000].astype(np.float32)
    found = walk(problem(X, 100), 100, foresight=Foresight(10**6, 10**4, AheadSizes(most)))
    assert fewest <= found.passes <= passes


def test_a_pass_is_for_more_turns_while_all_are_right_and_for_fewer_where_not():
    foresight = Foresight(5_000, 128, AheadSizes(32))
    lengths = []
    for _ in range(20):
        lengths.append(foresight.turns())
        foresight.learn(lengths[-1] - 1, lengths[-1] - 1)
    assert lengths == sorted(lengths)
    assert (lengths[0], lengths[-1]) == (4, 16)
    for _ in range(20):
        foresight.learn(foresight.turns() - 1, 0)
    assert foresight.turns() == 1


def test_where_one_turn_is_best_others_are_tried_more_and_more_seldom():
    foresight = Foresight(100, 10, AheadSizes(32))  # a pass over few numbers costs little
    foresight.learn(3, 0)
    tried = []
    for turn in range(2000):
        if (turns := foresight.turns()) > 1:
            tried.append(turn)
            foresight.learn(turns - 1, 0)
    assert len(tried) < 10
    assert np.all(np.diff(tried, n=2) >= 0)
    assert all(Foresight(10**6, 10**4, AheadSizes(1)).turns() == 1 for _ in range(100))


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
