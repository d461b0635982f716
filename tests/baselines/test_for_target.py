"""Baselines that look at a target alone, against their definition."""

import numpy as np
import pytest

from ray_subsel import select
from ray_subsel.core.errors import InputError


def problem(seed, n=30, q=4):
    rng = np.random.default_rng(seed)
    X, Q = rng.standard_normal((n, 5)), rng.standard_normal((q, 5))
    X[7] = X[3]
    return X, Q, (X / np.linalg.norm(X, axis=1)[:, None]) @ (Q / np.linalg.norm(Q, axis=1)[:, None]).T


@pytest.mark.parametrize("k", [1, 6, 30])
def test_most_similar_are_the_k_of_greatest_mean_similarity(k):
    X, Q, W = problem(0)
    assert (
        select(X, k, optimizer="most_similar", target=Q).indices.tolist()
        == np.argsort(-W.mean(axis=1).round(12), kind="stable")[:k].tolist()
    )


@pytest.mark.parametrize("k", [1, 3, 9, 30])
def test_round_robin_lets_each_query_take_its_nearest_in_turn(k):
    X, Q, W = problem(1)
    wanted: list[int] = []
    while len(wanted) < k:
        for query in range(4):
            order = [i for i in np.argsort(-W[:, query].round(12), kind="stable").tolist() if i not in wanted]
            if order and len(wanted) < k:
                wanted.append(order[0])
    assert select(X, k, optimizer="round_robin", target=Q, objective="facility_location").indices.tolist() == wanted


@pytest.mark.parametrize("name", ["round_robin", "most_similar"])
def test_limits_hold(name):
    X, Q, _ = problem(2)
    groups = np.arange(30) % 3
    limits = {"groups": groups, "quotas": "equal", "include": [29], "exclude": [0]}
    chosen = select(X, 9, optimizer=name, target=Q, **limits).indices
    assert chosen[0] == 29
    assert 0 not in chosen
    assert np.bincount(groups[chosen]).tolist() == [3, 3, 3]
    counts = np.full(30, 2)
    twice = select(X, 6, optimizer=name, target=Q, multiplicity=counts).indices
    assert len(twice) == 6
    assert np.bincount(twice).max() == 2
    with pytest.raises(InputError, match=f"target must be given for the {name} optimizer"):
        select(X, 3, optimizer=name)
