"""A verification finds the first turn of a draft that an outside item wins, and never a later one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.objectives import GraphCut
from ray_subsel.optimizers import Problem
from ray_subsel.optimizers.speculative.distinct_rows import distinct_rows_of
from ray_subsel.optimizers.speculative.draft import draft_picks
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.shard import DraftRequest, ProposalRequest, RowShard
from ray_subsel.optimizers.speculative.shard_pool import LocalPool
from ray_subsel.optimizers.speculative.verify import SieveSizes, checkpoint_turns


def drafted(X, size, picks, lam=10.0, sizes=None, utility=None):
    """Return a draft from the ``size`` best rows, its verification, and the rows outside."""
    n = len(X)
    distinct, total = distinct_rows_of(Problem(X=X, objective=GraphCut(lam), k=picks, utility=utility))
    score, none = GraphCutScore(total, lam), np.zeros(0, dtype=np.int64)
    pool = LocalPool(RowShard(np.arange(n), distinct, **({} if sizes is None else {"sizes": sizes})))
    chosen = np.zeros(X.shape[1])
    candidates = pool.propose(ProposalRequest(score, chosen, 0, none, size, picks))
    draft = draft_picks(candidates, score, chosen, 0, picks)
    return draft, pool.verify(DraftRequest(score, none, draft, candidates.proposed)), candidates.rows


def first_turn_by_hand(X, draft, inside, utility=None):
    """Compare each pick with every outside item's gain at its turn."""
    U = X / np.linalg.norm(X, axis=1, keepdims=True)
    gains = U @ draft.directions.T - 1.0
    if utility is not None:
        gains += utility[:, None]
    gains[inside] = -np.inf
    won = gains.max(axis=0) > draft.scores
    won[0] = False
    return int(won.argmax()) if won.any() else len(draft)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(2, 40),
    st.integers(1, 20),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.0, 1.0, 10.0]),
    st.booleans(),
    st.sampled_from([None, SieveSizes(2, 1), SieveSizes(3, 64), SieveSizes(16, 64, 50), SieveSizes(4, 1 << 19, 8)]),
)
def test_the_first_rejected_turn_is_that_of_the_definition(seed, picks, d, mean, lam, with_utility, sizes):
    draw = np.random.default_rng(seed)
    X = (draw.standard_normal((300, d)) + mean).astype(np.float32).astype(np.float64)
    X += 1e-3 * draw.standard_normal(X.shape)
    utility = draw.standard_normal(300) if with_utility else None
    draft, found, inside = drafted(X, 2 * picks, picks, lam, sizes, utility)
    if d > 1:  # on a line all items of a side tie
        by_hand = first_turn_by_hand(X, draft, inside, utility)
        checkpoints = SieveSizes().checkpoints if sizes is None else sizes.checkpoints
        assert found.turn in (by_hand, min(by_hand, checkpoints))  # of a draft that the first sieve is no use for
    assert 1 <= found.turn <= len(draft)


@pytest.mark.parametrize(("mean", "fewest", "most"), [(0.0, 1, 16), (3.0, 17, 200)])
def test_of_a_draft_that_the_first_sieve_lets_all_through_for_only_some_turns_are_verified(mean, fewest, most):
    X = np.random.default_rng(1).standard_normal((3_000, 16)) + mean
    draft, found, inside = drafted(X, 600, 200)
    assert fewest <= found.turn <= most
    assert found.evaluations <= 4 * 16 * 3_000
    assert found.turn == min(first_turn_by_hand(X, draft, inside), most)


def test_of_a_draft_that_a_few_rows_reject_early_not_much_is_computed():
    X = np.random.default_rng(1).standard_normal((20_000, 16))
    draft, found, inside = drafted(X, 48, 16)
    assert found.turn == first_turn_by_hand(X, draft, inside) == 9
    _, every_turn, _ = drafted(X, 48, 16, sizes=SieveSizes(sampled_rows=20_000))
    assert every_turn.turn == found.turn
    assert 3 * found.evaluations < 2 * every_turn.evaluations


def test_nothing_outside_rejects_nothing_and_costs_nothing():
    X = np.random.default_rng(0).standard_normal((30, 4))
    draft, found, inside = drafted(X, 30, 10)
    assert inside.size == 30
    assert (found.turn, found.evaluations) == (len(draft), 0)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 1024])
def test_checkpoints_begin_at_the_first_turn_and_end_at_the_last(length):
    turns = checkpoint_turns(length)
    assert turns[0] == 0
    assert turns[-1] == length - 1
    assert turns.size == min(length, 16)
