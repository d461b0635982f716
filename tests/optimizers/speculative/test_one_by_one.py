"""Picks that are made one a pass are the greedy's, and tell what a draft would have kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.constraints.base import Constraints
from ray_subsel.core.threads import ranges
from ray_subsel.optimizers import NaiveGreedy
from ray_subsel.optimizers.speculative.ahead import AheadSizes, Foresight
from ray_subsel.optimizers.speculative.distinct_rows import distinct_rows_of
from ray_subsel.optimizers.speculative.one_by_one import pick_one_by_one
from ray_subsel.optimizers.speculative.score import GraphCutScore
from tests.optimizers.speculative.problems import SETTINGS, cloud, problem


def walk(asked, picks, size=16, **more):
    """Return the first picks of a problem."""
    distinct, total = distinct_rows_of(asked)
    score = GraphCutScore(total, asked.objective.lam, more.pop("pace", None))
    nothing = np.zeros(distinct.rows.n, dtype=np.int64)
    return pick_one_by_one(distinct, score, np.zeros(distinct.rows.d), 0, nothing, picks, size, **more)


@SETTINGS
@given(
    seed=st.integers(0, 10**6),
    mean=st.sampled_from([0.0, 1.0]),
    lam=st.sampled_from([0.0, 3.0, 10.0]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    utilities=st.booleans(),
    scale=st.sampled_from([1.0, 1e-30]),
    ahead=st.sampled_from([AheadSizes(1), AheadSizes(2, 4), AheadSizes(32), AheadSizes(64, 10**6)]),
)
def test_the_picks_and_gains_are_those_of_the_definition(seed, mean, lam, dtype, utilities, scale, ahead):
    X = (cloud(seed, mean=mean) * (1.0 if dtype == np.float16 else scale)).astype(dtype)
    X[X.any(axis=1) == 0] = 1
    rng = np.random.default_rng(seed)
    utility = np.round(rng.normal(size=len(X)), 1) if utilities else None
    limits = Constraints(exclude=np.flatnonzero(rng.random(len(X)) < 0.1))
    asked = problem(X, 40, lam, utility=utility, constraints=limits)
    found, naive = walk(asked, 40, foresight=Foresight(10**6, 10**4, ahead)), NaiveGreedy().maximize(asked)
    assert found.ids.tolist() == naive.indices.tolist()
    assert found.gains == pytest.approx(naive.gains, abs=1e-9)
    assert found.sums.shape == (41, X.shape[1])


def test_what_a_draft_would_have_kept_are_the_picks_before_the_first_outside_the_rows_of_highest_gain():
    X = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    asked = problem(X, 30)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    highest = set(np.argsort(-(unit @ unit.sum(axis=0)))[:20].tolist())
    found = walk(asked, 30, size=20)
    outside = [pick not in highest for pick in found.ids.tolist()]
    assert 0 < found.kept == outside.index(True) < 30
    assert walk(asked, 30, size=500).kept == 30


def test_blocks_of_several_threads_and_a_pool_of_all_change_nothing():
    X = cloud(3, n=5_000, d=24, mean=0.0).astype(np.float32)

    def backwards(function, parts):
        return [function(start, stop) for start, stop in reversed([*parts])][::-1]

    found, alone = walk(problem(X, 50), 50, workers=backwards), walk(problem(X, 50), 50)
    assert found.ids.tolist() == alone.ids.tolist()
    assert np.array_equal(found.gains, alone.gains)
    assert len(list(ranges(5_000, 1024))) > 1


@pytest.mark.parametrize("ahead", [AheadSizes(1), AheadSizes(4), AheadSizes(32)])
def test_a_paced_walk_compares_the_paced_gain_and_returns_that_of_f(ahead):
    X = cloud(5)
    found = walk(problem(X, 10), 10, pace=10, foresight=Foresight(10**6, 10**4, ahead))
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    total, chosen = unit.sum(axis=0), np.zeros(X.shape[1])
    for turn, pick in enumerate(found.ids.tolist()):
        paced = unit @ ((turn + 1) / 10 * total - 12 * chosen)
        assert paced[pick] >= np.delete(paced, found.ids[:turn]).max() - 1e-9
        assert found.gains[turn] == pytest.approx(unit[pick] @ (total - 12 * chosen) - 1)
        chosen += unit[pick]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [2, 3, 40])
@pytest.mark.parametrize("mean", [0.0, 2.0])
@pytest.mark.parametrize("copies", [0, 100])
def test_picks_to_the_last_row_are_the_greedys(dtype, d, mean, copies):
    rng = np.random.default_rng(d)
    X = rng.normal(size=(400, d))
    X[:, 0] += mean
    X[400 - copies :] = X[rng.integers(0, 300, copies)]
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(dtype)
    asked = problem(X, 400)  # beyond the mean, where values are negative
    for ahead in (AheadSizes(1), AheadSizes(8, 64)):
        found = walk(asked, 400, foresight=Foresight(10**6, 10**4, ahead))
        assert found.ids.tolist() == NaiveGreedy().maximize(asked).indices.tolist()


@pytest.mark.parametrize("shift", [None, -40.0, 40.0])
def test_where_values_do_not_tell_rows_apart_they_are_computed_in_float64(shift):
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, 3_000)
    X = np.stack((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32)
    utility = None if shift is None else shift + 1e-6 * rng.normal(size=3_000)
    asked = problem(X, 200, utility=utility)
    kept = X.copy()
    found = walk(asked, 200)
    assert found.ids.tolist() == NaiveGreedy().maximize(asked).indices.tolist()
    assert np.array_equal(X, kept)


def test_fewer_picks_come_back_where_all_units_are_gone():
    X = cloud(1, n=6)
    assert sorted(walk(problem(X, 6), 9).ids.tolist()) == list(range(6))
