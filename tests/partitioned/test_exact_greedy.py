"""The exact greedy over divided rows: what one process that holds everything would pick, whatever the division."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ray_subsel.partitioned.exact_greedy as module
from ray_subsel import select
from ray_subsel.core.exact_sum import exact_total
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.partitioned.exact_greedy import GreedyCheckpoint, LocalPool, RowShard, exact_greedy


def corpus(n, d, seed, *, copies=0.0, mean=0.7):
    """Vectors with a mean direction, a share of which repeats others."""
    draw = np.random.default_rng(seed)
    X = (draw.normal(size=(n, d)) + mean).astype(np.float32)
    X[X.any(axis=1) == 0] = 1.0
    again = draw.random(n) < copies
    X[again] = X[draw.integers(n, size=int(again.sum()))]
    return X


def fleet_of(X, parts, seed=0):
    """Divide the rows at random, unevenly and in no order."""
    draw = np.random.default_rng(seed)
    where = draw.integers(parts, size=len(X)) if parts > 1 else np.zeros(len(X), dtype=int)
    groups = [draw.permutation(np.flatnonzero(where == part)) for part in range(parts)]
    return LocalPool([RowShard(ids.astype(np.int64), X[ids].copy()) for ids in groups if len(ids)])


def exact(X, k, parts, lam=10.0, **more):
    total = exact_total(unit_rows(X)).vector()
    return exact_greedy(fleet_of(X, parts), total=total, k=k, lam=lam, **more)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 300),
    st.integers(1, 12),
    st.integers(1, 9),
    st.integers(0, 1000),
    st.sampled_from([0.0, 0.5, 3.0, 10.0, 40.0]),
    st.sampled_from([0.0, 0.5, 0.97]),
    st.sampled_from([-0.5, 0.0, 1.5]),
    st.data(),
)
def test_the_ids_are_those_of_one_machine(n, d, parts, seed, lam, copies, mean, data):
    X = corpus(n, d, seed, copies=copies, mean=mean)
    k = data.draw(st.integers(1, n))
    found, alone = exact(X, k, parts, lam), select(X, k, lam=lam)
    assert found.ids.tolist() == alone.indices.tolist()
    assert np.allclose(found.gains, alone.gains, atol=1e-9 * n)


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_long_runs_far_beyond_the_regime_of_positive_gains(parts):
    X = corpus(3_000, 16, 4, copies=0.5)
    assert exact(X, 900, parts).ids.tolist() == select(X, 900).indices.tolist()


@pytest.mark.parametrize("parts", [1, 3, 8])
def test_ties_between_distinct_vectors_go_to_the_lowest_id(parts):
    # All unit vectors along +-e_i and permutations of one vector: gains tie en masse, also where no two rows are equal.
    d = 8
    X = np.concatenate([np.roll(np.arange(1, d + 1), shift)[None] for shift in range(d)] * 40).astype(np.float32)
    X *= np.random.default_rng(0).choice([0.5, 1.0, 2.0], size=(len(X), 1)).astype(np.float32)
    assert exact(X, 200, parts).ids.tolist() == select(X, 200).indices.tolist()


def test_more_ties_than_a_pool_holds():
    # Points of a cone around the mean, far more than a pool: all gains are equal but for rounding.
    draw = np.random.default_rng(3)
    angle = draw.permutation(2_000) * (2 * np.pi / 2_000)
    X = np.stack([np.cos(angle), np.sin(angle), np.full(2_000, 2.0)], axis=1).astype(np.float32)
    alone = select(X, 30, lam=1.0).indices.tolist()
    for parts in (1, 2, 5):
        assert exact(X, 30, parts, lam=1.0).ids.tolist() == alone


def test_a_prefix_is_the_result_for_a_smaller_k_and_a_run_goes_on_from_any_round():
    X = corpus(600, 8, 1, copies=0.3)
    standings: list[GreedyCheckpoint] = []
    whole = exact(X, 250, 4, after_round=standings.append)
    assert len(standings) == whole.rounds > 2
    assert exact(X, 60, 4).ids.tolist() == whole.ids[:60].tolist()
    for standing in standings[:-1:2]:
        resumed = exact(X, 250, 2, begin=standing)
        assert resumed.ids.tolist() == whole.ids.tolist()
        assert np.array_equal(resumed.gains, whole.gains)
        assert np.array_equal(resumed.chosen, whole.chosen)


def test_holdings_that_forget_everything_between_questions_answer_the_same():
    # What an actor does that dies and is loaded again: a question brings all that its answer depends on.
    X = corpus(500, 8, 2, copies=0.4)
    draw = np.random.default_rng(0)
    where = draw.integers(3, size=500)

    class Forgetful(LocalPool):
        @property
        def holdings(self):
            return 3

        def fresh(self, part):
            ids = np.flatnonzero(where == part)
            return RowShard(ids, X[ids].copy())

        def offers(self, ask):
            return [self.fresh(part).offer(ask) for part in range(3)]

        def spoiled(self, bet):
            return [self.fresh(part).first_spoiled(bet, part) for part in range(3)]

    found = exact_greedy(Forgetful([]), total=exact_total(unit_rows(X)).vector(), k=200, lam=10.0)
    assert found.ids.tolist() == select(X, 200).indices.tolist()


def test_a_bet_is_lost_where_only_another_holding_knows_better(monkeypatch):
    # With the second question answered "nothing spoils it" the ids go wrong: the test above does depend on it.
    X = corpus(2_000, 6, 5)
    alone = select(X, 400).indices.tolist()
    assert exact(X, 400, 3).ids.tolist() == alone
    monkeypatch.setattr(module.LocalPool, "spoiled", lambda self, bet: [len(bet.speculation)] * self.holdings)
    assert exact(X, 400, 3).ids.tolist() != alone


def test_rows_are_read_once_or_twice_a_round_and_rounds_are_few():
    X = corpus(20_000, 32, 6, copies=0.5)
    found = exact(X, 600, 4)  # below n / (2 + lambda)
    assert found.rounds <= 12
    assert found.pool <= 4_100
