"""The exact greedy over divided rows: what one process that holds everything would pick, whatever the division."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.constraints.base import Constraints
from ray_subsel.core.exact_sum import exact_total
from ray_subsel.core.types import NO_ITEMS
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.objectives import GraphCut
from ray_subsel.optimizers import Problem
from ray_subsel.optimizers.speculative.distinct_rows import distinct_rows_of
from ray_subsel.optimizers.speculative.driver import GreedyCheckpoint, exact_greedy
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.shard import ProposalRequest, RowShard
from ray_subsel.optimizers.speculative.shard_pool import LocalPool
from ray_subsel.optimizers.speculative.verify import Verification
from ray_subsel.partitioned.exact_greedy import DividedPool, proposal_of


def corpus(n, d, seed, *, copies=0.0, mean=0.7):
    """Vectors with a mean direction, a share of which repeats others."""
    draw = np.random.default_rng(seed)
    X = (draw.normal(size=(n, d)) + mean).astype(np.float32)
    X[X.any(axis=1) == 0] = 1.0
    again = draw.random(n) < copies
    X[again] = X[draw.integers(n, size=int(again.sum()))]
    return X


class SerialPool(DividedPool):
    """Shards of this process, one after the other."""

    def __init__(self, kept):
        self.kept = kept

    @property
    def shards(self):
        return len(self.kept)

    def proposals(self, request):
        return [proposal_of(shard, request) for shard in self.kept]

    def verifications(self, request):
        return [shard.verify(request, number) for number, shard in enumerate(self.kept)]


def pool_of(X, parts, seed=0):
    """Divide the rows at random, unevenly and in no order."""
    draw = np.random.default_rng(seed)
    where = draw.integers(parts, size=len(X)) if parts > 1 else np.zeros(len(X), dtype=int)
    groups = [draw.permutation(np.flatnonzero(where == part)) for part in range(parts)]
    return SerialPool([RowShard.of(ids.astype(np.int64), X[ids].copy()) for ids in groups if len(ids)])


def score_of(X, lam=10.0):
    return GraphCutScore(exact_total(unit_rows(X)).vector(), lam)


def exact(X, k, parts, lam=10.0, **more):
    return exact_greedy(pool_of(X, parts), score_of(X, lam), k, **more)


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
    assert exact(X, 900, parts).ids.tolist() == select(X, 900, recipe="none").indices.tolist()


@pytest.mark.parametrize("parts", [1, 3, 8])
def test_ties_between_distinct_vectors_go_to_the_lowest_id(parts):
    # All unit vectors along +-e_i and permutations of one vector: gains tie en masse, also where no two rows are equal.
    d = 8
    X = np.concatenate([np.roll(np.arange(1, d + 1), shift)[None] for shift in range(d)] * 40).astype(np.float32)
    X *= np.random.default_rng(0).choice([0.5, 1.0, 2.0], size=(len(X), 1)).astype(np.float32)
    assert exact(X, 200, parts).ids.tolist() == select(X, 200, recipe="none").indices.tolist()


def test_more_ties_than_a_pool_holds():
    # Points of a cone around the mean, far more than a pool: all gains are equal but for rounding.
    draw = np.random.default_rng(3)
    angle = draw.permutation(2_000) * (2 * np.pi / 2_000)
    X = np.stack([np.cos(angle), np.sin(angle), np.full(2_000, 2.0)], axis=1).astype(np.float32)
    alone = select(X, 30, lam=1.0).indices.tolist()
    for parts in (1, 2, 5):
        assert exact(X, 30, parts, lam=1.0).ids.tolist() == alone


@pytest.mark.parametrize("parts", [1, 3])
def test_without_a_common_direction_picks_are_made_one_by_one(parts):
    X = corpus(2_000, 12, 8, mean=0.0)
    X -= X.mean(axis=0)
    found, alone = exact(X, 200, parts), select(X, 200, recipe="none")
    assert found.ids.tolist() == alone.indices.tolist()
    assert np.array_equal(found.gains, alone.gains)
    assert found.passes <= 1.2 * 200
    assert found.rounds <= 20


def test_what_a_draft_would_have_kept_is_told_by_one_shard_and_by_several():
    X = corpus(600, 8, 1)
    ids, request = np.arange(600), ProposalRequest(score_of(X), np.zeros(8), 0, NO_ITEMS, 64, 32)
    alone = LocalPool(RowShard.of(ids, X.copy())).walk(request)
    several = pool_of(X, 3).walk(request)
    assert several.ids.tolist() == alone.ids.tolist()
    assert several.kept == alone.kept > 1
    assert np.array_equal(several.sums, alone.sums)


def test_a_prefix_is_the_result_for_a_smaller_k_and_a_run_goes_on_from_any_round():
    X = corpus(600, 8, 1, copies=0.3)
    checkpoints: list[GreedyCheckpoint] = []
    whole = exact(X, 250, 4, after_round=checkpoints.append)
    assert len(checkpoints) == whole.rounds > 2
    assert exact(X, 60, 4).ids.tolist() == whole.ids[:60].tolist()
    for checkpoint in checkpoints[:-1:2]:
        resumed = exact(X, 250, 2, begin=checkpoint)
        assert resumed.ids.tolist() == whole.ids.tolist()
        assert np.array_equal(resumed.gains, whole.gains)
        assert np.array_equal(resumed.chosen, whole.chosen)


def test_shards_that_forget_everything_between_requests_answer_the_same():
    # What an actor does that dies and is loaded again: a request brings all that its answer depends on.
    X = corpus(500, 8, 2, copies=0.4)
    draw = np.random.default_rng(0)
    where = draw.integers(3, size=500)

    class Forgetful(SerialPool):
        def proposals(self, request):
            return Forgetful(fresh_shards()).proposals_once(request)

        def verifications(self, request):
            return [shard.verify(request, part) for part, shard in enumerate(fresh_shards())]

        def proposals_once(self, request):
            return super().proposals(request)

    def fresh_shards():
        return [RowShard.of(ids, X[ids].copy()) for ids in (np.flatnonzero(where == part) for part in range(3))]

    found = exact_greedy(Forgetful(fresh_shards()), score_of(X), 200)
    assert found.ids.tolist() == select(X, 200, recipe="none").indices.tolist()


def test_a_draft_is_rejected_where_only_another_shard_knows_better():
    # With "no pick is rejected" as every answer the ids go wrong: the tests above do depend on the verification.
    X = corpus(2_000, 6, 5)
    alone = select(X, 400, recipe="none").indices.tolist()

    class Credulous(SerialPool):
        def verifications(self, request):
            return [Verification(len(request.draft)) for _ in self.kept]

    assert exact(X, 400, 3).ids.tolist() == alone
    assert exact_greedy(Credulous(pool_of(X, 3).kept), score_of(X), 400).ids.tolist() != alone


def test_one_shard_in_process_and_merged_shards_agree_with_utilities_multiplicities_and_exclusions():
    X = corpus(400, 6, 7, copies=0.5)
    draw = np.random.default_rng(7)
    utility, counts = np.round(draw.normal(size=400), 1), draw.integers(1, 4, size=400)
    exclude = np.flatnonzero(draw.random(400) < 0.2)
    limits = Constraints(exclude=exclude)
    problem = Problem(X, GraphCut(10.0), 150, limits, utility=utility, multiplicity=counts)
    distinct, total = distinct_rows_of(problem)
    score, ids = GraphCutScore(total, 10.0), np.arange(400)
    alone = exact_greedy(LocalPool(RowShard(ids, distinct)), score, 150)
    merged = exact_greedy(SerialPool([RowShard(ids, distinct)]), score, 150)
    assert merged.ids.tolist() == alone.ids.tolist()
    assert np.array_equal(merged.gains, alone.gains)
    assert merged.passes >= alone.passes  # where picks are made one by one those of one process foresee some


def test_rows_are_read_once_or_twice_a_round_and_rounds_are_few():
    X = corpus(20_000, 32, 6, copies=0.5)
    found = exact(X, 600, 4)  # below n / (2 + lambda)
    assert found.rounds <= 12
    assert found.candidates <= 4_100
