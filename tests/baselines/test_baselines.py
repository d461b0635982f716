"""Baselines against their definitions, written down naively."""

import numpy as np
import pytest

from ray_subsel.baselines import BASELINES, DeduplicatedRandom, Herding, KCenter, RandomSubset, SemDeDup
from ray_subsel.constraints.base import Constraints
from ray_subsel.core.errors import InputError
from ray_subsel.dedup.in_memory import collapse_near
from ray_subsel.dedup.settings import NearSettings
from ray_subsel.objectives import FacilityLocation, GraphCut
from ray_subsel.objectives.target import Target
from ray_subsel.optimizers import Problem


def cloud(seed=0, n=50, d=5):
    return np.random.default_rng(seed).standard_normal((n, d)) + 0.5


def unit(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
def test_k_center_is_farthest_first(seed):
    X = cloud(seed)
    U = unit(X)
    chosen = [int(np.argmax(U @ U.mean(axis=0)))]
    while len(chosen) < 12:
        distance = np.linalg.norm(U[:, None] - U[chosen], axis=2).min(axis=1)
        chosen.append(int(np.argmax(distance)))
    picks = KCenter().maximize(Problem(X, GraphCut(), 12))
    assert picks.indices.tolist() == chosen
    assert picks.stats["farthest_cosine"] == pytest.approx((U @ U[chosen].T).max(axis=1).min())


def test_k_center_goes_on_from_included_items():
    X = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-1.0, 0.1]])
    problem = Problem(X, GraphCut(), 3, Constraints(include=np.array([1])))
    assert KCenter().maximize(problem).indices.tolist() == [1, 3, 2]


@pytest.mark.parametrize("seed", range(5))
def test_herding_follows_the_mean(seed):
    X = cloud(seed)
    U = unit(X)
    mean, chosen = U.mean(axis=0), []
    for _ in range(15):
        left = [i for i in range(50) if i not in chosen]
        wanted = (len(chosen) + 1) * mean - U[chosen].sum(axis=0)
        chosen.append(max(left, key=lambda i: U[i] @ wanted))
    picks = Herding().maximize(Problem(X, GraphCut(), 15))
    assert picks.indices.tolist() == chosen
    drawn = RandomSubset().maximize(Problem(X, GraphCut(), 15)).indices
    assert picks.stats["mean_distance"] < np.linalg.norm(U[drawn].mean(axis=0) - mean)


def test_random_is_uniform_over_items():
    X = cloud(n=6)
    counts = np.zeros(6)
    for seed in range(600):
        counts[RandomSubset().maximize(Problem(X, GraphCut(), 2, seed=seed)).indices] += 1
    assert np.abs(counts / 200 - 1).max() < 0.25


def test_random_draws_a_row_as_often_as_it_counts():
    f = GraphCut(total=np.ones(5))
    problem = Problem(cloud(n=2), f, 9, multiplicity=np.array([1, 8]))
    assert np.bincount(RandomSubset().maximize(problem).indices).tolist() == [1, 8]


def test_distinct_come_before_copies():
    X = np.repeat(cloud(n=10), 10, axis=0)
    problem = Problem(X, GraphCut(), 14, seed=3)
    first = DeduplicatedRandom().maximize(problem).indices
    assert sorted((first[:10] // 10).tolist()) == list(range(10))
    assert (first[:10] % 10 == 0).all(), "the first of equals stands for them"
    assert np.unique(first).size == 14
    included = (
        DeduplicatedRandom()
        .maximize(Problem(X, GraphCut(), 10, constraints=Constraints(include=np.array([57])), seed=3))
        .indices
    )
    assert sorted((included // 10).tolist()) == list(range(10)), "an included copy stands for its equals"


def test_minus_zero_is_zero():
    X = np.array([[1.0, 0.0], [1.0, -0.0], [0.0, 1.0]])
    assert sorted(DeduplicatedRandom().maximize(Problem(X, GraphCut(), 2)).indices.tolist()) == [0, 2]


def test_semdedup_draws_leaders_first():
    rng = np.random.default_rng(0)
    base = cloud(n=30, d=12)
    X = np.vstack([base, base + 0.05 * rng.standard_normal(base.shape)])
    leaders = collapse_near(X, NearSettings(0.9)).leaders
    picks = SemDeDup(threshold=0.9).maximize(Problem(X, GraphCut(), leaders.size + 5, seed=1))
    assert sorted(picks.indices[: leaders.size].tolist()) == leaders.tolist()
    assert picks.stats["leaders"] == leaders.size
    with pytest.raises(InputError, match="threshold must be a cosine"):
        SemDeDup(threshold=0.0)


@pytest.mark.parametrize("name", BASELINES)
def test_gains_are_those_of_the_objective(name):
    X = cloud(3)
    target = Target.of(X[:3], 1.0, len(X))
    picks = BASELINES[name]().maximize(Problem(X, FacilityLocation(), 10, seed=2, target=target))
    assert picks.gains.sum() == pytest.approx(FacilityLocation().evaluate(X, picks.indices))
