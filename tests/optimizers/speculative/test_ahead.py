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
def test_values_of_several_turns_are_those_of_each(n, dtype, norm, utilities):
    rng = np.random.default_rng(n)
    X = (norm * unit_rows(rng.normal(size=(n, 5))).slice(0, n)).astype(dtype)
    taken = (rng.random(n) < 0.2).astype(np.int64)
    passes, total = passes_of(X, taken, utility=rng.normal(size=n) if utilities else None)
    for turns in (3, 4, 2):
        passes.close(int(rng.integers(n)))
        directions = total + rng.normal(size=(turns, 5))
        several = passes.several(directions)
        for turn in range(turns):
            passes.one(directions[turn])
            assert several[:, turn] == pytest.approx(passes.values, abs=1e-4)
            assert passes.highest(several)[turn] == several[:, turn].max()


def test_what_is_foreseen_are_the_picks_among_the_rows_of_highest_value():
    X = np.random.default_rng(0).normal(size=(400, 16)).astype(np.float32)
    picks = walk(problem(X, 30), 30).ids.tolist()
    passes, total = passes_of(X)
    passes.one(total)
    rows, score = unit_rows(X), GraphCutScore(total, 10.0)
    assert foresee(rows, score, passes.values, picks[0], 30, 400).tolist() == picks
    few = foresee(rows, score, passes.values, picks[0], 30, 10).tolist()
    assert len(few) == len(set(few)) <= 10
    assert few[0] == picks[0]


def test_foreseen_turns_save_passes_and_are_given_up_where_few_are_right():
    X = cloud(0, n=4000, d=16, mean=2.0)[:2000].astype(np.float32)
    for ahead, fewest, most in ((AheadSizes(1, 1), 100, 100), (AheadSizes(16, 32), 4, 30)):
        assert fewest <= walk(problem(X, 100), 100, foresight=Foresight(10**9, ahead)).passes <= most
    foresight = Foresight(0, AheadSizes())
    foresight.learn(16, 15)  # of rows of no numbers a pass costs nothing
    assert foresight.length == 1


def test_the_length_grows_while_all_is_right_and_comes_back_when_picks_stay_among_the_highest():
    foresight = Foresight(10**7, AheadSizes(8, 32, 10))
    lengths = []
    for right in (8, 16, 20, 2):
        foresight.learn(foresight.length, right)
        lengths.append(foresight.length)
    assert lengths == [16, 32, 30, 1]
    highest = np.arange(100) < 40
    foresight.learn_single(highest, [*range(16), 50, *range(16, 31)])
    assert foresight.length == 1
    foresight.learn_single(highest, [*range(17), 50, *range(17, 31)])
    assert foresight.length == 17


def test_the_level_is_that_of_about_as_many_values():
    values = np.random.default_rng(1).permutation(50_000).astype(np.float32)
    assert (values >= level_of(values, 500)).sum() == pytest.approx(500, rel=0.5)
    assert level_of(values[:3], 10) == values[:3].min()


def test_the_gains_of_foreseen_turns_stay_within_their_memory():
    for n, d in ((100, 8), (5_000, 128), (10**6, 32), (10**7, 4)):
        sizes = AheadSizes.for_rows(UnitRows(np.empty((1, d), dtype=np.float32), np.ones(n)))
        assert 1 <= sizes.first <= sizes.most
        assert sizes.most * n <= max(n, n * d / 8, 1 << 19)


@pytest.mark.parametrize(("d", "most"), [(32, 1), (128, 32)])
def test_of_rows_of_few_numbers_none_is_foreseen(d, most):
    rows = UnitRows(np.empty((1, d), dtype=np.float32), np.ones(5_000))
    assert AheadSizes.for_rows(rows).most == most
    foresight = Foresight.of(rows)
    foresight.learn_single(np.ones(5_000, dtype=np.bool_), list(range(32)))
    assert foresight.length == most
